"""A model can do nothing to the cluster: each attempt is refused by the real API server or has nothing to go by."""

import json
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from homeport import Release, manifests
from sandbox.components import API_SERVICE_ADDRESS
from tests.cluster.probes import IMAGE, NAMESPACE, Probes, Target, model, namespace, pod, releases
from tests.support import Cluster

GROUP = "oidc:test"
CEILINGS = {"cpu": 2, "memory": "4Gi"}
(RELEASE,) = releases([model("delta")], teams={"test": {"group": GROUP}}, limits=CEILINGS)
FRESH = NAMESPACE.format("fresh")


@pytest.fixture(scope="module")
def standing(probes: Probes) -> Iterator[Release]:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "fresh", "namespace": FRESH}}
    with probes.standing([*manifests(RELEASE), namespace(FRESH), account]):
        yield RELEASE


def allowed(cluster: Cluster, release: Release, *who: str) -> list[str]:
    told = cluster.kubectl("auth", "can-i", "--list", "--no-headers", f"--namespace={release.namespace}", *who)
    # The columns are padded, and their order is that of a map.
    return sorted(" ".join(line.split()) for line in told.splitlines())


def refused(cluster: Cluster, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["kubectl", *arguments], env=cluster.variables, input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0, done.stdout
    return done.stderr


def created(cluster: Cluster, wanted: Any) -> str:
    """Why the API server refuses to create an object."""
    return refused(cluster, "create", "--filename=-", stdin=json.dumps(wanted))


def account(name: str, namespace: str) -> str:
    return f"--as=system:serviceaccount:{namespace}:{name}"


def test_the_account_may_no_more_than_a_fresh_one(cluster: Cluster, standing: Release) -> None:
    found = allowed(cluster, standing, account("delta", standing.namespace))
    assert found == allowed(cluster, standing, account("fresh", FRESH))
    assert found == allowed(cluster, standing, account("default", standing.namespace))
    assert found  # every account may ask what it may do


def test_the_comparison_sees_a_binding(cluster: Cluster, standing: Release) -> None:
    name = f"--namespace={standing.namespace}"
    who = f"--serviceaccount={standing.namespace}:delta"
    fresh = allowed(cluster, standing, account("fresh", FRESH))
    cluster.kubectl("create", "rolebinding", "mutant", "--clusterrole=view", who, name)
    try:
        assert allowed(cluster, standing, account("delta", standing.namespace)) != fresh
    finally:
        cluster.kubectl("delete", "rolebinding", "mutant", name)


def test_no_token_is_in_the_pod(cluster: Cluster, standing: Release) -> None:
    (found,) = cluster.get("pods", f"--namespace={standing.namespace}")["items"]
    assert found["spec"]["serviceAccountName"] == "delta"
    assert [volume["name"] for volume in found["spec"]["volumes"]] == ["tmp"]
    assert [mount["mountPath"] for mount in found["spec"]["containers"][0]["volumeMounts"]] == ["/tmp"]  # noqa: S108


def test_the_pod_does_not_even_reach_the_api_server(probes: Probes, standing: Release) -> None:
    target = Target("API server", "tcp", f"{API_SERVICE_ADDRESS}:443")
    assert probes.dial(probes.address(standing.namespace), [target]) == [False]


def test_a_stolen_token_opens_nothing(cluster: Cluster, standing: Release) -> None:
    name = f"--namespace={standing.namespace}"
    token = cluster.kubectl("create", "token", "delta", name, "--duration=10m").strip()
    # Without the administrator's certificate, which would count instead of the token.
    told = cluster.kubectl("config", "view", "--raw", "--minify", "--output=json")
    config = json.loads(told)
    config["users"][0]["user"] = {"token": token}
    for verb in (["get", "pods"], ["get", "secrets"], ["create", "token", "delta"], ["get", "nodes"]):
        message = refused(cluster, "--kubeconfig=/dev/stdin", *verb, name, stdin=json.dumps(config))
        assert f'User "system:serviceaccount:{standing.namespace}:delta" cannot' in message


def test_the_team_may_look_and_no_more(cluster: Cluster, standing: Release) -> None:
    name, team = f"--namespace={standing.namespace}", ["--as=member", f"--as-group={GROUP}"]
    mine = {" ".join(each.split()) for each in ("get pods", "list pods", "get pods/log", "list events", "watch pods")}
    others = {"get secrets", "create pods/exec", "create pods/portforward", "create pods/attach", "delete pods"}
    others |= {"create pods/ephemeralcontainers", "patch deployments", "get configmaps", "create serviceaccounts/token"}

    def may(what: str, where: str) -> bool:
        verb, _, subresource = what.partition("/")
        done = subprocess.run(
            ["kubectl", "auth", "can-i", *verb.split(), f"--subresource={subresource}", where, *team],
            env=cluster.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() == "yes"

    assert {what for what in mine | others if may(what, name)} == mine
    assert {what for what in mine | others if may(what, f"--namespace={FRESH}")} == set()


def with_container(**fields: Any) -> Any:
    made = pod("intruder", RELEASE.namespace)
    made["spec"]["containers"][0].update(fields)
    return made


def with_spec(**fields: Any) -> Any:
    made = pod("intruder", RELEASE.namespace)
    made["spec"].update(fields)
    return made


INTRUDERS: dict[str, tuple[Any, str]] = {
    "privileged": (with_container(securityContext={"privileged": True}), "privileged"),
    "root": (with_container(securityContext={"runAsUser": 0}), "runAsUser=0"),
    "host path": (with_spec(volumes=[{"name": "host", "hostPath": {"path": "/"}}]), "hostPath"),
    "host network": (with_spec(hostNetwork=True), "host namespaces"),
    "host port": (with_container(ports=[{"containerPort": 80, "hostPort": 80}]), "hostPort"),
    "capability": (with_container(securityContext={"capabilities": {"add": ["NET_RAW"]}}), "unrestricted capabilities"),
}


@pytest.mark.parametrize("intruder", INTRUDERS)
def test_pod_that_would_reach_the_node_is_refused(cluster: Cluster, standing: Release, intruder: str) -> None:
    wanted, reason = INTRUDERS[intruder]
    message = created(cluster, wanted)
    assert 'violates PodSecurity "restricted:latest"' in message
    assert reason in message
    assert standing.namespace in message or "intruder" in message


def test_without_pod_security_it_would_be_accepted(cluster: Cluster, standing: Release) -> None:
    wanted, _ = INTRUDERS["host path"]
    label = "pod-security.kubernetes.io/enforce"
    cluster.kubectl("label", "namespace", standing.namespace, f"{label}-")
    try:
        cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(wanted))
    finally:
        cluster.kubectl("label", "namespace", standing.namespace, f"{label}=restricted")


def test_pod_beyond_the_quota_is_refused(cluster: Cluster, standing: Release) -> None:
    name = f"--namespace={standing.namespace}"
    most = standing.replicas[1] + 2  # with the room for a surge and for one that drains
    try:
        for index in range(1, most):
            cluster.kubectl("create", "--filename=-", stdin=json.dumps(pod(f"more-{index}", standing.namespace)))
        message = created(cluster, pod("beyond", standing.namespace))
        assert f"exceeded quota: delta, requested: pods=1, used: pods={most}" in message
    finally:
        cluster.kubectl("delete", "pod", name, "--selector=!app.kubernetes.io/name", "--wait=true")


def test_pod_larger_than_the_environment_allows_is_refused(cluster: Cluster, standing: Release) -> None:
    size = {"cpu": "4", "memory": "8Gi"}
    message = created(cluster, with_container(resources={"requests": size, "limits": size}))
    assert standing.namespace in message or "intruder" in message
    for resource in size:
        assert f"maximum {resource} usage per Container is" in message


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_service_that_would_open_the_node_is_refused(cluster: Cluster, standing: Release, kind: str) -> None:
    (wanted,) = (deepcopy(each) for each in manifests(standing) if each["kind"] == "Service")
    wanted["metadata"]["name"] = "intruder"
    wanted["spec"]["type"] = kind
    assert "exceeded quota: delta" in created(cluster, wanted)


def test_volume_claim_is_refused(cluster: Cluster, standing: Release) -> None:
    wanted = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "intruder", "namespace": standing.namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    assert "exceeded quota: delta" in created(cluster, wanted)


def test_the_image_of_these_tests_is_what_ran(cluster: Cluster, standing: Release) -> None:
    (found,) = cluster.get("pods", f"--namespace={standing.namespace}")["items"]
    assert found["spec"]["containers"][0]["image"] == IMAGE
    assert found["status"]["qosClass"] == "Guaranteed"
