"""A function or class of a data scientist is served as it is; its annotations are what requests are checked against."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.image import SERVER
from tests.server.conftest import Server, Start
from tests.signatures import ACCEPTED, PREFIX, REFUSED

CODE = """
from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import typing
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, Field, field_validator


def predict(amount: float, country: str, hour: int, night: bool = False) -> float:
    if country == "XX":
        raise ValueError("country XX is not insured")
    return 100 / amount + hour + night


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def rules(
    day: datetime.date, colour: Colour, size: Literal["S", "L"], code: Annotated[str, Field(pattern="^[a-z]{2}$")]
) -> str:
    return f"{day:%d.%m.%Y} {colour.name} {size} {code}"


def anything(value: int) -> dict:
    return {"double": value * 2, "text": str(value)}


class Answer(typing.TypedDict):
    label: str
    score: float


def named(value: np.float32) -> Answer:
    return {"label": "high" if value > 1 else "low", "score": math.log(value)}


class Loan(BaseModel):
    amount: float = Field(ge=0)
    months: int = 12

    @field_validator("months")
    @classmethod
    def whole_years(cls, months):
        if months % 12:
            raise ValueError("whole years only")
        return months


@dataclasses.dataclass
class Cost:
    each: float
    all: float


def cost(loan: Loan) -> Cost:
    return Cost(each=loan.amount / loan.months, all=loan.amount)


def scaled(features: Annotated[NDArray[np.float32], (-1, 2), Field(ge=0, le=10)]) -> np.ndarray:
    assert features.dtype == np.float32
    return features.sum(axis=1) * len(features)


class Row(NamedTuple):
    amount: float
    country: Literal["BE", "NL"]


def table(rows: Annotated[pd.DataFrame, Row]) -> pd.DataFrame:
    return pd.DataFrame({"mean": np.full(len(rows), rows["amount"].mean()), "country": rows["country"]})


@dataclasses.dataclass
class Order:
    amount: float
    items: int = 1
    tags: str = dataclasses.field(default_factory=lambda: "none")


class Trip(BaseModel):
    start: float = 2.0
    end: float


class Stay(NamedTuple):
    nights: int
    stars: int = 3


def orders(rows: Annotated[pd.DataFrame, Order]) -> pd.DataFrame:
    assert list(rows) == ["amount", "items", "tags"]
    return pd.DataFrame({"cost": rows["amount"] * rows["items"], "tags": rows["tags"]})


def trips(rows: Annotated[pd.DataFrame, Trip]) -> np.ndarray:
    assert list(rows) == ["start", "end"]
    return (rows["end"] - rows["start"]).to_numpy()


def stays(rows: Annotated[pd.DataFrame, Stay]) -> np.ndarray:
    return (rows["nights"] * rows["stars"]).to_numpy()


class Model:
    def __init__(self, folder: Path):
        self.offset = float((folder / "offset.txt").read_text())

    def predict(self, value: float) -> float:
        return value + self.offset


def broken(value: float) -> float:
    return None
