"""When replicas come and go: by Kubernetes' own autoscaler, or by KEDA where a model is scaled by what is asked of it."""

from typing import Any

import pytest

from homeport import Canary, Environment, Model, Release, manifests, violations
from homeport.rules.violation import Violation

MODEL: dict[str, Any] = {"name": "iris", "owner": "ds", "image": "registry.example.com/iris"}
QUERY = 'sum(rate(requests_total{service="{namespace}-{instance}"}[1m]))'
PROMETHEUS = {"serverAddress": "http://prometheus.monitoring:9090", "threshold": "{target}"}
KEDA: dict[str, Any] = {
    "triggers": {
        "concurrency": {"type": "prometheus", "metadata": PROMETHEUS | {"query": 'active{model="{model}"}'}},
        "requests_per_second": {"type": "prometheus", "metadata": PROMETHEUS | {"query": QUERY}, "from_zero": True},
        "queue_length": {
            "type": "aws-sqs-queue",
            "metadata": {"queueURL": "https://sqs/{model}", "queueLength": "{target}"},
            "authentication": "sqs",
            "from_zero": True,
        },
    }
}
GATEWAY = {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com"}


def release(scale: dict[str, Any], canary: Canary | None = None, **environment: Any) -> Release:
    here = Environment.model_validate({"cluster": {"identifier": "prod"}} | environment)
    return Release(Model.model_validate(MODEL | {"scale": scale}), here, "3", "image", canary=canary)


def objects(*arguments: Any, **environment: Any) -> dict[tuple[str, str], Any]:
    made = release(*arguments, **environment)
    assert violations(made) == []
    return {(each["kind"], each["metadata"]["name"]): each for each in manifests(made)}


def autoscaler(scale: dict[str, Any], **environment: Any) -> Any:
    return objects(scale, **environment)["HorizontalPodAutoscaler", "iris"]


def scaled_object(scale: dict[str, Any]) -> Any:
    return objects(scale, keda=KEDA)["ScaledObject", "iris"]["spec"]


@pytest.mark.parametrize(
    ("target", "watched"),
    [
        ({}, {"cpu": 70}),
        ({"cpu": 50}, {"cpu": 50}),
        ({"memory": 80}, {"memory": 80}),
        ({"cpu": 50, "memory": 80}, {"cpu": 50, "memory": 80}),
    ],
)
def test_what_is_stated_is_watched_and_cpu_where_nothing_is(target: dict[str, int], watched: dict[str, int]) -> None:
    metrics = autoscaler({"max": 4, "target": target})["spec"]["metrics"]
    assert {each["resource"]["name"]: each["resource"]["target"]["averageUtilization"] for each in metrics} == watched


def windows(behavior: Any) -> tuple[int, int]:
    return tuple(behavior[way]["stabilizationWindowSeconds"] for way in ("scaleUp", "scaleDown"))


def test_up_at_once_and_down_slowly_unless_stated() -> None:
    assert windows(autoscaler({})["spec"]["behavior"]) == (0, 300)
    assert windows(autoscaler({"up_seconds": 30, "down_seconds": 900})["spec"]["behavior"]) == (30, 900)


def test_keda_scales_what_states_a_demand_and_nothing_else_does() -> None:
    found = objects({"max": 4, "target": {"requests_per_second": 50}}, keda=KEDA)
    assert ("HorizontalPodAutoscaler", "iris") not in found
    assert "replicas" not in found["Deployment", "iris"]["spec"]
    spec = found["ScaledObject", "iris"]["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "iris"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 4)


def test_model_that_states_none_keeps_its_autoscaler_beside_keda() -> None:
    found = objects({"target": {"cpu": 50}}, keda=KEDA)
    assert not [kind for kind, _ in found if kind == "ScaledObject"]
    # So that KEDA lets it go over when it states one.
    annotations = found["HorizontalPodAutoscaler", "iris"]["metadata"]["annotations"]
    assert annotations["validations.keda.sh/hpa-ownership"] == "false"
    assert "validations.keda.sh/hpa-ownership" not in autoscaler({})["metadata"]["annotations"]


def test_query_names_the_model_and_its_number() -> None:
    (trigger,) = scaled_object({"target": {"requests_per_second": 50}})["triggers"]
    assert trigger == {
        "type": "prometheus",
        "name": "requests_per_second",
        "metadata": {
            "serverAddress": "http://prometheus.monitoring:9090",
            "query": 'sum(rate(requests_total{service="iris-iris"}[1m]))',
            "threshold": "50",
        },
    }


def test_credentials_are_referred_to() -> None:
    (trigger,) = scaled_object({"target": {"queue_length": 20}})["triggers"]
    assert trigger["authenticationRef"] == {"kind": "ClusterTriggerAuthentication", "name": "sqs"}


def test_targets_of_both_kinds_are_watched_together() -> None:
    target = {"cpu": 60, "memory": 80, "concurrency": 4, "requests_per_second": 50, "queue_length": 20}
    triggers = scaled_object({"target": target})["triggers"]
    assert [each["name"] for each in triggers] == list(target)
    assert triggers[:2] == [
        {"type": "cpu", "name": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}},
        {"type": "memory", "name": "memory", "metricType": "Utilization", "metadata": {"value": "80"}},
    ]


def test_demand_alone_leaves_cpu_out() -> None:
    assert [each["name"] for each in scaled_object({"target": {"concurrency": 4}})["triggers"]] == ["concurrency"]


def test_the_last_replica_goes_as_slowly_as_the_others() -> None:
    spec = scaled_object({"min": 0, "target": {"queue_length": 20}, "down_seconds": 600})
    assert spec["minReplicaCount"] == 0
    assert spec["cooldownPeriod"] == spec["initialCooldownPeriod"] == 600
    assert windows(spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]) == (0, 600)


