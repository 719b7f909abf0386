"""A model's file is served with no code: it says itself what it accepts and returns, and to open it runs none."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.image import SERVER
from tests.server.conftest import Server, Start
from tests.server.test_functions import ask, column, told_at_start

# Writes a model of each kind into a folder of its own. Labels are 1 where the first of two features is above 0.
TRAIN = """
import os, pickle, sys
import numpy as np, pandas as pd
import lightgbm, onnx, skops.io, xgboost
from onnx import TensorProto, helper
from sklearn.linear_model import LinearRegression, LogisticRegression

os.chdir(sys.argv[1])
def place(name, file):
    os.makedirs(name)
    return f"{name}/{file}"

random = np.random.default_rng(0)
features = random.normal(size=(200, 2))
labels = (features[:, 0] > 0).astype(int)
named = pd.DataFrame(features, columns=["left", "right"])
species = np.where(labels, "rose", "iris")

skops.io.dump(LogisticRegression().fit(features, species), place("skops", "model.skops"))
skops.io.dump(LinearRegression().fit(named, labels), place("skops-named", "model.skops"))

few = {"max_depth": 2, "verbosity": -1, "objective": "binary"}
lightgbm.train(few, lightgbm.Dataset(features, labels), 5).save_model(place("lightgbm", "model.lgb.txt"))
lightgbm.train(few, lightgbm.Dataset(named, labels), 5).save_model(place("lightgbm-named", "model.lgb.txt"))

few = {"max_depth": 2, "objective": "binary:logistic"}
booster = xgboost.train(few, xgboost.DMatrix(features, labels), 5)
booster.save_model(place("xgboost", "model.ubj"))
xgboost.train(few, xgboost.DMatrix(named, labels), 5).save_model(place("xgboost-named", "model.xgb.json"))

def graph(name, nodes, inputs, outputs, initializers=()):
    made = helper.make_model(
        helper.make_graph(nodes, name, inputs, outputs, initializers),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=10,
    )
    onnx.save(made, place(name, "model.onnx"))

info = helper.make_tensor_value_info
graph(
    "onnx",
    [helper.make_node("Add", ["words", "mask"], ["sum"]), helper.make_node("Gather", ["table", "words"], ["found"])],
    [info("words", TensorProto.INT64, ["rows", "length"]), info("mask", TensorProto.INT64, ["rows", "length"])],
    [info("sum", TensorProto.INT64, ["rows", "length"]), info("found", TensorProto.FLOAT, ["rows", "length"])],
    [helper.make_tensor("table", TensorProto.FLOAT, [3], [0.5, 1.5, 2.5])],
)
graph(
    "onnx-sequence",
    [helper.make_node("SequenceConstruct", ["x"], ["list"])],
    [info("x", TensorProto.FLOAT, [1])],
    [helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, [1])],
)

class Evil:
    def __reduce__(self):
        return os.system, ("touch hacked",)
for file in ("model.skops", "model.onnx", "model.ubj", "model.xgb.json", "model.lgb.txt"):
    with open(place("pickle-" + file, file), "wb") as target:
        pickle.dump(Evil(), target)
    with open(place("empty-" + file, file), "wb") as target:
        pass
