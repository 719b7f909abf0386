"""The digest of a model: of what it means, so that neither other words for it nor a later homeport restart its pods."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import Field
from ruamel.yaml import YAML

from homeport import Model, Release
from homeport.manifests import manifests
from homeport.specs.model import Egress, Gpu, Resources
from tests.audit.examples import examples

EXAMPLES = examples()

MINIMAL = """\
name: iris
owner: data-science
image: registry.example.com/iris
"""


def digest(text: str) -> str:
    return Model.model_validate(YAML(typ="safe").load(MINIMAL + text)).digest


class LaterGpu(Gpu):
    topology: str | None = None


class LaterResources(Resources):
    hugepages: str = "0"
    gpu: LaterGpu | None = None


class LaterEgress(Egress):
    encrypted: bool = True


class LaterModel(Model):
    """As a later homeport may know it: with more optional fields, at the top, in parts, and in parts of lists."""

    priority: int = 5
    resources: LaterResources = LaterResources()
    egress: list[LaterEgress] = Field(default=[])  # type: ignore[assignment]  # fields are only read


def _later(model: Model) -> Model:
    return LaterModel.model_validate(model.model_dump(exclude_unset=True))


@pytest.mark.parametrize(("name", "releases"), EXAMPLES.items(), ids=list(EXAMPLES))
def test_field_of_a_later_homeport_changes_no_object(name: str, releases: Sequence[Release]) -> None:
    assert releases, name
    for release in releases:
        later = replace(release, model=_later(release.model), peers=[_later(peer) for peer in release.peers])
        assert later.model.model_dump() != release.model.model_dump()
        assert manifests(later) == manifests(release)


def test_later_field_counts_when_it_is_stated() -> None:
    stated: dict[str, Any] = YAML(typ="safe").load(MINIMAL)
    plain = LaterModel.model_validate(stated)
    for field in ({"priority": 6}, {"resources": {"hugepages": "1"}}):
        assert LaterModel.model_validate(stated | field).digest != plain.digest


@pytest.mark.parametrize(("name", "releases"), EXAMPLES.items(), ids=list(EXAMPLES))
def test_defaults_may_be_written_out(name: str, releases: Sequence[Release]) -> None:
    """Every one, at every depth."""
    for model in (release.model for release in releases):
        without = {"protocol"} if model.server else set()  # which only models without a server may state
        written_out = Model.model_validate(model.model_dump(exclude=without))
        assert written_out.model_fields_set > model.model_fields_set, name
        assert written_out.digest == model.digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("resources: {cpu: 2000m}", "# a comment\nresources:\n  cpu: 2"),
        ("resources: {memory: 1024Mi}", "resources: {memory: 1Gi}"),
        ("env: {A: x, B: y}", "env: {B: y, A: x}"),
        ("calls: []\nresources: {}\nscale: {target: {}}", ""),
        ("port: 8080", ""),
        ("health: {live: /v2/health/live, ready: /v2/health/ready}", ""),
        ("metrics: {port: 8082, path: /metrics}", ""),
        ("scale: {target: {cpu: 70}}", ""),
        ("server: vllm\nport: 8000\nenv: {USER: model}", "server: vllm"),
    ],
)
def test_other_words_for_the_same_are_the_same(one: str, other: str) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("resources: {cpu: 2}", ""),
        ("resources: {cpu: 2}", "resources: {cpu: 3}"),
        ("resources: {gpu: {kinds: [l4, t4]}}", "resources: {gpu: {kinds: [t4, l4]}}"),
        ("args: [a, b]", "args: [b, a]"),
        ("scale: {target: {cpu: 70, memory: 80}}", "scale: {target: {memory: 80}}"),
        ("scale: {target: {cpu: 70}}", "scale: {target: {cpu: 60}}"),
        ("scale: {min: 0}", ""),
        ("server: vllm", "server: triton"),
        ("port: 8081", ""),
    ],
)
def test_what_means_something_else_differs(one: str, other: str) -> None:
    assert digest(one) != digest(other)
