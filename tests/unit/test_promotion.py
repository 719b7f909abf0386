"""Promotion: a model goes from dev to test to prod by edits of models.yaml only, as the very same image and spec."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from homeport.cli import app

DIGEST = "sha256:" + "5" * 64
ENVIRONMENTS = {
    "dev": "cluster: {identifier: dev}\n",
    "test": "cluster: {identifier: test}\ncloud: gke\nlimits: {replicas: 6}\n",
    "prod": "cluster: {identifier: prod}\ncloud: eks-karpenter\nnamespace: ml-{model}\nprotect: true\n"
    "gateway: {namespace: gateway}\nrequire: {digest: true, min_replicas: 2}\n",
}
MODEL = "name: iris\nowner: ds\nimage: registry.example.com/iris\nscale: {min: 2, max: 4}\n"
ENTRY = f'models:\n  iris:\n    spec: ../../model.yaml\n    stable: {{version: "1", digest: "{DIGEST}"}}\n'


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, environment in ENVIRONMENTS.items():
        folder = tmp_path / "stacks" / name
        folder.mkdir(parents=True)
        (folder / "environment.yaml").write_text(environment)
        (folder / "models.yaml").write_text("models: {}\n")
    (tmp_path / "model.yaml").write_text(MODEL)
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "nothing is live")
    return tmp_path


def deployment(stack: str) -> Any:
    assert CliRunner().invoke(app, ["render", stack]).exit_code == 0
    objects = YAML(typ="safe").load_all(Path("rendered", stack, "iris.yaml"))
    return next(each for each in objects if each["kind"] == "Deployment")


def test_promotion_is_a_change_of_models_yaml_alone(repository: Path) -> None:
    for stack in ENVIRONMENTS:
        (repository / "stacks" / stack / "models.yaml").write_text(ENTRY)
        changed = git("diff", "--name-only").split()
        assert changed == [f"stacks/{stack}/models.yaml"]
        git("commit", "-qam", f"iris 1 to {stack}")
    found = [deployment(stack) for stack in ENVIRONMENTS]
    digests = {each["metadata"]["annotations"]["homeport/spec-digest"] for each in found}
    images = {each["spec"]["template"]["spec"]["containers"][0]["image"] for each in found}
    assert len(digests) == 1
    assert images == {f"registry.example.com/iris:1@{DIGEST}"}
    # The places themselves differ: it is not the same text three times.
    assert len({str(each["spec"]["template"]["spec"]) for each in found}) > 1


def test_next_version_and_rollback_are_one_line(repository: Path) -> None:
    live = repository / "stacks" / "prod" / "models.yaml"
    live.write_text(ENTRY)
    git("commit", "-qam", "iris 1 to prod")
    before = deployment("prod")
    live.write_text(ENTRY.replace('"1"', '"2"').replace("5" * 64, "6" * 64))
    assert git("diff", "--numstat").split() == ["1", "1", "stacks/prod/models.yaml"]
    git("commit", "-qam", "iris 2 to prod")
    assert deployment("prod")["spec"]["template"] != before["spec"]["template"]
    git("revert", "--no-edit", "HEAD")
    assert deployment("prod")["spec"] == before["spec"]
