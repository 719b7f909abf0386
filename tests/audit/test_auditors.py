"""Four auditors have nothing against any example, and each has something against what breaks its rule."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from homeport import manifests, violations
from tests.audit.auditors import AUDITORS, Finding
from tests.audit.examples import environment_files, examples
from tests.support import ROOT

EXAMPLES = examples()
EXCLUSIONS: list[Mapping[str, Any]] = YAML(typ="safe").load(Path(__file__).parent / "exclusions.yaml")


def rendered(example: str) -> list[Any]:
    return deepcopy([manifest for release in EXAMPLES[example] for manifest in manifests(release)])


@cache
def findings(auditor: str) -> Mapping[str, Sequence[Finding]]:
    return AUDITORS[auditor]({example: rendered(example) for example in EXAMPLES})


def excluded(auditor: str, example: str) -> set[str]:
    return {each["check"] for each in EXCLUSIONS if each["auditor"] == auditor and example in each["in"]}


def test_every_environment_is_audited() -> None:
    folders = {path.relative_to(ROOT) for path in environment_files()}
    names = {str(path.parent) if path.name == "environment.yaml" else str(path.with_suffix("")) for path in folders}
    assert names | {"servers"} == {*EXAMPLES}
    assert all(violations(release) == [] for releases in EXAMPLES.values() for release in releases)


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("auditor", AUDITORS)
def test_auditor_finds_nothing(auditor: str, example: str) -> None:
    assert [each for each in findings(auditor)[example] if each.check not in excluded(auditor, example)] == []


@pytest.mark.parametrize(
    ("auditor", "check", "example"),
    [(each["auditor"], each["check"], example) for each in EXCLUSIONS for example in each["in"]],
)
def test_every_exclusion_is_still_needed(auditor: str, check: str, example: str) -> None:
    assert check in {each.check for each in findings(auditor)[example]}


def test_every_exclusion_has_a_reason() -> None:
    assert all(len(each["reason"]) > 20 for each in EXCLUSIONS)


# What is broken, and which check of which auditor tells.

Break = Callable[[Any, Any, list[Any]], object]
"""Changes the pod, its container or the list of all objects in place."""


def without(kind: str) -> Break:
    def change(_pod: Any, _container: Any, objects: list[Any]) -> None:
        objects[:] = [each for each in objects if each["kind"] != kind]

    return change


def one(objects: list[Any], kind: str) -> Any:
    return next(each for each in objects if each["kind"] == kind)


def context(**fields: Any) -> Break:
    return lambda _pod, container, _: container["securityContext"].update(fields)


def everywhere(field: str, value: Any) -> Break:
    """In the pod and in its container: either would do for the other."""

    def change(pod: Any, container: Any, _: list[Any]) -> None:
        for each in (pod, container):
            each["securityContext"].pop(field, None)
            if value is not None:
                each["securityContext"][field] = value

    return change


def of_pod(**fields: Any) -> Break:
    return lambda pod, _, __: pod.update(fields)


def of_container(**fields: Any) -> Break:
    return lambda _, container, __: container.update(fields)


def dropped(*fields: str) -> Break:
    def change(_pod: Any, container: Any, _: list[Any]) -> None:
        for field in fields:
            del container[field]

    return change


def both(first: Break, second: Break) -> Break:
    return lambda *there: (first(*there), second(*there))


def unlimited(resource: str) -> Break:
    return lambda _, container, __: container["resources"]["limits"].pop(resource)


BROKEN: list[tuple[str, str, Break]] = [
    ("pod-security", "privileged", context(privileged=True)),
    ("pod-security", "allowPrivilegeEscalation != false", context(allowPrivilegeEscalation=True)),
    ("pod-security", "unrestricted capabilities", context(capabilities={})),
    ("pod-security", "unrestricted capabilities", context(capabilities={"drop": ["ALL"], "add": ["NET_RAW"]})),
    ("pod-security", "runAsNonRoot != true", everywhere("runAsNonRoot", None)),
    ("pod-security", "runAsUser=0", everywhere("runAsUser", 0)),
    ("pod-security", "seccompProfile", everywhere("seccompProfile", None)),
    ("pod-security", "seccompProfile", everywhere("seccompProfile", {"type": "Unconfined"})),
    (
        "pod-security",
        "forbidden AppArmor profile",
        lambda pod, _, __: pod["securityContext"].update(appArmorProfile={"type": "Unconfined"}),
    ),
    ("pod-security", "procMount", context(procMount="Unmasked")),
    ("pod-security", "seLinuxOptions", context(seLinuxOptions={"type": "spc_t"})),
    ("pod-security", "host namespaces", of_pod(hostNetwork=True)),
    ("pod-security", "host namespaces", of_pod(hostPID=True)),
    ("pod-security", "host namespaces", of_pod(hostIPC=True)),
    ("pod-security", "hostPort", lambda _, container, __: container["ports"][0].update(hostPort=8080)),
    (
        "pod-security",
        "restricted volume types",
        lambda pod, _, __: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    ),
    (
        "pod-security",
        "forbidden sysctls",
        lambda pod, _, __: pod["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
    ),
    ("kubeconform", "statusInvalid", of_pod(hostNetwrok=True)),
    ("kubeconform", "statusInvalid", lambda _, __, objects: one(objects, "Deployment")["spec"].update(replicas="two")),
    ("kubeconform", "statusInvalid", lambda _, __, objects: one(objects, "Deployment")["spec"].pop("selector")),
    ("kubeconform", "statusInvalid", lambda _, __, objects: one(objects, "LimitRange")["spec"].update(limits=None)),
    ("kubeconform", "statusInvalid", lambda _, __, objects: one(objects, "NetworkPolicy")["spec"].update(ports=[])),
    (
        "kubeconform",
        "statusInvalid",
        lambda _, __, objects: one(objects, "ScaledObject")["spec"].update(minReplicaCount="one"),
    ),
    ("kubeconform", "statusInvalid", lambda _, __, objects: one(objects, "ScaledObject")["spec"].pop("triggers")),
    ("kubeconform", "statusInvalid", lambda _, __, objects: one(objects, "ScaledObject")["spec"].update(coolDown=1)),
    ("kube-score", "pod-networkpolicy", without("NetworkPolicy")),
    ("kube-score", "deployment-has-poddisruptionbudget", without("PodDisruptionBudget")),
    ("kube-score", "container-image-tag", of_container(image="registry.example.com/growth/churn:latest")),
    ("kube-score", "container-image-pull-policy", of_container(imagePullPolicy="IfNotPresent")),
    ("kube-score", "container-resources", dropped("resources")),
    ("kube-score", "container-ephemeral-storage-request-and-limit", unlimited("ephemeral-storage")),
    ("kube-score", "container-security-context-privileged", context(privileged=True)),
    ("kube-score", "container-security-context-readonlyrootfilesystem", context(readOnlyRootFilesystem=False)),
    ("kube-score", "container-security-context-user-group-id", everywhere("runAsUser", 1000)),
    ("kube-score", "container-security-context-user-group-id", everywhere("runAsGroup", 1000)),
    ("kube-score", "container-seccomp-profile", everywhere("seccompProfile", None)),
    ("kube-score", "pod-probes", dropped("readinessProbe", "livenessProbe", "startupProbe")),
    (
        "kube-score",
        "pod-probes-identical",
        lambda _, container, __: container.update(livenessProbe=container["readinessProbe"]),
    ),
    (
        "kube-score",
        "deployment-has-host-podantiaffinity",
        lambda pod, _, __: pod.pop("affinity"),
    ),
    (
        "kube-score",
        "service-targets-pod",
        lambda _, __, objects: one(objects, "Service")["spec"].update(selector={"a": "b"}),
    ),
    ("kube-score", "service-type", lambda _, __, objects: one(objects, "Service")["spec"].update(type="NodePort")),
    (
        "kube-score",
        "networkpolicy-targets-pod",
        lambda _, __, objects: one(objects, "NetworkPolicy")["spec"].update(podSelector={"matchLabels": {"a": "b"}}),
    ),
    (
        "kube-score",
        "deployment-replicas",
        both(
            without("HorizontalPodAutoscaler"),
            lambda _, __, objects: one(objects, "Deployment")["spec"].update(replicas=1),
        ),
    ),
    (
        "kube-score",
        "horizontalpodautoscaler-has-target",
        lambda _, __, objects: one(objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"].update(name="other"),
    ),
    ("checkov", "CKV_K8S_8", dropped("livenessProbe")),
    ("checkov", "CKV_K8S_9", dropped("readinessProbe")),
    ("checkov", "CKV_K8S_11", unlimited("cpu")),
    ("checkov", "CKV_K8S_13", unlimited("memory")),
    ("checkov", "CKV_K8S_14", of_container(image="registry.example.com/growth/churn")),
    (
        "checkov",
        "CKV_K8S_15",
        of_container(imagePullPolicy="IfNotPresent", image="registry.example.com/growth/churn:3"),
    ),
    ("checkov", "CKV_K8S_16", context(privileged=True)),
    ("checkov", "CKV_K8S_17", of_pod(hostPID=True)),
    ("checkov", "CKV_K8S_19", of_pod(hostNetwork=True)),
    ("checkov", "CKV_K8S_20", context(allowPrivilegeEscalation=True)),
    (
        "checkov",
        "CKV_K8S_21",
        lambda _, __, objects: one(objects, "Deployment")["metadata"].update(namespace="default"),
    ),
    ("checkov", "CKV_K8S_22", context(readOnlyRootFilesystem=False)),
    ("checkov", "CKV_K8S_23", both(everywhere("runAsNonRoot", None), everywhere("runAsUser", 0))),
    ("checkov", "CKV_K8S_26", lambda _, container, __: container["ports"][0].update(hostPort=8080)),
    ("checkov", "CKV_K8S_31", everywhere("seccompProfile", None)),
    (
        "checkov",
        "CKV_K8S_35",
        lambda _, container, __: container["env"].append(
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "churn", "key": "a"}}}
        ),
    ),
    (
        "kubeconform",
        "statusInvalid",
        lambda pod, _, __: pod["volumes"].append({"name": "weights", "image": {"refrence": "a"}}),
    ),
    ("checkov", "CKV_K8S_37", context(capabilities={"drop": ["NET_RAW"], "add": ["NET_ADMIN"]})),
    ("checkov", "CKV_K8S_38", lambda pod, _, __: pod.pop("automountServiceAccountToken")),
    ("checkov", "CKV_K8S_40", everywhere("runAsUser", 1000)),
    ("checkov", "CKV_K8S_43", of_container(image="registry.example.com/growth/churn:3")),
]


def changed(change: Break) -> list[Any]:
    objects = rendered("examples/own-program")
    # Of another example: this one leaves scaling to Kubernetes itself.
    objects.append(one(rendered("examples/portability/environments/eks"), "ScaledObject"))
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    change(pod, pod["containers"][0], objects)
    return objects


@cache
def findings_in_broken(auditor: str) -> Mapping[str, Sequence[Finding]]:
    sets = {str(index): changed(change) for index, (one, _, change) in enumerate(BROKEN) if one == auditor}
    return AUDITORS[auditor](sets)


@pytest.mark.parametrize("index", range(len(BROKEN)), ids=[f"{one}-{two}" for one, two, _ in BROKEN])
def test_auditor_tells_what_is_broken(index: int) -> None:
    auditor, check, _ = BROKEN[index]
    told = findings_in_broken(auditor)[str(index)]
    assert any(check in each.check for each in told), told
