"""What the server would say to a function or class, from its source alone.

`homeport_server/signature.py` decides when the server starts, from the types themselves. Here only their names are known.
What is not known is accepted: decorators, libraries, and whatever is built while the module runs. `tests/signatures.py`
has functions of each kind, and a test compares what both say to them.
"""

import ast
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from homeport.errors import HomeportError
from homeport.output.text import visible
from homeport.served.module import Function, Module
from homeport.specs.problems import short

VALUES = "float, int, bool, str, Literal, an Enum, or Annotated with pydantic's Field"
TABLE = "Annotated[pd.DataFrame, Row], where Row is a class with the type of each column"
ARRAY = "Annotated[np.ndarray, (-1, 4)], where -1 is any number"
ONE_RECORD = "one parameter alone, or values side by side"

_SCALARS = {
    *(f"builtins.{name}" for name in ("float", "int", "bool", "str")),
    *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta")),
    *(f"numpy.{name}" for name in ("float32", "float64", "int8", "int16", "int32", "int64", "bool_", "str_")),
}
"""Types of one value, each a number, a truth value or a text in a request."""
_CONTAINERS = {
    *(f"builtins.{name}" for name in ("list", "dict", "tuple", "set", "frozenset", "object")),
    *(f"typing.{name}" for name in ("List", "Dict", "Tuple", "Set", "FrozenSet", "Sequence", "Mapping", "Iterable")),
    *(f"collections.abc.{name}" for name in ("Sequence", "Mapping", "Iterable")),
    *("builtins.bytearray", "builtins.type", "typing.Any", "typing.Callable", "collections.abc.Callable"),
    *("decimal.Decimal", "pandas.Series", "pandas.Timestamp"),
}
"""Types that are no single value of a request: several values, anything, or either of two datatypes."""
_ARRAYS = {"numpy.ndarray", "numpy.typing.NDArray"}
_FRAME = "pandas.DataFrame"
_RECORDS = {"typing.NamedTuple", "typing.TypedDict", "typing_extensions.TypedDict", "pydantic.BaseModel"}
_DEPTH = 20
"""Types within types, beyond which nothing is known."""

_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class Refused:
    """Something that the server refuses when it starts."""

    found: str
    accepted: str
    line: int

    @property
    def message(self) -> str:
        """For people."""
        return f"found {self.found}, accepted: {self.accepted}"


class _Kind(Enum):
    VALUE = 1
    RECORD = 2
    ARRAY = 3
    UNKNOWN = 4


class _RefusedError(HomeportError):
    """An annotation that no kind of parameter has."""

    def __init__(self, accepted: str, found: str = "") -> None:
        self.accepted, self.found = accepted, found
        super().__init__(accepted)


@dataclass(frozen=True)
class Entry:
    """The name of something in a module that is served."""

    module: Module
    name: str

    @property
    def exists(self) -> bool:
        """Whether the module may have it."""
        return self.name in self.module.bindings or self.module.hides

    def refused(self) -> Iterator[Refused]:
        """What the server refuses of it for certain."""
        try:
            yield from self._refused(self.name, 0)
        except RecursionError:
            return

    def _refused(self, name: str, depth: int) -> Iterator[Refused]:
        match self.module.resolve(name):
            case ast.FunctionDef() | ast.AsyncFunctionDef() as function if not function.decorator_list:
                yield from _function(self.module, function)
            case ast.ClassDef() as kind:
                yield from _class(self.module, kind)
            case ast.Assign(targets=[ast.Name()], value=ast.Name(id=other)) if depth < _DEPTH:
                yield from self._refused(other, depth + 1)
            case ast.Assign(targets=[ast.Name()], value=ast.Lambda() as function, lineno=line):
                if not function.args.args:
                    return
                found = f"`{name}`, a lambda, whose parameters have no annotations"
                yield Refused(found, "a function with annotations, made with `def`", line)
            case ast.Assign(
                targets=[ast.Name()], value=ast.Constant() | ast.List() | ast.Dict() | ast.Tuple(), lineno=line
            ):
                yield Refused(f"`{name}`, which is a value", "a function, or a class with a method `predict`", line)


def entry(module: Module, wanted: str | None = None) -> str | None:
    """What is served of a module unless something else is said: `predict`, or what is defined last."""
    names = module.definitions
    if wanted is None and names:
        return "predict" if "predict" in names else names[-1]
    return wanted


def parameters(module: Module, name: str) -> list[ast.arg]:
    """The parameters of a function, or of a class's own method `predict`, whose names a request uses."""
    match module.resolve(name):
        case ast.FunctionDef() | ast.AsyncFunctionDef() as function:
            return [*function.args.args, *function.args.kwonlyargs]
        case ast.ClassDef() as kind:
            method = _methods(kind).get("predict")
            return [*method.args.args[1:], *method.args.kwonlyargs] if method else []
    return []


