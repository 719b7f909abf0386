"""Checks whether a request fits the declared inputs: its tensors become arrays of exactly these kinds, or an error."""

from collections.abc import Iterable, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from mlserver.types import InferenceRequest, MetadataTensor, RequestInput
from numpy.typing import NDArray

from homeport_server.refusal import RefusedError, shown

Array = NDArray[Any]

_ANY = -1
_WHOLE = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)

# The protocol's datatype -> numpy's type, and the Python types of its JSON values.
KINDS: dict[str, tuple[Any, frozenset[type]]] = {
    "BOOL": (np.bool_, frozenset({bool})),
    "BYTES": (object, frozenset({str})),
    "FP16": (np.float16, frozenset({int, float})),
    "FP32": (np.float32, frozenset({int, float})),
    "FP64": (np.float64, frozenset({int, float})),
    **{kind.__name__.upper(): (kind, frozenset({int})) for kind in _WHOLE},
}


def checked_inputs(request: InferenceRequest, declared: Sequence[MetadataTensor], max_rows: int) -> dict[str, Array]:
    """One array for each given input, by name and in the declared order; optional inputs may be missing.

    If the first dimension of an input is free, it counts the rows.
    """
    names = [tensor.name for tensor in declared]
    given: dict[str, RequestInput] = {}
    for tensor in request.inputs:
        if tensor.name not in names:
            raise RefusedError(f"input {shown(tensor.name)} is unknown", f"exactly the inputs {listed(names)}")
        if tensor.name in given:
            raise RefusedError(f"input {shown(tensor.name)} is given twice", f"each of the inputs {listed(names)} once")
        given[tensor.name] = tensor
    for tensor in declared:
        if tensor.name not in given and not optional(tensor):
            raise RefusedError(f"input {shown(tensor.name)} is missing", f"exactly the inputs {listed(names)}")
    if not given:
        raise RefusedError("no input is given", f"at least one of the inputs {listed(names)}")

    arrays = {tensor.name: _array(given[tensor.name], tensor, max_rows) for tensor in declared if tensor.name in given}
    _check_batch(arrays, declared)
    return arrays


def optional(declared: MetadataTensor) -> bool:
    """Whether a request may leave this input out."""
    return bool(getattr(declared.parameters, "optional", False))


def checked_outputs(request: InferenceRequest, known: Sequence[str]) -> list[str]:
    """The names of the requested outputs; empty for the defaults. If the known names are empty, every name is accepted."""
    if not request.outputs:
        return []
    wanted = [output.name for output in request.outputs]
    for name in wanted:
        if known and name not in known:
            raise RefusedError(f"output {shown(name)} is unknown", f"any of the outputs {listed(known)}")
    if len(set(wanted)) < len(wanted):
        # Each one is computed separately, so one small request could keep the server busy for hours.
        raise RefusedError("an output is requested twice", f"each of the outputs {listed(known)} at most once")
    return wanted


def listed(names: Iterable[str]) -> str:
    """Names as they appear in a message."""
    return ", ".join(map(shown, names))


def _array(given: RequestInput, declared: MetadataTensor, max_rows: int) -> Array:
    what = f"input {shown(declared.name)}"
    accepted = f"datatype {declared.datatype}, shape {_shape(declared.shape)}"
    if given.datatype != declared.datatype:
        raise RefusedError(f"{what} has datatype {given.datatype}", accepted)
    fits = len(given.shape) == len(declared.shape) and all(
        found >= 1 if expected == _ANY else found == expected
        for found, expected in zip(given.shape, declared.shape, strict=True)
    )
    if not fits:
        raise RefusedError(f"{what} has shape {shown(given.shape)}", f"{accepted}, where 'any' is at least 1")

    values = _flat(given.data.root, given.shape, what)
    if len(values) != prod(given.shape):
        raise RefusedError(
            f"{what} has {len(values)} values, but its shape {shown(given.shape)} says {prod(given.shape)}",
            "as many values as the shape says",
        )
    if declared.shape[:1] == [_ANY] and given.shape[0] > max_rows:
        raise RefusedError(f"{what} has {given.shape[0]} rows", f"at most {max_rows} in one request", 413)
    return _typed(values, declared, what).reshape(given.shape)


