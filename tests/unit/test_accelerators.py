"""The GPU catalogue against nodes as each place makes them: every kind is found, and nothing else."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from homeport import Environment, Model, Release, nodes, violations
from homeport.catalogue.clouds import CLOUDS, IDENTITIES, Cloud
from homeport.catalogue.gpus import AMD, MIG_PROFILES, NVIDIA, ExtendedResource, Row, Taint
from homeport.manifests.pod import pod_template
from homeport.specs.model import Gpu
from tests import nodes as world
from tests.nodes import Node

CLUSTER = {"identifier": "test"}
WORLD = world.places()
PLACES = [place for place in WORLD if place.name == place.environment["cloud"]]


def release(environment: Mapping[str, Any], gpu: Mapping[str, Any] | None) -> Release:
    fields = {"name": "iris", "owner": "ds", "image": "registry.example.com/iris", "resources": {"gpu": gpu}}
    here = Environment.model_validate({"cluster": CLUSTER, **environment})
    return Release(Model.model_validate(fields), here, "1", "registry.example.com/iris:1")


def pod(environment: Mapping[str, Any], gpu: Mapping[str, Any] | None) -> dict[str, Any]:
    found = release(environment, gpu)
    assert violations(found) == []
    spec: dict[str, Any] = pod_template(found)["spec"]
    return spec


def request(kind: str, part: str | None) -> dict[str, Any]:
    form = {} if part is None else {"shared": True} if part == "shared" else {"mig": part}
    return {"kinds": [kind], **form}


def mistakes(place: world.Place) -> Iterator[str]:
    """Nodes of a place or of foreign clouds on which a pod may stand and should not, or should and may not."""
    for kind, part, spot in place.demands():
        environment = {**place.environment, "spot": spot}
        try:
            spec = pod(environment, request(kind, part))
        except AssertionError:
            yield f"{place.name}: {kind} {part}: refused"
            continue
        for node in [*place.nodes, *place.foreign(WORLD)]:
            wanted = node in place.nodes and (node.kind, node.part, node.spot) == (kind, part, spot)
            if world.fits(spec, node) != wanted:
                yield f"{place.name}: {kind} {part}: {'not on' if wanted else 'on'} {node.name} {dict(node.labels)}"


@pytest.mark.parametrize("place", WORLD, ids=lambda place: place.name)
def test_every_kind_lands_on_its_nodes_and_on_no_other(place: world.Place) -> None:
    assert list(mistakes(place)) == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_the_nodes_of_the_tests_have_all_kinds_that_a_place_offers(place: world.Place) -> None:
    assert {kind for kind, part, _ in place.demands() if part is None} == set(CLOUDS[place.environment["cloud"]].gpus)


def test_every_cloud_has_nodes_in_the_tests() -> None:
    assert {place.name for place in PLACES} == set(CLOUDS) - {"generic"}


def test_every_row_has_its_source() -> None:
    sources = [row.source for cloud in CLOUDS.values() for row in cloud.gpus.values()]
    sources += [cloud.spot.source for cloud in CLOUDS.values() if cloud.spot]
    sources += [kind.source for kind in IDENTITIES.values()]
    assert all(re.search(r"\w+/[\w-]+:|https://", source) for source in sources)


# What would go unnoticed: each entry of the tables, taken away, must leave a mistake.


def less(values: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The mapping without each of its keys, and without each value of those that have several."""
    for key, found in values.items():
        yield key, {other: values[other] for other in values if other != key}
        if len(found) > 1:
            for value in found:
                yield f"{key}={value}", {**values, key: [each for each in found if each != value]}


def mutants(cloud: Cloud) -> Iterator[tuple[str, Cloud]]:
    for kind, row in cloud.gpus.items():
        yield kind, replace(cloud, gpus={other: cloud.gpus[other] for other in cloud.gpus if other != kind})
        changed: list[tuple[str, Row]] = [(key, replace(row, labels=labels)) for key, labels in less(row.labels)]
        changed.append(("resource", replace(row, resource=AMD if row.resource is NVIDIA else NVIDIA)))
        for name, mutant in changed:
            yield f"{kind} {name}", replace(cloud, gpus={**cloud.gpus, kind: mutant})
    for index, taint in enumerate(cloud.taints):
        yield taint.key, replace(cloud, taints=cloud.taints[:index] + cloud.taints[index + 1 :])
    for key, labels in less(cloud.whole):
        yield f"whole {key}", replace(cloud, whole=labels)
    if cloud.slice_label:
        yield "slice label", replace(cloud, slice_label=None)
    for key, _ in less(cloud.share_labels or {}):
        yield f"share {key}", replace(cloud, share_labels=None)
    if cloud.spot:
        yield "spot", replace(cloud, spot=None)
        for index, taint in enumerate(cloud.spot.taints):
            rest = cloud.spot.taints[:index] + cloud.spot.taints[index + 1 :]
            yield f"spot {taint.key}", replace(cloud, spot=replace(cloud.spot, taints=rest))