"""
SERVED = [
    "predict",
    "rules",
    "anything",
    "named",
    "cost",
    "scaled",
    "table",
    "orders",
    "trips",
    "stays",
    "Model",
    "broken",
]


@pytest.fixture(scope="module")
def functions(start_any: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """All of them in one server, as models that have only their name in model-settings.json."""
    folder = tmp_path_factory.mktemp("functions")
    for name in SERVED:
        (folder / name).mkdir()
        (folder / name / "code_of_mine.py").write_text(CODE)
        (folder / name / "offset.txt").write_text("0.5")
        settings = {
            "name": name,
            "implementation": "homeport_server.FunctionModel",
            "parameters": {"uri": ".", "extra": {"serve": f"code_of_mine:{name}"}},
        }
        (folder / name / "model-settings.json").write_text(json.dumps(settings))
    with start_any(folder) as server:
        yield server
        assert server.process.poll() is None, server.log.read_text()


def column(name: str, *values: Any) -> dict[str, Any]:
    datatypes = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
    return {"name": name, "datatype": datatypes[type(values[0])], "shape": [len(values)], "data": list(values)}


def ask(server: Server, model: str, *columns: Any, **fields: Any) -> tuple[int, Any]:
    answer = server.infer(*columns, model=model, **fields)
    if answer.status != 200:
        return answer.status, answer.body["error"]
    return 200, {output["name"]: output["data"] for output in answer.body["outputs"]}


def test_values_mean_one_call_for_each_row(functions: Server) -> None:
    columns = column("amount", 50.0, 200.0), column("country", "NL", "BE"), column("hour", 3, 4)
    assert ask(functions, "predict", *columns) == (200, {"predict": [5.0, 4.5]})
    assert ask(functions, "predict", *columns, column("night", True, False)) == (200, {"predict": [6.0, 4.5]})


def test_what_is_accepted_and_returned_is_told(functions: Server) -> None:
    told = functions.get("/v2/models/predict").body
    assert told["inputs"] == [
        {"name": "amount", "datatype": "FP64", "shape": [-1]},
        {"name": "country", "datatype": "BYTES", "shape": [-1]},
        {"name": "hour", "datatype": "INT64", "shape": [-1]},
        {"name": "night", "datatype": "BOOL", "shape": [-1], "parameters": {"optional": True}},
    ]
    assert told["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1, 1]}]
    told = functions.get("/v2/models/scaled").body
    limits = {"minimum": 0, "maximum": 10}
    assert told["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 2], "parameters": limits}]
    told = functions.get("/v2/models/named").body
    assert [(each["name"], each["datatype"]) for each in told["outputs"]] == [("label", "BYTES"), ("score", "FP64")]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ([column("amount", 1.0), column("hour", 1)], "input 'country' is missing; accepted: exactly the inputs "),
        ([column("amount", "1"), column("country", "NL"), column("hour", 1)], "input 'amount' has datatype BYTES; "),
        (
            [column("amount", 1.0, 2.0), column("country", "NL"), column("hour", 1)],
            "the inputs differ in their number of rows: 'amount' has 2, 'country' has 1, 'hour' has 1; accepted: the ",
        ),
    ],
)
def test_the_servers_own_check_comes_first(functions: Server, columns: Any, reason: str) -> None:
    status, error = ask(functions, "predict", *columns)
    assert status == 400
    assert error.startswith(reason)


RULES = {"day": "2026-11-22", "colour": "red", "size": "S", "code": "ab"}


def test_values_reach_the_function_as_the_annotation_says(functions: Server) -> None:
    columns = [column(name, value) for name, value in RULES.items()]
    assert ask(functions, "rules", *columns) == (200, {"rules": ["22.11.2026 RED S ab"]})
    told = {each["name"]: each["parameters"] for each in functions.get("/v2/models/rules").body["inputs"]}
    assert told["day"] == {"format": "date"}
    assert told["colour"] == {"enum": ["red", "blue"]}
    assert told["code"] == {"pattern": "^[a-z]{2}$"}


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("day", "yesterday", "a valid date or datetime, input is too short"),
        ("colour", "green", "'red' or 'blue'"),
        ("size", "M", "'S' or 'L'"),
        ("code", "ABC", "String should match pattern '^[a-z]{2}$'"),
    ],
)
def test_a_value_against_the_rules_is_refused(functions: Server, name: str, value: str, accepted: str) -> None:
    columns = [column(each, good, value if each == name else good) for each, good in RULES.items()]
    assert ask(functions, "rules", *columns) == (
        400,
        f"input {name!r} has {value!r} at position 1; accepted: {accepted}",
    )


def test_a_value_error_of_the_function_tells_the_sender_what_is_wrong(functions: Server) -> None:
    columns = column("amount", 1.0, 1.0), column("country", "NL", "XX"), column("hour", 1, 1)
    assert ask(functions, "predict", *columns) == (422, "the model refuses row 1: country XX is not insured")


def test_any_other_exception_is_a_fault_of_the_function(functions: Server) -> None:
    columns = column("amount", 0.0), column("country", "NL"), column("hour", 1)
    status, error = ask(functions, "predict", *columns)
    assert status == 500
    assert error.startswith("the model failed with ZeroDivisionError on a request that fits its declared inputs; ")
    status, error = ask(functions, "broken", column("value", 1.0))
    assert (status, "TypeError" in error) == (500, True)  # declared a number, returned nothing


def test_outputs_are_named_by_the_annotation_or_by_what_comes(functions: Server) -> None:
    datatypes = {"name": "value", "datatype": "FP32", "shape": [2], "data": [1, 2]}
    assert ask(functions, "named", datatypes, outputs=[{"name": "label"}]) == (200, {"label": ["low", "high"]})
    assert ask(functions, "anything", column("value", 2)) == (200, {"double": [4], "text": ["2"]})
    assert ask(functions, "anything", column("value", 2), outputs=[{"name": "text"}]) == (200, {"text": ["2"]})
    for model, value, known in [("named", datatypes, "'label', 'score'"), ("anything", column("value", 2), "'double'")]:
        status, error = ask(functions, model, value, outputs=[{"name": "other"}])
        assert status == 400
        assert error.startswith(f"output 'other' is unknown; accepted: any of the outputs {known}")


def test_one_object_with_the_values_of_a_row(functions: Server) -> None:
    assert ask(functions, "cost", column("amount", 24.0, 12.0)) == (200, {"each": [2.0, 1.0], "all": [24.0, 12.0]})
    assert ask(functions, "cost", column("amount", 24.0), column("months", 24))[1]["each"] == [1.0]
    status, error = ask(functions, "cost", column("amount", -1.0))
    assert (status, error) == (
        400,
        "input 'amount' has -1.0 at position 0; accepted: FP64, finite numbers from 0 to 1.798e+308",
    )
    status, error = ask(functions, "cost", column("amount", 24.0), column("months", 7))
    assert status == 422
    assert "whole years only" in error


def test_arrays_and_tables_mean_one_call_for_all_rows(functions: Server) -> None:
    features = {"name": "features", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}
    assert ask(functions, "scaled", features) == (200, {"scaled": [6.0, 14.0]})
    status, error = ask(functions, "scaled", features | {"data": [1, 2, 3, 11]})
    assert (status, error) == (
        400,
        "input 'features' has 11 at position 3; accepted: FP32, finite numbers from 0 to 10",
    )
    columns = column("amount", 1.0, 3.0), column("country", "NL", "BE")
    assert ask(functions, "table", *columns) == (200, {"mean": [2.0, 2.0], "country": ["NL", "BE"]})
    status, error = ask(functions, "table", column("amount", 1.0), column("country", "DE"))
    assert (status, error) == (400, "input 'country' has 'DE' at position 0; accepted: 'BE' or 'NL'")


def test_a_column_with_a_default_may_be_left_out(functions: Server) -> None:
    amounts = column("amount", 1.5, 3.0)
    assert ask(functions, "orders", amounts) == (200, {"cost": [1.5, 3.0], "tags": ["none", "none"]})
    assert ask(functions, "orders", column("items", 2, 1), amounts)[1]["cost"] == [3.0, 3.0]
    assert ask(functions, "trips", column("end", 3.0, 4.0)) == (200, {"trips": [1.0, 2.0]})
    assert ask(functions, "stays", column("nights", 1, 2)) == (200, {"stays": [3, 6]})
    assert ask(functions, "stays", column("stars", 1)) == (
        400,
        "input 'nights' is missing; accepted: exactly the inputs 'nights', 'stars'",
    )


def test_a_class_is_made_once_and_knows_its_folder(functions: Server) -> None:
    assert ask(functions, "Model", column("value", 1.0)) == (200, {"predict": [1.5]})


def test_variables_name_what_to_serve_and_as_which_model(start_any: Start, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "text = open('here.txt').read()\ndef predict(value: float) -> str:\n    return text"
    )
    (tmp_path / "here.txt").write_text("found")
    with start_any(tmp_path, HOMEPORT_SERVE="mine:predict", MLSERVER_MODEL_NAME="fraud-score") as server:
        assert ask(server, "fraud-score", column("value", 1.0)) == (200, {"predict": ["found"]})


def test_the_length_of_answers_and_reasons_is_bounded(start_any: Start, tmp_path: Path) -> None:
    names = [f"a{number:03}" for number in range(300)]
    (tmp_path / "wide.py").write_text(
        f"def predict({', '.join(f'{name}: int = 1' for name in names)}) -> str:\n return 'a' * a000"
    )
    variables = {"HOMEPORT_SERVE": "wide:predict", "MLSERVER_MODEL_NAME": "wide", "HOMEPORT_MAX_HELD_BYTES": "100000"}
    with start_any(tmp_path, **variables) as server:
        assert len(ask(server, "wide", column("a000", 40_000))[1]["predict"][0]) == 40_000
        status, reason = ask(server, "wide", column("a000", 60_000))
        assert (status, reason.partition(";")[2]) == (
            413,
            " accepted: fewer rows, so that the answer has at most 50000 bytes",
        )
        status, reason = ask(server, "wide", column("b", 1))
        assert (status, reason[-3:]) == (400, "...")
        assert len(reason) < 1100


@pytest.mark.parametrize("place", ["model-settings.json", "data/deep/model-settings.json"])
def test_no_file_replaces_what_is_stated(start_any: Start, tmp_path: Path, place: str) -> None:
    (tmp_path / "mine.py").write_text(
        "def predict(value: float) -> float:\n    return 1.0\n\ndef other(value: float) -> float:\n    return 2.0\n"
    )
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    parameters = {"uri": str(tmp_path), "extra": {"serve": "mine:other"}}
    settings = {"name": "iris", "implementation": "homeport_server.FunctionModel", "parameters": parameters}
    file.write_text(json.dumps(settings))
    with start_any(tmp_path, HOMEPORT_SERVE="mine:predict", MLSERVER_MODEL_NAME="iris") as server:
        assert ask(server, "iris", column("value", 1.0)) == (200, {"predict": [1.0]})
        assert f"mine:predict is served, so {file} is ignored" in server.log.read_text()


# What is refused at the start -> what the reason names.
UNSERVABLE = {
    "def f(amount, hour: int): ...": "parameter 'amount' of f has no annotation; accepted: each parameter annotated",
    "def f(): ...": "f has no parameter; accepted: ",
    "def f(*values: float): ...": "parameter 'values' of f has no name that a request can use; accepted: ",
    "def f(values: list[float]): ...": "parameter 'values' of f is list; accepted: ",
    "def f(value: float | None): ...": "parameter 'value' of f is float | None; accepted: ",
    "def f(value: object): ...": "parameter 'value' of f is object; accepted: ",
    "def f(value: Absent): ...": "the annotations of f cannot be read: name 'Absent' is not defined",
    "def f(a: float, b: Annotated[np.ndarray, (-1, 2)]): ...": "f takes arrays and values side by side; accepted: ",
    "def f(a: np.ndarray): ...": "parameter 'a' of f is an array without a stated shape; accepted: Annotated[np.ndarray, (-1,",
    "def f(a: pd.DataFrame): ...": "parameter 'a' of f is DataFrame; accepted: ",
}
SERVABLE = [
    "def f(amount: float = Field(ge=0)): ...",
    "def f(size: Literal[1, 2], share: Annotated[np.float32, Field(ge=0, le=1)]): ...",
    "def f(*, images: Annotated[NDArray[np.uint8], (-1, 8, 8)]): ...",
    "def f(rows: Annotated[np.ndarray, (-1, 4)], weights: Annotated[np.ndarray, (-1,)] = None) -> object: ...",
]
READ = """
import sys
from typing import Annotated, Literal
import numpy as np, pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from homeport_server.signature import read
for code in sys.argv[1:]:
    space = dict(globals())
    exec("from __future__ import annotations\\n" + code, space)
    try:
        tensors = [each.tensor for each in read(space["f"]).inputs.values()]
        print(*(f"{tensor.name} {tensor.datatype} {tensor.shape}" for tensor in tensors))
    except ValueError as error:
        print(str(error).replace("\\n", " "))
