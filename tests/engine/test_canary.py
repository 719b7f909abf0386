"""A canary by the real engine on a real API server that knows Gateway API: it comes, grows, and is promoted or not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport import Stack, manifests
from tests.support import Cluster, Program, live_entry, running, write_program

MODEL = {"name": "tried", "owner": "ds", "image": "registry.example.com/tried", "scale": {"min": 2, "max": 4}}
ENVIRONMENT = {
    "cluster": {"identifier": "canary"},
    "gateway": {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com"},
}
PROGRAM = """\
import pulumi
from homeport import Stack

for name, service in Stack.read(".").deploy().items():
    pulumi.export(name, {"url": service.url, "version": service.version})
"""
NAMESPACE = "--namespace=tried"


def write(folder: Path, stable: str, canary: str = "", percent: int = 0) -> None:
    (folder / "models.yaml").write_text(json.dumps({"models": {"tried": live_entry(stable, canary, percent)}}))


@pytest.fixture
def program(cluster: Cluster, tmp_path: Path) -> Iterator[Program]:
    source = write_program(tmp_path / "source", "canary", PROGRAM, model=MODEL, environment=ENVIRONMENT)
    write(source, "1")
    with running(cluster, source, tmp_path / "running") as program:
        yield program


def deployed(cluster: Cluster, program: Program) -> dict[str, int]:
    """Deploys what is written, and tells the share of each version, having seen that all is as it is written."""
    program.up()
    (release,) = Stack.read(program.folder).releases
    assert cluster.differences(manifests(release)) == []
    found = cluster.get("deployments,services,horizontalpodautoscalers,poddisruptionbudgets", NAMESPACE)["items"]
    wanted = [each for each in manifests(release) if each["kind"] in {each["kind"] for each in found}]
    assert len(found) == len(wanted)
    (rule,) = cluster.get("httproute/tried", NAMESPACE)["spec"]["rules"]
    versions = {each["metadata"]["name"]: image(each)[-1] for each in found if each["kind"] == "Deployment"}
    return {versions[each["name"]]: each["weight"] for each in rule["backendRefs"]}


def image(deployment: Any) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def test_canary_comes_grows_and_is_promoted_and_the_next_is_aborted(cluster: Cluster, program: Program) -> None:
    assert deployed(cluster, program) == {"1": 100}
    stable = cluster.get("deployment/tried", NAMESPACE)
    write(program.folder, "1", "2", 10)
    assert deployed(cluster, program) == {"1": 90, "2": 10}
    assert program.outputs()["tried"] == {"url": "https://tried.models.example.com", "version": "1"}
    canary = cluster.get("deployment/tried-canary", NAMESPACE)
    write(program.folder, "1", "2", 50)
    assert deployed(cluster, program) == {"1": 50, "2": 50}
    # A change of the share restarts nobody.
    assert cluster.get("deployment/tried-canary", NAMESPACE)["spec"]["template"] == canary["spec"]["template"]
    # The promotion, and the next one at once.
    write(program.folder, "2", "3", 1)
    assert deployed(cluster, program) == {"2": 99, "3": 1}
    write(program.folder, "2")
    assert deployed(cluster, program) == {"2": 100}
    program.expect_no_changes()
    # The same Deployment all along.
    assert cluster.get("deployment/tried", NAMESPACE)["metadata"]["uid"] == stable["metadata"]["uid"]