def _class(module: Module, kind: ast.ClassDef) -> Iterator[Refused]:
    if not _stands_alone(module, kind):
        return
    methods = _methods(kind)
    defined = {name for statement in kind.body for name in _assigned(statement)} | methods.keys()
    if "__new__" not in defined and (start := methods.get("__init__")) and not start.decorator_list:
        needed = [each.arg for each in _needed(start)[1:]] if not start.args.posonlyargs else []
        if len(needed) > 1:
            found = f"`{kind.name}`, whose `__init__` needs {', '.join(f'`{each}`' for each in needed)}"
            yield Refused(found, "one parameter at most, which gets the folder with the model's files", start.lineno)
    if not defined & {"predict", "__call__", "__getattr__", "__getattribute__"}:
        if not any(isinstance(each, ast.Attribute) and each.attr == "predict" for each in ast.walk(kind)):
            found = f"`{kind.name}`, which has no method `predict`"
            yield Refused(found, "a function, or a class with a method `predict`", kind.lineno)
    elif (method := methods.get("predict")) and not method.decorator_list:
        # Annotations of a method may use names of its class.
        used = {node.id for node in ast.walk(method.args) if isinstance(node, ast.Name)}
        if not used & defined:
            yield from _function(module, method, bound=True)


def _stands_alone(module: Module, kind: ast.ClassDef) -> bool:
    """Whether no base class, decorator or metaclass can give a class other methods."""
    bases = all(_name(module, base) == "builtins.object" for base in kind.bases)
    return bases and not kind.decorator_list and not kind.keywords and not getattr(kind, "type_params", None)


def _methods(kind: ast.ClassDef) -> Mapping[str, Function]:
    """Its own methods that nothing in its body replaces."""
    found: dict[str, Function] = {}
    for statement in kind.body:
        for name in _assigned(statement):
            found.pop(name, None)
        if isinstance(statement, Function):
            found[statement.name] = statement
    return found