MUTANTS = [(name, what, mutant) for name, cloud in CLOUDS.items() for what, mutant in mutants(cloud)]


@pytest.mark.parametrize(("name", "what", "mutant"), MUTANTS, ids=[f"{name} {what}" for name, what, _ in MUTANTS])
def test_whatever_is_taken_from_the_catalogue_is_missed(
    monkeypatch: pytest.MonkeyPatch, name: str, what: str, mutant: Cloud
) -> None:
    monkeypatch.setattr(nodes, "CLOUDS", {**CLOUDS, name: mutant})
    places = [place for place in WORLD if place.environment["cloud"] == name]
    assert any(mistake for place in places for mistake in mistakes(place)), f"{name}: nobody misses {what}"


@pytest.mark.parametrize("resource", [NVIDIA, AMD], ids=lambda resource: resource.name)
def test_the_taint_of_a_resource_taken_from_the_catalogue_is_missed(
    monkeypatch: pytest.MonkeyPatch, resource: ExtendedResource
) -> None:
    other = replace(resource, taint=Taint("other"))

    def mutated(row: Row) -> Row:
        return replace(row, resource=other) if row.resource is resource else row

    clouds = {
        name: replace(cloud, gpus={kind: mutated(row) for kind, row in cloud.gpus.items()})
        for name, cloud in CLOUDS.items()
    }
    monkeypatch.setattr(nodes, "CLOUDS", clouds)
    missed = {place.name for place in PLACES if list(mistakes(place))}
    assert missed == ({"amd", "aks", "aks-nap"} if resource is AMD else {place.name for place in PLACES} - {"amd"})