"""


def test_a_signature_says_what_it_accepts_or_is_refused(libraries: Path) -> None:
    done = subprocess.run(
        [str(libraries), "-c", READ, *UNSERVABLE, *SERVABLE],
        env={"PYTHONPATH": str(SERVER.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    told = done.stdout.splitlines()
    for code, reason in zip(UNSERVABLE, told, strict=False):
        assert reason.startswith(UNSERVABLE[code]), code
    assert told[len(UNSERVABLE) :] == [
        "amount FP64 [-1]",
        "size INT64 [-1] share FP32 [-1]",
        "images UINT8 [-1, 8, 8]",
        "rows FP64 [-1, 4] weights FP64 [-1]",
    ]


COMPARED = """
import json, sys
from homeport_server.function_model import _function
from homeport_server.signature import read
import pathlib, tempfile
prefix, codes = json.load(sys.stdin)
folder = pathlib.Path(tempfile.mkdtemp())
for number, code in enumerate(codes):
    (folder / f"m{number}.py").write_text(prefix + code)
    try:
        read(_function(f"m{number}:f", folder))
        print("accepted")
    except Exception as error:
        print("refused")
"""


def test_the_reader_of_sources_says_what_the_server_says(libraries: Path) -> None:
    """`homeport check` and `init` read the same table from its text: `tests/unit/test_signature.py`."""
    codes = [*ACCEPTED, *REFUSED]
    for future in ("", "from __future__ import annotations\n"):
        done = subprocess.run(
            [str(libraries), "-c", COMPARED],
            env={"PYTHONPATH": str(SERVER.parent)},
            input=json.dumps([future + PREFIX, codes]),
            capture_output=True,
            text=True,
            check=True,
        )
        told = dict(zip(codes, done.stdout.split(), strict=True))
        assert {code for code, said in told.items() if said == "refused"} == REFUSED.keys()


START = """
import asyncio, json, sys
from pathlib import Path
from homeport_server.finding import find
async def main():
    for folder, serve in json.loads(sys.argv[1]):
        try:
            (settings,) = await find(Path(folder), serve)
            await settings.implementation(settings).load()
            print("told: started")
        except Exception as error:
            print(f"told: refused: {error}".replace("\\n", " "))
