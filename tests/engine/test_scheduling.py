"""The real scheduler, before nodes as each place makes them: a model lands on the right node and on no decoy."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release
from homeport.manifests import manifests
from tests import nodes as world
from tests.nodes import Node, Place
from tests.support import Cluster

MODEL_FILE = Path(__file__).parents[2] / "examples" / "portability" / "model.yaml"
WORLD = world.places()
WITH_MODEL_FILE = [place for place in WORLD if place.name == place.environment["cloud"] and place.name != "amd"]
"""The places that have the kinds that the model file asks for."""


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[Callable[[list[Node]], None]]:
    """Makes nodes that are gone after the test."""
    made: list[str] = []

    def make(wanted: list[Node]) -> None:
        made.extend(node.name for node in wanted)
        create(cluster, [kubernetes_node(node) for node in wanted])

    yield make
    cluster.kubectl("delete", "node", "--wait=false", *made)


@pytest.fixture
def deploy(cluster: Cluster) -> Iterator[Callable[[Release], None]]:
    """Applies the manifests of releases, whose namespaces are gone after the test."""
    namespaces: list[str] = []

    def apply(release: Release) -> None:
        assert release.violations() == []
        namespaces.append(release.namespace)
        create(cluster, manifests(release))

    yield apply
    cluster.kubectl("delete", "namespace", "--timeout=120s", *namespaces)


@pytest.mark.parametrize("place", WITH_MODEL_FILE, ids=lambda place: place.name)
def test_one_model_file_lands_on_the_right_node_of_every_place(
    cluster: Cluster, nodes: Callable[[list[Node]], None], deploy: Callable[[Release], None], place: Place
) -> None:
    right = [node for node in place.nodes if (node.kind, node.part, node.spot) == ("h100", None, False)]
    second = [node for node in place.nodes if (node.kind, node.part, node.spot) == ("a100-80gb", None, False)]
    others = [node for node in place.nodes if node not in [*right, *second]]
    release = release_of(Model.load(MODEL_FILE), place, spot=False)
    nodes([*others, *place.foreign(WORLD)])
    deploy(release)
    # Before decoys alone the pod waits: each was considered, and none will do.
    assert reason(cluster, release) == "Unschedulable"
    nodes([*right, *second])
    assert node_of(cluster, release) in {node.name for node in right}


@pytest.mark.parametrize("place", WORLD, ids=lambda place: place.name)
def test_every_kind_slice_and_share_lands_on_its_node(
    cluster: Cluster, nodes: Callable[[list[Node]], None], deploy: Callable[[Release], None], place: Place
) -> None:
    nodes([*place.nodes, *place.foreign(WORLD)])
    wanted: dict[str, set[str]] = {}
    releases = []
    for kind, part, spot in sorted({(node.kind or "", node.part, node.spot) for node in place.nodes}, key=str):
        if not kind or (part and not place.parts) or part in {"mps", "shared slice"}:
            continue
        releases.append(release_of(model(kind, part, spot=spot), place, spot=spot))
        deploy(releases[-1])
        wanted[releases[-1].model.name] = {
            node.name for node in place.nodes if (node.kind, node.part, node.spot) == (kind, part, spot)
        }
    found = {release.model.name: node_of(cluster, release) for release in releases}
    assert {name: node for name, node in found.items() if node not in wanted[name]} == {}


def model(kind: str, part: str | None, *, spot: bool) -> Model:
    form = {} if part is None else {"shared": True} if part == "shared" else {"mig": part}
    name = re.sub("[^a-z0-9]+", "-", f"gpu-{kind}-{part or 'whole'}{'-spot' if spot else ''}")
    fields = {"name": name, "owner": "ds", "image": "registry.example.com/ds/model", "scale": {"min": 1, "max": 1}}
    return Model.model_validate({**fields, "resources": {"gpu": {"kinds": [kind], **form}}})


def release_of(model: Model, place: Place, *, spot: bool) -> Release:
    environment = {"cluster": {"identifier": "test"}, **place.environment, "spot": spot}
    return Release(model, Environment.model_validate(environment), "1", f"{model.image}:1")


def kubernetes_node(node: Node) -> dict[str, Any]:
    size = {"cpu": "128", "memory": "2Ti", "ephemeral-storage": "1Ti", "pods": "110"}
    if node.resource:
        size[node.resource] = "8"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": {"kubernetes.io/hostname": node.name, **node.labels},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"taints": [{"key": key, "value": value, "effect": effect} for key, value, effect in node.taints]},
        "status": {"allocatable": size, "capacity": size},
    }


def create(cluster: Cluster, objects: list[dict[str, Any]]) -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": objects}
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(items))


def reason(cluster: Cluster, release: Release) -> str | None:
    """Why the pod of a release has no node yet."""

    def why(pod: Mapping[str, Any]) -> str | None:
        conditions = pod["status"].get("conditions", [])
        return next((each.get("reason") for each in conditions if each["type"] == "PodScheduled"), None)

    return until(cluster, release, why)


def node_of(cluster: Cluster, release: Release) -> str | None:
    """The node that the scheduler chose for the pod of a release."""
    return until(cluster, release, lambda pod: pod["spec"].get("nodeName"))


def until(cluster: Cluster, release: Release, ask: Callable[[Mapping[str, Any]], str | None]) -> str | None:
    """The first answer about the pod of a release; None after a minute without."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pod in cluster.get("pods", f"--namespace={release.namespace}")["items"]:
            if answer := ask(pod):
                return answer
        time.sleep(0.2)
    return None