def _flat(data: list[Any], shape: list[int], what: str) -> list[Any]:
    """The values in row-major order. The protocol allows flat data and data nested exactly as the shape says."""
    if not any(isinstance(value, list) for value in data):
        return data
    level = [data]
    for depth, size in enumerate(shape):
        if not all(isinstance(part, list) and len(part) == size for part in level):
            raise RefusedError(
                f"{what} has data that is not nested as its shape {shown(shape)} says (at depth {depth + 1})",
                "a flat list of values, or lists nested as the shape says",
            )
        level = list(chain.from_iterable(level))
    return level


def _typed(values: list[Any], declared: MetadataTensor, what: str) -> Array:
    kind, types = KINDS[declared.datatype]
    unfit = None
    if not set(map(type, values)) <= types:
        unfit = next(place for place, value in enumerate(values) if type(value) not in types)
    elif issubclass(kind, np.number):
        unfit = _outside(values, kind, *limits(declared))
    if unfit is not None:
        accepted = f"{declared.datatype}, {_values(declared)}"
        raise RefusedError(f"{what} has {shown(values[unfit])} at position {unfit}", accepted)
    return np.array(values, dtype=kind)


def limits(declared: MetadataTensor) -> tuple[Any, Any]:
    """The smallest and the largest accepted number: the range of the type, within the declared minimum and maximum.

    ``minimum`` and ``maximum`` are in the input's ``parameters`` and mean the same as in JSON Schema. They keep numbers
    away from the model that are far outside its training data and make it fail, such as 1e308 after scaling.
    """
    kind = KINDS[declared.datatype][0]
    least, greatest = (getattr(declared.parameters, name, None) for name in ("minimum", "maximum"))
    for limit in (least, greatest):
        if limit is not None and not (issubclass(kind, np.number) and type(limit) in {int, float}):
            raise ValueError(f"input {declared.name!r}: minimum and maximum are numbers, for a datatype of numbers")
    if not issubclass(kind, np.number):
        return None, None
    bounds = np.iinfo(kind) if issubclass(kind, np.integer) else np.finfo(kind)
    least = bounds.min if least is None else max(least, bounds.min)
    greatest = bounds.max if greatest is None else min(greatest, bounds.max)
    return (int(least), int(greatest)) if issubclass(kind, np.integer) else (float(least), float(greatest))


def _outside(values: list[Any], kind: Any, least: Any, greatest: Any) -> int | None:
    """The position of the first number that is not accepted."""
    if issubclass(kind, np.integer):
        if least <= min(values) and max(values) <= greatest:  # fast, for the usual case
            return None
        return next(place for place, value in enumerate(values) if not least <= value <= greatest)
    with np.errstate(over="ignore"):  # a number that is too large for the type becomes infinite
        array = np.array(values, dtype=kind)
    wrong = np.flatnonzero(~((least <= array) & (array <= greatest)))
    return int(wrong[0]) if wrong.size else None


def _values(declared: MetadataTensor) -> str:
    kind = KINDS[declared.datatype][0]
    if not issubclass(kind, np.number):
        return {np.bool_: "true or false", object: "strings"}[kind]
    least, greatest = limits(declared)
    if issubclass(kind, np.integer):
        return f"whole numbers from {least} to {greatest}"
    return f"finite numbers from {least:.4g} to {greatest:.4g}"


def _check_batch(arrays: dict[str, Array], declared: Sequence[MetadataTensor]) -> None:
    """All inputs must have the same number of rows."""
    rows = {
        tensor.name: len(arrays[tensor.name])
        for tensor in declared
        if tensor.name in arrays and tensor.shape[:1] == [_ANY]
    }
    if len(set(rows.values())) > 1:
        found = ", ".join(f"{shown(name)} has {count}" for name, count in rows.items())
        raise RefusedError(f"the inputs differ in their number of rows: {found}", "the same number for all")


def _shape(shape: Sequence[int]) -> str:
    return f"[{', '.join('any' if size == _ANY else str(size) for size in shape)}]"
