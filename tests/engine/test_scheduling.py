"""The real scheduler, before nodes as each place makes them: a model lands on the right node and on no decoy."""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, violations
from homeport.manifests import manifests
from tests import nodes as world
from tests.nodes import Node, Place
from tests.support import PATIENTLY, Cluster, until

MODEL_FILE = Path(__file__).parents[2] / "examples" / "portability" / "model.yaml"
WORLD = world.places()
WITH_MODEL_FILE = [place for place in WORLD if place.name == place.environment["cloud"] and place.name != "amd"]
"""The places that have the kinds that the model file asks for."""


LABEL = "homeport-test"
DECISIVE = {"Namespace", "ResourceQuota", "LimitRange", "ServiceAccount", "Deployment"}
"""Kinds that decide whether there is a pod and where; the others are costly, and the other tests create them."""
_COUNT = {"query": 'requests{model="{model}"}', "threshold": "{target}"}
KEDA = {"triggers": {"concurrency": {"type": "prometheus", "metadata": _COUNT}}}
"""What the model file is scaled by, in every place."""


@pytest.fixture(scope="module")
def nodes(cluster: Cluster) -> Iterator[Callable[[list[Node]], None]]:
    """Opens just some nodes for new pods. All of all places are made once: that is what takes long."""
    create(cluster, [kubernetes_node(node) for place in WORLD for node in place.nodes])
    until(lambda: all(map(ready, labelled(cluster))))
    opened: set[str] = set()

    def only(wanted: list[Node]) -> None:
        names = {node.name for node in wanted}
        for unschedulable, changed in ((True, opened - names), (False, names - opened)):
            if changed:  # no `kubectl cordon`, which gives up when the taint is being written
                patch = json.dumps({"spec": {"unschedulable": unschedulable}})
                cluster.kubectl("patch", "node", *sorted(changed), f"--patch={patch}")
        opened.clear()
        opened.update(names)
        until(lambda: {each["metadata"]["name"] for each in labelled(cluster) if not closed(each)} == names)

    yield only
    cluster.kubectl("delete", f"--raw=/api/v1/nodes?labelSelector={LABEL}")  # all at once, not one by one


@pytest.fixture
def deploy(cluster: Cluster) -> Iterator[Callable[..., None]]:
    """Applies the manifests of releases, whose pods go after the test. To delete the namespaces too would take a minute."""
    deployments: list[dict[str, Any]] = []

    def apply(*releases: Release) -> None:
        assert [violation for release in releases for violation in violations(release)] == []
        made = [each for release in releases for each in manifests(release) if each["kind"] in DECISIVE]
        deployments.extend(each for each in made if each["kind"] == "Deployment")
        create(cluster, made)

    yield apply
    items = {"apiVersion": "v1", "kind": "List", "items": deployments}
    cluster.kubectl("delete", "--wait=false", "--filename=-", stdin=json.dumps(items))


@pytest.mark.parametrize("place", WITH_MODEL_FILE, ids=lambda place: place.name)
def test_one_model_file_lands_on_the_right_node_of_every_place(
    cluster: Cluster, nodes: Callable[[list[Node]], None], deploy: Callable[..., None], place: Place
) -> None:
    right = [node for node in place.nodes if (node.kind, node.part, node.spot) == ("h100", None, False)]
    second = [node for node in place.nodes if (node.kind, node.part, node.spot) == ("a100-80gb", None, False)]
    decoys = [*place.foreign(WORLD), *(node for node in place.nodes if node not in [*right, *second])]
    first, next_ = (release_of(Model.load(MODEL_FILE), place, spot=False) for _ in range(2))
    nodes(decoys)
    deploy(first)
    # Before decoys alone the pod waits: each was considered, and none will do.
    others = sum(each["spec"].get("unschedulable", False) for each in cluster.get("nodes")["items"])
    until(lambda: f" {others} node(s) were unschedulable" in (waiting(cluster, first) or ""))
    nodes([*decoys, *right])
    assert until(lambda: nodes_of(cluster, [first]))[first.model.name] in {node.name for node in right}
    # The first kind of the model file is preferred where the second is there too.
    nodes([*decoys, *right, *second])
    deploy(next_)
    assert until(lambda: nodes_of(cluster, [next_]))[next_.model.name] in {node.name for node in right}


@pytest.mark.parametrize("place", WORLD, ids=lambda place: place.name)
def test_every_kind_slice_and_share_lands_on_its_node(
    cluster: Cluster, nodes: Callable[[list[Node]], None], deploy: Callable[..., None], place: Place
) -> None:
    nodes([*place.nodes, *place.foreign(WORLD)])
    wanted: dict[str, set[str]] = {}
    releases = []
    for kind, part, spot in place.demands():
        releases.append(release_of(model(kind, part, spot=spot), place, spot=spot))
        wanted[releases[-1].model.name] = {
            node.name for node in place.nodes if (node.kind, node.part, node.spot) == (kind, part, spot)
        }
    deploy(*releases)
    found = until(lambda: nodes_of(cluster, releases))
    assert {name: node for name, node in found.items() if node not in wanted[name]} == {}


