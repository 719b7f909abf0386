"""Parses a body: bytes become an inference request, or an error with the reason.

MLServer leaves this to pydantic, which collects every fault. A body of 5 MiB such as ``{"inputs": [{}, {}, ...]}`` would
cost gigabytes of error objects, and the container would run out of memory. This parser stops at the first fault.
"""

from typing import Any

import orjson
from mlserver.types import InferenceRequest
from pydantic import ValidationError

from homeport_server.refusal import RefusedError, shown

_EXAMPLE = '{"inputs": [{"name": "...", "shape": [...], "datatype": "...", "data": [...]}]}'
_MOST = 64  # inputs, outputs, or dimensions of one shape; numpy itself allows 64 dimensions
_LONGEST_ID = 256


def read(body: bytes | bytearray) -> InferenceRequest:
    """The inference request in a body. Every part has the right type; the values are checked later."""
    if not body.strip():
        raise RefusedError("the body is empty", _EXAMPLE)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(f"the body is not JSON ({error})", _EXAMPLE) from None
    if not isinstance(document, dict):
        raise RefusedError(f"the body is {_kind(document)}", _EXAMPLE)

    request_id = document.get("id")
    if not (request_id is None or isinstance(request_id, str)):
        raise RefusedError(f"'id' is {_kind(request_id)}", f"a string of at most {_LONGEST_ID} characters")
    if request_id and len(request_id) > _LONGEST_ID:
        raise RefusedError(f"'id' has {len(request_id)} characters", f"a string of at most {_LONGEST_ID} characters")
    _parameters(document, "the request")
    for given in _objects(document, "inputs", required=True):
        _input(given)
    for wanted in _objects(document, "outputs", required=False):
        _name(wanted, "an output")
        _parameters(wanted, "an output")

    try:
        request: InferenceRequest = InferenceRequest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise RefusedError(f"{place}: {first['msg']}", _EXAMPLE) from None
    return request


def _input(given: dict[str, Any]) -> None:
    name = _name(given, "an input")
    shape = given.get("shape")
    if not isinstance(shape, list):
        raise RefusedError(
            f"input {name} has {_kind(shape)} as its shape", "a list of whole numbers, one for each dimension"
        )
    if len(shape) > _MOST or not all(type(size) is int for size in shape):
        raise RefusedError(
            f"input {name} has shape {shown(shape)}", f"at most {_MOST} whole numbers, one for each dimension"
        )
    datatype = given.get("datatype")
    if not isinstance(datatype, str):
        raise RefusedError(f"input {name} has {_kind(datatype)} as its datatype", 'a name such as "FP64"')
    if not isinstance(given.get("data"), list):
        raise RefusedError(f"input {name} has {_kind(given.get('data'))} as its data", "a list of values")
    _parameters(given, f"input {name}")


def _name(part: dict[str, Any], what: str) -> str:
    name = part.get("name")
    if not isinstance(name, str):
        raise RefusedError(f"{what} has {_kind(name)} as its name", "a string")
    return shown(name)


def _parameters(part: dict[str, Any], what: str) -> None:
    parameters = part.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise RefusedError(f"{what} has {_kind(parameters)} as its parameters", "an object, or none")


def _objects(document: dict[str, Any], field: str, *, required: bool) -> list[dict[str, Any]]:
    value = document.get(field)
    if value is None and not required:
        return []
    if not isinstance(value, list):
        raise RefusedError(f"'{field}' is {_kind(value)}", _EXAMPLE)
    if len(value) > _MOST:
        raise RefusedError(f"'{field}' has {len(value)} entries", f"at most {_MOST}")
    for entry in value:
        if not isinstance(entry, dict):
            raise RefusedError(f"'{field}' holds {_kind(entry)}", "objects only")
    return value


def _kind(value: object) -> str:
    """The JSON name of a value's type."""
    if value is None:
        return "missing or null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a string", list: "a list"}
    return kinds.get(type(value), "an object")
