"""`homeport check` reads what the build and the server will read of a model's code, and runs none of it."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from homeport.images import requirements
from homeport.rules.served_code import Found, served_code
from homeport.served.libraries import LIBRARIES, WITH_THE_SERVER
from homeport.specs.model import Build
from homeport.specs.problems import Problem
from tests.support import ROOT

PREDICT = "def predict(amount: float) -> float:\n    return amount\n"
LOCK = "pandas==2.3.3 --hash=sha256:" + "0" * 64 + "\n"
OWN = (sys.version_info.major, sys.version_info.minor)


def found(
    folder: Path, given: Mapping[str, str | bytes], python: tuple[int, int] | None = OWN, /, **build: object
) -> Found:
    for name, content in given.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if "requirements.txt" in given:
        build["requirements"] = "requirements.txt"
    parsed = Build.model_validate({"serve": "model:predict", **build})
    return served_code(parsed, folder, lambda violation: Problem(violation.message, field="serve"), python)


def told(folder: Path, given: Mapping[str, str | bytes], /, **build: object) -> list[str]:
    return [str(each).replace(f"{folder}/", "") for each in found(folder, given, **build).problems]


@pytest.mark.parametrize(
    ("serve", "message"),
    [
        ("model:predikt", 'found "model:predikt", accepted: "model:predict"'),
        ("model:train", 'found "model:train", accepted: a function or class of model.py: predict, Scorer'),
        ("modle:predict", 'found "modle:predict", accepted: "model:predict"'),
        ("scoring:predict", 'found "scoring:predict", accepted: a module of the folder: data, model'),
        ("data:predict", 'found "data:predict", accepted: a function or class, of which data.py has none'),
        ("pkg.modle:predict", 'found "pkg.modle:predict", accepted: a module of the folder: data, model'),
        ("pkg:score", 'found "pkg:score", accepted: a function or class of pkg/__init__.py: predict'),
    ],
)
def test_what_is_served_exists(serve: str, message: str, tmp_path: Path) -> None:
    files = {
        "model.py": PREDICT + "class Scorer:\n    def predict(self, x: int): ...\n",
        "data.py": "X = 1",
        "pkg/__init__.py": PREDICT,
        "requirements.txt": "scikit-learn==1.7.2\n",
    }
    assert told(tmp_path, files, serve=serve) == [f"serve: {message}"]


@pytest.mark.parametrize(
    ("serve", "files"),
    [
        ("model:predict", {"model.py": PREDICT}),
        ("model:predict", {"model.py": "from scoring import *\n", "scoring.py": PREDICT}),
        ("pkg.inner:predict", {"pkg/inner.py": PREDICT}),
        ("pkg:inner", {"pkg/__init__.py": "from .inner import x", "pkg/inner.py": PREDICT + "x = 1"}),
        ("library.scoring:predict", {"requirements.txt": "our-library==1.0\n", "train.py": PREDICT}),
        ("compiled:predict", {"compiled.cpython-311-x86_64-linux-gnu.so": b"\x7fELF"}),
        ("queue:predict", {"train.py": PREDICT}),
    ],
)
def test_what_may_exist_is_not_refused(serve: str, files: dict[str, str | bytes], tmp_path: Path) -> None:
    result = found(tmp_path, files, serve=serve)
    assert (result.problems, result.hints) == ([], [])


def test_the_line_of_a_mistake_in_the_code(tmp_path: Path) -> None:
    assert told(tmp_path, {"model.py": "\nimport math\ndef predict(a, b: list[float]): ...\n"}) == [
        "model.py:3: found `a` without an annotation, accepted: an annotation, such as `a: float`; requests are checked "
        "by it (build.serve)",
        "model.py:3: found `b: list[float]`, accepted: float, int, bool, str, Literal, an Enum, or Annotated with "
        "pydantic's Field (build.serve)",
    ]
    (problem,) = told(tmp_path, {"model.py": "x = (\n" + PREDICT})
    assert problem == f"model.py:1: not Python {OWN[0]}.{OWN[1]}: '(' was never closed"


def test_a_base_with_a_newer_python_may_know_more(tmp_path: Path) -> None:
    result = found(tmp_path, {"model.py": "x = (\n"}, (3, 99))
    assert result.problems == []
    assert [str(each) for each in result.hints] == [
        f"{tmp_path}/model.py:1: not Python {OWN[0]}.{OWN[1]}, which homeport runs on here: '(' was never closed"
    ]
    assert found(tmp_path, {"model.py": "match x:\n    case 1: ...\n" + PREDICT}, (3, 9)).problems[0].line == 3


def test_modules_of_the_folder_are_followed(tmp_path: Path) -> None:
    files = {
        "model.py": "import features\nfrom pkg.deep import x\n" + PREDICT,
        "features.py": "import other\n",
        "other.py": "def (",
        "pkg/__init__.py": "",
        "pkg/deep.py": "from .sibling import y\nfrom . import sibling\nx = 1",
        "pkg/sibling.py": "y = (",
        "unused.py": "def (",
    }
    assert sorted(told(tmp_path, files)) == [
        f"other.py:1: not Python {OWN[0]}.{OWN[1]}: invalid syntax",
        f"pkg/sibling.py:1: not Python {OWN[0]}.{OWN[1]}: '(' was never closed",
    ]


@pytest.mark.parametrize(
    ("code", "build", "message"),
    [
        (
            "import features",
            {"files": ["model.py"]},
            "found `import features`, accepted: modules that the build copies, and features.py is not in `build.files`",
        ),
        (
            "from pkg.inner import x",
            {"files": ["model.py", "pkg/__init__.py"]},
            "found `import pkg.inner`, accepted: modules that the build copies, and pkg/inner.py is not in `build.files`",
        ),
        (
            "from train import x",
            {},
            "found `import train`, accepted: modules that the build copies, and train.py is left out by .dockerignore, "
            "or hidden",
        ),
        (
            "from .features import x",
            {},
            "found `from .features import x`, accepted: `from features import ...`, because model.py is in no package",
        ),
    ],
)
def test_modules_that_the_build_does_not_contain(
    code: str, build: dict[str, object], message: str, tmp_path: Path
) -> None:
    files = {
        "model.py": code + "\n" + PREDICT,
        "features.py": "x = 1",
        "train.py": "x = 1",
        "pkg/__init__.py": "",
        "pkg/inner.py": "x = 1",
        ".dockerignore": "train.py\n",
    }
    assert told(tmp_path, files, **build) == [f"model.py:1: {message}"]


def test_a_served_file_that_the_build_does_not_contain(tmp_path: Path) -> None:
    assert told(tmp_path, {"model.py": PREDICT, "data.txt": ""}, files=["data.txt"]) == [
        'serve: found "model:predict", accepted: a module that the build copies, and model.py is not in `build.files`'
    ]


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    import features\nexcept ImportError:\n    features = None",
        "if False:\n    import features",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import features",
        "def late():\n    import features",
        "import json, features_of_a_library",
        "import pandas, numpy.linalg, pydantic, homeport_server",
    ],
)
def test_imports_that_need_not_be_there(code: str, tmp_path: Path) -> None:
    files = {"model.py": f"{code}\n{PREDICT}", "features.py": ""}
    assert told(tmp_path, files, files=["model.py"]) == []


@pytest.mark.parametrize(
    ("lines", "problems", "hints"),
    [
        (None, 1, 0),
        (LOCK, 1, 0),
        ("joblib\n", 0, 1),
        ("our-library\n", 0, 1),
        ("Scikit_Learn>=1.5\n", 0, 0),
        ("skops\n", 0, 0),
    ],
)
def test_libraries_that_no_requirement_brings(lines: str | None, problems: int, hints: int, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"model.py": "from sklearn.svm import SVC\n" + PREDICT}
    result = found(tmp_path, files | ({"requirements.txt": lines} if lines else {}))
    assert (len(result.problems), len(result.hints)) == (problems, hints)
    where = "requirements.txt" if lines else "`build.requirements`, which is not stated"
    for each in [*result.problems, *result.hints]:
        assert str(each).startswith(
            f"{tmp_path}/model.py:1: found `import sklearn`, accepted: libraries of {where}; `scikit-learn` brings it"
        )


def test_what_comes_with_the_server_is_what_its_lock_has() -> None:
    lock = requirements.Requirements.read((ROOT / "examples" / "loan-quote" / "requirements.txt").read_bytes())
    installed = {each.name for each in lock.packages}
    assert {module for module, names in LIBRARIES.items() if installed & {*names}} == WITH_THE_SERVER


def test_a_file_is_not_run_and_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("def (")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "features.py").symlink_to("../secret.py")
    code = f"import features\nopen({str(tmp_path / 'ran')!r}, 'w')\n{PREDICT}"
    assert told(folder, {"model.py": code}) == []
    assert not (tmp_path / "ran").exists()


def test_code_that_is_too_deep_is_a_hint(tmp_path: Path) -> None:
    result = found(tmp_path, {"model.py": "x = " + "-" * 50_000 + "1"})
    assert result.problems == []
    assert [each.message for each in result.hints] == ["found code that is nested too deeply for homeport to read"]


def test_of_many_modules_only_so_much_is_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"m{n}.py": f"import m{n + 1}\n" + "#" * 2**17 for n in range(20)}
    assert told(tmp_path, files | {"model.py": "import m0\n" + PREDICT, "m20.py": "def ("}) == []
