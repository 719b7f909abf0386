"""Good requests are answered, each faulty one is refused with its reason, and none ends the server."""

import gzip
import json
from typing import Any

import pytest

from tests.server.client import INFER, tensor
from tests.server.conftest import IRIS, Server

REQUEST = '{"inputs": [{"name": "...", "shape": [...], "datatype": "...", "data": [...]}]}'
FEATURES = "datatype FP64, shape [any, 4]"
NUMBERS = "FP64, finite numbers from 0 to 100"
NESTED = "a flat list of values, or lists nested as the shape says"


def test_the_example_request_is_answered(server: Server) -> None:
    answer = server.send((IRIS / "request.json").read_bytes())
    assert answer.status == 200
    assert answer.body["model_name"] == "iris"
    species, likelihood = answer.body["outputs"]
    assert species["data"] == ["setosa", "virginica"]
    assert (species["shape"], species["datatype"]) == ([2, 1], "BYTES")
    assert (likelihood["shape"], likelihood["datatype"]) == ([2, 3], "FP64")
    assert likelihood["data"][0] > 0.9


def test_the_first_declared_output_is_the_default(server: Server) -> None:
    answer = server.infer(tensor(), id="mine")
    assert [output["name"] for output in answer.body["outputs"]] == ["predict"]
    assert answer.body["id"] == "mine"


@pytest.mark.parametrize(
    "given_tensor",
    [tensor(data=[[5.1, 3.5, 1.4, 0.2]]), tensor(data=[5, 3, 1, 0]), tensor(parameters={"content_type": "pd"})],
    ids=["nested as the shape says", "whole numbers", "a content type of a codec"],
)
def test_what_the_protocol_allows_is_answered(server: Server, given_tensor: dict[str, Any]) -> None:
    assert server.infer(given_tensor).status == 200


def test_a_compressed_request_is_answered(server: Server) -> None:
    body = gzip.compress((IRIS / "request.json").read_bytes())
    assert server.send(body, headers={"Content-Encoding": "gzip"}).status == 200


TENSORS = {
    "wrong number of columns": (
        tensor(shape=[1, 3], data=[1, 2, 3]),
        f"input 'features' has shape [1, 3]; accepted: {FEATURES}, where 'any' is at least 1",
    ),
    "wrong number of dimensions": (
        tensor(shape=[4]),
        f"input 'features' has shape [4]; accepted: {FEATURES}, where 'any' is at least 1",
    ),
    "no rows": (
        tensor(shape=[0, 4], data=[]),
        f"input 'features' has shape [0, 4]; accepted: {FEATURES}, where 'any' is at least 1",
    ),
    "negative rows": (
        tensor(shape=[-1, 4]),
        f"input 'features' has shape [-1, 4]; accepted: {FEATURES}, where 'any' is at least 1",
    ),
    "more rows claimed than given": (
        tensor(shape=[1000000000, 4]),
        "input 'features' has 4 values, but its shape [1000000000, 4] says 4000000000; "
        "accepted: as many values as the shape says",
    ),
    "fewer values than the shape says": (
        tensor(data=[1, 2, 3]),
        "input 'features' has 3 values, but its shape [1, 4] says 4; accepted: as many values as the shape says",
    ),
    "shape of text": (
        tensor(shape=["1", 4]),
        "input 'features' has shape ['1', 4]; accepted: at most 64 whole numbers, one for each dimension",
    ),
    "no shape": (
        tensor() | {"shape": None},
        "input 'features' has missing or null as its shape; accepted: a list of whole numbers, one for each dimension",
    ),
    "other datatype": (tensor(datatype="INT64"), f"input 'features' has datatype INT64; accepted: {FEATURES}"),
    "unknown datatype": (
        tensor(datatype="FLOAT"),
        "inputs.0.datatype: Input should be 'BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', "
        f"'INT64', 'FP16', 'FP32', 'FP64' or 'BYTES'; accepted: {REQUEST}",
    ),
    "strings": (tensor(data=[1, 2, "3", 4]), f"input 'features' has '3' at position 2; accepted: {NUMBERS}"),
    "NaN as text": (tensor(data=["NaN", 2, 3, 4]), f"input 'features' has 'NaN' at position 0; accepted: {NUMBERS}"),
    "null among the values": (
        tensor(data=[1, 2, 3, None]),
        f"input 'features' has null at position 3; accepted: {NUMBERS}",
    ),
    "true among the values": (
        tensor(data=[True, 2, 3, 4]),
        f"input 'features' has true at position 0; accepted: {NUMBERS}",
    ),
    "an object among the values": (
        tensor(data=[1, {}, 3, 4]),
        f"input 'features' has an object at position 1; accepted: {NUMBERS}",
    ),
    "null as data": (
        tensor() | {"data": None},
        "input 'features' has missing or null as its data; accepted: a list of values",
    ),
    "more than the declared maximum": (
        tensor(data=[1, 2, 1.55e308, 4]),
        f"input 'features' has 1.55e+308 at position 2; accepted: {NUMBERS}",
    ),
    "less than the declared minimum": (
        tensor(data=[1, 2, -1, 4]),
        f"input 'features' has -1 at position 2; accepted: {NUMBERS}",
    ),
    "text as data": (tensor(data="1234"), "input 'features' has a string as its data; accepted: a list of values"),
    "nested otherwise than the shape says": (
        tensor(data=[[1, 2], [3, 4]]),
        f"input 'features' has data that is not nested as its shape [1, 4] says (at depth 1); accepted: {NESTED}",
    ),
    "nested too deep": (
        tensor(data=[[[1, 2, 3, 4]]]),
        f"input 'features' has data that is not nested as its shape [1, 4] says (at depth 2); accepted: {NESTED}",
    ),
    "no name": (tensor() | {"name": None}, "an input has missing or null as its name; accepted: a string"),
}


