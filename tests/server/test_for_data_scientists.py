"""Every command of the page for data scientists, in its order, in a repository as its readers have."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.test_run import Run, run
from tests.support import EXAMPLES, ROOT

PAGE = ROOT / "docs" / "for-data-scientists.md"
ELSEWHERE = ("pip install ", "git push ")
"""What needs a package index that has homeport, and a server of git."""


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the stack dev and its model, and the notebook beside them."""
    root = tmp_path / "repository"
    shutil.copytree(ROOT / "stacks" / "dev", root / "stacks" / "dev")
    shutil.copytree(EXAMPLES / "iris", root / "examples" / "iris")
    for file in ("fraud-score.ipynb", "weights.json"):
        shutil.copy(EXAMPLES / "from-notebook" / file, root)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "a data scientist")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ds@example.com")
    for command in ("git init -q -b main", "git add examples stacks", "git commit -q -m begin"):
        shell(command, root)
    return root


def shell(command: str, folder: Path) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.usefixtures("as_installed")
def test_every_command_of_the_page(repository: Path) -> None:
    said: dict[str, str] = {}
    serving: list[str] = []
    for command in commands():
        if command.startswith("homeport run "):
            serving.append(command)
        elif not command.startswith(("curl ", *ELSEWHERE)):
            said[command] = shell(command, repository)
    assert serving == ["homeport run fraud-score"]
    assert "stacks/dev/models.yaml: fraud-score added\n" in said[next(iter(said))]
    assert said["homeport check"].startswith("dev: ok, 2 models")
    changed = shell("git show --format= --name-only HEAD", repository).split()
    assert {"fraud-score/model.py", "fraud-score/weights.json", "stacks/dev/models.yaml"} <= set(changed)
    with run(repository / "fraud-score") as running:
        good, faulty, about = (
            json.loads(shell(line.replace(":8080/", f":{running.port}/"), repository))
            for line in commands()
            if line.startswith("curl ")
        )
        assert good["outputs"][0]["name"] == "predict"
        assert 0 < good["outputs"][0]["data"][0] < 1
        assert "amount" in faulty["error"]
        assert [each["name"] for each in about["inputs"]] == ["amount", "items", "abroad"]
        refuses(running)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=30) == 0


def refuses(running: Run) -> None:
    """What the function itself refuses reaches the sender, with the function's words."""
    values = {"amount": ("FP64", -1.0), "items": ("INT64", 1), "abroad": ("BOOL", True)}
    inputs = [{"name": name, "datatype": kind, "shape": [1], "data": [value]} for name, (kind, value) in values.items()]
    status, body = running.ask(json.dumps({"inputs": inputs}), "fraud-score")
    assert status == 422
    assert "an order has an amount of 0 or more" in body


def test_the_notebook_of_the_example_is_as_it_was_executed(tmp_path: Path) -> None:
    """Its cells in order, without Jupyter: what they write is what the folder holds."""
    notebook = json.loads((EXAMPLES / "from-notebook" / "fraud-score.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    script = "\n".join(line for cell in cells for line in cell.splitlines() if not line.startswith("%"))
    command = [shutil.which("uv") or str(Path(sys.executable).parent / "uv"), "run", "--no-project", "--quiet"]
    command += ["--python=3.11", "--with=numpy==2.4.6", "python", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made, kept = (
        json.loads((folder / "weights.json").read_text()) for folder in (tmp_path, EXAMPLES / "from-notebook")
    )
    assert made == pytest.approx(kept)
