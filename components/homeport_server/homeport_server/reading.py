"""Parses a body: bytes become an inference request, or an error with the reason.

A few kilobytes of gzip can unfold to gigabytes, and a body of a few megabytes can have millions of empty lists, each of
which takes twenty times the bytes that it has in the body. Both are counted before they are made.

MLServer leaves this to pydantic, which collects every fault. A body of 5 MiB such as ``{"inputs": [{}, {}, ...]}`` would
cost gigabytes of error objects, and the container would run out of memory. This parser stops at the first fault.
"""

import gc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from mlserver.types import InferenceRequest
from pydantic import ValidationError

from homeport_server.body import too_large
from homeport_server.refusal import RefusedError, shown
from homeport_server.settings import Bounds

_EXAMPLE = '{"inputs": [{"name": "...", "shape": [...], "datatype": "...", "data": [...]}]}'
_MOST = 64  # inputs, outputs, or dimensions of one shape; numpy itself allows 64 dimensions
_LONGEST_ID = 256
_MOST_PARTS = 2**20
"""Lists and objects of a body. A picture of 640 x 640 pixels has fewer than half of them if each pixel is a list."""
_GZIP = 16 + zlib.MAX_WBITS


def read(body: bytes, encoding: str, bounds: Bounds) -> InferenceRequest:
    """The inference request in a body. Every part has the right type; the values are checked later.

    Args:
        body: As it was sent.
        encoding: Its Content-Encoding; empty if there is none.
        bounds: Limits on the size after decompression.

    Raises:
        RefusedError: It is not such a request, or too large.
    """
    encoding = encoding.strip().lower()
    if encoding not in {"", "identity", "gzip"}:
        raise RefusedError(f"the body's Content-Encoding is {shown(encoding)}", "gzip, or none", 415)
    with _without_collector():
        return _parsed(_unfolded(body, bounds.max_body_bytes) if encoding == "gzip" else body)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's garbage collector looks again and again at what is being parsed, although none of it is garbage."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _unfolded(body: bytes, limit: int) -> bytes:
    if not body:
        return body
    unfold = zlib.decompressobj(_GZIP)
    try:
        unfolded = unfold.decompress(body, limit + 1)
    except zlib.error:
        raise RefusedError("the body is not gzip, though its Content-Encoding says so", "a gzip body") from None
    if len(unfolded) > limit:
        raise too_large(f"the body has more than {limit} bytes", limit)
    if unfold.unused_data:
        raise RefusedError("the body goes on after its gzip data ends", "one gzip member")
    if not unfold.eof:
        raise RefusedError("the body's gzip data is cut short", "a complete gzip body")
    return unfolded


def _parsed(body: bytes) -> InferenceRequest:
    if not body.strip():
        raise RefusedError("the body is empty", _EXAMPLE)
    parts = body.count(b"[") + body.count(b"{")
    if parts > _MOST_PARTS:
        raise RefusedError(f"the body has {parts} lists and objects", f"at most {_MOST_PARTS}, such as flat data", 413)
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
