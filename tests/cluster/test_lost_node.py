"""A node falls silent: its pods get no more requests, others take their place, and other models see nothing."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests
from sandbox import Sandbox
from tests.cluster.load import NO_FAILURE, Row, loads
from tests.cluster.scene import ENVIRONMENT, IMAGES, MODEL, REPOSITORY, import_servers, ready
from tests.cluster.second_node import NAME, SecondNode, second_node
from tests.support import PATIENTLY, Cluster, until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shown")]

SPREAD, BESIDE = "spread", "beside"
"""A model with a replica on each node, and one that is on the first node alone."""


@pytest.fixture
def second(sandbox: Sandbox, cluster: Cluster, tmp_path: Path) -> Iterator[SecondNode]:
    with second_node(sandbox, cluster, tmp_path) as node:
        yield node
    cluster.kubectl("delete", "pods", "--all", f"--namespace={SPREAD}", "--force", "--grace-period=0")
    cluster.kubectl("delete", "namespace", SPREAD, BESIDE, PATIENTLY)


def objects(name: str, size: str) -> list[dict[str, Any]]:
    model = Model.model_validate(MODEL | {"name": name, "resources": {"cpu": size, "memory": "64Mi", "tmp": "16Mi"}})
    environment = Environment.model_validate(ENVIRONMENT | {"gateway": None})
    return manifests(Release(model, environment, "1", f"{REPOSITORY}:1"))


def deploy(cluster: Cluster, name: str) -> None:
    stream = "".join(f"---\n{json.dumps(each)}\n" for each in objects(name, "100m"))
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=stream)
    cluster.kubectl("rollout", "status", f"deployment/{name}", f"--namespace={name}", PATIENTLY)


def places(cluster: Cluster, name: str) -> dict[str, str]:
    """Node of each pod that takes requests."""
    found = cluster.get("pods", f"--namespace={name}")["items"]
    return {each["metadata"]["uid"]: each["spec"]["nodeName"] for each in found if ready(each)}


def test_silent_node_is_left_without_a_failed_request(
    sandbox: Sandbox, cluster: Cluster, second: SecondNode, report: list[Row], tmp_path: Path
) -> None:
    import_servers(sandbox, tmp_path)
    cluster.kubectl("cordon", NAME)
    deploy(cluster, BESIDE)
    cluster.kubectl("uncordon", NAME)
    second.import_image(tmp_path / f"{next(iter(IMAGES))}.tar")
    deploy(cluster, SPREAD)
    assert set(places(cluster, SPREAD).values()) == {sandbox.node, NAME}
    others = places(cluster, BESIDE)
    addresses = [
        str(cluster.get(f"service/{name}", f"--namespace={name}")["spec"]["clusterIP"]) for name in (SPREAD, BESIDE)
    ]
    with (
        loads(sandbox, tmp_path / SPREAD, addresses[0]) as ours,
        loads(sandbox, tmp_path / BESIDE, addresses[1]) as theirs,
    ):
        begun = time.monotonic()
        second.stop_kubelet()
        # Kubernetes takes 50 seconds to miss a node, and our pods wait 30 more for it.
        until(lambda: list(places(cluster, SPREAD).values()) == [sandbox.node] * 2)
        seconds = time.monotonic() - begun
    rows = [
        Row(f"a node's kubelet stops{who}", seconds, found) for who, found in (("", ours), (", another model", theirs))
    ]
    report += rows
    assert [row.failed for row in rows] == [NO_FAILURE] * 2
    assert places(cluster, BESIDE) == others
