"""What the pure functions make of a release, concern by concern."""

from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests, violations
from tests.support import undigested

MODEL: dict[str, Any] = {
    "name": "fraud-score",
    "owner": "risk",
    "image": "registry.example.com/risk/fraud-score",
    "resources": {"cpu": 2, "memory": "4Gi", "tmp": "1Gi"},
    "scale": {"min": 1, "max": 8},
    "startup_seconds": 121,
    "drain_seconds": 20,
}
ENVIRONMENT: dict[str, Any] = {"cluster": {"identifier": "prod"}}
GPU: dict[str, Any] = {
    "l4": {"labels": {"gpu": ["l4"]}, "tolerations": [{"key": "nvidia.com/gpu"}]},
    "a10g": {"labels": {"gpu": ["a10g"]}, "tolerations": [{"key": "nvidia.com/gpu"}, {"key": "sku", "value": "gpu"}]},
}


def release(model: dict[str, Any] | None = None, environment: dict[str, Any] | None = None, **other: Any) -> Release:
    spec = Model.model_validate(MODEL | (model or {}))
    here = Environment.model_validate(ENVIRONMENT | (environment or {}))
    return Release(spec, here, **({"version": "3", "image": f"{spec.image}:3", "commit": "abc"} | other))


def objects(*arguments: Any, **named: Any) -> dict[tuple[str, str], Any]:
    made = release(*arguments, **named)
    assert violations(made) == []
    return {(each["kind"], undigested(each["metadata"]["name"])): each for each in manifests(made)}


def one(kind: str, *arguments: Any, **named: Any) -> Any:
    (found,) = (each for (found, _), each in objects(*arguments, **named).items() if found == kind)
    return found


def pod(*arguments: Any, **named: Any) -> Any:
    return one("Deployment", *arguments, **named)["spec"]["template"]["spec"]


def test_every_object_tells_what_it_belongs_to() -> None:
    made = release()
    for each in manifests(made):
        assert (
            each["metadata"]["annotations"].items()
            >= {
                "homeport/model": "fraud-score",
                "homeport/version": "3",
                "homeport/owner": "risk",
                "homeport/git-commit": "abc",
                "homeport/spec-digest": made.model.digest,
            }.items()
        )
        assert each["metadata"]["labels"]["app.kubernetes.io/name"] == "fraud-score"
        assert each["metadata"]["name"]
        # Else a creation that was interrupted and begun again would leave two owners of its fields.
        assert each["metadata"]["annotations"]["pulumi.com/patchFieldManager"] == "homeport"


def test_same_release_gives_the_same_objects() -> None:
    assert manifests(release()) == manifests(release())


def test_walls_stand_before_the_workload() -> None:
    kinds = [each["kind"] for each in manifests(release())]
    assert kinds[0] == "Namespace"
    assert kinds[-1] == "Deployment"


def test_everything_is_in_the_namespace_of_the_environment() -> None:
    found = objects(environment={"namespace": "ml-{model}"})
    assert {each["metadata"].get("namespace", "ml-fraud-score") for each in found.values()} == {"ml-fraud-score"}
    assert ("Namespace", "ml-fraud-score") in found


