"""What a type checker says of a program that uses the components: mypy strict, as it is run over the library."""

import re
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

HEAD = """\
from homeport import Environment, Model, ModelImage, ModelImageArgs, ModelService, ModelServiceArgs

model, environment = Model.load("model.yaml"), Environment.load("environment.yaml")
fields = {"cluster": {"identifier": "prod"}}
"""
GOOD = """\
peers: list[Model] = [model]
image = ModelImage("a", ModelImageArgs(model=model, environment=environment, folder=".", version="3"))
ModelImage("b", ModelImageArgs(model={"name": "b"}, environment=fields, folder=".", version="3"))
ModelService("a", ModelServiceArgs(model=model, environment=environment, version="3", image=image.ref, peers=peers))
ModelService("b", ModelServiceArgs(model={"name": "b"}, environment=fields, version="3", peers=[{"name": "a"}, model]))
ModelService("c", {"model": model, "environment": fields, "version": "3", "canary": {"version": "4", "percent": 5}})
ModelService("d", {"model": model, "environment": fields, "version": "3", "weights": {"version": "7"}, "canary": None})
"""
BAD = """\
ModelServiceArgs(model="model.yaml", environment=environment, version="3")
ModelServiceArgs(model=model, environment=3, version="3")
ModelServiceArgs(model=environment, environment=environment, version="3")
ModelServiceArgs(model=model, environment=model, version="3")
ModelServiceArgs(model=model, environment=environment, version="3", peers=["a"])
ModelServiceArgs(model=model, environment=environment, version="3", canary="4")
ModelServiceArgs(model=model, environment=environment, version="3", weights="7")
ModelImageArgs(model="model.yaml", environment=environment, folder=".", version="3")
ModelImageArgs(model=model, environment="environment.yaml", folder=".", version="3")
ModelService("a", {"model": model, "environment": 3, "version": "3"})
"""


def test_mypy_accepts_what_the_components_do_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(HEAD + GOOD)
    (tmp_path / "bad.py").write_text(HEAD + BAD)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--no-error-summary",
            "--hide-error-context",
            *sorted(map(str, tmp_path.iterdir())),
        ],
        cwd=ROOT,  # where its configuration is, and what it knows of the library by now
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    found = re.findall(r"(\w+)\.py:(\d+): error: .*\[(.*)\]", done.stdout)
    first = HEAD.count("\n") + 1
    lines = range(first, first + BAD.count("\n"))
    codes = {("bad", str(line), "typeddict-item") for line in lines if line != first + 4}
    assert set(found) == codes | {("bad", str(first + 4), "list-item")}, done.stdout
