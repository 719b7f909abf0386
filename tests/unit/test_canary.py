"""A canary: another version beside the stable one, which takes a part of the requests through the gateway."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from homeport import Canary, Environment, Model, ModelServiceArgs, Release, SpecError, Stack, manifests, violations
from homeport.components.model_service import release_of
from homeport.manifests import resources
from homeport.manifests.routing import url
from homeport.specs.live_models import CanaryVersion
from tests.support import undigested

DIGESTS = {version: "sha256:" + version * 64 for version in "345"}
MODEL: dict[str, Any] = {
    "name": "iris",
    "owner": "ds",
    "image": "registry.example.com/iris",
    "resources": {"cpu": 2, "memory": "4Gi", "gpu": {"kinds": ["l4"]}},
    "scale": {"min": 2, "max": 8},
}
GATEWAY = {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com"}
ENVIRONMENT: dict[str, Any] = {
    "cluster": {"identifier": "prod"},
    "accelerators": {"l4": {"labels": {"gpu": ["l4"]}}},
    "gateway": GATEWAY,
}
CANARY = Canary("4", "registry.example.com/iris:4", 10)


def release(canary: Canary | None = CANARY, model: Any = None, environment: Any = None) -> Release:
    spec = Model.model_validate(MODEL | (model or {}))
    here = Environment.model_validate(ENVIRONMENT | (environment or {}))
    return Release(spec, here, "3", "registry.example.com/iris:3", canary=canary)


def objects(made: Release) -> dict[tuple[str, str], Any]:
    assert violations(made) == []
    return {(each["kind"], undigested(each["metadata"]["name"])): each for each in manifests(made)}


def test_canary_adds_its_own_four_objects_and_changes_none_but_the_route() -> None:
    with_canary, alone = objects(release()), objects(release(None))
    kinds = ("Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Deployment")
    assert with_canary.keys() - alone.keys() == {(kind, "iris-canary") for kind in kinds}
    assert {key for key in alone if alone[key] != with_canary[key]} == {("HTTPRoute", "iris")}


def test_selector_of_the_stable_deployment_is_what_it_was_before_there_were_canaries() -> None:
    # It cannot be changed in a cluster: another one would mean a new Deployment, and a gap.
    selector = objects(release())["Deployment", "iris"]["spec"]["selector"]
    assert selector == {"matchLabels": {"app.kubernetes.io/name": "iris", "app.kubernetes.io/instance": "iris"}}


def chosen(selector: dict[str, str], found: dict[tuple[str, str], Any]) -> set[str]:
    deployments = {name: each for (kind, name), each in found.items() if kind == "Deployment"}
    return {
        name
        for name, each in deployments.items()
        if each["spec"]["template"]["metadata"]["labels"].items() >= selector.items()
    }


@pytest.mark.parametrize("name", ["iris", "iris-canary"])
def test_each_version_has_its_own_service_budget_and_autoscaler(name: str) -> None:
    found = objects(release())
    assert chosen(found["Service", name]["spec"]["selector"], found) == {name}
    assert chosen(found["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"], found) == {name}
    assert chosen(found["Deployment", name]["spec"]["selector"]["matchLabels"], found) == {name}
    autoscaler = found["HorizontalPodAutoscaler", name]["spec"]
    assert autoscaler["scaleTargetRef"]["name"] == name
    assert (autoscaler["minReplicas"], autoscaler["maxReplicas"]) == (2, 8)
    for each in found["Deployment", name]["spec"]["template"]["spec"]["topologySpreadConstraints"]:
        assert chosen(each["labelSelector"]["matchLabels"], found) == {name}


def test_each_version_runs_its_image_and_says_so() -> None:
    found = objects(release())
    for name, version in (("iris", "3"), ("iris-canary", "4")):
        deployment = found["Deployment", name]
        assert (
            deployment["spec"]["template"]["spec"]["containers"][0]["image"] == f"registry.example.com/iris:{version}"
        )
        assert deployment["metadata"]["labels"]["app.kubernetes.io/version"] == version
        assert deployment["metadata"]["annotations"]["homeport/version"] == version
    assert found["Namespace", "iris"]["metadata"]["annotations"]["homeport/version"] == "3"


def test_network_policies_hold_for_both() -> None:
    found = objects(release())
    for direction in ("ingress", "egress"):
        selector = found["NetworkPolicy", f"iris-{direction}"]["spec"]["podSelector"]["matchLabels"]
        assert chosen(selector, found) == {"iris", "iris-canary"}


def test_quota_has_room_for_both_while_they_are_replaced_and_drain() -> None:
    limits = {"cpu": 16, "memory": "32Gi", "gpus": 8}
    hard = objects(release(environment={"limits": limits}))["ResourceQuota", "iris"]["spec"]["hard"]
    assert hard["pods"] == "48"  # twice: 8 at most, 8 that drain, 8 that start
    assert (hard["requests.cpu"], hard["requests.memory"], hard["requests.nvidia.com/gpu"]) == ("96", "192Gi", "48")


def test_quota_of_a_place_without_canaries_has_no_room_for_one() -> None:
    hard = objects(release(None, environment={"gateway": {"namespace": "gateway"}}))["ResourceQuota", "iris"]["spec"]
    assert hard["hard"]["pods"] == "24"


def test_route_divides_requests_by_weight_and_comes_last() -> None:
    route = manifests(release())[-1]
    assert (route["apiVersion"], route["kind"]) == ("gateway.networking.k8s.io/v1", "HTTPRoute")
    assert route["spec"]["parentRefs"] == [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "gateway", "name": "public"}
    ]
    assert route["spec"]["hostnames"] == ["iris.models.example.com"]
    (rule,) = route["spec"]["rules"]
    assert [(each["name"], each["weight"]) for each in rule["backendRefs"]] == [("iris", 90), ("iris-canary", 10)]


def test_without_a_canary_all_requests_go_to_the_stable_version() -> None:
    (rule,) = manifests(release(None))[-1]["spec"]["rules"]
    assert [(each["name"], each["weight"]) for each in rule["backendRefs"]] == [("iris", 100)]


def test_without_a_named_gateway_there_is_no_route_but_a_way_in() -> None:
    found = objects(release(None, environment={"gateway": {"namespace": "gateway"}}))
    assert not [name for kind, name in found if kind == "HTTPRoute"]
    assert "gateway" in str(found["NetworkPolicy", "iris-ingress"]["spec"]["ingress"])


@pytest.mark.parametrize(
    ("gateway", "address"),
    [
        (GATEWAY, "https://iris.models.example.com"),
        (GATEWAY | {"scheme": "http"}, "http://iris.models.example.com"),
        ({"namespace": "gateway"}, "http://iris.iris.svc.cluster.local"),
        (None, "http://iris.iris.svc.cluster.local"),
    ],
)
def test_address_is_that_of_the_gateway_where_it_is_named(gateway: Any, address: str) -> None:
    assert url(release(None, environment={"gateway": gateway})) == address


def test_canary_adds_its_own_names_and_changes_none() -> None:
    alone, both = ({each.name for each in resources(made)} for made in (release(None), release()))
    assert both - alone == {
        "service-canary",
        "poddisruptionbudget-canary",
        "horizontalpodautoscaler-canary",
        "deployment-canary",
    }
    assert alone < both


def test_arguments_of_the_component_make_the_same_release() -> None:
    canary = {"version": "4", "percent": 10}
    args = ModelServiceArgs(model=MODEL, environment=ENVIRONMENT, version="3", canary=canary)
    assert replace(release_of("iris", args), peers=()) == release()
    assert release_of(
        "iris", {**args, "canary": {**canary, "image": "elsewhere.example.com/iris:4"}}
    ).canary == replace(CANARY, image="elsewhere.example.com/iris:4")


@pytest.mark.parametrize(
    ("canary", "message"),
    [
        ({"version": "4"}, "iris.canary.percent: missing, required: Share of the requests through the gateway"),
        ({"version": "4", "percent": 100}, "iris.canary.percent: found 100, accepted: 99 or less"),
        ({"version": "4", "percent": 1, "shadow": 1}, "iris.canary.shadow: unknown field, accepted: version, digest, "),
        ("4", 'iris.canary: found "4", accepted: a mapping of fields'),
        (
            {"version": "3", "percent": 1},
            'iris.canary.version: found "3", accepted: a version other than the stable one',
        ),
    ],
)
def test_mistake_in_the_canary_of_a_program_is_named(canary: Any, message: str) -> None:
    given = {"model": MODEL, "environment": ENVIRONMENT, "version": "3", "canary": canary}
    with pytest.raises(SpecError) as error:
        release_of("iris", cast("ModelServiceArgs", given))
    assert str(error.value.problems[0]).startswith(message)


# What people write.

ENTRY = f'    stable: {{version: "3", digest: "{DIGESTS["3"]}"}}\n'
BESIDE = f'    canary: {{version: "4", digest: "{DIGESTS["4"]}", percent: 10}}\n'


def written(
    folder: Path, *, gateway: str = "gateway: {name: public, namespace: g, host: '{model}.example.com'}"
) -> Path:
    (folder / "environment.yaml").write_text(f"cluster: {{identifier: prod}}\n{gateway}\nrequire: {{digest: true}}\n")
    (folder / "model.yaml").write_text("name: iris\nowner: ds\nimage: registry.example.com/iris\n")
    return live(folder, ENTRY, BESIDE)


def live(folder: Path, *lines: str) -> Path:
    (folder / "models.yaml").write_text("".join(["models:\n", "  iris:\n", "    spec: model.yaml\n", *lines]))
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(SpecError) as error:
        Stack.read(folder)
    return [str(problem).replace(f"{folder}/", "") for problem in error.value.problems]


def test_canary_beside_stable_is_read(tmp_path: Path) -> None:
    (found,) = Stack.read(written(tmp_path)).releases
    assert found.version == "3"
    assert found.canary == Canary("4", f"registry.example.com/iris:4@{DIGESTS['4']}", 10)


def backends(folder: Path) -> list[tuple[str, int, str]]:
    """What takes requests: the Service, its weight and the image behind it."""
    (found,) = Stack.read(folder).releases
    made = objects(found)
    return [
        (
            each["name"],
            each["weight"],
            made["Deployment", each["name"]]["spec"]["template"]["spec"]["containers"][0]["image"].split("@")[0][-1],
        )
        for each in made["HTTPRoute", "iris"]["spec"]["rules"][0]["backendRefs"]
    ]


def test_weight_promotion_and_abort_are_a_line_each(tmp_path: Path) -> None:
    folder = written(tmp_path)
    assert backends(folder) == [("iris", 90, "3"), ("iris-canary", 10, "4")]
    live(folder, ENTRY, BESIDE.replace("10", "50"))
    assert backends(folder) == [("iris", 50, "3"), ("iris-canary", 50, "4")]
    live(folder, ENTRY)  # abort: the line is gone
    assert backends(folder) == [("iris", 100, "3")]
    live(
        folder, BESIDE.replace("canary", "stable").replace(", percent: 10", "")
    )  # promoted: its line is the stable one
    assert backends(folder) == [("iris", 100, "4")]


NO_GATEWAY = (
    'models.yaml:5: models.iris.canary: found version "4", accepted: no canary, because the environment has no Gateway to '
    "split the requests (gateway.name, gateway.host)"
)


@pytest.mark.parametrize("gateway", ["", "gateway: {namespace: g}"])
def test_canary_needs_a_gateway_that_has_a_name(tmp_path: Path, gateway: str) -> None:
    assert problems(written(tmp_path, gateway=gateway)) == [NO_GATEWAY]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            BESIDE.replace('"4"', '"3"'),
            'canary.version: found "3", accepted: a version other than the stable one',
        ),
        (
            '    canary: {version: "4", percent: 10}\n',
            'canary.digest: found image "registry.example.com/iris:4" without a digest, accepted: sha256:... of the '
            "image (require.digest)",
        ),
        (BESIDE.replace("10", "0"), "canary.percent: found 0, accepted: 1 or more"),
        (BESIDE.replace("10", "100"), "canary.percent: found 100, accepted: 99 or less"),
        (BESIDE.replace("10", "10%"), 'canary.percent: found "10%", accepted: '),
        (
            BESIDE.replace(", percent: 10", ""),
            f"canary.percent: missing, required: {CanaryVersion.model_fields['percent'].description}",
        ),
    ],
)
def test_mistake_in_a_canary_is_named_at_its_line(tmp_path: Path, line: str, problem: str) -> None:
    assert problems(live(written(tmp_path), ENTRY, line))[0].startswith(f"models.yaml:5: models.iris.{problem}")


def test_who_writes_weight_is_told_percent(tmp_path: Path) -> None:
    found = problems(live(written(tmp_path), ENTRY, BESIDE.replace("percent", "weight")))
    assert found[0].startswith(
        "models.yaml:5: models.iris.canary.percent: missing, required: Share of the requests through the gateway"
    )
    assert found[1:] == [
        "models.yaml:5: models.iris.canary.weight: unknown field, perhaps `percent` is meant, accepted: version, digest, "
        "weights, percent"
    ]


def test_totals_count_the_canary(tmp_path: Path) -> None:
    folder = written(tmp_path)
    environment = folder / "environment.yaml"
    environment.write_text(environment.read_text() + "limits: {total: {cpu: 2}}\n")
    assert problems(folder) == [
        "environment.yaml:4: limits.total.cpu: found 3 for all models together (resources.cpu: iris 500m for each of 6 "
        "replicas), accepted: 2 or less"
    ]
    live(folder, ENTRY)
    assert len(Stack.read(folder).releases) == 1


@pytest.mark.parametrize(
    ("gateway", "message"),
    [
        ({"namespace": "g", "name": "a"}, "`name` and `host` together, because a Gateway tells its routes apart by"),
        ({"namespace": "g", "host": "{model}.example.com"}, "`name` and `host` together"),
        ({"namespace": "g", "name": "a", "host": "models.example.com"}, "the full name of a host with {model} in it"),
        ({"namespace": "g", "name": "a", "host": "{model}"}, "the full name of a host with {model} in it"),
        ({"namespace": "g", "name": "a", "host": "https://{model}.example.com"}, "the full name of a host with"),
        (
            {"namespace": "g", "name": "a", "host": "{model}.a.com", "scheme": "grpc"},
            "Input should be 'https' or 'http'",
        ),
    ],
)
def test_mistake_in_a_gateway_is_named(gateway: Any, message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Environment.model_validate(ENVIRONMENT | {"gateway": gateway})
    assert message in str(error.value)


def test_host_that_a_name_makes_too_long_is_an_error() -> None:
    host = "models-of-the-team-{model}.example.com"
    made = release(None, {"name": "m" * 50}, {"gateway": GATEWAY | {"host": host}})
    (violation,) = violations(made)
    assert violation.field == ("name",)
    assert violation.message == (
        f'found "{"m" * 50}", whose host name is models-of-the-team-{"m" * 50}.example.com, accepted: at most 63 '
        "characters in each part of the host name, 253 in total"
    )
