"""Every example model: its request is answered, no request ends it, whatever is in it, and the next good one is answered."""

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport import Model
from tests.server.client import infer_path
from tests.server.conftest import Server, Start
from tests.support import EXAMPLES

Tensor = Mapping[str, Any]


@pytest.fixture(scope="module", params=sorted(file.parent.name for file in EXAMPLES.glob("*/request.json")))
def example(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def good(example: str) -> bytes:
    return (EXAMPLES / example / "request.json").read_bytes()


@pytest.fixture(scope="module")
def server(example: str, start_any: Start) -> Iterator[Server]:
    """The example as its image serves it: from its folder, with what model.yaml names."""
    build = Model.load(EXAMPLES / example / "model.yaml").build
    variables = {"HOMEPORT_SERVE": build.serve} if build and build.serve else {}
    with start_any(EXAMPLES / example, **variables) as running:
        yield running
        assert running.process.poll() is None, running.log.read_text()


@pytest.fixture(scope="module")
def declared(example: str, server: Server) -> list[Tensor]:
    inputs: list[Tensor] = server.get(f"/v2/models/{example}").body["inputs"]
    return inputs


ANSWERS: dict[str, dict[str, list[Any]]] = {
    "iris": {"predict": ["setosa", "virginica"]},
    "digits-onnx": {"label": [0, 4]},
    "loan-quote": {"monthly": [191.29, 213.12], "total_interest": [1477.44, 57.4]},
}


def test_the_request_of_the_example_is_answered(example: str, server: Server, good: bytes) -> None:
    answer = server.send(good, infer_path(example))
    assert (answer.status, answer.body.get("model_name")) == (200, example)
    outputs = {output["name"]: output["data"] for output in answer.body["outputs"]}
    assert outputs.items() >= ANSWERS[example].items()


def test_what_an_example_says_of_itself_is_true(example: str, server: Server, good: bytes) -> None:
    told = {output["name"]: output for output in server.get(f"/v2/models/{example}").body["outputs"]}
    for output in server.send(good, infer_path(example)).body["outputs"]:
        shape = told[output["name"]]["shape"]
        assert output["datatype"] == told[output["name"]]["datatype"]
        assert len(output["shape"]) == len(shape)
        assert all(size in {-1, found} for size, found in zip(shape, output["shape"], strict=True))


# Anything that JSON can say.
NUMBER = st.integers(-(2**70), 2**70) | st.floats()
SCALAR = st.none() | st.booleans() | NUMBER | st.text(max_size=20)
ANYTHING = st.recursive(
    SCALAR, lambda part: st.lists(part, max_size=5) | st.dictionaries(st.text(max_size=8), part, max_size=5)
)
DATATYPE = st.sampled_from(["FP64", "FP32", "FP16", "INT64", "UINT8", "BOOL", "BYTES", "FP65"])
SIZE = st.integers(-2, 5) | st.sampled_from([2**31, 2**62, 10**9])
HEADERS = st.fixed_dictionaries({"headers": ANYTHING, "content_type": ANYTHING})
ENCODING = st.sampled_from(["", "gzip", "deflate", "gzip, gzip", "identity"])

WHOLE = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "BOOL": st.booleans(),
    "BYTES": st.text(max_size=8),
    "FP16": st.floats(width=16, allow_nan=False, allow_infinity=False),
    "FP32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "FP64": st.floats(allow_nan=False, allow_infinity=False),
    **dict.fromkeys(WHOLE, st.integers(-(2**63), 2**64) | st.integers(-9, 199)),
}


def fitting(tensor: Tensor) -> st.SearchStrategy[Any]:
    """Values of the declared kind, among them those that fit the declared rules."""
    rules = tensor.get("parameters", {})
    values = VALUES[tensor["datatype"]]
    if "enum" in rules:
        return st.sampled_from(rules["enum"]) | values
    if {"minimum", "maximum"} <= rules.keys():
        least, most = rules["minimum"], rules["maximum"]
        inside = st.integers(int(least), int(most)) if tensor["datatype"] in WHOLE else st.floats(least, most)
        return inside | st.sampled_from([least, most]) | values
    return values


def right(tensor: Tensor, rows: int) -> st.SearchStrategy[dict[str, Any]]:
    """A tensor as declared, of values that may fit its rules."""
    shape = [rows if size == -1 else size for size in tensor["shape"]]
    count = 1
    for size in shape:
        count *= size
    data = st.lists(fitting(tensor), min_size=count, max_size=count)
    fixed = {name: st.just(tensor[name]) for name in ("name", "datatype")}
    return st.fixed_dictionaries({**fixed, "shape": st.just(shape), "data": data})


@st.composite
def wrong_in_a_part(draw: st.DrawFn, declared: list[Tensor]) -> dict[str, Any]:
    """Right but for a part or two: most requests with many faults fall at the first check, these reach the last."""
    tensors = [
        draw(right(tensor, draw(st.integers(1, 2)) if draw(st.integers(0, 9)) == 0 else 1)) for tensor in declared
    ]
    body: dict[str, Any] = {"inputs": tensors}
    for _ in range(draw(st.integers(0, 2))):
        tensor = draw(st.sampled_from(tensors))
        match draw(
            st.sampled_from(["value", "data", "shape", "datatype", "name", "more", "less", "parameters", "rest"])
        ):
            case "value" if isinstance(tensor["data"], list) and tensor["data"]:
                place = draw(st.integers(0, len(tensor["data"]) - 1))
                tensor["data"] = [*tensor["data"][:place], draw(ANYTHING), *tensor["data"][place + 1 :]]
            case "data":
                tensor["data"] = draw(ANYTHING | st.lists(st.lists(NUMBER, max_size=5), max_size=4))
            case "shape":
                tensor["shape"] = draw(st.lists(SIZE, max_size=4) | ANYTHING)
            case "datatype":
                tensor["datatype"] = draw(DATATYPE | ANYTHING)
            case "name":
                tensor["name"] = draw(ANYTHING)
            case "more":
                body["inputs"] = [*tensors, draw(st.sampled_from(tensors) | ANYTHING)]
            case "less":
                body["inputs"] = tensors[1:]
            case "parameters":
                tensor["parameters"] = draw(ANYTHING)
            case "rest":
                body[draw(st.sampled_from(["id", "parameters", "outputs"]))] = draw(
                    ANYTHING | HEADERS | st.lists(st.fixed_dictionaries({"name": ANYTHING}), max_size=2)
                )
    return body


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_request_ends_an_example(
    example: str, server: Server, declared: list[Tensor], good: bytes, data: st.DataObject
) -> None:
    parts = wrong_in_a_part(declared).map(json.dumps)
    body = data.draw(st.one_of(parts, parts, parts, ANYTHING.map(json.dumps), st.text(), st.binary()))
    content = body.encode(errors="surrogatepass") if isinstance(body, str) else body
    headers, compressed = {}, False
    if data.draw(st.integers(0, 9)) == 0:
        encoding, compressed = data.draw(ENCODING), data.draw(st.booleans())
        headers = {"Content-Encoding": encoding} if encoding else {}
    answer = server.send(gzip.compress(content) if compressed else content, infer_path(example), headers)
    assert answer.status < 500
    if answer.status == 422:
        assert answer.body["error"].startswith("the model refuses ")
    elif answer.status != 200:
        assert "; accepted: " in answer.body["error"]
    assert server.send(good, infer_path(example)).status == 200


def test_half_an_emoji_is_refused(example: str, server: Server) -> None:
    assert server.send('{"id": "\\ud800", "inputs": []}', infer_path(example)).status == 400
