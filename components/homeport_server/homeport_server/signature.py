"""Reads a function's inputs and outputs from its annotations. Each parameter is an input that is checked.

The rules of a value (``Field(ge=0)``, ``Literal["NL", "BE"]``, a pattern) are pydantic's. Callers see them in the input's
``parameters``, in the terms of JSON Schema.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
import pandas as pd
from mlserver.types import MetadataTensor, Parameters
from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo

from homeport_server.checking import KINDS

ACCEPTED = """each parameter annotated, and all parameters of one of these kinds.
  Values: float, int, bool, str, Literal, Enum, or Annotated with pydantic's Field. The function is called once for each row.
  One record: a dataclass, NamedTuple, TypedDict or pydantic model of such values. The function is called once for each row.
  Arrays: Annotated[np.ndarray, (-1, 4)], where -1 is any number. The function is called once for all rows.
  One table: Annotated[pd.DataFrame, Row], where Row is a record of values. The function is called once for all rows."""

_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES"}
_DATATYPE_OF = {kind: name for name, (kind, _) in KINDS.items()}
_PYTHON = {"f": float, "i": int, "u": int, "b": bool, "U": str}
# Keys of a JSON Schema that the datatype already covers, or that are not rules.
_NOT_RULES = {"type", "title", "default", "$defs"}


@dataclass(frozen=True)
class Input:
    """One input, with pydantic's check of its values if they have rules that the server's own check does not cover."""

    tensor: MetadataTensor
    values: TypeAdapter[list[Any]] | None


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a function."""

    inputs: Mapping[str, Input]
    record: tuple[str, Callable[..., Any]] | None
    """The parameter that takes all inputs as one object, and the callable that makes that object."""
    by_row: bool
    outputs: list[MetadataTensor]
    """Empty if the annotation does not state them; then they are what the function returns."""


class _Part(NamedTuple):
    """A parameter of a function or a field of a record."""

    annotation: Any
    required: bool


def read(function: Callable[..., Any]) -> Signature:
    """Read the inputs and outputs of a function.

    Raises:
        ValueError: The annotations are not sufficient. The text names the parameter and what is accepted.
    """
    name = getattr(function, "__name__", "predict")
    parts = dict(_parameters(function, name))
    returned = _hints(function, name).get("return")
    if not parts:
        raise ValueError(f"{name} has no parameter; accepted: {ACCEPTED}")
    if len(parts) == 1:
        ((parameter, part),) = parts.items()
        base, further = _split(part.annotation)
        row = next((each for each in further if _is_record(each)), None)
        if base is pd.DataFrame and row is not None:
            columns = {field: _value(name, field, each) for field, each in _fields(row).items()}
            return Signature(columns, (parameter, _table(row)), by_row=False, outputs=_outputs(name, returned))
        if _is_record(base):
            values = {field: _value(name, field, each) for field, each in _fields(base).items()}
            return Signature(values, (parameter, base), by_row=True, outputs=_outputs(name, returned))
    arrays = {parameter for parameter, part in parts.items() if _is_array(_split(part.annotation)[0])}
    if arrays and len(arrays) < len(parts):
        raise ValueError(f"{name} takes arrays and values side by side; accepted: {ACCEPTED}")
    read_one = _array if arrays else _value
    inputs = {parameter: read_one(name, parameter, part) for parameter, part in parts.items()}
    return Signature(inputs, None, by_row=not arrays, outputs=_outputs(name, returned))


def _parameters(function: Callable[..., Any], name: str) -> Iterator[tuple[str, _Part]]:
    hints = _hints(function, name)
    for parameter in inspect.signature(function).parameters.values():
        what = f"parameter {parameter.name!r} of {name}"
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise ValueError(f"{what} has no name that a request can use; accepted: {ACCEPTED}")
        if parameter.name not in hints:
            raise ValueError(f"{what} has no annotation; accepted: {ACCEPTED}")
        annotation, required = hints[parameter.name], parameter.default is parameter.empty
        if isinstance(parameter.default, FieldInfo):  # `amount: float = Field(ge=0)`
            annotation, required = Annotated[annotation, parameter.default], True
        yield parameter.name, _Part(annotation, required)


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ValueError(f"the annotations of {name} cannot be read: {error}") from None


