"""`homeport init`: what it writes, and what it refuses to write over."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from typer.testing import CliRunner, Result

from homeport import Model
from homeport.cli import app
from homeport.commands.init import default_name
from homeport.commands.notebook import is_as_made

FILES = {
    "function": {"model.py", "requirements.txt"},
    "sklearn": {"model.skops", "requirements.txt", "train.py"},
    "onnx": {"model.onnx", "requirements.txt", "train.py"},
    "docker": {"Dockerfile", "server.py"},
}
COMMON = {".dockerignore", "README.md", "model.yaml", "request.json"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def homeport(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="homeport")


def refusal(result: Result) -> str:
    """The message of a usage error, without the frame around it."""
    assert result.exit_code == 2
    return " ".join(re.sub("[│╭╮╰╯─]", " ", result.stderr).split("Error", 1)[1].split())


def notebook(*sources: str, path: Path = Path("Fraud score.ipynb")) -> Path:
    """A notebook whose cells are all tagged."""
    cells = [v4.new_code_cell(source, metadata={"tags": ["serve"]}) for source in sources]
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


@pytest.mark.parametrize("kind", FILES)
def test_a_folder_of_each_kind(kind: str) -> None:
    result = homeport("init", "fraud-score", "--from", kind, "--owner", "risk")
    assert result.exit_code == 0, result.output
    folder = Path("fraud-score")
    assert {path.name for path in folder.iterdir()} == COMMON | FILES[kind]
    model = Model.load(folder / "model.yaml")
    assert (model.name, model.owner) == ("fraud-score", "risk")
    assert model.build is not None
    named = [model.build.requirements, model.build.dockerfile]
    named += [f"{model.build.serve.partition(':')[0]}.py"] if model.build.serve else []
    assert [file for file in named if file and not (folder / file).is_file()] == []
    json.loads((folder / "request.json").read_text())
    rest = [path.name for path in folder.iterdir() if re.search(rb"my-(model|team)", path.read_bytes())]
    assert rest == []


def test_it_tells_what_comes_next() -> None:
    result = homeport("init", "fraud-score", "--folder", "models/fraud")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:6] == [
        f"models/fraud/{name}: written" for name in sorted(COMMON | FILES["function"])
    ]
    assert result.stdout.endswith(
        "\nServe it here:\n"
        "  homeport run models/fraud\n"
        "\nMake it live, below `models` in stacks/dev/models.yaml:\n"
        "  fraud-score:\n"
        "    spec: ../../models/fraud/model.yaml\n"
        '    stable: {version: "1"}\n'
    )


def test_nothing_is_overwritten() -> None:
    Path("fraud").mkdir()
    Path("fraud", "model.py").write_text("mine")
    result = homeport("init", "fraud")
    assert result.exit_code == 1
    assert (
        result.stderr
        == "fraud/model.py: already there; choose another --folder, or move it away; nothing was written\n"
    )
    assert [path.name for path in Path("fraud").iterdir()] == ["model.py"]
    assert Path("fraud", "model.py").read_text() == "mine"


@pytest.mark.parametrize("kind", FILES)
def test_a_stack_gets_the_model_and_keeps_its_comments(kind: str) -> None:
    stack = Path("stacks", "dev")
    stack.mkdir(parents=True)
    before = (
        "# Who is live.\nmodels:\n  iris:     # the first\n    spec: ../../iris/model.yaml\n"
        '    stable: {version: "1"}   # not 2 yet\n'
    )
    (stack / "models.yaml").write_text(before)
    result = homeport("init", "fraud", "--from", kind, "--stack", "dev")
    assert result.exit_code == 0
    assert "stacks/dev/models.yaml: fraud added\n" in result.stdout
    assert (stack / "models.yaml").read_text() == (
        f'{before}  fraud:\n    spec: ../../fraud/model.yaml\n    stable: {{version: "1"}}\n'
    )
    (stack / "environment.yaml").write_text(
        "cluster: {identifier: a}\nimages: {registry: r.example.com, bases: {python-3.11: r.example.com/python:1}}\n"
    )
    Path("iris").mkdir()
    Path("iris", "model.yaml").write_text("name: iris\nowner: ds\nimage: registry.example.com/iris\n")
    assert homeport("check").stdout.startswith("dev: ok, 2 models")


def test_a_stack_is_named_as_pulumi_names_it_and_is_in_the_folder_of_stacks() -> None:
    place = Path("infra", "dev")
    place.mkdir(parents=True)
    (place / "models.yaml").write_text("models: {}\n")
    assert homeport("init", "fraud", "-s", "acme/models/dev", "--stacks", "infra").exit_code == 0
    assert "spec: ../../fraud/model.yaml" in (place / "models.yaml").read_text()


@pytest.mark.parametrize(
    ("models", "reason"),
    [
        (
            'models:\n  fraud:\n    spec: a\n    stable: {version: "1"}\n',
            'stacks/dev/models.yaml:3: models.fraud.spec: found "a", accepted: "../../fraud/model.yaml", or another name for '
            "the new model\n",
        ),
        ("models: 3\n", "stacks/dev/models.yaml:1: models: found 3, accepted: a mapping\n"),
        (None, "stacks/dev/models.yaml: no such file"),
    ],
)
def test_a_stack_that_cannot_take_the_model(models: str | None, reason: str) -> None:
    Path("stacks", "dev").mkdir(parents=True)
    if models:
        Path("stacks", "dev", "models.yaml").write_text(models)
    result = homeport("init", "fraud", "--stack", "dev")
    assert result.exit_code == 1
    assert result.stderr.startswith(reason)
    assert not Path("fraud").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Invalid value for NAME: the name of the model is required without --notebook"),
        (["Fraud"], 'Invalid value for NAME: found "Fraud", accepted: '),
        (["fraud", "--owner", "a team"], 'Invalid value for --owner: found "a team", accepted: '),
        (["fraud", "--from", "pickle"], "'pickle' is not one of 'function', 'sklearn', "),
        (["fraud", "--force"], "Invalid value for --force: requires --notebook"),
        (["fraud", "--serve", "a"], "Invalid value for --serve: requires --notebook"),
        (
            ["--notebook", "a.ipynb", "--from", "onnx"],
            "Invalid value for --from: cannot be combined with --notebook",
        ),
    ],
)
def test_wrong_use(arguments: list[str], reason: str) -> None:
    assert reason in refusal(homeport("init", *arguments))
    assert list(Path().iterdir()) == []


def test_the_shell_completes_kinds() -> None:
    environment = os.environ | {
        "_HOMEPORT_COMPLETE": "complete_bash",
        "COMP_WORDS": "homeport init fraud --from ",
        "COMP_CWORD": "4",
    }
    command = str(Path(sys.executable).parent / "homeport")
    done = subprocess.run([command], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["function", "sklearn", "onnx", "docker"]


def test_a_notebook_becomes_a_folder() -> None:
    notebook(
        "import pytest\nRATE = 2.0", "def predict(amount: float, country: str) -> float:\n    return amount * RATE"
    )
    result = homeport("init", "--notebook", "Fraud score.ipynb")
    assert result.exit_code == 0, result.output
    folder = Path("fraud-score")
    assert {path.name for path in folder.iterdir()} == COMMON | FILES["function"]
    assert folder.joinpath("model.py").read_text().startswith("# Made from ../Fraud score.ipynb by ")
    assert folder.joinpath("requirements.txt").read_text() == f"pytest=={pytest.__version__}\n"
    model = Model.load(folder / "model.yaml")
    assert model.name == "fraud-score"
    assert model.build is not None
    assert model.build.serve == "model:predict"
    assert json.loads(folder.joinpath("request.json").read_text()) == {
        "inputs": [
            {"name": "amount", "datatype": "FP64", "shape": [1], "data": [1.0]},
            {"name": "country", "datatype": "BYTES", "shape": [1], "data": ["text"]},
        ]
    }


def test_a_class_is_served_by_its_method_and_no_request_is_guessed() -> None:
    notebook(
        "import numpy as np\nfrom typing import Annotated\nclass Scorer:\n"
        "    def predict(self, x: Annotated[np.ndarray, (-1, 4)]): ..."
    )
    result = homeport("init", "scorer", "--notebook", "Fraud score.ipynb")
    assert result.exit_code == 0
    model = Model.load("scorer/model.yaml")
    assert model.build is not None
    assert model.build.serve == "model:Scorer"
    assert not Path("scorer", "request.json").exists()
    assert result.stderr == (
        "scorer/requirements.txt: name the package of `numpy`, which is not installed beside homeport "
        "(cell 1, line 1 imports it)\n"
    )


def test_again_only_the_module_is_made_anew() -> None:
    Path("stacks", "dev").mkdir(parents=True)
    models = Path("stacks", "dev", "models.yaml")
    models.write_text('models:\n  iris:\n    spec: ../../iris/model.yaml\n    stable: {version: "1"}\n')
    notebook("def predict(x: float): return x")
    again = ("init", "a", "--notebook", "Fraud score.ipynb", "--stack", "dev")
    assert homeport(*again).exit_code == 0
    live = models.read_text()
    assert "spec: ../../a/model.yaml" in live
    Path("a", "README.md").write_text("mine")
    Path("a", "request.json").unlink()
    notebook("%pip install xgboost==2.1.0", "import pytest", "def predict(y: float): return y")
    result = homeport(*again)
    assert result.exit_code == 0
    assert result.stdout == "a/model.py: written\n\nServe it here:\n  homeport run a\n"
    assert models.read_text() == live
    assert result.stderr == (
        "a/requirements.txt: add xgboost==2.1.0\n"
        f"a/requirements.txt: add pytest=={pytest.__version__} (cell 2, line 1 imports it)\n"
        "cell 2, line 1: nothing uses `pytest`: if no file that the code opens needs it, remove the import\n"
    )
    assert "return y" in Path("a", "model.py").read_text()
    assert Path("a", "README.md").read_text() == "mine"
    assert not Path("a", "request.json").exists()


def test_a_module_that_was_changed_by_hand_stays() -> None:
    notebook("def predict(x: float): return x")
    again = ("init", "a", "--notebook", "Fraud score.ipynb")
    assert homeport(*again).exit_code == 0
    module = Path("a", "model.py")
    changed = module.read_text().replace("return x", "return 2 * x")
    module.write_text(changed)
    result = homeport(*again)
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "a/model.py was changed since it was made from a notebook, or was never made from one: use --force"
    )
    assert module.read_text() == changed
    assert homeport(*again, "--force").exit_code == 0
    assert is_as_made(module.read_text())


def test_what_model_yaml_serves_stays_what_is_served() -> None:
    notebook("def score(x: float): return x", "def last(x: float): return x")
    again = ("init", "a", "--notebook", "Fraud score.ipynb")
    assert homeport(*again, "--serve", "score").exit_code == 0
    assert homeport(*again).exit_code == 0  # not `last`, which it would be in a new folder
    result = homeport(*again, "--serve", "last")
    assert result.exit_code == 1
    assert result.stderr == 'a/model.yaml:6: build.serve: found "model:score", accepted: "model:last"\n'
    notebook("def last(x: float): return x")
    assert homeport(*again).stderr == 'Fraud score.ipynb: serve: found "score", accepted: last\n'


def test_a_notebook_that_cannot_be_served_writes_nothing() -> None:
    notebook("def predict(x): return RATE * x")
    result = homeport("init", "--notebook", "Fraud score.ipynb")
    assert result.exit_code == 1
    assert result.stderr.startswith("Fraud score.ipynb: cell 1, line 1: found `RATE`, accepted: ")
    assert not Path("fraud-score").exists()


def test_parameters_have_annotations() -> None:
    notebook("x = 1\ndef predict(amount, n: int): ...")
    assert homeport("init", "a", "--notebook", "Fraud score.ipynb").stderr == (
        "Fraud score.ipynb: cell 1, line 2: found `amount` without an annotation, accepted: an "
        "annotation, such as `amount: float`; requests are checked by it\n"
    )


@pytest.mark.parametrize(
    ("file", "name"), [("Fraud score.ipynb", "fraud-score"), ("a/v2_final!.ipynb", "v2-final"), ("X.ipynb", "x")]
)
def test_a_model_is_named_after_its_notebook(file: str, name: str) -> None:
    assert default_name(Path(file)) == name


READS = (
    "import json\nfrom pathlib import Path\nimport features\nRATE = json.loads(Path('weights.json').read_text())\n"
    "def predict(x: float): return features.scaled(x) * RATE"
)
AGAIN = ("init", "a", "--notebook", "Fraud score.ipynb")


def beside() -> None:
    Path("weights.json").write_text("1")
    Path("features.py").write_text(
        "import pkg.inner, jsonschema\nDATA = open('data/means.txt').read()\ndef scaled(x): return x\n"
    )
    Path("pkg").mkdir()
    Path("pkg", "__init__.py").touch()
    Path("pkg", "inner.py").touch()
    Path("data").mkdir()
    Path("data", "means.txt").touch()
    Path("unused.json").touch()


def test_what_the_code_needs_is_copied_from_beside_the_notebook() -> None:
    beside()
    notebook(READS)
    result = homeport(*AGAIN)
    assert (result.exit_code, result.stderr) == (0, "")
    names = {path.relative_to("a").as_posix() for path in Path("a").rglob("*") if path.is_file()}
    copied = {"weights.json", "features.py", "pkg/__init__.py", "pkg/inner.py", "data/means.txt"}
    assert names == COMMON | FILES["function"] | copied
    assert Path("a", "requirements.txt").read_text() == f"jsonschema=={version('jsonschema')}\n"
    assert "a/weights.json: written\n" in result.stdout


def test_after_a_training_the_new_file_is_served() -> None:
    beside()
    notebook(READS)
    homeport(*AGAIN)
    assert "weights" not in homeport(*AGAIN).stdout
    Path("weights.json").write_text("2")
    result = homeport(*AGAIN)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "a/weights.json: written\n" in result.stdout
    assert Path("a", "weights.json").read_text() == "2"
    assert is_as_made(Path("a", "model.py").read_text())


def test_a_file_of_somebody_else_stays_and_the_difference_is_told() -> None:
    beside()
    notebook(READS)
    homeport(*AGAIN)
    Path("a", "weights.json").write_text("mine")
    os.utime(Path("a", "weights.json"), (0, 0))
    told = (
        "a/weights.json: differs from weights.json, which is newer, and was not copied by homeport: copy it yourself, or use "
        "--force\n"
    )
    for _ in range(2):
        result = homeport(*AGAIN)
        assert (result.exit_code, result.stderr) == (0, told)
        assert Path("a", "weights.json").read_text() == "mine"
    assert homeport(*AGAIN, "--force").stderr == ""
    assert Path("a", "weights.json").read_text() == "1"


def test_an_equal_copy_of_somebody_else_is_as_good() -> None:
    beside()
    notebook(READS)
    Path("a").mkdir()
    Path("a", "weights.json").write_text("1")
    homeport(*AGAIN)
    Path("weights.json").write_text("2")
    assert homeport(*AGAIN).stderr == ""
    assert Path("a", "weights.json").read_text() == "2"


def test_nothing_outside_is_copied_and_nothing_is_written_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    (outside / "secret.txt").write_text("secret")
    os.chdir(work)
    Path("link.txt").symlink_to("../outside/secret.txt")
    Path(".hidden").write_text("secret")
    Path("made.txt").write_text("made")
    Path("data").mkdir()
    Path("data", "x.txt").write_text("x")
    names = [
        "../outside/secret.txt",
        str(outside / "secret.txt"),
        "link.txt",
        ".hidden",
        "data/x.txt",
        "data",
        "a\0b",
        "x" * 254,
    ]
    notebook(f"NAMES = {names!r}\nopen('made.txt', 'w')\ndef predict(x: float): return x")
    Path("a").mkdir()
    Path("a", "data").symlink_to("../../outside")
    result = homeport(*AGAIN)
    assert result.exit_code == 0
    assert result.stderr.startswith("a/data/x.txt: differs from data/x.txt, which is newer")
    assert {path.name for path in Path("a").iterdir()} == COMMON | FILES["function"] | {"data"}
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]


def versioned(ran: str) -> None:
    cell = v4.new_code_cell("def predict(x: float): return x", metadata={"tags": ["serve"]})
    about = {"language_info": {"name": "python", "version": ran}}
    nbformat.write(v4.new_notebook(cells=[cell], metadata=about), Path("Fraud score.ipynb"))


def base() -> str | None:
    build = Model.load("a/model.yaml").build
    return build.base if build else None


def test_the_base_is_that_of_the_notebooks_python() -> None:
    versioned("3.13.1")
    result = homeport(*AGAIN)
    assert base() == "python-3.13"
    assert result.stderr == (
        "a/model.yaml: base is python-3.13, as the notebook's Python: `homeport check` knows which bases there are\n"
    )
    versioned("3.12.1")
    assert homeport(*AGAIN).stderr == (
        "a/model.yaml: base python-3.13 has another Python than the notebook, 3.12, and libraries that are pinned for 3.12 "
        "may not exist for it; accepted: a base with Python 3.12, if the environment has one\n"
    )


@pytest.mark.parametrize(
    ("ran", "chosen", "told"),
    [("3.12.4", "slim-py3.12", ""), ("3.13.1", "old-py3.11", "a/model.yaml: base old-py3.11 has another")],
)
def test_the_base_is_one_of_the_environment(ran: str, chosen: str, told: str) -> None:
    Path("stacks", "dev").mkdir(parents=True)
    Path("stacks", "dev", "models.yaml").write_text(
        'models:\n  iris:\n    spec: ../../iris/model.yaml\n    stable: {version: "1"}\n'
    )
    Path("stacks", "dev", "environment.yaml").write_text(
        "cloud: generic\ncluster: {context: a, identifier: a}\nimages:\n  registry: a.example.com/a\n"
        '  bases: {old-py3.11: "a.example.com/b/old:1", slim-py3.12: "a.example.com/b/new:1"}\n'
    )
    versioned(ran)
    result = homeport(*AGAIN, "--stack", "dev")
    assert (result.exit_code, base()) == (0, chosen)
    assert result.stderr.startswith(told)
    assert bool(result.stderr) == bool(told)


def test_a_module_cannot_have_the_name_of_what_is_written() -> None:
    Path("model.py").write_text("X = 1")
    notebook("from model import X", "def predict(x: float): return X")
    assert homeport(*AGAIN).stderr == (
        "Fraud score.ipynb: cell 1, line 1: found `import model`, accepted: a module of another name, because this command "
        "writes model.py\n"
    )
    assert not Path("a").exists()
