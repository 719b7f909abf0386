"""Edits of a live model by the real engine, with the real controllers and admission: what each may do to its pods."""

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from homeport import Stack, manifests
from tests.support import Cluster, Program, live_entry, running, write_program

NAMESPACE = "--namespace=edited"
FEATURES = {"cidr": "203.0.113.0/24", "port": 443, "reason": "features"}
MODEL: dict[str, Any] = {
    "name": "edited",
    "owner": "ds",
    "image": "registry.example.com/edited",
    "resources": {"cpu": "500m", "memory": "512Mi"},
    "scale": {"min": 3, "max": 3},
    "egress": [FEATURES],
    "weights": {"claim": "first"},
    "startup_seconds": 10,
}
TRIGGER = {"type": "prometheus", "metadata": {"query": "{model}", "threshold": "{target}"}}
OTHERS = {"others": {"group": "oidc:others", "models": ["edited"], "folder": "."}}
ENVIRONMENT: dict[str, Any] = {
    "cluster": {"identifier": "edits"},
    "keda": {"triggers": {"concurrency": TRIGGER}},
    "limits": {"cpu": 4, "memory": "4Gi", "replicas": 4},
    "claims": {"edited": {name: {"volume": f"edited-{name}"} for name in ("first", "second")}},
    "endpoint_seconds": 1,
}

Edit = tuple[dict[str, Any], dict[str, Any], bool]
"""Fields of the model, fields of the environment, and whether they are what the pods run."""

EDITS: dict[str, Edit] = {
    "a fixed number becomes a range": ({"scale": {"min": 2, "max": 4}}, {}, False),
    "less cpu than a quota of sizes would leave": ({"resources": {"cpu": "100m", "memory": "128Mi"}}, {}, True),
    "a network no more": ({"egress": []}, {}, False),
    "another port and a network": ({"port": 9000, "egress": [FEATURES]}, {}, True),
    "another owner, and its team": ({"owner": "others"}, {"teams": OTHERS}, False),
    "another volume": ({"weights": {"claim": "second"}}, {}, True),
    "no volume": ({"weights": None}, {}, True),
    "scaled by demand": ({"scale": {"min": 2, "max": 4, "target": {"concurrency": 3}}}, {}, False),
    "scaled by cpu, one replica": ({"scale": {"min": 1, "max": 1}}, {}, False),
    "higher ceilings": ({"resources": {"cpu": 2, "memory": "2Gi"}}, {"limits": {"cpu": 8, "memory": "8Gi"}}, True),
}
"""In this order, each after those before it."""


@dataclass
class Watched:
    """What the API server told of one kind of object while something happened."""

    ready: list[int] = field(default_factory=list)
    """Ready replicas of the Deployment, in their order."""
    gone: dict[str, int] = field(default_factory=dict)
    """Names of policies and pods that were deleted, with the resource version of their deletion, which orders all."""


@contextmanager
def watching(cluster: Cluster) -> Iterator[Watched]:
    found = Watched()

    def read(kind: str, shown: str, take: Any) -> tuple[subprocess.Popen[str], threading.Thread]:
        command = [
            "kubectl",
            "get",
            kind,
            NAMESPACE,
            "--watch",
            "--output-watch-events",
            f"--output=jsonpath={shown}{{'\\n'}}",
        ]
        watch = subprocess.Popen(command, env=cluster.variables, stdout=subprocess.PIPE, text=True)
        assert watch.stdout is not None
        lines = watch.stdout

        def follow() -> None:
            with lines:
                for line in lines:
                    take(*line.split())

        reader = threading.Thread(target=follow)
        reader.start()
        return watch, reader

    def replicas(_: str, ready: str = "0") -> None:
        found.ready.append(int(ready))

    def deleted(event: str, name: str, version: str) -> None:
        if event == "DELETED":
            found.gone[name] = int(version)

    named = "{.type} {.object.metadata.name} {.object.metadata.resourceVersion}"
    watches = [
        read("deployments", "{.type} {.object.status.readyReplicas}", replicas),
        read("networkpolicies", named, deleted),
        read("pods", named, deleted),
    ]
    try:
        yield found
    finally:
        for watch, reader in watches:
            watch.terminate()
            watch.wait()
            reader.join()


def write(folder: Path, model: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
    (folder / "model.yaml").write_text(json.dumps(model))
    (folder / "environment.yaml").write_text(json.dumps(environment))


@dataclass
class Live:
    """The model that is edited, as it is stated by now."""

    program: Program
    model: dict[str, Any] = field(default_factory=lambda: MODEL)
    environment: dict[str, Any] = field(default_factory=lambda: ENVIRONMENT)


@pytest.fixture(scope="module")
def live(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    scratch = tmp_path_factory.mktemp("edits")
    models = {"models": {"edited": live_entry("1")}}
    source = write_program(scratch / "source", "edits", model=MODEL, environment=ENVIRONMENT, models=models)
    for name in ("first", "second"):
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(volume(f"edited-{name}")))
    with running(cluster, source, scratch / "running") as program:
        program.up()
        yield Live(program)


def volume(name: str) -> dict[str, Any]:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany"], "hostPath": {"path": "/nowhere"}}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def pods(cluster: Cluster) -> set[str]:
    return {each["metadata"]["name"] for each in cluster.get("pods", NAMESPACE)["items"]}


def policies(objects: list[Any]) -> set[str]:
    return {each["metadata"]["name"] for each in objects if each["kind"] == "NetworkPolicy"}


@pytest.mark.parametrize("name", EDITS)
def test_edit_is_safe(cluster: Cluster, live: Live, name: str) -> None:
    of_model, of_environment, run = EDITS[name]
    before, least = pods(cluster), live.model["scale"]["min"]
    assert len(before) >= least  # else the last update ended too early
    live.model, live.environment = live.model | of_model, live.environment | of_environment
    write(live.program.folder, live.model, live.environment)
    with watching(cluster) as seen:
        live.program.up()
    (release,) = Stack.read(live.program.folder).releases
    wanted = manifests(release)
    assert cluster.differences(wanted) == []
    assert policies(cluster.get("networkpolicies", NAMESPACE)["items"]) == policies(wanted)
    assert min(seen.ready) >= min(least, live.model["scale"]["min"]), seen.ready
    assert before.isdisjoint(pods(cluster)) == run
    last = max((seen.gone[pod] for pod in before if run), default=0)
    assert [each for each in seen.gone if "gress-" in each and seen.gone[each] < last] == []


def test_after_all_edits_nothing_is_left_to_change(live: Live) -> None:
    live.program.expect_no_changes()