cut = {"xgboost/model.ubj": "cut-model.ubj", "lightgbm/model.lgb.txt": "cut-model.lgb.txt", "onnx/model.onnx": "cut-model.onnx"}
for whole, name in cut.items():
    content = open(whole, "rb").read()
    with open(place(name, whole.split("/")[1]), "wb") as target:
        target.write(content[: len(content) // 2])
"""
SERVED = {
    "skops": "SklearnModel",
    "skops-named": "SklearnModel",
    "lightgbm": "LightgbmModel",
    "lightgbm-named": "LightgbmModel",
    "xgboost": "XgboostModel",
    "xgboost-named": "XgboostModel",
    "onnx": "OnnxModel",
}


@pytest.fixture(scope="module")
def made(libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    done = subprocess.run([str(libraries), "-c", TRAIN, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def files(start_any: Start, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """All in one server, as models that have only their name and kind in model-settings.json."""
    folder = tmp_path_factory.mktemp("files")
    for name, kind in SERVED.items():
        shutil.copytree(made / name, folder / name)
        settings = {"name": name, "implementation": f"homeport_server.{kind}", "parameters": {"uri": "."}}
        (folder / name / "model-settings.json").write_text(json.dumps(settings))
    with start_any(folder) as server:
        yield server
        assert server.process.poll() is None, server.log.read_text()


FEATURES = {"name": "features", "datatype": "FP64", "shape": [2, 2], "data": [-2, 0, 2, 0]}
NAMED = column("left", -2.0, 2.0), column("right", 0.0, 0.0)


@pytest.mark.parametrize("name", ["skops", "lightgbm", "xgboost"])
def test_a_matrix_of_the_features_that_the_file_counts(files: Server, name: str) -> None:
    told = files.get(f"/v2/models/{name}").body["inputs"]
    assert told == [{"name": "features", "datatype": "FP64", "shape": [-1, 2]}]
    status, found = ask(files, name, FEATURES)
    assert status == 200
    low, high = found["predict"]
    assert (low, high) == ("iris", "rose") if name == "skops" else low < 0.5 < high
    status, error = ask(files, name, FEATURES | {"shape": [1, 4]})
    accepted = "datatype FP64, shape [any, 2], where 'any' is at least 1"
    assert (status, error) == (400, f"input 'features' has shape [1, 4]; accepted: {accepted}")


@pytest.mark.parametrize("name", ["skops-named", "lightgbm-named", "xgboost-named"])
def test_columns_by_the_names_that_the_file_has(files: Server, name: str) -> None:
    told = files.get(f"/v2/models/{name}").body["inputs"]
    assert told == [{"name": each, "datatype": "FP64", "shape": [-1]} for each in ("left", "right")]
    status, found = ask(files, name, *NAMED)
    assert (status, found) == ask(files, name, *reversed(NAMED))  # by name, not by place
    low, high = found["predict"]
    assert low < 0.5 < high
    assert ask(files, name, FEATURES)[1].startswith(
        "input 'features' is unknown; accepted: exactly the inputs 'left', "
    )


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("skops", [("predict", "BYTES", [-1, 1]), ("predict_proba", "FP64", [-1, 2])]),
        ("lightgbm", [("predict", "FP64", [-1, 1])]),
        ("xgboost", [("predict", "FP32", [-1, 1])]),
        ("onnx", [("sum", "INT64", [-1, -1]), ("found", "FP32", [-1, -1])]),
    ],
)
def test_outputs_are_told_as_they_come(files: Server, name: str, outputs: list[tuple[str, str, list[int]]]) -> None:
    told = files.get(f"/v2/models/{name}").body["outputs"]
    assert [(each["name"], each["datatype"], each["shape"]) for each in told] == outputs
    columns = words([[0, 1]]) if name == "onnx" else [FEATURES]
    wanted = [{"name": output} for output, _, _ in outputs]
    answer = files.infer(*columns, model=name, outputs=wanted)
    assert [(each["name"], each["datatype"]) for each in answer.body["outputs"]] == [each[:2] for each in outputs]


def words(rows: list[list[int]], length: int | None = None) -> list[dict[str, Any]]:
    shape = [len(rows), len(rows[0])]
    tensor = {"name": "words", "datatype": "INT64", "shape": shape, "data": rows}
    length = length or shape[1]
    return [tensor, tensor | {"name": "mask", "shape": [shape[0], length], "data": [1] * shape[0] * length}]


def test_an_onnx_graph_with_its_own_names_types_and_shapes(files: Server) -> None:
    assert ask(files, "onnx", *words([[0, 1], [2, 2]])) == (200, {"sum": [1, 2, 3, 3], "found": [0.5, 1.5, 2.5, 2.5]})
    assert ask(files, "onnx", *words([[0, 1]]), outputs=[{"name": "found"}]) == (200, {"found": [0.5, 1.5]})


def test_dimensions_of_one_name_have_one_size(files: Server) -> None:
    found = ask(files, "onnx", *words([[0, 1]], length=3))
    assert found == (400, "input 'mask' has 3 as 'length'; accepted: 2, as the inputs before it have")


def test_values_that_a_graph_cannot_work_with_are_refused(files: Server) -> None:
    status, error = ask(files, "onnx", *words([[0, 9]]))
    assert status == 422
    assert error.startswith("the model refuses the data: ")
    assert "idx=9 must be within the inclusive range [-3,2]" in error


def test_a_file_alone_is_found_by_its_name(start_any: Start, made: Path) -> None:
    with start_any(made / "onnx") as server:
        assert ask(server, "onnx", *words([[2]]))[0] == 200


NOT_A_MODEL = [
    *(f"{fault}-{file}" for fault in ("pickle", "empty") for file in ("model.skops", "model.onnx", "model.ubj")),
    *(f"{fault}-{file}" for fault in ("pickle", "empty") for file in ("model.xgb.json", "model.lgb.txt")),
    "cut-model.ubj",
    "cut-model.lgb.txt",
    "cut-model.onnx",
    "onnx-sequence",
]


def test_a_file_that_is_no_model_is_refused_and_runs_nothing(libraries: Path, made: Path) -> None:
    told = told_at_start(libraries, [(made / name, None) for name in [*NOT_A_MODEL, *SERVED]])
    refused, opened = told[: len(NOT_A_MODEL)], told[len(NOT_A_MODEL) :]
    assert [line for line in refused if not line.startswith("refused: ")] == []
    assert opened == ["started"] * len(SERVED)
    assert not list(made.rglob("hacked"))
    assert "output 'list' is a seq(tensor(float)); accepted: tensor(bool), " in refused[-1]


def test_a_folder_that_does_not_say_what_to_serve_ends_the_server(start_any: Start, made: Path, tmp_path: Path) -> None:
    shutil.copyfile(made / "onnx" / "model.onnx", tmp_path / "model.onnx")
    shutil.copyfile(made / "xgboost" / "model.ubj", tmp_path / "model.ubj")
    with start_any(tmp_path, await_ready=False) as server:
        assert server.process.wait(timeout=60) == 1
        (line,) = [line for line in map(json.loads, server.log.read_text().splitlines()) if line["level"] == "error"]
    assert line["message"] == (
        f"{tmp_path} does not say what to serve; accepted: model-settings.json, HOMEPORT_SERVE=module:name, or one file "
        "out of model.skops, model.onnx, model.ubj, model.xgb.json, model.lgb.txt (found model.onnx and model.ubj)"
    )


def test_a_missing_library_is_named(start: Start, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "skops.py").write_text("raise ModuleNotFoundError(\"No module named 'skops'\", name='skops')")
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.skops").touch()
    path = f"{hidden}{os.pathsep}{SERVER.parent}"
    with start(model, await_ready=False, PYTHONPATH=path) as server:
        assert server.process.wait(timeout=60) == 1
        reason = "SklearnModel needs skops, which is not installed; accepted: requirements that name it"
        assert json.loads(server.log.read_text().splitlines()[0])["message"] == reason
