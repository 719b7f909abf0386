"""Secrets by the real engine: the value is in the cluster, and in plain text nowhere else."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport import Stack, manifests
from homeport.commands.render import render, write
from tests.support import Cluster, Program, live_entry, running, write_program

MODEL = {
    "name": "vault",
    "owner": "ds",
    "image": "registry.example.com/vault",
    "weights": {"claim": "corpus"},
    "secrets": [{"name": "features", "reason": "reads features"}, {"name": "licence", "reason": "of its library"}],
}
ENVIRONMENT = {
    "cluster": {"identifier": "secrets"},
    "claims": {"vault": {"corpus": {"volume": "corpus-of-the-platform"}}},
    "secrets": {
        "vault": {
            "features": {"config": "features-password"},
            "licence": {"external": {"store": "company", "key": "ml/licences", "property": "vault"}},
        }
    },
}
PROGRAM = """\
import os
import sys
from base64 import b64encode

import pulumi
from homeport import SpecError, Stack

try:
    services = Stack.read(".").deploy()
except SpecError as error:
    pulumi.log.error(str(error))
    sys.exit(1)
pulumi.export("namespace", services["vault"].namespace)
if "LEAK" in os.environ:
    value = pulumi.Output.unsecret(pulumi.Config().require_secret("features-password"))
    pulumi.export("leaked", value.apply(lambda text: b64encode(text.encode()).decode()))
"""
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "corpus-of-the-platform"},
    "spec": {
        "accessModes": ["ReadOnlyMany"],
        "capacity": {"storage": "10Gi"},
        "persistentVolumeReclaimPolicy": "Retain",
        "csi": {"driver": "files.example.com", "volumeHandle": "corpus"},
    },
}
NAMESPACE = "--namespace=vault"
VALUE, NEXT = "hunter2-but-longer", "correct-horse-battery"


@pytest.fixture(scope="module")
def program(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    scratch = tmp_path_factory.mktemp("secrets")
    live = {"models": {"vault": live_entry("1")}}
    source = write_program(scratch / "source", "secrets", PROGRAM, model=MODEL, environment=ENVIRONMENT, models=live)
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(VOLUME))
    try:
        with running(cluster, source, scratch / "running") as program:
            yield program
    finally:
        cluster.kubectl("delete", "persistentvolume", "corpus-of-the-platform")


def deploy(program: Program, value: str) -> str:
    """What is printed when a value is set, previewed and deployed."""
    printed = program("config", "set", "features-password", value, "--secret", "--stack=dev")
    return printed + program("up", "--yes", "--diff", "--stack=dev")


def leaks(program: Program, printed: str) -> list[str]:
    """Where a value can be read: all that Pulumi keeps of the stack, what homeport renders, and what was printed."""
    stack = Stack.read(program.folder)
    write(render(stack), program.folder / "rendered")
    folders = [program.folder, Path(program.variables["PULUMI_BACKEND_URL"].removeprefix("file://"))]
    files = {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
    assert any(".pulumi/stacks/" in path for path in files)
    assert any(".pulumi/history/" in path for path in files)
    assert any(path.endswith("rendered/vault.yaml") for path in files)
    needles = [form for value in (VALUE, NEXT) for form in (value.encode(), b64encode(value.encode()))]
    texts = files | {"printed": printed.encode()}
    return [path for path, text in texts.items() if any(needle in text for needle in needles)]


def secret(cluster: Cluster) -> Any:
    return cluster.get("secret/vault-features", NAMESPACE)


def test_without_the_value_the_preview_says_which_command_sets_it(program: Program) -> None:
    shown = program("preview", "--stack=dev", fails=True)
    found = "vault.secrets[0]: found no value in the stack's configuration (secrets:features-password): run "
    assert f"{found}`pulumi config set --secret features-password --stack dev`" in shown
    assert "Traceback" not in shown


def test_value_is_in_the_cluster_and_in_plain_text_nowhere_else(cluster: Cluster, program: Program) -> None:
    printed = deploy(program, VALUE)
    assert b64decode(secret(cluster)["data"]["features"]).decode() == VALUE
    uid, before = secret(cluster)["metadata"]["uid"], cluster.get("deployment/vault", NAMESPACE)["spec"]["template"]
    printed += deploy(program, NEXT)
    assert "vault-secret-features" in printed
    assert leaks(program, printed) == []
    assert secret(cluster)["metadata"]["uid"] == uid
    assert b64decode(secret(cluster)["data"]["features"]).decode() == NEXT
    # A new value reaches the pods as a file; it replaces none of them.
    assert cluster.get("deployment/vault", NAMESPACE)["spec"]["template"] == before
    program.expect_no_changes("--refresh")


def test_cluster_has_what_is_rendered(cluster: Cluster, program: Program) -> None:
    (release,) = Stack.read(program.folder).releases
    assert cluster.differences(manifests(release)) == []
    # Bound to the very volume of the platform; without a driver here, that is as far as it goes.
    claim = cluster.get("persistentvolumeclaim/corpus-of-the-platform", NAMESPACE)
    assert (claim["status"]["phase"], claim["spec"]["volumeName"]) == ("Bound", "corpus-of-the-platform")


def test_the_search_finds_a_value_that_is_no_secret(program: Program) -> None:
    program.variables["LEAK"] = "1"
    printed = program.up()
    found = leaks(program, printed)
    assert "printed" in found
    assert any(".pulumi/stacks/" in path for path in found)
