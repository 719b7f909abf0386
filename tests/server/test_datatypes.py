"""Every datatype of the protocol reaches the model as it was declared, or is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.conftest import Server, Start

ECHO = """
import numpy as np
from homeport_server import CheckedModel

class Echo(CheckedModel):
    def open_model(self, path):
        pass

    def run(self, inputs, outputs):
        name, array = next((name, array) for name, array in inputs.items() if array[0])
        return {"predict": np.array([f"{name} {array.dtype} {array.tolist()[0]!r}"])}
"""
WHOLE = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
NOTHING: dict[str, Any] = {"BOOL": False, "BYTES": "", "FP16": 0, "FP32": 0, "FP64": 0, **dict.fromkeys(WHOLE, 0)}


@pytest.fixture(scope="module")
def echo(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("echo")
    (folder / "echo.py").write_text(ECHO)
    inputs = [{"name": datatype, "datatype": datatype, "shape": [-1]} for datatype in NOTHING]
    settings = {"name": "iris", "implementation": "echo.Echo", "inputs": inputs}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    with start(folder) as server:
        yield server


def ask(echo: Server, **values: Any) -> tuple[int, str]:
    answer = echo.infer(
        *({"name": name, "datatype": name, "shape": [1], "data": [value]} for name, value in (NOTHING | values).items())
    )
    return answer.status, answer.body["error"] if answer.status != 200 else answer.body["outputs"][0]["data"][0]


@pytest.mark.parametrize(
    ("datatype", "value", "seen"),
    [
        ("BOOL", True, "bool True"),
        ("BYTES", "Größe", "object 'Größe'"),
        ("FP16", 65504, "float16 65504.0"),
        ("FP32", 0.5, "float32 0.5"),
        ("FP64", 1.55e308, "float64 1.55e+308"),
        *((name, 2 ** (bits - (not sign)) - 1, None) for name, (sign, bits) in WHOLE.items()),
        *((name, -(2 ** (bits - 1)), None) for name, (sign, bits) in WHOLE.items() if not sign),
    ],
)
def test_a_value_reaches_the_model(echo: Server, datatype: str, value: Any, seen: str | None) -> None:
    assert ask(echo, **{datatype: value}) == (200, f"{datatype} {seen or f'{datatype.lower()} {value}'}")


@pytest.mark.parametrize(
    ("datatype", "value", "accepted"),
    [
        ("BOOL", 1, "true or false"),
        ("BYTES", 1, "strings"),
        ("FP16", 65536, "finite numbers from -6.55e+04 to 6.55e+04"),
        ("FP32", 1e39, "finite numbers from -3.403e+38 to 3.403e+38"),
        ("UINT8", -1, "whole numbers from 0 to 255"),
        ("INT8", 128, "whole numbers from -128 to 127"),
        ("INT16", 1.5, "whole numbers from -32768 to 32767"),
        ("INT64", 2**63, "whole numbers from -9223372036854775808 to 9223372036854775807"),
    ],
)
def test_a_value_of_another_kind_is_refused(echo: Server, datatype: str, value: Any, accepted: str) -> None:
    reason = f"input '{datatype}' has {value!r} at position 0; accepted: {datatype}, {accepted}"
    assert ask(echo, **{datatype: value}) == (400, reason)


def test_inputs_with_different_numbers_of_rows_are_refused(echo: Server) -> None:
    tensors = [{"name": name, "datatype": name, "shape": [1], "data": [value]} for name, value in NOTHING.items()]
    tensors[0] |= {"shape": [2], "data": [True, True]}
    answer = echo.infer(*tensors)
    assert answer.status == 400
    assert answer.body["error"].startswith("the inputs differ in their number of rows: 'BOOL' has 2, 'BYTES' has 1, ")
