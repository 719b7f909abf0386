"""examples/portability: what differs between places, and that nothing else does."""

import pytest

from examples.portability import compare
from homeport import Environment, Model, Release
from homeport.manifests.pod import pod_template
from tests import nodes as world

NODES = {"eks": "eks-karpenter", "gke": "gke", "aks": "aks", "on-prem": "nvidia"}


def test_only_the_clusters_name_placement_identity_routing_and_scaling_differ() -> None:
    assert {compare.concern(field) for field in compare.differences()} == {
        "the cluster's name",
        "placement",
        "identity",
        "routing",
        "scaling",
    }


def test_every_allowed_difference_is_one() -> None:
    found = list(compare.differences())
    assert [prefix for prefix in compare.CONCERNS if not any(field.startswith(prefix) for field in found)] == []


def test_a_difference_without_a_concern_is_a_mistake() -> None:
    with pytest.raises(LookupError):
        compare.concern("Deployment spec.replicas")


def test_identity_opens_addresses_only() -> None:
    rules = compare.differences()["NetworkPolicy summarizer-egress spec.egress"]
    assert all(set(peer) == {"ipBlock"} for found in rules.values() for rule in found for peer in rule["to"])


@pytest.mark.parametrize("name", compare.PLACES)
def test_the_model_file_finds_its_nodes_everywhere(name: str) -> None:
    environment = Environment.load(compare.HERE / "environments" / f"{name}.yaml")
    release = Release(Model.load(compare.HERE / "model.yaml"), environment, "1", "registry.example.com/summarizer:1")
    pod = pod_template(release)["spec"]
    place = world.place(NODES[name])
    fitting = {(node.kind, node.part, node.spot) for node in place.nodes if world.fits(pod, node)}
    assert fitting == {("h100", None, False), ("a100-80gb", None, False)}
    assert not any(world.fits(pod, node) for node in place.foreign(world.places()))