asyncio.run(main())
"""


def told_at_start(libraries: Path, cases: list[tuple[Path, str | None]]) -> list[str]:
    """What a server does at its start with folders and names to serve: each as one of its own would take a minute."""
    done = subprocess.run(
        [str(libraries), "-c", START, json.dumps([(str(folder), serve) for folder, serve in cases])],
        env={"PYTHONPATH": str(SERVER.parent)},
        cwd=cases[0][0],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()  # libraries print, too
    return [line.removeprefix("told: ") for line in lines if line.startswith("told: ")]


def test_a_name_that_leads_nowhere_is_refused(libraries: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "number = 1\nclass Model:\n    pass\nasync def later(value: float) -> float:\n    return value"
    )
    plain = "to serve; accepted: a plain function, or a class with a method predict"
    reasons = {
        "mine:absent": "found 'mine:absent' to serve; accepted: a function or class of mine, which has no absent",
        "mine:number": f"found 'mine:number' {plain}",
        "mine:Model": f"found 'mine:Model' {plain}",
        "mine:later": f"found 'mine:later' {plain}",
        "mine": "found 'mine' to serve; accepted: module:function or module:Class, such as model:predict",
    }
    told = told_at_start(libraries, [(tmp_path, serve) for serve in reasons])
    assert told == [f"refused: {reason}" for reason in reasons.values()]


def test_what_cannot_be_served_ends_the_server(start_any: Start, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def predict(value):\n    return 1")
    with start_any(tmp_path, await_ready=False, HOMEPORT_SERVE="mine:predict") as server:
        assert server.process.wait(timeout=60) == 1
        (failure,) = [line for line in map(json.loads, server.log.read_text().splitlines()) if "traceback" in line]
        assert failure["message"] == f"model {tmp_path.name} could not be loaded"
        assert failure["traceback"].startswith("ValueError: parameter 'value' of predict has no annotation; accepted: ")