def _assigned(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement in the body of a class binds, unless it is a method."""
    if isinstance(statement, Function):
        return
    if isinstance(statement, ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.alias():
                yield node.asname or node.name


def _needed(function: Function) -> list[ast.arg]:
    """Parameters without a default."""
    arguments = function.args
    positional = arguments.args[: len(arguments.args) - len(arguments.defaults)]
    return positional + [
        each for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None
    ]


def _function(module: Module, function: Function, *, bound: bool = False) -> Iterator[Refused]:
    """What the server refuses of a function without decorators, or of a method of an instance."""
    if getattr(function, "type_params", None):
        return
    arguments = function.args
    if isinstance(function, ast.AsyncFunctionDef):
        if not any(isinstance(node, ast.Yield) for node in ast.walk(function)):
            yield Refused(f"`async def {function.name}`", f"`def {function.name}`", function.lineno)
        return
    nameless = [*arguments.posonlyargs, *filter(None, [arguments.vararg, arguments.kwarg])]
    named = [*arguments.args, *arguments.kwonlyargs]
    if bound:
        first = arguments.posonlyargs or arguments.args
        if not first and not arguments.vararg:
            yield Refused(f"`{function.name}` without `self`", f"`def {function.name}(self, ...)`", function.lineno)
            return
        nameless, named = (
            [each for each in nameless if each not in first[:1]],
            [each for each in named if each not in first[:1]],
        )
    for each in nameless:
        stars = "*" if each is arguments.vararg else "**" if each is arguments.kwarg else ""
        what = f"`{stars}{each.arg}` of `{function.name}`, which has no name that a request can use"
        yield Refused(what, f"parameters by name, such as `{each.arg}: float`", each.lineno)
    if not named and not nameless:
        yield Refused(f"`{function.name}` without parameters", "a parameter for each input", function.lineno)
        return
    yield from _annotations(module, function, named)


def _annotations(module: Module, function: Function, named: list[ast.arg]) -> Iterator[Refused]:
    kinds: dict[str, _Kind] = {}
    for each in named:
        if each.annotation is None:
            what = f"`{each.arg}` without an annotation"
            yield Refused(what, f"an annotation, such as `{each.arg}: float`; requests are checked by it", each.lineno)
            continue
        try:
            kinds[each.arg] = _kind(module, each.annotation, alone=len(named) == 1)
        except _RefusedError as error:
            found = f"`{_shown(each.arg, each.annotation)}`" + (f", {error.found}" if error.found else "")
            yield Refused(found, error.accepted, each.lineno)
    arrays = [name for name, kind in kinds.items() if kind is _Kind.ARRAY]
    values = [name for name, kind in kinds.items() if kind is _Kind.VALUE]
    if arrays and values:
        found = f"the array `{arrays[0]}` and the value `{values[0]}` side by side"
        yield Refused(found, "only arrays, or only values", function.lineno)
    if function.returns is not None and (missing := _undefined(module, function.returns)):
        what = f"`{missing}` in the annotation of the result, which nothing defines or imports"
        yield Refused(what, "names that the module has when it is imported", function.returns.lineno)


def _kind(module: Module, annotation: ast.expr, *, alone: bool, depth: int = 0) -> _Kind:
    """The kind of a parameter or field.

    Raises:
        _RefusedError: No kind has this annotation.
    """
    if depth > _DEPTH:
        return _Kind.UNKNOWN
    if depth == 0 and (missing := _undefined(module, annotation)):
        raise _RefusedError(
            "names that the module has when it is imported", f"and nothing defines or imports `{missing}`"
        )
    match annotation:
        case ast.Constant(value=str(text)):
            try:
                inner = ast.parse(text, mode="eval").body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return _Kind.UNKNOWN
            return _kind(module, inner, alone=alone, depth=depth + 1)
        case ast.Constant(value=None):
            raise _RefusedError(VALUES)
        case ast.BinOp(op=ast.BitOr()):
            return _union(module, [annotation.left, annotation.right])
        case ast.Subscript(value=value, slice=inner):
            return _subscript(module, value, inner, alone=alone, depth=depth)
    if _name(module, annotation) in _SCALARS:
        return _Kind.VALUE
    _refuse(_name(module, annotation))
    local = module.resolve(annotation.id) if isinstance(annotation, ast.Name) else None
    match local:
        case ast.ClassDef() as kind:
            return _local_class(module, kind, alone=alone, depth=depth)
        case ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(value=ast.expr() as value):
            return _kind(module, value, alone=alone, depth=depth + 1)
    return _Kind.UNKNOWN


def _refuse(name: str | None) -> None:
    """Refuse a type that no parameter has alone, whatever is in its brackets."""
    for names, accepted in ((_CONTAINERS, VALUES), (_ARRAYS, ARRAY), ({_FRAME}, TABLE)):
        if name in names:
            raise _RefusedError(accepted)


def _subscript(module: Module, value: ast.expr, inner: ast.expr, *, alone: bool, depth: int) -> _Kind:
    name = _name(module, value)
    _refuse(name)
    if name == "typing.Optional":
        return _union(module, [inner, ast.Constant(None)])
    if name == "typing.Union":
        return _union(module, inner.elts if isinstance(inner, ast.Tuple) else [inner])
    if name in {"typing.Annotated", "typing_extensions.Annotated"} and isinstance(inner, ast.Tuple) and inner.elts:
        return _annotated(module, inner.elts[0], inner.elts[1:], alone=alone, depth=depth)
    return _Kind.UNKNOWN


def _annotated(module: Module, base: ast.expr, further: list[ast.expr], *, alone: bool, depth: int) -> _Kind:
    name = _name(module, base.value if isinstance(base, ast.Subscript) else base)
    if name in _ARRAYS:
        shapes = [each for each in further if isinstance(each, ast.Tuple)]
        if shapes and not (shapes[0].elts and all(_is_size(size) for size in shapes[0].elts)):
            raise _RefusedError(ARRAY)
        if not shapes and all(isinstance(each, ast.Constant | ast.List) for each in further):
            raise _RefusedError(ARRAY)
        return _Kind.ARRAY
    if name == _FRAME:
        if not alone:
            raise _RefusedError(ONE_RECORD)
        rows = [_row(module, each, depth) for each in further]
        if all(row is False for row in rows):
            raise _RefusedError(TABLE)
        return _Kind.RECORD
    known = all(isinstance(each, ast.Constant) or _is_field(module, each) for each in further)
    try:
        return _kind(module, base, alone=alone, depth=depth + 1)
    except _RefusedError:
        if known:
            raise
        return _Kind.UNKNOWN  # pydantic's annotations may replace a type


def _is_field(module: Module, expression: ast.expr) -> bool:
    return isinstance(expression, ast.Call) and _name(module, expression.func) == "pydantic.Field"


def _row(module: Module, expression: ast.expr, depth: int) -> bool | None:
    """Whether a class has the columns of a table; None if that is not known. Raises what its columns are refused for."""
    if isinstance(expression, ast.Constant | ast.List | ast.Tuple | ast.Dict):
        return False
    if _name(module, expression) in _SCALARS | _CONTAINERS:
        return False
    match module.resolve(expression.id) if isinstance(expression, ast.Name) else None:
        case ast.ClassDef() as kind:
            if _is_record(module, kind):
                return _local_class(module, kind, alone=True, depth=depth) is _Kind.RECORD
            return False if _is_plain(module, kind) else None
    return None


def _is_size(size: ast.expr) -> bool:
    """Whether it is a size that a shape may have, or may be one."""
    match size:
        case ast.Constant(value=value):
            return type(value) is int and value > 0
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)):
            return value == 1
    return True


def _union(module: Module, members: list[ast.expr]) -> _Kind:
    """The kind of one of several types. Two types that are surely different have no datatype in common."""
    found: set[str] = set()
    for member in members:
        if isinstance(member, ast.Constant) and member.value is None:
            found.add("None")
        elif isinstance(member, ast.BinOp) and isinstance(member.op, ast.BitOr):
            return (
                _union(module, [*members[:-1], member.left, member.right])
                if member is members[-1]
                else (_union(module, [member.left, member.right, *members[1:]]))
            )
        elif (name := _name(module, member)) in _SCALARS | _CONTAINERS:
            found.add(str(name))
        elif isinstance(member, ast.Subscript) and (name := _name(module, member.value)) in _CONTAINERS:
            found.add(f"{name}[]")
        else:
            return _Kind.UNKNOWN
    if len(found) > 1:
        raise _RefusedError(f"one type: {VALUES}; an input that may be left out has a default")
    return _Kind.UNKNOWN


def _local_class(module: Module, kind: ast.ClassDef, *, alone: bool, depth: int) -> _Kind:
    if _is_record(module, kind):
        if not alone:
            raise _RefusedError(ONE_RECORD, f"and `{kind.name}` has several values")
        for statement in kind.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=field), annotation=annotation) if field[0] != "_":
                    if field != "model_config":
                        _field(module, kind, field, annotation, depth)
        return _Kind.RECORD
    if _is_plain(module, kind):
        raise _RefusedError(f"{VALUES}; or a dataclass, NamedTuple, TypedDict or pydantic model of them")
    return _Kind.UNKNOWN


def _field(module: Module, kind: ast.ClassDef, field: str, annotation: ast.expr, depth: int) -> None:
    try:
        _kind(module, annotation, alone=False, depth=depth + 1)
    except _RefusedError as error:
        raise _RefusedError(error.accepted, f"whose `{kind.name}` has `{_shown(field, annotation)}`") from None


def _is_record(module: Module, kind: ast.ClassDef) -> bool:
    """Whether it is a class of values by its own declaration alone."""
    bases = [_name(module, base) for base in kind.bases]
    decorators = [_name(module, each.func if isinstance(each, ast.Call) else each) for each in kind.decorator_list]
    if kind.decorator_list:
        return decorators in (["dataclasses.dataclass"], ["pydantic.dataclasses.dataclass"]) and not bases
    return len(bases) == 1 and bases[0] in _RECORDS


def _is_plain(module: Module, kind: ast.ClassDef) -> bool:
    """Whether pydantic has no rule for it."""
    special = {name for statement in kind.body for name in _assigned(statement)} | _methods(kind).keys()
    return _stands_alone(module, kind) and not any(name.startswith("__get_") for name in special)


def _undefined(module: Module, annotation: ast.expr) -> str | None:
    """A name at the start of an annotation that the module does not have."""
    match annotation:
        case ast.Constant(value=str(text)):
            try:
                return _undefined(module, ast.parse(text, mode="eval").body)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return None
        case ast.Subscript(value=value, slice=inner):
            parts = inner.elts[:1] if isinstance(inner, ast.Tuple) else [inner]
            if _name(module, value) in {"typing.Literal", "typing_extensions.Literal"}:
                return _undefined(module, value)
            return next(filter(None, (_undefined(module, each) for each in [value, *parts])), None)
        case ast.BinOp(left=left, right=right):
            return _undefined(module, left) or _undefined(module, right)
        case ast.Attribute(value=value):
            return _undefined(module, value)
        case ast.Name(id=name):
            known = name in module.bindings or name in _BUILTINS or module.hides
            return None if known else name
    return None


def _name(module: Module, expression: ast.expr) -> str | None:
    """The dotted name of a type that is built in or imported; None if it comes from elsewhere."""
    if isinstance(expression, ast.Attribute):
        outer = _name(module, expression.value)
        return f"{outer}.{expression.attr}" if outer else None
    if not isinstance(expression, ast.Name):
        return None
    name = expression.id
    match module.resolve(name):
        case ast.Import(names=names):
            for each in names:
                if each.asname == name:
                    return each.name
                if each.asname is None and each.name.partition(".")[0] == name:
                    return name
        case ast.ImportFrom(module=str(source), names=names, level=0):
            found = next((each.name for each in names if (each.asname or each.name) == name), None)
            return f"{source}.{found}" if found else None
    if name in module.bindings or "*" in module.bindings:
        return None
    return f"builtins.{name}"


def _shown(name: str, annotation: ast.expr) -> str:
    try:
        return short(visible(f"{name}: {ast.unparse(annotation)}"))
    except RecursionError:
        return name
