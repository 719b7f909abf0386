"""Users of a pod on a real node: where the environment says that the cluster can, the node does not know them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport import Release, manifests
from tests.cluster.probes import Probes, model, releases
from tests.cluster.scene import processes
from tests.support import Cluster

(OWN,) = releases([model("epsilon")], cluster={"identifier": "test", "version": "1.36"})
(SHARED,) = releases([model("zeta")])


@pytest.fixture(scope="module")
def standing(probes: Probes) -> Iterator[None]:
    with probes.standing([*manifests(OWN), *manifests(SHARED)]):
        yield


def users(cluster: Cluster, release: Release) -> list[int]:
    """Of the model's process, as the node sees it: the first user in it, the first on the node, and how many."""
    (pod,) = cluster.get("pods", f"--namespace={release.namespace}")["items"]
    (process,) = processes(pod)
    return [int(number) for number in Path(f"/proc/{process}/uid_map").read_text().split()]


@pytest.mark.usefixtures("standing")
def test_a_pod_has_users_of_its_own_and_another_those_of_the_node(cluster: Cluster) -> None:
    first, on_node, count = users(cluster, OWN)
    assert (first, count) == (0, 65536)
    assert on_node >= 65536
    assert users(cluster, SHARED)[:2] == [0, 0]
