"""The component's boundary; what it deploys is tested against a real engine."""

import re
import subprocess
import sys
from typing import Any, cast

import pytest
from pulumi.provider.experimental.analyzer import Analyzer, PropertyType

from homeport import ModelServiceArgs, SpecError, manifests
from homeport.components.guard import Guard
from homeport.components.model_image import ModelImage
from homeport.components.model_service import ModelService, release_of
from homeport.components.objects import RESOURCES
from homeport.components.rollouts import logs_command

MODEL = {"name": "iris", "owner": "ds", "image": "registry.example.com/iris"}
ENVIRONMENT = {"cluster": {"identifier": "prod"}}


def args(**changed: Any) -> ModelServiceArgs:
    given: Any = {"model": MODEL, "environment": ENVIRONMENT, "version": "1"}
    return cast("ModelServiceArgs", given | changed)


def test_mappings_become_specs() -> None:
    release = release_of("home", args())
    assert (release.model.name, release.image) == ("iris", "registry.example.com/iris:1")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": MODEL | {"cpu": 1}}, "home.model.cpu: unknown field, accepted: name, owner, "),
        ({"environment": {}}, "home.environment.cluster: missing, required: The cluster."),
        ({"version": "a/b"}, 'home.version: found "a/b", accepted: at most 63 letters, digits, `_`, `.` and `-`'),
        ({"peers": [{}]}, "home.peers[0].name: missing, required: "),
        (
            {"model": MODEL | {"scale": {"max": 9}}, "environment": ENVIRONMENT | {"limits": {"replicas": 2}}},
            "home.model.scale.max: found 9 replicas, accepted: 2 or fewer (limits.replicas)",
        ),
    ],
)
def test_mistake_in_arguments_is_named(changed: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as error:
        release_of("home", args(**changed))
    assert str(error.value.problems[0]).startswith(message)


GATEWAY = {"gateway": {"name": "public", "namespace": "gateway", "host": "{model}.example.com"}}
STRICT = ENVIRONMENT | GATEWAY | {"require": {"digest": True}}
CANARY = {"version": "2", "percent": 5}
PINNED = {
    "image": "registry.example.com/iris@sha256:0",
    "canary": CANARY | {"image": "registry.example.com/iris@sha256:1"},
}
WEIGHED = MODEL | {"weights": {"image": "registry.example.com/weights"}}
BUILT = {"name": "iris", "owner": "ds", "build": {}}
BUILDER = ENVIRONMENT | GATEWAY | {"images": {"registry": "r.example.com", "bases": {"python": "r.example.com/p:1"}}}


@pytest.mark.parametrize(
    ("changed", "arguments"),
    [
        ({"environment": STRICT, "canary": CANARY}, ["image", "canary.image"]),
        ({"environment": ENVIRONMENT, "canary": CANARY}, ["canary"]),
        ({"environment": STRICT, **PINNED, "version": "2"}, ["canary.version"]),
        ({"environment": STRICT, **PINNED, "model": WEIGHED}, ["weights", "canary.weights"]),
        (
            {"environment": STRICT, **PINNED, "model": WEIGHED, "weights": {"version": "7"}},
            ["weights.digest", "canary.weights"],
        ),
        ({"environment": BUILDER, "model": BUILT}, ["image"]),
        (
            {"environment": BUILDER, "model": BUILT, "image": "r.example.com/iris@sha256:0", "canary": CANARY},
            ["canary.image"],
        ),
        (
            {"model": MODEL | {"calls": ["rose"], "secrets": [{"name": "token", "reason": "a"}]}},
            ["model.secrets[0].name", "model.calls[0]"],
        ),
    ],
)
def test_what_is_refused_is_named_by_the_argument(changed: dict[str, object], arguments: list[str]) -> None:
    with pytest.raises(SpecError) as error:
        release_of("home", args(**changed))
    assert [problem.field for problem in error.value.problems] == [f"home.{argument}" for argument in arguments]
    known = ModelServiceArgs.__annotations__
    assert [argument for argument in arguments if re.split(r"[.\[]", argument)[0] not in known] == []


def test_other_languages_can_pass_the_arguments() -> None:
    component = Analyzer("homeport").analyze([ModelService])["component_definitions"]["ModelService"]
    assert set(component.inputs) == {"model", "environment", "version", "image", "commit", "peers", "canary", "weights"}
    assert {name for name, of in component.inputs.items() if not of.optional} == {"model", "environment", "version"}
    # Which type a checker sees is no concern of theirs: any value, or a list of such.
    assert {name for name, of in component.inputs.items() if of.ref == "pulumi.json#/Any"} == {
        "model",
        "environment",
        "canary",
        "weights",
    }
    peers = component.inputs["peers"]
    assert (peers.type, peers.items and peers.items.ref) == (PropertyType.ARRAY, "pulumi.json#/Any")
    assert set(component.outputs) == {"namespace", "url", "version", "image", "canaryImage", "serviceAccount"}
    image = Analyzer("homeport").analyze([ModelImage])["component_definitions"]["ModelImage"]
    assert {name for name, of in image.inputs.items() if not of.optional} == {
        "model",
        "environment",
        "folder",
        "version",
    }
    assert {name for name, of in image.inputs.items() if of.ref == "pulumi.json#/Any"} == {"model", "environment"}
    assert set(image.outputs) == {"ref"}
    guard = Analyzer("homeport").analyze([Guard])["component_definitions"]["Guard"]
    assert {name for name, of in guard.inputs.items() if not of.optional} == {"environment", "stack"}


def test_a_model_that_is_built_needs_its_image() -> None:
    model = {"name": "iris", "owner": "ds", "build": {}}
    environment = ENVIRONMENT | {
        "images": {"registry": "registry.example.com", "bases": {"python": "r.example.com/p:1"}}
    }
    with pytest.raises(SpecError) as error:
        release_of("home", args(model=model, environment=environment))
    assert str(error.value) == ('home.image: missing for "1": build it with a ModelImage and pass its `ref`')
    assert (
        release_of("home", args(model=model, environment=environment, image="r.example.com/iris@sha256:0")).built
        is None
    )


@pytest.mark.parametrize(
    ("context", "there"), [(None, ""), ("arn:aws:eks:eu:1:cluster/a b", "'--context=arn:aws:eks:eu:1:cluster/a b' ")]
)
def test_command_shows_the_logs_of_one_version(context: str | None, there: str) -> None:
    gateway = {"name": "public", "namespace": "gateway", "host": "{model}.example.com"}
    where = ENVIRONMENT | {"gateway": gateway, "namespace": "ml-{model}"}
    made = release_of("home", args(environment=where, canary={"version": "2", "percent": 5}))
    commands = [logs_command(each, context) for each in manifests(made) if each["kind"] == "Deployment"]
    selector = "--selector=app.kubernetes.io/instance={},app.kubernetes.io/version={} --tail=20 --prefix"
    start = f"kubectl logs {there}--namespace=ml-iris "
    assert commands == [start + selector.format("iris", "1"), start + selector.format("iris-canary", "2")]


def test_every_kind_has_its_typed_resource() -> None:
    assert all(resource.__name__ == kind for (_, kind), resource in RESOURCES.items())


def test_component_is_imported_when_it_is_used() -> None:
    program = (
        "import sys, homeport; a = 'pulumi' in sys.modules; homeport.ModelService; print(a, 'pulumi' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False True\n"