@pytest.mark.parametrize(("given_tensor", "reason"), TENSORS.values(), ids=TENSORS.keys())
def test_a_faulty_tensor_is_refused(server: Server, given_tensor: dict[str, Any], reason: str) -> None:
    answer = server.infer(given_tensor)
    assert (answer.status, answer.body) == (400, {"error": reason})


REQUESTS = {
    "empty": ("", f"the body is empty; accepted: {REQUEST}"),
    "not an object": ("[]", f"the body is a list; accepted: {REQUEST}"),
    "no inputs": ("{}", f"'inputs' is missing or null; accepted: {REQUEST}"),
    "missing input": ('{"inputs": []}', "input 'features' is missing; accepted: exactly the inputs 'features'"),
    "unknown input": (
        json.dumps({"inputs": [tensor(), tensor(name="colour")]}),
        "input 'colour' is unknown; accepted: exactly the inputs 'features'",
    ),
    "input given twice": (
        json.dumps({"inputs": [tensor(), tensor()]}),
        "input 'features' is given twice; accepted: each of the inputs 'features' once",
    ),
    "too many inputs": (
        '{"inputs": [' + "{}," * 1000000 + "{}]}",
        "'inputs' has 1000001 entries; accepted: at most 64",
    ),
    "unknown output": (
        json.dumps({"inputs": [tensor()], "outputs": [{"name": "fit"}]}),
        "output 'fit' is unknown; accepted: any of the outputs 'predict', 'predict_proba'",
    ),
    "output asked for twice": (
        json.dumps({"inputs": [tensor()], "outputs": [{"name": "predict"}] * 2}),
        "an output is requested twice; accepted: each of the outputs 'predict', 'predict_proba' at most once",
    ),
    "long id": (
        json.dumps({"inputs": [tensor()], "id": "x" * 300}),
        "'id' has 300 characters; accepted: a string of at most 256 characters",
    ),
}


@pytest.mark.parametrize(("body", "reason"), REQUESTS.values(), ids=REQUESTS.keys())
def test_a_faulty_request_is_refused(server: Server, body: str, reason: str) -> None:
    answer = server.send(body)
    assert (answer.status, answer.body) == (400, {"error": reason})


@pytest.mark.parametrize(
    "body",
    [
        "{inputs: []}",
        '{"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [NaN, 1, 2, 3]}]}',
        '{"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [1e999, 1, 2, 3]}]}',
        "[" * 100000,
        b"\xff\xfe",
    ],
    ids=["malformed", "NaN", "infinite", "deep", "not UTF-8"],
)
def test_what_is_not_json_is_refused(server: Server, body: str | bytes) -> None:
    answer = server.send(body)
    assert answer.status == 400
    assert answer.body["error"].startswith("the body is not JSON (")
    assert answer.body["error"].endswith(f"; accepted: {REQUEST}")


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("POST", "/v2/models/rose/infer", 404, "model 'rose' is unknown; accepted: the models 'iris'"),
        (
            "POST",
            "/v2/models/iris/versions/9/infer",
            404,
            "model 'iris' in version '9' is unknown; accepted: the models 'iris'",
        ),
        ("GET", INFER, 405, f"GET is not allowed for path '{INFER}'; accepted: POST"),
        ("BREW", INFER, 405, "method 'BREW' is unknown; accepted: GET, HEAD, POST"),
        (
            "POST",
            "/v2/repository/models/iris/unload",
            404,
            "path '/v2/repository/models/iris/unload' is unknown; "
            "accepted: /v2/models/NAME/infer and other paths of the Open Inference Protocol",
        ),
        (
            "POST",
            f"{INFER}/",
            404,
            f"path '{INFER}/' is unknown; accepted: /v2/models/NAME/infer and other paths of the Open Inference Protocol",
        ),
    ],
)
def test_a_wrong_address_is_refused(server: Server, method: str, path: str, status: int, reason: str) -> None:
    answer = server.send("{}", path, method=method)
    assert (answer.status, answer.body) == (status, {"error": reason})


def test_invented_names_leave_no_trace_in_the_metrics(server: Server) -> None:
    server.send("{}", "/v2/models/invented-model/infer")
    server.send("{}", "/invented-path")
    server.send("{}", method="INVENTED")
    server.infer(tensor())
    metrics = server.metrics()
    assert "model_infer_request_success_total" in metrics
    assert "invented" not in metrics.lower()


def test_health_and_metadata_follow_the_protocol(server: Server) -> None:
    assert server.get("/v2/health/live").body == {"live": True}
    assert server.get("/v2/health/ready").body == {"ready": True}
    assert server.get("/v2/models/iris/ready").body == {"name": "iris", "ready": True}
    assert server.get("/v2/models/iris").body["inputs"] == [
        {"name": "features", "datatype": "FP64", "shape": [-1, 4], "parameters": {"minimum": 0, "maximum": 100}}
    ]
    assert server.get("/v2").body["name"] == "mlserver"
