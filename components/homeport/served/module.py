"""One module of Python: the names that it defines when it is imported, and what it imports then.

The text may be anybody's. It is bounded and parsed, and no codec, import or expression of it decides anything. Where the
text alone cannot tell, the answer is None, because a false alarm costs its reader more than a mistake that is found later.
"""

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from homeport.errors import HomeportError
from homeport.output.text import visible
from homeport.specs.problems import short

MAX_BYTES = 2**18
"""Of one module. Python takes about a second to parse as much of the worst kind."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_NOT_AT_IMPORT = {"TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING", "__name__ == '__main__'"}
"""Conditions that are false when a server imports a module."""
_DEFINES = {"exec", "globals", "locals", "vars"}
"""Functions with which a module may define names that its text does not show."""


class NotPythonError(HomeportError):
    """The text is not Python. The text of the error says why, and `line` where, counted from 1."""

    def __init__(self, reason: str, line: int) -> None:
        self.line = line
        super().__init__(reason)


class UnreadableError(HomeportError):
    """The text may be Python, but homeport does not read it: it is too large, or nested too deeply."""


@dataclass(frozen=True)
class Import:
    """A module that is imported."""

    name: str
    """Dotted; empty for `from . import name`."""
    names: tuple[str, ...]
    """What is imported from it; empty for `import name`."""
    level: int
    """The number of dots before it."""
    line: int
    always: bool
    """Whether it is imported whenever the module is: no condition, `try` or function is around it."""


@dataclass(frozen=True, eq=False)
class Module:
    """A module that Python can read."""

    tree: ast.Module

    @classmethod
    def read(cls, content: bytes | str, version: tuple[int, int] | None = None) -> Self:
        """Parse a module for a version of Python, as far as the running one knows its syntax.

        Raises:
            NotPythonError: It has a mistake of syntax.
            UnreadableError: It is too large or too deep.
        """
        if len(content) > MAX_BYTES:
            raise UnreadableError(f"found more than {MAX_BYTES >> 10} KiB, which homeport does not read")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about the code; they would be printed
                tree = ast.parse(content, feature_version=version)
                # Some mistakes are found only here, such as `return` outside a function.
                compile(tree, "", "exec", dont_inherit=True)
            module = cls(tree)
            # Whatever follows the nesting of statements does it here, where too much of it is caught.
            _ = module.bindings, module.imports
        except SyntaxError as error:
            raise NotPythonError(short(visible(error.msg)), max(error.lineno or 1, 1)) from None
        except (ValueError, LookupError):  # bytes of another encoding, null bytes, half of a character
            raise NotPythonError("found bytes that are no text in its encoding", 1) from None
        except (RecursionError, MemoryError):
            raise UnreadableError("found code that is nested too deeply for homeport to read") from None
        return module

    @cached_property
    def bindings(self) -> Mapping[str, list[tuple[ast.AST, bool]]]:
        """What binds each name when the module is imported, in order, and whether it always does."""
        found: dict[str, list[tuple[ast.AST, bool]]] = {}
        for statement, always in _imported(self.tree.body):
            for name in _bound(statement):
                found.setdefault(name, []).append((statement, always))
        for node in self._nodes:
            if isinstance(node, ast.Global):
                for name in node.names:
                    found.setdefault(name, []).append((node, False))
        return found

    @cached_property
    def hides(self) -> bool:
        """Whether it may define names that the text does not show."""
        if "__getattr__" in self.bindings or "*" in self.bindings:
            return True
        return any(
            (isinstance(node, ast.Name) and node.id in _DEFINES)
            or (isinstance(node, ast.Attribute) and node.attr in {"modules", "__dict__"})
            or (isinstance(node, ast.Call) and _sets(node) not in {None, "self"})
            for node in self._nodes
        )

    @property
    def definitions(self) -> list[str]:
        """Names of its functions and classes that are not private."""
        return [
            name
            for name, places in self.bindings.items()
            if not name.startswith("_") and isinstance(places[-1][0], Definition)
        ]

    @cached_property
    def imports(self) -> list[Import]:
        """Everything that is imported anywhere in it, in the order of the lines."""
        always = {id(statement) for statement, certain in _imported(self.tree.body) if certain}
        never = {id(node) for branch in _never(self.tree) for statement in branch for node in ast.walk(statement)}
        found: list[Import] = []
        for node in self._nodes:
            if id(node) in never:
                continue
            if isinstance(node, ast.Import):
                found += [Import(each.name, (), 0, node.lineno, id(node) in always) for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = tuple(each.name for each in node.names)
                found.append(Import(node.module or "", names, node.level, node.lineno, id(node) in always))
        return sorted(found, key=lambda each: each.line)

    def resolve(self, name: str) -> ast.stmt | None:
        """The statement that a name of the module comes from, if no other one can have changed it."""
        places = self.bindings.get(name, [])
        last = places[-1][0] if places else None
        if not isinstance(last, ast.stmt) or not all(always for _, always in places) or name in self._changed:
            return None
        stars = [place.lineno for place, _ in self.bindings.get("*", []) if isinstance(place, ast.stmt)]
        return last if last.lineno > max(stars, default=0) else None

    @cached_property
    def _nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def _changed(self) -> set[str]:
        """Names of things that get attributes, such as other annotations, or that are deleted."""
        found: set[str] = set()
        for node in self._nodes:
            match node:
                case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                    found.add(name)
                case ast.Name(id=name, ctx=ast.Del()):
                    found.add(name)
                case ast.Subscript(value=ast.Attribute(value=ast.Name(id=name)), ctx=ast.Store() | ast.Del()):
                    found.add(name)
                case ast.Call() if changed := _sets(node):
                    found.add(changed)
        return found


def _sets(call: ast.Call) -> str | None:
    """The name whose attribute `setattr` or `update_wrapper` changes."""
    named = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if named not in {"setattr", "delattr", "update_wrapper"}:
        return None
    return call.args[0].id if call.args and isinstance(call.args[0], ast.Name) else "an object"


def _imported(body: list[ast.stmt], always: bool = True) -> Iterator[tuple[ast.stmt, bool]]:
    """Statements that run when the module is imported, and whether they always do. Definitions are not entered."""
    for statement in body:
        yield statement, always
        if isinstance(statement, Definition):
            continue
        if isinstance(statement, ast.If) and _is_never(statement):
            yield from _imported(statement.orelse, always)
            continue
        for _, value in ast.iter_fields(statement):
            for part in value if isinstance(value, list) else ():
                if isinstance(part, ast.stmt):
                    yield from _imported([part], always=False)
                elif isinstance(part, ast.ExceptHandler | ast.match_case):
                    yield from _imported(part.body, always=False)


def _never(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """Bodies that do not run in a server."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and _is_never(node):
            yield node.body


def _is_never(statement: ast.If) -> bool:
    try:
        return ast.unparse(statement.test) in _NOT_AT_IMPORT
    except RecursionError:
        return False


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement binds, without those that statements within it bind."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
            return
        case ast.Import():
            yield from (each.asname or each.name.partition(".")[0] for each in statement.names)
            return
        case ast.ImportFrom():
            yield from (each.asname or each.name for each in statement.names)
            return
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Name(id=str(name), ctx=ast.Store()):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
        waiting += [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.stmt)]