def test_model_without_replicas_keeps_its_room_and_its_address() -> None:
    scale = {"max": 4, "target": {"queue_length": 20}}
    none, one = objects(scale | {"min": 0}, keda=KEDA), objects(scale | {"min": 1}, keda=KEDA)
    assert none.keys() == one.keys()
    quotas = [found["ResourceQuota", "iris"]["spec"] for found in (none, one)]
    assert quotas[0] == quotas[1]
    assert "replicas" not in none["Deployment", "iris"]["spec"]


def test_canary_has_a_scaled_object_of_its_own() -> None:
    scale = {"max": 4, "target": {"requests_per_second": 50}}
    found = objects(scale, Canary("4", "image", 10), keda=KEDA, gateway=GATEWAY)
    queries = {
        name: each["spec"]["triggers"][0]["metadata"]["query"]
        for (kind, name), each in found.items()
        if kind == "ScaledObject"
    }
    assert queries == {
        name: QUERY.replace("{namespace}-{instance}", f"iris-{name}") for name in ("iris", "iris-canary")
    }
    assert found["ScaledObject", "iris-canary"]["spec"]["scaleTargetRef"]["name"] == "iris-canary"


def test_a_fixed_number_is_kedas_too() -> None:
    found = objects({"min": 2, "max": 2, "target": {"concurrency": 4}}, keda=KEDA)
    spec = found["ScaledObject", "iris"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 2)
    assert "replicas" not in found["Deployment", "iris"]["spec"]


def test_scaled_object_comes_after_the_deployment_that_it_scales() -> None:
    kinds = [each["kind"] for each in manifests(release({"target": {"concurrency": 4}}, keda=KEDA, gateway=GATEWAY))]
    assert kinds[-3:] == ["Deployment", "ScaledObject", "HTTPRoute"]


def test_team_may_see_what_scales_its_model() -> None:
    def groups(**environment: Any) -> set[str]:
        rules = objects({}, teams={"ds": {"group": "oidc:ds"}}, **environment)["Role", "iris-team"]["rules"]
        return {group for rule in rules for group in rule["apiGroups"]}

    assert groups(keda=KEDA) - groups() == {"keda.sh"}


ONLY = {"concurrency": KEDA["triggers"]["concurrency"]}


@pytest.mark.parametrize(
    ("scale", "environment", "field", "message"),
    [
        (
            {"target": {"queue_length": 20}},
            {},
            ("scale", "target", "queue_length"),
            "found 20, accepted: the targets cpu, memory; other targets need KEDA, which the environment does not have (keda)",
        ),
        (
            {"target": {"queue_length": 20}},
            {"keda": {"triggers": ONLY}},
            ("scale", "target", "queue_length"),
            "found 20, accepted: the targets cpu, memory, concurrency (keda.triggers)",
        ),
        (
            {"min": 0},
            {},
            ("scale", "min"),
            "found 0 replicas, accepted: 1 or more; 0 needs a target that is counted while no replica runs: none "
            "(keda.triggers, from_zero)",
        ),
        (
            {"min": 0, "target": {"concurrency": 4}},
            {"keda": KEDA},
            ("scale", "min"),
            "found 0 replicas, accepted: 1 or more; 0 needs a target that is counted while no replica runs: "
            "requests_per_second, queue_length (keda.triggers, from_zero)",
        ),
        (
            {"min": 0, "target": {"queue_length": 20}},
            {"keda": KEDA, "require": {"min_replicas": 2}},
            ("scale", "min"),
            "found 0 replicas, accepted: 2 or more (require.min_replicas)",
        ),
    ],
)
def test_what_cannot_be_watched_is_a_violation(
    scale: dict[str, Any], environment: dict[str, Any], field: tuple[str, ...], message: str
) -> None:
    assert violations(release(scale, **environment)) == [Violation(field, message)]
