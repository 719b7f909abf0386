"""A model.skops that tries to run code is refused when the server starts, and nothing of it runs."""

import json
import os
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sandbox.image import SERVER

REFUSALS = {"UntrustedTypesFoundException", "TypeError", "ValueError", "KeyError", "AttributeError"}
"""The last two: the loader of another protocol misses a field, or finds one of another type."""
HACKED = "hacked"


def node(module: str, name: str, loader: str, **fields: Any) -> dict[str, Any]:
    return {"__module__": module, "__class__": name, "__loader__": loader, **fields}


def text(value: object) -> dict[str, Any]:
    return node("builtins", "str", "JsonNode", content=json.dumps(value), is_json=True)


def tuple_of(*items: dict[str, Any]) -> dict[str, Any]:
    return node("builtins", "tuple", "TupleNode", content=list(items))


def keys(*names: str) -> dict[str, Any]:
    return node("builtins", "list", "ListNode", content=[node("builtins", "str", "TypeNode") for _ in names])


def dict_of(**items: dict[str, Any]) -> dict[str, Any]:
    return node("builtins", "dict", "DictNode", content=items, key_types=keys(*items))


TOUCH = tuple_of(text(HACKED), text("w"))
"""Arguments with which `open` would make a file."""
PIPELINE = node("sklearn.pipeline", "Pipeline", "ObjectNode", content=dict_of(steps=text([])))


def called(
    module: str, name: str, arguments: dict[str, Any], loader: str = "ConstructorFromReduceNode"
) -> dict[str, Any]:
    return node(module, name, loader, content=arguments)


def partial(function: dict[str, Any]) -> dict[str, Any]:
    content = {"func": function, "args": TOUCH, "kwds": dict_of(), "namespace": text(None)}
    return node("functools", "partial", "PartialNode", content=content)


def method(of: dict[str, Any], name: str, **stated: str) -> dict[str, Any]:
    owner = {"__module__": of["__module__"], "__class__": of["__class__"], **stated}
    return {"__loader__": "MethodNode", "content": {"func": name, "obj": of}, **owner}


SCHEMAS = {
    "unknown type": called("io", "open", TOUCH),
    "unknown object": node("subprocess", "Popen", "ObjectNode", content=dict_of(args=text(["touch", HACKED]))),
    "function": node("os", "system", "FunctionNode"),
    "function of a trusted module": node("numpy", "load", "FunctionNode"),
    "type": node("builtins", "eval", "TypeNode"),
    "dotted name": called("sklearn.pipeline", "Pipeline.__init__.__globals__.clear", tuple_of()),
    "partial of open": partial(node("builtins", "open", "FunctionNode")),
    "operator": node(
        "operator", "call", "OperatorFuncNode", attrs=tuple_of(node("builtins", "open", "TypeNode"), text(HACKED))
    ),
    "operator under another name": node("builtins", "int", "OperatorFuncNode", attrs=TOUCH),  # CVE-2025-54412
    "methodcaller": node("operator", "methodcaller", "OperatorFuncNode", attrs=tuple_of(text("fit"))),
    "method of a trusted type": method(PIPELINE, "fit"),
    "method by a path": method(PIPELINE, "__init__.__globals__"),  # CVE-2025-54413
    "method under another name": method(PIPELINE, "__init__", __module__="builtins", __class__="str"),
    "list of a strange type": node("os", "system", "ListNode", content=[text("touch hacked")]),
    "dict of a strange type": node("os", "system", "DictNode", content={}, key_types=keys()),
    "keys of a strange type": node(
        "builtins",
        "dict",
        "DictNode",
        content={"touch hacked": text(1)},
        key_types=node("builtins", "list", "ListNode", content=[node("os", "system", "TypeNode")]),
    ),
    "random generator": node(
        "numpy.random",
        "Generator",
        "RandomGeneratorNode",
        content={"bit_generator": dict_of(bit_generator=text("seed")), "seed_seq": dict_of()},
    ),
    "loss": node("io", "open", "LossNode", content=dict_of(), __reduce__={"args": TOUCH}),
    "cached node of nothing": node("builtins", "str", "CachedNode", __id__=7),
    "unknown loader": node("os", "system", "PickleNode", content=TOUCH),
    "inside a trusted type": node(
        "sklearn.pipeline", "Pipeline", "ObjectNode", content=dict_of(steps=called("io", "open", TOUCH))
    ),
    "array of objects": node("numpy", "ndarray", "NdArrayNode", type="numpy", file="array.npy"),
}
_PICKLE = b"cos\nsystem\n(S'touch hacked'\ntR."
_ARRAY = (
    b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n" + _PICKLE
)


_OPEN = """
import json, os, sys
from pathlib import Path
from mlserver import ModelSettings
from homeport_server import SklearnModel, sklearn_model

def tried(call, *arguments):
    try:
        call(*arguments)
        return "nothing"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

found = {}
for folder in sorted(Path(sys.argv[1]).iterdir()):
    os.chdir(folder)
    model = SklearnModel(ModelSettings(name="tried", implementation=SklearnModel))
    found[folder.name] = tried(model.open_model, folder / "model.skops")
for version in ("0.15.0", "0.14.1", "0.9.0"):
    found[version] = tried(sklearn_model._check_version, version)
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, server_python: Path) -> dict[str, str]:
    """What came of each file, in each protocol of skops: a file may state an old one, whose loaders differ."""
    folder = tmp_path_factory.mktemp("loaded")
    for name, schema in SCHEMAS.items():
        for protocol in range(3):
            place = folder / f"{name} {protocol}"
            place.mkdir()
            with zipfile.ZipFile(place / "model.skops", "w") as file:
                file.writestr("schema.json", json.dumps({**schema, "protocol": protocol, "_skops_version": "0.16.0"}))
                file.writestr("array.npy", _ARRAY)
    done = subprocess.run(
        [str(server_python), "-c", _OPEN, str(folder)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SERVER.parent)},
        capture_output=True,
        check=True,
    )
    assert not list(folder.rglob(HACKED))
    told: dict[str, str] = json.loads(done.stdout)
    return told


def test_a_file_that_would_run_code_is_refused(found: dict[str, str]) -> None:
    refusals = {name: told.partition(":")[0] for name, told in found.items() if name[-2:] in {" 0", " 1", " 2"}}
    assert len(refusals) == len(SCHEMAS) * 3
    assert {name: error for name, error in refusals.items() if error not in REFUSALS} == {}


def test_a_release_of_skops_with_holes_is_refused(found: dict[str, str]) -> None:
    assert found["0.15.0"] == "nothing"
    for version in ("0.14.1", "0.9.0"):
        reason = f"found skops {version}; accepted: 0.15 or newer, because older ones run code of a file"
        assert found[version] == f"ValueError: {reason}"


def test_the_extra_asks_for_the_same_release() -> None:
    project = tomllib.loads((SERVER.parent / "pyproject.toml").read_text())
    assert "skops>=0.15" in project["project"]["optional-dependencies"]["sklearn"]
