"""Models that KEDA scales, by the real engine on a real API server that knows KEDA's kinds; what KEDA does to a
Deployment is done by hand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, Stack, manifests
from tests.support import Cluster, Program, live_entry, running, write_program

MODEL = {"name": "demanded", "owner": "ds", "image": "registry.example.com/demanded"}
GATEWAY = {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com"}
ENVIRONMENT = {
    "cluster": {"identifier": "scaled-objects"},
    "gateway": GATEWAY,
    "keda": {
        "triggers": {
            "requests_per_second": {
                "type": "prometheus",
                "metadata": {
                    "serverAddress": "http://prometheus.monitoring:9090",
                    "query": 'sum(rate(requests_total{service="{namespace}-{instance}"}[1m]))',
                    "threshold": "{target}",
                },
                "from_zero": True,
            },
            "queue_length": {
                "type": "aws-sqs-queue",
                "metadata": {"queueURL": "https://sqs.example.com/{model}", "queueLength": "{target}"},
                "authentication": "sqs",
                "from_zero": True,
            },
        }
    },
}
CREDENTIALS = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ClusterTriggerAuthentication",
    "metadata": {"name": "sqs"},
    "spec": {"podIdentity": {"provider": "aws"}},
}
KINDS = "deployments,horizontalpodautoscalers,scaledobjects"
NAMESPACE = "--namespace=demanded"
BOTH = {"min": 0, "max": 4, "target": {"cpu": 60, "requests_per_second": 50, "queue_length": 20}}


def write(folder: Path, version: str, scale: dict[str, Any] = BOTH, canary: str = "") -> None:
    (folder / "model.yaml").write_text(json.dumps(MODEL | {"scale": scale}))
    (folder / "models.yaml").write_text(json.dumps({"models": {"demanded": live_entry(version, canary, 10)}}))


@pytest.fixture
def program(cluster: Cluster, tmp_path: Path) -> Iterator[Program]:
    source = write_program(tmp_path / "source", "scaled-objects", environment=ENVIRONMENT)
    write(source, "1")
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(CREDENTIALS))
    with running(cluster, source, tmp_path / "running") as program:
        yield program


def wanted(program: Program) -> list[Any]:
    (release,) = Stack.read(program.folder).releases
    return manifests(release)


def deployed(cluster: Cluster, program: Program) -> set[tuple[str, str]]:
    """Deploys what is written, and tells what scales and what is scaled, having seen that it is as it is written."""
    program.up()
    assert cluster.differences(wanted(program)) == []
    return {(each["kind"], each["metadata"]["name"]) for each in cluster.get(KINDS, NAMESPACE)["items"]}


def scaled(cluster: Cluster, program: Program, replicas: int) -> None:
    """What KEDA does, for none, and its autoscaler for more."""
    cluster.kubectl("scale", "deployment/demanded", f"--replicas={replicas}", NAMESPACE)
    cluster.kubectl("rollout", "status", "deployment/demanded", NAMESPACE, "--timeout=60s")
    program.expect_no_changes("--refresh")


DEPLOYMENT = ("Deployment", "demanded")


def test_no_update_resets_what_keda_decided(cluster: Cluster, program: Program) -> None:
    def live() -> Any:
        return cluster.get("deployment/demanded", NAMESPACE)

    write(program.folder, "1", {"max": 4})
    assert deployed(cluster, program) == {DEPLOYMENT, ("HorizontalPodAutoscaler", "demanded")}
    before = live()["metadata"]["uid"]
    # Over to KEDA, which takes the last replica away. An update then waits for none.
    write(program.folder, "1")
    assert deployed(cluster, program) == {DEPLOYMENT, ("ScaledObject", "demanded")}
    scaled(cluster, program, 0)
    write(program.folder, "2", canary="3")
    assert deployed(cluster, program) == {
        (kind, name) for kind in ("Deployment", "ScaledObject") for name in ("demanded", "demanded-canary")
    }
    assert live()["spec"]["replicas"] == 0
    # Back to Kubernetes' own autoscaler, with the replicas that KEDA decided on, and in the same Deployment.
    scaled(cluster, program, 3)
    write(program.folder, "3", {"max": 4})
    assert deployed(cluster, program) == {DEPLOYMENT, ("HorizontalPodAutoscaler", "demanded")}
    assert live()["spec"]["replicas"] == 3
    assert live()["metadata"]["uid"] == before


BROKEN: dict[str, tuple[Any, str]] = {
    "a number that is text": (lambda spec: spec.update(minReplicaCount="none"), "minReplicaCount"),
    "no trigger": (lambda spec: spec.pop("triggers"), "spec.triggers: Required value"),
    "a trigger of no type": (lambda spec: spec["triggers"][0].pop("type"), "spec.triggers[0].type: Required value"),
    "a setting that is a number": (
        lambda spec: spec["triggers"][0]["metadata"].update(value=60),
        "spec.triggers[0].metadata.value",
    ),
    "a field that KEDA does not know": (lambda spec: spec.update(coolDown=1), 'unknown field "spec.coolDown"'),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_scaled_object_is_refused(cluster: Cluster, broken: str) -> None:
    release = Release(
        Model.model_validate(MODEL | {"scale": BOTH}),
        Environment.model_validate(ENVIRONMENT),
        version="1",
        image="registry.example.com/demanded:1",
    )
    (whole,) = (each for each in manifests(release) if each["kind"] == "ScaledObject")
    whole["metadata"]["namespace"] = "default"
    create = ("create", "--dry-run=server", "--validate=strict", "--filename=-")
    cluster.kubectl(*create, stdin=json.dumps(whole))
    change, message = BROKEN[broken]
    change(whole["spec"])
    with pytest.raises(AssertionError) as refused:
        cluster.kubectl(*create, stdin=json.dumps(whole))
    assert message in str(refused.value)