def _split(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Split ``Annotated[X, a, b]`` into X and (a, b)."""
    if get_origin(annotation) is Annotated:
        base, *further = get_args(annotation)
        return base, tuple(further)
    return annotation, ()


def _is_record(kind: Any) -> bool:
    if not isinstance(kind, type):
        return False
    return (
        dataclasses.is_dataclass(kind)
        or is_typeddict(kind)
        or issubclass(kind, BaseModel)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def _fields(record: Any) -> dict[str, _Part]:
    if issubclass(record, BaseModel):
        fields = record.model_fields.items()
        return {name: _Part(Annotated[field.annotation, field], field.is_required()) for name, field in fields}
    hints, defaults = get_type_hints(record, include_extras=True), _defaults(record)
    return {name: _Part(hint, name not in defaults) for name, hint in hints.items()}


def _defaults(record: Any) -> dict[str, Any]:
    """The values of the fields that may be left out, made for each call."""
    if issubclass(record, BaseModel):
        fields = {name: field for name, field in record.model_fields.items() if not field.is_required()}
        return {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
    if not dataclasses.is_dataclass(record):
        return dict(getattr(record, "_field_defaults", {}))
    made = {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(record)
    }
    return {name: value for name, value in made.items() if value is not dataclasses.MISSING}


def _table(row: Any) -> Callable[..., pd.DataFrame]:
    """Makes a table of the columns that were sent; the others have the default of their field in each row."""

    def make(**columns: Any) -> pd.DataFrame:
        rows = len(next(iter(columns.values())))
        defaults = {name: [value] * rows for name, value in _defaults(row).items()}
        return pd.DataFrame({name: columns.get(name, defaults.get(name)) for name in _fields(row)})

    return make


def _is_array(base: Any) -> bool:
    return (get_origin(base) or base) is np.ndarray


def _value(function: str, name: str, part: _Part) -> Input:
    """An input of one value for each row."""
    return _input(function, name, part, [-1])


def _array(function: str, name: str, part: _Part) -> Input:
    """An input that is one array."""
    base, further = _split(part.annotation)
    shape = next((each for each in further if isinstance(each, tuple)), None)
    if not shape or not all(type(size) is int and (size == -1 or size > 0) for size in shape):
        raise ValueError(
            f"parameter {name!r} of {function} is an array without a stated shape; "
            "accepted: Annotated[np.ndarray, (-1, 4)], -1 for any number"
        )
    rules = [each for each in further if each is not shape]
    annotation = Annotated[_scalar_of(base), *rules] if rules else _scalar_of(base)
    return _input(function, name, _Part(annotation, part.required), list(shape))


def _scalar_of(array: Any) -> Any:
    """The type of an array's values, as in ``NDArray[np.float32]``; for ``np.ndarray`` alone, float64."""
    kinds = [each for outer in get_args(array) for each in get_args(outer)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, np.generic)), np.float64)


def _input(function: str, name: str, part: _Part, shape: list[int]) -> Input:
    base, further = _split(part.annotation)
    datatype, plain = _number_of(base)
    annotation: Any = Annotated[plain, *further] if further else plain
    try:
        schema = TypeAdapter(annotation).json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError):
        schema = {}
    kind = _DATATYPES.get(schema.get("type", ""))
    if kind is None:
        raise ValueError(f"parameter {name!r} of {function} is {_named(part.annotation)}; accepted: {ACCEPTED}")
    rules = {key: value for key, value in schema.items() if key not in _NOT_RULES}
    told = rules | ({} if part.required else {"optional": True})
    tensor = MetadataTensor(
        name=name, datatype=datatype or kind, shape=shape, parameters=Parameters(**told) if told else None
    )
    # Rules that the server's own check of the tensor covers need no second check of each value.
    known = annotation in {float, int, bool, str} or rules.keys() <= {"minimum", "maximum", "description"}
    return Input(tensor, None if known else TypeAdapter(list[annotation]))


def _number_of(base: Any) -> tuple[str | None, Any]:
    """The datatype of a numpy type and the corresponding Python type; None and the type itself for other types."""
    if isinstance(base, type) and issubclass(base, np.generic):
        dtype = np.dtype(base)
        if dtype.kind in _PYTHON:
            return ("BYTES" if dtype.kind == "U" else _DATATYPE_OF.get(dtype.type)), _PYTHON[dtype.kind]
    return None, base


def _outputs(function: str, returned: Any) -> list[MetadataTensor]:
    """The outputs in the order of the annotation; empty if it does not state all of them."""
    base, further = _split(returned)
    row = next((each for each in further if _is_record(each)), base)
    if _is_record(row):
        tensors = [_output(name, part.annotation) for name, part in _fields(row).items()]
    else:
        tensors = [_output(function, returned)]
    known = [tensor for tensor in tensors if tensor is not None]
    return known if len(known) == len(tensors) else []


def _output(name: str, annotation: Any) -> MetadataTensor | None:
    base, further = _split(annotation)
    if _is_array(base):
        shape = next((each for each in further if isinstance(each, tuple)), None)
        datatype, _ = _number_of(_scalar_of(base))
        return MetadataTensor(name=name, datatype=datatype, shape=list(shape)) if shape and datatype else None
    datatype, plain = _number_of(base)
    try:
        kind = _DATATYPES.get(TypeAdapter(plain).json_schema().get("type", ""))
    except (PydanticSchemaGenerationError, PydanticUserError):
        return None
    return MetadataTensor(name=name, datatype=datatype or kind, shape=[-1]) if kind else None


def _named(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation)