def test_mig_profiles_are_those_of_nvidias_guide() -> None:
    assert MIG_PROFILES == {
        "a100-40gb": ("1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"),
        "a100-80gb": ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
        "h100": ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
        "h200": ("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"),
        "b200": ("1g.23gb", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb"),
    }


# What an environment cannot place is refused, and says what it can.

REFUSED = [
    (
        {"cloud": "gke"},
        {"kinds": ["a10g"]},
        'found "a10g", which no node of this environment is known to have, accepted: t4, l4, a100-40gb, a100-80gb, h100, h200, b200',
    ),
    (
        {"cloud": "amd"},
        {"kinds": ["t4"]},
        'found "t4", which no node of this environment is known to have, accepted: mi300x',
    ),
    (
        {"cloud": "generic"},
        {"kinds": ["t4"]},
        'found "t4", which no node of this environment is known to have, accepted: none',
    ),
    (
        {"cloud": "aks"},
        {"kinds": ["h100"], "mig": "1g.10gb"},
        'found "h100" in slices of 1g.10gb, which no node of this environment is known to have, accepted: none '
        "(as whole GPUs: t4, a100-40gb, a100-80gb, h100, h200, mi300x)",
    ),
    (
        {"cloud": "gke"},
        {"kinds": ["l4"], "mig": "1g.5gb"},
        'found "l4" in slices of 1g.5gb, which no node of this environment is known to have, accepted: a100-40gb '
        "(as whole GPUs: t4, l4, a100-40gb, a100-80gb, h100, h200, b200)",
    ),
    (
        {"cloud": "amd"},
        {"kinds": ["mi300x"], "shared": True},
        'found "mi300x" in time-sliced shares, which no node of this environment is known to have, accepted: none '
        "(as whole GPUs: mi300x)",
    ),
    (
        {"cloud": "aks"},
        {"kinds": ["h100", "mi300x"]},
        "found kinds of nvidia.com/gpu, amd.com/gpu, accepted: kinds of one resource, because a pod requests only one",
    ),
]


@pytest.mark.parametrize(("environment", "gpu", "message"), REFUSED)
def test_what_cannot_be_placed_is_refused_with_what_can(
    environment: dict[str, Any], gpu: dict[str, Any], message: str
) -> None:
    assert [violation.message for violation in violations(release(environment, gpu))] == [message]


def test_kinds_are_alternatives_of_which_those_offered_count() -> None:
    found = release({"cloud": "gke"}, {"kinds": ["a10g", "l4", "mi300x"]})
    assert violations(found) == []
    assert list(found.gpu_nodes) == ["l4"]


def test_kind_that_nobody_knows_is_an_error_beside_one_that_is_offered() -> None:
    (violation,) = violations(release({"cloud": "gke"}, {"kinds": ["l4", "l5"]}))
    assert violation.field[-1] == 1
    assert violation.message.startswith('found "l5", which is not a known kind of GPU, accepted: a100-40gb, ')


def test_kind_that_is_offered_but_not_allowed_does_not_count() -> None:
    limited = {"cloud": "eks-auto", "limits": {"gpu_kinds": ["t4"]}}
    assert list(release(limited, {"kinds": ["l4", "t4"]}).gpu_nodes) == ["t4"]
    (violation,) = violations(release(limited, {"kinds": ["l4"]}))
    assert violation.message == 'found "l4", accepted: t4 (limits.gpu_kinds)'


# The environment's own rows.

OWN = {"labels": {"gpu": ["little"]}, "tolerations": [{"key": "gpu"}], "resource": "example.com/gpu"}


def test_an_environment_adds_a_kind() -> None:
    added = nodes.offered(release({"cloud": "gke", "accelerators": {"little": OWN}}, None).environment)["little"]
    assert (added.labels, added.resource) == ({"gpu": ["little"]}, "example.com/gpu")
    assert [taint.key for taint in added.taints] == ["gpu"]


def test_an_environment_overrides_a_kind() -> None:
    spec = pod({"cloud": "gke", "accelerators": {"l4": OWN}}, {"kinds": ["l4"]})
    mine = Node("mine", {"gpu": "little"}, (("gpu", "", "NoSchedule"),), "example.com/gpu", "l4", None, spot=False)
    assert world.fits(spec, mine)
    assert not any(world.fits(spec, node) for node in world.place("gke").nodes)


def test_a_row_of_ones_own_is_cut_into_slices_by_its_product() -> None:
    own = {"labels": {"nvidia.com/gpu.product": ["NVIDIA-A30"]}}
    environment = release({"cloud": "generic", "accelerators": {"a30": own}}, None).environment
    sliced = nodes.offered(environment, Gpu(kinds=["a30"], mig="1g.6gb"))["a30"]
    assert sliced.labels == {"nvidia.com/gpu.product": ["NVIDIA-A30-MIG-1g.6gb"]}


# What people may write.

WRONG_GPUS = [
    ({"kinds": ["t4"], "mig": "1g.10gb", "shared": True}, "`mig` or `shared`, not both"),
    ({"kinds": ["t4"], "shared": True, "count": 2}, "a `count` of 1 with `shared`"),
    ({"kinds": ["t4", "t4"]}, "each kind once"),
    ({"kinds": ["t4"], "mig": "1g.10"}, "String should match pattern"),
    ({"kinds": ["t4"], "mig": "8g.10gb"}, "String should match pattern"),
]


@pytest.mark.parametrize(("gpu", "message"), WRONG_GPUS)
def test_a_gpu_that_is_none_is_refused(gpu: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Gpu.model_validate(gpu)
    assert message in str(error.value)


WRONG_ENVIRONMENTS = [
    (
        {"cloud": "gke", "gpu": {"discovery": True}},
        "only `tolerations` and `user_namespaces` on gke, whose own labels identify its GPUs",
    ),
    (
        {"cloud": "amd", "gpu": {"mig_strategy": "mixed"}},
        "only `tolerations` and `user_namespaces` on amd, whose own labels identify its GPUs",
    ),
    ({"cloud": "nvidia", "spot": True}, "false on nvidia, whose nodes have no label for spot capacity"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG_ENVIRONMENTS)
def test_what_a_cloud_cannot_tell_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        release(fields, None)
    assert message in str(error.value)


@pytest.mark.parametrize("cloud", [name for name, cloud in CLOUDS.items() if cloud.spot is None])
def test_spot_is_refused_where_no_label_tells_it(cloud: str) -> None:
    with pytest.raises(ValidationError, match="spot"):
        release({"cloud": cloud, "spot": True}, None)