@pytest.mark.parametrize("mode", ["enforce", "audit", "warn"])
def test_pod_security_is_restricted(mode: str) -> None:
    assert one("Namespace")["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_quota_has_room_for_all_that_an_update_replaced_and_that_drain() -> None:
    hard = one("ResourceQuota")["spec"]["hard"]
    assert hard == {
        "pods": "24",
        "persistentvolumeclaims": "0",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }


CEILINGS = {"limits": {"cpu": 20, "memory": "64Gi", "gpus": 16, "replicas": 12}}


def test_quota_and_largest_container_are_the_ceilings_of_the_environment() -> None:
    gpu = {"resources": {"cpu": 2, "memory": "4Gi", "gpu": {"kinds": ["l4"], "count": 2}}, "scale": {"max": 8}}
    here = CEILINGS | {"accelerators": GPU}
    hard = one("ResourceQuota", gpu, here)["spec"]["hard"]
    # All replicas of a version, all that drain, and as many that start.
    assert (hard["pods"], hard["requests.nvidia.com/gpu"]) == ("36", "48")
    assert (hard["requests.cpu"], hard["limits.cpu"]) == ("60", "60")
    assert (hard["requests.memory"], hard["limits.memory"]) == ("192Gi", "192Gi")
    (limit,) = one("LimitRange", gpu, here)["spec"]["limits"]
    assert limit["max"] == {"cpu": "20", "memory": "64Gi"}


@pytest.mark.parametrize("scale", [{"max": 8}, {"min": 1, "max": 1}])
@pytest.mark.parametrize("size", [{"cpu": "150m"}, {"cpu": 2, "memory": "8Gi"}, {"tmp": "2Gi"}])
def test_a_model_that_needs_less_does_not_make_its_quota_smaller(scale: Any, size: Any) -> None:
    edited, before = {"resources": size, "scale": scale}, {"resources": {"cpu": 2, "memory": "4Gi"}}
    assert one("ResourceQuota", edited, CEILINGS) == one("ResourceQuota", before, CEILINGS) | {
        "metadata": one("ResourceQuota", edited, CEILINGS)["metadata"]
    }
    (limit,) = one("LimitRange", edited, CEILINGS)["spec"]["limits"]
    assert limit["max"] == {"cpu": "20", "memory": "64Gi"}


@pytest.mark.parametrize(
    "edit",
    [
        {"scale": {"max": 7}},
        {"owner": "others"},
        {"calls": ["a"]},
        {"egress": [{"cidr": "203.0.113.0/24", "port": 443, "reason": "x"}]},
    ],
)
def test_an_edit_of_what_pods_do_not_run_restarts_none(edit: dict[str, Any]) -> None:
    templates = [
        next(each["spec"]["template"] for each in manifests(release(stated)) if each["kind"] == "Deployment")
        for stated in (None, edit)
    ]
    assert templates[0] == templates[1]


def test_account_has_no_token_and_no_role() -> None:
    assert one("ServiceAccount")["automountServiceAccountToken"] is False
    assert pod()["automountServiceAccountToken"] is False
    assert not [kind for kind, _ in objects() if kind in {"Role", "RoleBinding"}]


def test_team_may_read_but_neither_secrets_nor_exec() -> None:
    team = {"teams": {"risk": {"group": "oidc:risk"}}}
    rules = one("Role", environment=team)["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert not {resource for rule in rules for resource in rule["resources"]} & {"secrets", "pods/exec", "*"}
    assert one("RoleBinding", environment=team)["subjects"][0]["name"] == "oidc:risk"


def policy(suffix: str, *arguments: Any, **named: Any) -> Any:
    return objects(*arguments, **named)["NetworkPolicy", f"fraud-score-{suffix}"]["spec"]


def test_network_is_closed_both_ways_for_every_pod() -> None:
    assert policy("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_nobody_gets_in_unless_declared() -> None:
    assert policy("ingress")["ingress"] == []


def test_only_dns_is_reached_unless_declared() -> None:
    (rule,) = policy("egress")["egress"]
    assert [port["port"] for port in rule["ports"]] == [53, 53]


def test_gateway_reaches_the_serving_port_and_monitoring_only_the_metrics() -> None:
    there = {"gateway": {"namespace": "gateway"}, "monitoring": {"namespace": "monitoring"}}
    gateway, monitoring = policy("ingress", environment=there)["ingress"]
    assert gateway["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}]
    assert gateway["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert monitoring["ports"] == [{"port": 8082, "protocol": "TCP"}]


def test_one_declaration_opens_both_ends_of_a_call() -> None:
    content = {"name": "embedder", "owner": "a", "image": "registry.example.com/a", "port": 9000}
    callee = Model.model_validate(content | {"callers": [MODEL["owner"]]})
    caller = Model.model_validate(MODEL | {"calls": ["embedder"]})
    here = Environment.model_validate(ENVIRONMENT)
    ends = [Release(caller, here, "1", "i", peers=[callee]), Release(callee, here, "1", "i", peers=[caller])]
    (_, out), (into, *_) = (
        next(
            each["spec"]["egress" if index == 0 else "ingress"]
            for each in manifests(end)
            if undigested(each["metadata"]["name"]).endswith("-egress" if index == 0 else "-ingress")
        )
        for index, end in enumerate(ends)
    )
    assert out["ports"] == into["ports"] == [{"port": 9000, "protocol": "TCP"}]
    assert out["to"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "embedder"}
    assert into["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "fraud-score"}


def test_declared_network_is_reached_on_its_port_only() -> None:
    declared = {"egress": [{"cidr": "203.0.113.0/24", "port": 443, "reason": "features"}]}
    rule = policy("egress", declared)["egress"][1]
    assert rule == {
        "to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}],
        "ports": [{"port": 443, "protocol": "TCP"}],
    }


def test_replicas_are_absent_where_an_autoscaler_owns_them() -> None:
    assert "replicas" not in one("Deployment")["spec"]
    scaler = one("HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 8)


def test_a_fixed_number_of_replicas_is_the_autoscalers_too() -> None:
    found = objects({"scale": {"min": 2, "max": 2}})
    assert "replicas" not in found["Deployment", "fraud-score"]["spec"]
    scaler = found["HorizontalPodAutoscaler", "fraud-score"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 2)


def names(*arguments: Any) -> set[str]:
    return {each["metadata"]["name"] for each in manifests(release(*arguments)) if each["kind"] == "NetworkPolicy"}


def test_a_policy_with_other_rules_is_another_object() -> None:
    declared = {"egress": [{"cidr": "203.0.113.0/24", "port": 443, "reason": "features"}]}
    other = {"egress": [{"cidr": "203.0.113.0/24", "port": 443, "reason": "the same for another reason"}]}
    assert {undigested(name) for name in names() ^ names(declared)} == {"fraud-score-egress"}
    assert {undigested(name) for name in names() ^ names({"port": 9000}, {"gateway": {"namespace": "gateway"}})} == {
        "fraud-score-ingress"
    }
    assert names(declared) == names(other)
    assert len(names()) == 3


def test_update_adds_a_pod_before_it_takes_one() -> None:
    strategy = one("Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_grace_period_has_room_for_withdrawal_and_drain() -> None:
    found = pod(environment={"endpoint_seconds": 15})
    assert found["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == 15
    assert found["terminationGracePeriodSeconds"] > 15 + 20


def test_pod_is_hardened() -> None:
    found = pod()
    container = found["containers"][0]
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["runAsUser"] > 10000
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["enableServiceLinks"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_only_tmp_can_be_written_and_is_bounded() -> None:
    found = pod()
    assert found["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]
    assert found["containers"][0]["resources"]["limits"]["ephemeral-storage"] == "1280Mi"


def test_requests_equal_limits() -> None:
    resources = pod()["containers"][0]["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"].items() >= {"cpu": "2", "memory": "4Gi"}.items()


def test_probes_differ_and_startup_has_all_the_time_that_is_declared() -> None:
    container = pod()["containers"][0]
    startup, ready, live = (container[f"{probe}Probe"] for probe in ("startup", "readiness", "liveness"))
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 121
    assert ready["httpGet"]["path"] == "/v2/health/ready"
    assert live["httpGet"]["path"] == "/v2/health/live"


def test_commit_does_not_restart_pods() -> None:
    template = one("Deployment")["spec"]["template"]
    assert template == one("Deployment", commit="def")["spec"]["template"]


def test_gpu_stands_on_nodes_of_any_acceptable_kind() -> None:
    gpu = {"resources": {"gpu": {"kinds": ["l4", "a10g"], "count": 1}}}
    found = pod(gpu, {"accelerators": GPU})
    terms = found["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [term["matchExpressions"][0]["values"] for term in terms] == [["l4"], ["a10g"]]
    assert found["tolerations"][:-2] == [
        {"key": "nvidia.com/gpu", "effect": "NoSchedule", "operator": "Exists"},
        {"key": "sku", "effect": "NoSchedule", "operator": "Equal", "value": "gpu"},
    ]
    assert found["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_disruption_budget_lets_drains_through() -> None:
    spec = one("PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_selectors_match_the_pods_and_never_the_version() -> None:
    found = objects()
    template = found["Deployment", "fraud-score"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        found["Deployment", "fraud-score"]["spec"]["selector"]["matchLabels"],
        found["Service", "fraud-score"]["spec"]["selector"],
        found["PodDisruptionBudget", "fraud-score"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy", "fraud-score-ingress"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert template.items() >= selector.items()
        assert "app.kubernetes.io/version" not in selector


def test_output_is_placed_and_never_looked_into() -> None:
    image = object()
    assert pod(image=image)["containers"][0]["image"] is image


def test_the_container_gets_the_text_of_the_file() -> None:
    stated = {"A": "$$", "B": "$(A) $x", "C": "$"}
    (container,) = pod({"env": stated, "args": ["--price=$(A)$$"]})["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    # As Kubernetes reads it: `$$` is `$`, and nothing is a reference.
    assert {name: given[name].replace("$$", "$") for name in stated} == stated
    assert all("$" not in given[name].replace("$$", "") for name in stated)
    assert container["args"] == ["--price=$$(A)$$$$"]