def test_where_no_gpu_is_spare_an_update_waits_for_ever_unless_it_may_take_one_first(
    cluster: Cluster, nodes: Callable[[list[Node]], None], deploy: Callable[..., None]
) -> None:
    place = world.place("gke")
    nodes([next(node for node in place.nodes if (node.kind, node.part, node.spot) == ("l4", None, False))])
    old = release_of(model("l4", None, spot=False, count=8), place, spot=False)  # all that the node has
    deploy(old)
    status = ("rollout", "status", f"deployment/{old.model.name}", f"--namespace={old.namespace}", PATIENTLY)
    cluster.kubectl(*status)
    new = replace(old, version="2", image=f"{old.model.image}:2")
    create(cluster, manifests(new))
    assert until(lambda: placed(cluster, new) == {"1": True, "2": False})
    said = {**old.environment.model_dump(exclude_unset=True), "relax": {"gpu_downtime": "all GPUs are in use"}}
    create(cluster, manifests(replace(new, environment=Environment.model_validate(said))))
    cluster.kubectl(*status)
    assert until(lambda: placed(cluster, new) == {"2": True})


def placed(cluster: Cluster, release: Release) -> dict[str, bool]:
    """Version -> whether its pod has a node."""
    version = "app.kubernetes.io/version"
    return {pod["metadata"]["labels"][version]: "nodeName" in pod["spec"] for pod in pods(cluster, release)}


def model(kind: str, part: str | None, *, spot: bool, count: int = 1) -> Model:
    form = {} if part is None else {"shared": True} if part == "shared" else {"mig": part}
    name = re.sub("[^a-z0-9]+", "-", f"gpu-{kind}-{part or 'whole'}{'-spot' if spot else ''}")
    fields = {"name": name, "owner": "ds", "image": "registry.example.com/ds/model", "scale": {"min": 1, "max": 1}}
    return Model.model_validate({**fields, "resources": {"gpu": {"kinds": [kind], "count": count, **form}}})


def release_of(model: Model, place: Place, *, spot: bool) -> Release:
    # A namespace of its own for each test, so that none has to wait until another's is gone.
    namespace = f"{{model}}-{uuid.uuid4().hex[:8]}"
    environment = {
        "cluster": {"identifier": "test"},
        "namespace": namespace,
        "keda": KEDA,
        **place.environment,
        "spot": spot,
    }
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
            "labels": {LABEL: "scheduling", "kubernetes.io/hostname": node.name, **node.labels},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {
            "unschedulable": True,
            "taints": [{"key": key, "value": value, "effect": effect} for key, value, effect in node.taints],
        },
        "status": {"allocatable": size, "capacity": size},
    }


def create(cluster: Cluster, objects: list[dict[str, Any]]) -> None:
    for each in objects:
        if each["kind"] != "Node":  # the next module on this cluster counts what homeport made
            each["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "tests"
    items = {"apiVersion": "v1", "kind": "List", "items": objects}
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(items))


def labelled(cluster: Cluster) -> list[Any]:
    items: list[Any] = cluster.get("nodes", f"--selector={LABEL}")["items"]
    return items


def ready(node: Mapping[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def closed(node: Mapping[str, Any]) -> bool:
    """Whether no new pod may come: it was cordoned, or its taint is not gone yet."""
    return any(each["key"] == "node.kubernetes.io/unschedulable" for each in node["spec"].get("taints", []))


def pods(cluster: Cluster, release: Release) -> Iterator[Mapping[str, Any]]:
    yield from cluster.get("pods", f"--namespace={release.namespace}")["items"]


def waiting(cluster: Cluster, release: Release) -> str | None:
    """Why the pod of a release has no node yet."""
    conditions = [each for pod in pods(cluster, release) for each in pod["status"].get("conditions", [])]
    return next((each.get("message") for each in conditions if each["type"] == "PodScheduled"), None)


def nodes_of(cluster: Cluster, releases: list[Release]) -> dict[str, str]:
    """Model -> the node that the scheduler chose for its pod; empty until each has one."""
    pods = cluster.get("pods", "--all-namespaces")["items"]
    chosen = {pod["metadata"]["namespace"]: pod["spec"].get("nodeName", "") for pod in pods}
    found = {each.model.name: chosen.get(each.namespace, "") for each in releases}
    return found if all(found.values()) else {}
