"""Serves a data scientist's function or class as it is, with checked values, row by row or all rows at once."""

import dataclasses
import inspect
import logging
import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from homeport_server import signature
from homeport_server.checking import KINDS, Array, listed
from homeport_server.model import CheckedModel
from homeport_server.refusal import RefusedError, shown

logger = logging.getLogger(__name__)

_LONGEST = 500


class FunctionModel(CheckedModel):
    """A function, or the ``predict`` of a class that is instantiated once at the start.

    A ``ValueError`` that it raises means that the data is faulty: the sender gets its text with status 422. Any other
    exception is a fault of the code.
    """

    def open_model(self, path: Path) -> None:
        """Import the code and read its inputs and outputs from the annotations."""
        extra = (self.settings.parameters and self.settings.parameters.extra) or {}
        self._function = _function(str(extra.get("serve", "")), path)
        self._signature = signature.read(self._function)
        self._name = getattr(self._function, "__name__", "predict")
        self.declare([each.tensor for each in self._signature.inputs.values()], self._signature.outputs)

    @property
    def output_names(self) -> list[str]:
        """The outputs in the annotation; empty if it has none."""
        return [output.name for output in self.outputs]

    @property
    def default_outputs(self) -> list[str]:
        """All outputs, because one call computes them all."""
        return self.output_names

    def run(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
        """Call the function once for each row, or once for all rows if it takes arrays or a table."""
        given = {name: self._checked(name, array) for name, array in inputs.items()}
        results = self._by_row(given) if self._signature.by_row else _columns(self._call(given), self._name)
        unknown = [name for name in outputs if name not in results]
        if unknown and not self.outputs:
            raise RefusedError(f"output {shown(unknown[0])} is unknown", f"any of the outputs {listed(results)}")
        datatypes = {output.name: output.datatype for output in self.outputs}
        return {name: _conform(values, datatypes.get(name)) for name, values in results.items()}

    def _checked(self, name: str, array: Array) -> Any:
        """The values after pydantic's check, which may convert them, such as text into a date."""
        values = self._signature.inputs[name].values
        if values is None:
            return array
        try:
            found = values.validate_python(array.ravel().tolist())
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            accepted = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            place = first["loc"][0]
            raise RefusedError(
                f"input {shown(name)} has {shown(first['input'])} at position {place}", accepted
            ) from None
        return np.array(found, dtype=array.dtype).reshape(array.shape) if _is_plain(found) else found

    def _by_row(self, given: Mapping[str, Any]) -> dict[str, Any]:
        columns = [values.tolist() if isinstance(values, np.ndarray) else values for values in given.values()]
        rows = [
            _columns(self._call(dict(zip(given, row, strict=True)), place), self._name)
            for place, row in enumerate(zip(*columns, strict=True))
        ]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _call(self, arguments: dict[str, Any], row: int | None = None) -> Any:
        try:
            if self._signature.record:
                parameter, make = self._signature.record
                arguments = {parameter: make(**arguments)}
            return self._function(**arguments)
        except ValueError as error:
            where = "the data" if row is None else f"row {row}"
            logger.warning("model %s refused %s", self.name, where, exc_info=True)
            raise RefusedError(f"the model refuses {where}: {str(error)[:_LONGEST]}", None, 422) from None


def _function(serve: str, folder: Path) -> Callable[..., Any]:
    module, _, name = serve.partition(":")
    if not re.fullmatch(r"[A-Za-z_][\w.]*", module) or not name.isidentifier():
        raise ValueError(f"found {serve!r} to serve; accepted: module:function or module:Class, such as model:predict")
    sys.path.insert(0, str(folder))
    found = getattr(import_module(module), name, None)
    if found is None:
        raise ValueError(f"found {serve!r} to serve; accepted: a function or class of {module}, which has no {name}")
    served = _made(found, folder) if inspect.isclass(found) else found
    function = getattr(served, "predict", served)
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise ValueError(f"found {serve!r} to serve; accepted: a plain function, or a class with a method predict")
    return function  # type: ignore[no-any-return]


def _made(kind: Any, folder: Path) -> Any:
    """An instance of a class. If its constructor has a parameter, it gets the folder with its files."""
    parameters = inspect.signature(kind).parameters.values()
    wanted = any(each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters)
    return kind(folder) if wanted else kind()


def _columns(result: Any, name: str) -> dict[str, Any]:
    """The result of a function, as outputs by name."""
    if isinstance(result, pd.DataFrame):
        return {str(column): result[column].to_numpy() for column in result}
    if isinstance(result, Mapping):
        return {str(key): value for key, value in result.items()}
    if isinstance(result, BaseModel):
        return dict(result)
    if isinstance(result, tuple) and hasattr(result, "_asdict"):
        return dict(result._asdict())
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return {name: result}


def _conform(values: Any, datatype: str | None) -> Array:
    array = np.asarray(values)
    if datatype is None or datatype == "BYTES":
        return array
    # Integers may become floats, but floats never become integers, and None never becomes a number.
    return array.astype(KINDS[datatype][0], casting="same_kind")


def _is_plain(values: list[Any]) -> bool:
    return all(type(value) in {bool, int, float, str} for value in values)
