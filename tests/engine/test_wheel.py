"""The built wheel in an empty environment: every command, and an engineer's program outside this repository, use it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from homeport.cli import app
from homeport.commands.init import Kind
from tests.support import DIGEST, EXAMPLES, PROGRAM, Cluster, Program, pin, running, write_program

ELSEWHERE = {"run": "tests/server/test_run.py"}
"""Commands that another test runs, from the same wheel."""

COMMANDS: Mapping[str, tuple[Sequence[str], str]] = {
    "init": (["--notebook=score.ipynb", "--stack=dev", "--stacks=."], "score/model.py: written"),
    "check": (["--stacks=."], "dev: ok, 1 model"),
    "render": (["--stacks=."], "rendered/dev: 1 written"),
    "guard": (["dev", "--stacks=."], "kind: ClusterRole"),
    "schema": (["environment"], '"cluster"'),
    "recover": (["--stack=dev", "--yes"], "dev"),
    "history": (["score", "--stack=dev", "--stacks=."], "succeeded"),
}
"""Arguments of each command in the order of a model's life, and a part of what it prints."""


@pytest.fixture(scope="module")
def outside(cluster: Cluster, installed: Path) -> Cluster:
    """The cluster, for programs that have the wheel and nothing of the checkout."""
    found = Cluster(cluster.variables)
    found.variables["PATH"] = cluster.variables["PATH"].replace(str(Path(sys.executable).parent), str(installed))
    return found


def test_program_outside_the_repository_uses_the_wheel(outside: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(EXAMPLES / "own-program", folder)
    program = Program(outside, folder, tmp_path / "state", "dev")
    shown = program("preview", "--stack=dev")
    assert "homeport:index:ModelService" in shown
    assert "16 to create" in shown


def test_wheel_tells_type_checkers_that_it_is_typed(installed: Path) -> None:
    (package,) = installed.parent.glob("lib/python3*/site-packages/homeport")
    assert (package / "py.typed").is_file()


def homeport(installed: Path, folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """What a command of the wheel prints, after asserting that it succeeds without a word of warning."""
    command = [str(installed / "homeport"), *arguments]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", Kind)
def test_the_wheel_has_every_template(installed: Path, tmp_path: Path, kind: Kind) -> None:
    (package,) = installed.parent.glob("lib/python3*/site-packages/homeport")
    templates = package / "commands" / "templates"
    assert list(templates.rglob("*.pyc"))  # as pip makes them
    homeport(installed, tmp_path, "init", "flowers", "--from", kind)
    wanted = {path.name for each in ("common", kind) for path in (templates / each).iterdir() if path.is_file()}
    assert {path.name for path in (tmp_path / "flowers").iterdir()} == wanted
    assert ".dockerignore" in wanted


def test_every_command_of_the_wheel(outside: Cluster, installed: Path, tmp_path: Path) -> None:
    folder = write_program(tmp_path / "stacks", "wheel", PROGRAM.replace('"."', '"dev"'))
    stack = folder / "dev"
    stack.mkdir()
    environment = {
        "cloud": "generic",
        "cluster": {"identifier": "wheel"},
        "deployer": {"service_account": "ci/deployer"},
        "images": {
            "registry": "registry.example.com",
            "bases": {"python-3.11": f"registry.example.com/python@{DIGEST}"},
        },
    }
    (stack / "environment.yaml").write_text(json.dumps(environment))
    (stack / "models.yaml").write_text("models: {}\n")
    cell = new_code_cell("def predict(amount: float) -> float:\n    return amount", metadata={"tags": ["serve"]})
    nbformat.write(new_notebook(cells=[cell]), folder / "score.ipynb")

    with running(outside, folder, tmp_path / "running") as program:
        commands = iter(COMMANDS.items())

        def run(until: str) -> None:
            for command, (arguments, told) in commands:
                shown = homeport(installed, program.folder, command, *arguments, variables=program.variables)
                assert told in shown
                if command == until:
                    return

        run("init")
        pin(program, "dev")
        author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        for arguments in (["init", "--quiet"], ["add", "."], [*author, "commit", "--quiet", "--message=live"]):
            subprocess.run(["git", *arguments], cwd=program.folder, check=True)
        run("schema")
        program.up()
        run("history")
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {*COMMANDS, *ELSEWHERE} == names
