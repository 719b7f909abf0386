"""Transitions: every edit that a stack's files can have, as data, and what each does to the objects of a live model.

For every field of `model.yaml`, `environment.yaml` and an entry of `models.yaml`, `FIELDS` has two values of it. `EDITS` are the
changes that are more than one field. The unit tests, the tests with a real engine and docs/edits.md are made from them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from docs.fields import parts
from homeport.edits import homes, shortages
from homeport.manifests import resources
from homeport.manifests.names import MARK, Manifest
from homeport.ownership import Live
from homeport.release import Release
from homeport.rules.one_release import violations
from homeport.rules.totals import total_violations
from homeport.specs.environment import Environment
from homeport.specs.live_models import LiveModel, LiveModels
from homeport.specs.model import Model
from homeport.specs.quantities import amount

Files = dict[str, Any]
"""Content of the files of a stack: `model`, `environment`, `models` and `neighbour`, another model."""

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "ABSENT"})()
"""A field that is left out."""

NAME, NEIGHBOUR = "edited", "neighbour"
"""Names of the model that is edited and of the other one."""

REGISTRY = "registry.example.com"
COMMIT = "0" * 40
DIGESTS = [f"sha256:{digit * 64}" for digit in "0123"]
TRIGGER = {"type": "prometheus", "metadata": {"query": "{model}", "threshold": "{target}"}}
EGRESS = {"cidr": "203.0.113.0/24", "port": 443, "reason": "features"}
SECRET = {"name": "token", "reason": "the feature store"}
TOLERATION = {"key": "team", "value": "edits"}

BASE: Files = {
    "model": {"name": NAME, "owner": "ds", "image": f"{REGISTRY}/{NAME}"},
    "neighbour": {"name": NEIGHBOUR, "owner": "ds", "image": f"{REGISTRY}/{NEIGHBOUR}"},
    "environment": {"cluster": {"identifier": "edits"}},
    "models": {"models": {NAME: {"spec": "model.yaml", "stable": {"version": "1"}}}},
}

SPECS: Mapping[str, type[BaseModel]] = {"model": Model, "environment": Environment, "models": LiveModel}
"""What people write, by the beginning of the paths in `FIELDS`."""

_ENTRY = ("models", "models", NAME)
_NAMES = {
    "keda.triggers": "concurrency",
    "teams": "ds",
    "accelerators": "rare",
    "identities": NAME,
    "claims": NAME,
    f"claims.{NAME}": "first",
    "secrets": NAME,
    f"secrets.{NAME}": "token",
}
"""The name that a path with `<name>` has, by what is before it."""


@dataclass(frozen=True)
class Field:
    """Two values of a field."""

    one: Any
    other: Any
    """Another one; a higher one, if it is a number or a quantity."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """What else the files state, by path, for the field to be allowed or to matter."""
    runs: bool = False
    """Pods run it, so a change of it replaces them."""
    kept: frozenset[str] | set[str] = frozenset()
    """Kinds of change that nevertheless replace no pod."""


class Transition(NamedTuple):
    """Files before and after an edit."""

    name: str
    """The field and the kind of change, such as `model.scale.min: raised`, or a name of `EDITS`."""
    before: Files
    after: Files
    runs: bool
    """Pods run what changes."""


Given = dict[str, Any]
"""What the files state, by path."""

# What a field needs to be allowed, or to matter.
_GPU_NODES: Given = {
    "environment.accelerators": {"rare": {"labels": {"gpu": ["rare"]}}, "old": {"labels": {"gpu": ["old"]}}}
}
_GPU = _GPU_NODES | {"model.resources": {"gpu": {"kinds": ["rare"]}}}
_NVIDIA: Given = {"environment.cloud": "nvidia", "model.resources": {"gpu": {"kinds": ["a100-40gb"]}}}
_SLICE: Given = {"environment.cloud": "nvidia", "model.resources": {"gpu": {"kinds": ["a100-40gb"], "mig": "1g.5gb"}}}
_SHARE: Given = {"environment.cloud": "nvidia", "model.resources": {"gpu": {"kinds": ["a100-40gb"], "shared": True}}}
_BUILT: Given = {
    "model.image": ABSENT,
    "model.build": {"base": "python-3.11"},
    "environment.images": {
        "registry": f"{REGISTRY}/built",
        "bases": {"python-3.11": "{registry}/base:1", "python-3.12": "{registry}/base:2"},
        "packages": ["libgomp1", "libblas3"],
    },
    "models.stable.digest": DIGESTS[0],
}
_GATEWAY: Given = {
    "environment.gateway": {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com"}
}
_CANARY = _GATEWAY | {"models.canary": {"version": "2", "percent": 10}}
_KEDA: Given = {
    "environment.keda": {
        "triggers": {
            name: TRIGGER | {"from_zero": True} for name in ("concurrency", "requests_per_second", "queue_length")
        }
    }
}
_DEMAND = _KEDA | {"model.scale": {"target": {"concurrency": 5}}}
_HTTP: Given = {"model.protocol": "http", "model.port": 8080, "model.health": {"live": "/live", "ready": "/ready"}}
_MONITORED: Given = {"environment.monitoring": {"namespace": "monitoring"}, "model.metrics": {"port": 9100}}
_CILIUM: Given = {"environment.network": {"plugin": "cilium"}}
_HOST = _CILIUM | {"model.egress": [{"host": "features.example.com", "port": 443, "reason": "features"}]}
_EKS, _GKE, _AKS = ({"environment.cloud": cloud} for cloud in ("eks-managed", "gke", "aks"))
_TEAM: Given = {"environment.teams": {"ds": {"group": "oidc:ds", "folder": ".", "models": [NAME]}}}
_ROLE = "arn:aws:iam::111122223333:role/edited"
_IDENTITY = _EKS | {"environment.identities": {NAME: {"role_arn": _ROLE}}}
_VOLUMES: Given = {"environment.claims": {NAME: {name: {"volume": f"edited-{name}"} for name in ("first", "second")}}}
_CLAIM = _VOLUMES | {"model.weights": {"claim": "first"}}
_IMAGE: Given = {"model.weights": {"image": f"{REGISTRY}/weights"}, "models.stable.weights": {"version": "1"}}
_CONFIG: Given = {"model.secrets": [SECRET], "environment.secrets": {NAME: {"token": {"config": "token"}}}}
_CONFIGS = _CONFIG | {"environment.secrets": {NAME: {name: {"config": name} for name in ("token", "licence")}}}
_STORE = {"store": "company", "key": "ml/token"}
_EXTERNAL: Given = {"model.secrets": [SECRET], "environment.secrets": {NAME: {"token": {"external": _STORE}}}}
_BESIDE: Given = {"models.neighbour": {"spec": "neighbour.yaml", "stable": {"version": "1"}}}
_CALLED: Given = _BESIDE | {"neighbour.owner": "others", "neighbour.calls": [NAME]}
_DEPLOYER: Given = {"environment.deployer": {"group": "oidc:deployers"}}

FIELDS: Mapping[str, Field] = {
    # model.yaml
    "model.name": Field(NAME, "renamed"),
    "model.owner": Field("ds", "others"),
    "model.image": Field(f"{REGISTRY}/edited", f"{REGISTRY}/other", runs=True),
    "model.build": Field({"base": "python-3.11"}, {"base": "python-3.12"}, _BUILT),
    "model.build.base": Field("python-3.11", "python-3.12", _BUILT),
    "model.build.requirements": Field("requirements.txt", "requirements.lock", _BUILT),
    "model.build.packages": Field(["libgomp1"], ["libblas3"], _BUILT),
    "model.build.serve": Field("model:predict", "model:Model", _BUILT),
    "model.build.files": Field(["model.py"], ["model.py", "model.onnx"], _BUILT),
    "model.build.dockerfile": Field("Dockerfile", "Other", _BUILT | {"model.build": {}}),
    "model.server": Field("vllm", "triton", {"model.resources": {"memory": "4Gi"}}, runs=True),
    "model.protocol": Field(
        "open-inference", "http", {name: _HTTP[name] for name in ("model.port", "model.health")}, runs=True
    ),
    "model.args": Field(["--fast"], ["--slow"], runs=True),
    "model.port": Field(8000, 9000, runs=True),
    "model.health": Field({"live": "/live", "ready": "/ready"}, {"live": "/alive", "ready": "/open"}, runs=True),
    "model.health.live": Field("/live", "/alive", {"model.health": {"ready": "/ready"}}, runs=True),
    "model.health.ready": Field("/ready", "/open", {"model.health": {"live": "/live"}}, runs=True),
    "model.metrics": Field({"port": 9100}, {"port": 9200}, _MONITORED, runs=True),
    "model.metrics.port": Field(9100, 9200, _MONITORED, runs=True),
    "model.metrics.path": Field("/stats", "/numbers", _MONITORED),
    "model.resources.cpu": Field("250m", 1, runs=True),
    "model.resources.memory": Field("256Mi", "1Gi", runs=True),
    "model.resources.tmp": Field("64Mi", "512Mi", runs=True),
    "model.resources.shm": Field("64Mi", "128Mi", runs=True),
    "model.resources.gpu": Field({"kinds": ["rare"]}, {"kinds": ["old"]}, _GPU_NODES, runs=True),
    "model.resources.gpu.kinds": Field(["rare"], ["rare", "old"], _GPU, runs=True),
    "model.resources.gpu.count": Field(2, 4, _GPU, runs=True),
    "model.resources.gpu.mig": Field("1g.5gb", "2g.10gb", _NVIDIA, runs=True),
    "model.resources.gpu.shared": Field(False, True, _NVIDIA, runs=True),
    "model.scale.min": Field(2, 3),
    "model.scale.max": Field(3, 4),
    "model.scale.target.cpu": Field(50, 80),
    "model.scale.target.memory": Field(50, 80),
    "model.scale.target.concurrency": Field(5, 10, _KEDA),
    "model.scale.target.requests_per_second": Field(5, 10, _KEDA),
    "model.scale.target.queue_length": Field(5, 10, _KEDA),
    "model.scale.up_seconds": Field(10, 60),
    "model.scale.down_seconds": Field(60, 600),
    "model.startup_seconds": Field(30, 120, runs=True),
    "model.drain_seconds": Field(20, 60, runs=True),
    "model.calls": Field([NEIGHBOUR], [], _BESIDE),
    "model.callers": Field(["others"], ["others", "more"], _CALLED),
    "model.egress": Field([EGRESS], [EGRESS | {"port": 8443}]),
    "model.egress[].cidr": Field("203.0.113.0/24", "198.51.100.0/24", {"model.egress": [EGRESS]}),
    "model.egress[].host": Field("features.example.com", "other.example.com", _HOST),
    "model.egress[].port": Field(443, 8443, {"model.egress": [EGRESS]}),
    "model.egress[].protocol": Field("TCP", "UDP", {"model.egress": [EGRESS]}),
    "model.egress[].reason": Field("features", "labels", {"model.egress": [EGRESS]}),
    "model.env": Field({"MODE": "fast"}, {"MODE": "exact"}, runs=True),
    "model.weights": Field({"claim": "first"}, {"claim": "second"}, _VOLUMES, runs=True),
    "model.weights.image": Field(f"{REGISTRY}/weights", f"{REGISTRY}/others", _IMAGE, runs=True),
    "model.weights.claim": Field("first", "second", _CLAIM, runs=True),
    "model.weights.path": Field("/data", "/files", _CLAIM, runs=True),
    "model.secrets": Field([SECRET], [SECRET, {"name": "licence", "reason": "it asks"}], _CONFIGS, runs=True),
    "model.secrets[].name": Field("token", "licence", _CONFIGS, runs=True),
    "model.secrets[].reason": Field("the feature store", "labels", _CONFIG),
    # environment.yaml
    "environment.cloud": Field("gke", "eks-managed", runs=True),
    "environment.cluster.context": Field("first", "second"),
    "environment.cluster.identifier": Field("edits", "other"),
    "environment.cluster.version": Field("1.35", "1.36", runs=True, kept={"stated"}),
    "environment.namespace": Field("{model}", "ml-{model}"),
    "environment.protect": Field(False, True),
    "environment.gateway": Field({"namespace": "gateway"}, {"namespace": "other"}),
    "environment.gateway.namespace": Field("gateway", "other", _GATEWAY),
    "environment.gateway.name": Field("public", "other", _GATEWAY),
    "environment.gateway.host": Field("{model}.models.example.com", "{model}.example.com", _GATEWAY),
    "environment.gateway.scheme": Field("https", "http", _GATEWAY),
    "environment.monitoring": Field({"namespace": "monitoring"}, {"namespace": "other"}),
    "environment.monitoring.namespace": Field("monitoring", "other", _MONITORED),
    "environment.keda": Field(_KEDA["environment.keda"], {"triggers": {"concurrency": TRIGGER}}),
    "environment.keda.triggers": Field(
        {"concurrency": TRIGGER}, {"concurrency": TRIGGER, "queue_length": TRIGGER}, _DEMAND
    ),
    "environment.keda.triggers.<name>.type": Field("prometheus", "datadog", _DEMAND),
    "environment.keda.triggers.<name>.metadata": Field(
        TRIGGER["metadata"], {"metric": "{instance}", "value": "{target}"}, _DEMAND
    ),
    "environment.keda.triggers.<name>.authentication": Field("first", "second", _DEMAND),
    "environment.keda.triggers.<name>.from_zero": Field(False, True, _DEMAND),
    "environment.limits.cpu": Field(4, 8),
    "environment.limits.memory": Field("4Gi", "8Gi"),
    "environment.limits.gpus": Field(4, 8, _GPU),
    "environment.limits.replicas": Field(4, 8),
    "environment.limits.gpu_kinds": Field(
        ["rare"], ["old"], _GPU | {"model.resources": {"gpu": {"kinds": ["rare", "old"]}}}, runs=True
    ),
    "environment.limits.registries": Field([REGISTRY], [REGISTRY, "other.example.com"]),
    "environment.limits.tmp": Field("512Mi", "1Gi"),
    "environment.limits.startup_seconds": Field(100, 200),
    "environment.limits.drain_seconds": Field(100, 200),
    "environment.limits.egress": Field([EGRESS["cidr"]], ["0.0.0.0/0", EGRESS["cidr"]], {"model.egress": [EGRESS]}),
    "environment.limits.dockerfile": Field(False, True),
    "environment.limits.reserved": Field(["istio-*"], ["*-system"]),
    "environment.limits.total.cpu": Field(8, 16),
    "environment.limits.total.memory": Field("8Gi", "16Gi"),
    "environment.limits.total.gpus": Field(8, 16),
    "environment.require.digest": Field(False, True, {"models.stable.digest": DIGESTS[0]}),
    "environment.require.min_replicas": Field(1, 2, {"model.scale": {"min": 2}}),
    "environment.defaults.cpu": Field("250m", 1, runs=True),
    "environment.defaults.memory": Field("256Mi", "1Gi", runs=True),
    "environment.defaults.min_replicas": Field(2, 3),
    "environment.defaults.max_replicas": Field(4, 5),
    "environment.images": Field({"registry": f"{REGISTRY}/one"}, {"registry": f"{REGISTRY}/other"}, _BUILT, runs=True),
    "environment.images.registry": Field(f"{REGISTRY}/one", f"{REGISTRY}/other", _BUILT, runs=True),
    "environment.images.bases": Field(
        {"python-3.11": "{registry}/base:1"}, {"python-3.11": "{registry}/base:2"}, _BUILT
    ),
    "environment.images.packages": Field(["libgomp1"], ["libgomp1", "libblas3"], _BUILT),
    "environment.images.pip": Field(["PIP_INDEX_URL"], ["PIP_CERT"], _BUILT),
    "environment.images.builder": Field("one", "other", _BUILT),
    "environment.images.platforms": Field(["linux/amd64"], ["linux/arm64"], _BUILT),
    "environment.images.cache": Field(False, True, _BUILT),
    "environment.images.server": Field("0.1.0", "0.2.0", _BUILT),
    "environment.network.plugin": Field("cilium", "cilium"),
    "environment.relax.apparmor": Field("SELinux", "old nodes", runs=True, kept={"replaced"}),
    "environment.relax.cpu_limits": Field("spare cpu", "idle cpu", runs=True, kept={"replaced"}),
    "environment.relax.gpu_downtime": Field("none is spare", "all in use", _GPU),
    "environment.relax.image_pull": Field("the registry sleeps", "it is away", runs=True, kept={"replaced"}),
    "environment.relax.user_namespaces": Field(
        "old kernel", "old runtime", {"environment.cluster.version": "1.36"}, runs=True, kept={"replaced"}
    ),
    "environment.relax.writable_root": Field("the image writes", "its server writes", runs=True, kept={"replaced"}),
    "environment.teams": Field({"ds": {"group": "oidc:ds"}}, {"ds": {"group": "oidc:scientists"}}),
    "environment.teams.<name>.group": Field("oidc:ds", "oidc:scientists", _TEAM),
    "environment.teams.<name>.folder": Field(".", "..", _TEAM),
    "environment.teams.<name>.models": Field([NAME], [NAME, "other"], _TEAM),
    "environment.teams.<name>.registries": Field([REGISTRY], [REGISTRY, "other.example.com"], _TEAM),
    "environment.deployer": Field({"group": "oidc:deployers"}, {"user": "oidc:ci"}),
    "environment.deployer.user": Field("oidc:ci", "oidc:cd", {"environment.deployer": {}}),
    "environment.deployer.group": Field("oidc:deployers", "oidc:others", _DEPLOYER),
    "environment.deployer.service_account": Field("ci/deployer", "cd/deployer", {"environment.deployer": {}}),
    "environment.guard.controllers": Field(["kyverno"], ["gatekeeper"], _DEPLOYER),
    **{
        f"environment.guard.rules.{rule}": Field("Warn", "Audit", _DEPLOYER)
        for rule in ("writers", "pods", "policies", "namespaces", "deployer")
    },
    "environment.accelerators": Field(
        {"rare": {"labels": {"gpu": ["rare"]}}}, {"rare": {"labels": {"gpu": ["rare", "rarest"]}}}, _GPU, runs=True
    ),
    "environment.accelerators.<name>.labels": Field({"gpu": ["rare"]}, {"gpu": ["rare", "rarest"]}, _GPU, runs=True),
    "environment.accelerators.<name>.tolerations": Field([TOLERATION], [{"key": "gpu"}], _GPU, runs=True),
    "environment.accelerators.<name>.tolerations[].key": Field(
        "team", "gpu", _GPU | {"environment.accelerators.<name>.tolerations": [TOLERATION]}, runs=True
    ),
    "environment.accelerators.<name>.tolerations[].value": Field(
        "edits", "others", _GPU | {"environment.accelerators.<name>.tolerations": [TOLERATION]}, runs=True
    ),
    "environment.accelerators.<name>.tolerations[].effect": Field(
        "NoSchedule", "NoExecute", _GPU | {"environment.accelerators.<name>.tolerations": [TOLERATION]}, runs=True
    ),
    "environment.accelerators.<name>.resource": Field("example.com/one", "example.com/other", _GPU, runs=True),
    "environment.gpu.discovery": Field(
        False, True, {"environment.cloud": "aks", "model.resources": {"gpu": {"kinds": ["t4"]}}}, runs=True
    ),
    "environment.gpu.mig_strategy": Field("single", "mixed", _SLICE, runs=True),
    "environment.gpu.rename_shared": Field(False, True, _SHARE, runs=True),
    "environment.gpu.tolerations": Field([TOLERATION], [{"key": "gpu"}], _NVIDIA, runs=True),
    "environment.gpu.tolerations[].key": Field(
        "team", "gpu", _NVIDIA | {"environment.gpu.tolerations": [TOLERATION]}, runs=True
    ),
    "environment.gpu.tolerations[].value": Field(
        "edits", "others", _NVIDIA | {"environment.gpu.tolerations": [TOLERATION]}, runs=True
    ),
    "environment.gpu.tolerations[].effect": Field(
        "NoSchedule", "NoExecute", _NVIDIA | {"environment.gpu.tolerations": [TOLERATION]}, runs=True
    ),
    "environment.gpu.user_namespaces": Field(False, True, _GPU | {"environment.cluster.version": "1.36"}, runs=True),
    "environment.spot": Field(False, True, _GKE, runs=True),
    "environment.priority_class": Field("low", "high", runs=True),
    "environment.identities": Field({NAME: {"role_arn": _ROLE}}, {NAME: {"role_arn": f"{_ROLE}-2"}}, _EKS, runs=True),
    "environment.identities.<name>.role_arn": Field(_ROLE, f"{_ROLE}-2", _IDENTITY, runs=True),
    "environment.identities.<name>.pod_identity": Field(
        True, True, _EKS | {"environment.identities": {NAME: {}}}, runs=True
    ),
    "environment.identities.<name>.service_account": Field(
        "one@project.iam.gserviceaccount.com",
        "other@project.iam.gserviceaccount.com",
        _GKE | {"environment.identities": {NAME: {}}},
        runs=True,
    ),
    "environment.identities.<name>.client_id": Field(
        "00000000-1111-2222-3333-444444444444",
        "00000000-1111-2222-3333-555555555555",
        _AKS | {"environment.identities": {NAME: {}}},
        runs=True,
    ),
    "environment.token_endpoint": Field("10.0.8.0/24", "10.0.9.0/24", _IDENTITY),
    "environment.claims": Field(
        {NAME: {"first": {"volume": "edited-first"}}}, {NAME: {"first": {"volume": "edited-second"}}}, _CLAIM, runs=True
    ),
    "environment.claims.<name>.<name>.volume": Field("edited-first", "edited-third", _CLAIM, runs=True),
    "environment.secrets": Field(
        {NAME: {"token": {"config": "token"}}}, {NAME: {"token": {"config": "licence"}}}, _CONFIG
    ),
    "environment.secrets.<name>.<name>.config": Field("token", "licence", _CONFIG),
    "environment.secrets.<name>.<name>.external": Field(_STORE, _STORE | {"key": "ml/other"}, _EXTERNAL),
    "environment.secrets.<name>.<name>.external.store": Field("company", "other", _EXTERNAL),
    "environment.secrets.<name>.<name>.external.kind": Field("ClusterSecretStore", "SecretStore", _EXTERNAL),
    "environment.secrets.<name>.<name>.external.key": Field("ml/token", "ml/other", _EXTERNAL),
    "environment.secrets.<name>.<name>.external.property": Field("one", "other", _EXTERNAL),
    "environment.secrets.<name>.<name>.version": Field("1", "2", _CONFIG, runs=True),
    "environment.max_surge": Field(2, 3),
    "environment.provision_seconds": Field(120, 240),
    "environment.endpoint_seconds": Field(5, 15, runs=True),
    # an entry of models.yaml
    "models.spec": Field("model.yaml", "./model.yaml"),
    "models.stable.version": Field("1", "2", runs=True),
    "models.stable.digest": Field(DIGESTS[0], DIGESTS[1], runs=True),
    "models.stable.weights": Field({"version": "1"}, {"version": "2"}, _IMAGE, runs=True),
    "models.stable.weights.version": Field("1", "2", _IMAGE, runs=True),
    "models.stable.weights.digest": Field(DIGESTS[2], DIGESTS[3], _IMAGE, runs=True),
    "models.canary": Field(
        {"version": "2", "percent": 10},
        {"version": "3", "percent": 10},
        _GATEWAY,
        runs=True,
        kept={"stated", "left out"},
    ),
    "models.canary.version": Field("2", "3", _CANARY, runs=True),
    "models.canary.digest": Field(DIGESTS[0], DIGESTS[1], _CANARY, runs=True),
    "models.canary.weights": Field({"version": "2"}, {"version": "3"}, _CANARY | _IMAGE, runs=True),
    "models.canary.weights.version": Field("2", "3", _CANARY | _IMAGE, runs=True),
    "models.canary.weights.digest": Field(
        DIGESTS[2], DIGESTS[3], _CANARY | _IMAGE | {"models.canary.weights": {"version": "2"}}, runs=True
    ),
    "models.canary.percent": Field(10, 50, _CANARY),
}
"""Two values of every field, by path."""

_SCALES: dict[str, dict[str, Any]] = {
    "a fixed number": {"model.scale": {"min": 3, "max": 3}},
    "a range": {"model.scale": {"min": 2, "max": 4}},
    "KEDA": {"model.scale": {"min": 1, "max": 4, "target": {"concurrency": 5}}},
    "KEDA from zero": {"model.scale": {"min": 0, "max": 4, "target": {"concurrency": 5}}},
}
_CANARIES: dict[str, dict[str, Any]] = {"": {}, "beside a canary: ": _CANARY}
_SMALL, _LARGE = ({"environment.limits": {"cpu": 3 * cpu}, "model.resources": {"cpu": cpu}} for cpu in (1, 8))
_RELAXED: Given = {
    "environment.relax": dict.fromkeys(
        ("apparmor", "cpu_limits", "image_pull", "user_namespaces", "writable_root"), "why"
    )
}

EDITS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any], bool]] = {
    **{
        f"{beside}{one} to {other}": (_KEDA | canary | _SCALES[one], _KEDA | canary | _SCALES[other], False)
        for beside, canary in _CANARIES.items()
        for one in _SCALES
        for other in _SCALES
        if one != other
    },
    **{
        f"a canary beside {scale}": (_KEDA | _GATEWAY | stated, _KEDA | _CANARY | stated, False)
        for scale, stated in _SCALES.items()
    },
    "a canary is promoted": (_CANARY, _GATEWAY | {"models.stable.version": "2"}, True),
    "a canary is aborted": (_CANARY, _GATEWAY, False),
    "a gateway that routes": ({}, _GATEWAY, False),
    "no gateway that routes": (_GATEWAY, {}, False),
    "a GPU to none": (_GPU, _GPU_NODES, True),
    "no GPU to one": (_GPU_NODES, _GPU, True),
    "weights from an image to a claim": (_VOLUMES | _IMAGE, _CLAIM, True),
    "weights from a claim to an image": (_CLAIM, _VOLUMES | _IMAGE, True),
    "a secret from Pulumi's configuration to a store": (_CONFIG, _EXTERNAL, True),
    "a secret from a store to Pulumi's configuration": (_EXTERNAL, _CONFIG, True),
    "an image to a built one": ({}, _BUILT, True),
    "a host gets an identity of the node": (
        _HOST | _EKS,
        _HOST | _EKS | {"environment.identities": {NAME: {"pod_identity": True}}},
        True,
    ),
    "a host loses an identity of the node": (
        _HOST | _EKS | {"environment.identities": {NAME: {"pod_identity": True}}},
        _HOST | _EKS,
        True,
    ),
    "a host to a network": (_HOST, _CILIUM | {"model.egress": [EGRESS]}, False),
    "every control relaxed": ({}, _RELAXED, True),
    "no control relaxed": (_RELAXED, {}, True),
    "a team is renamed": (
        _TEAM,
        {"environment.teams": {"scientists": _TEAM["environment.teams"]["ds"]}, "model.owner": "scientists"},
        False,
    ),
    "another namespace beside an edit": ({}, {"environment.namespace": "ml-{model}", "model.scale": {"min": 2}}, False),
    "another cluster's name": ({}, {"environment.cluster.identifier": "other"}, False),
    "model and ceiling become smaller": (_LARGE, _SMALL, True),
    "model and ceiling become larger": (_SMALL, _LARGE, True),
}
"""Changes of more than one field: what the files state before and after, by path, and whether pods run what changes."""


def paths(spec: type[BaseModel], above: str) -> Iterator[tuple[str, Any]]:
    """The fields that people can state, by path; of those that hold others and are always there, only the others."""
    for name, found in spec.model_fields.items():
        inner = list(parts(found.annotation))
        default = None if found.is_required() else found.get_default(call_default_factory=True)
        if not (isinstance(default, BaseModel) or (found.is_required() and inner and inner[0][1] == "")):
            yield f"{above}.{name}", found
        for part, suffix in inner:
            yield from paths(part, f"{above}.{name}{suffix}")


def transitions() -> Iterator[Transition]:
    """Every edit."""
    for path, each in FIELDS.items():
        for kind, before, after in kinds(path, each):
            yield Transition(f"{path}: {kind}", before, after, each.runs and kind not in each.kept)
    for name, (given, then, runs) in EDITS.items():
        yield Transition(name, stated(given), stated(then), runs)


def kinds(path: str, found: Field) -> Iterator[tuple[str, Files, Files]]:
    """The kinds of change that a field can have, each with the files before and after it."""
    one, other, absent = (stated({**found.given, path: value}) for value in (found.one, found.other, ABSENT))
    grows = _amount(found.one) is not None
    spec = found_in_specs()[path]
    optional = not spec.is_required()
    if optional and found.one != spec.get_default(call_default_factory=True):
        yield "stated", absent, one
    if found.one != found.other:
        yield "raised" if grows else "replaced", one, other
    if grows:
        yield "lowered", other, one
    if optional:
        yield "left out", other, absent


@cache
def found_in_specs() -> Mapping[str, Any]:
    """Every field of the specs by path."""
    return {path: found for name, spec in SPECS.items() for path, found in paths(spec, name)}


def _amount(value: Any) -> Decimal | None:
    """The amount of a number or a quantity; None for what is neither."""
    if isinstance(value, str) and re.fullmatch("[0-9]+(m|Mi|Gi)", value):
        return amount(value)
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def stated(given: Mapping[str, Any]) -> Files:
    """The files that state what is given by path, and otherwise the least."""
    files = deepcopy(BASE)
    for path, value in sorted(given.items(), key=lambda each: each[0].count(".")):
        _set(files, _keys(path), value)
    return files


def _keys(path: str) -> list[str | int]:
    """The keys that lead to a field in the files."""
    file, *rest = path.replace("[]", ".0").split(".")
    if file == "models":
        return ["models", "models", *rest] if rest[0] == NEIGHBOUR else [*_ENTRY, *rest]
    keys: list[str | int] = []
    for part in rest:
        keys.append(_NAMES[".".join(map(str, keys))] if part == "<name>" else 0 if part == "0" else part)
    return [file, *keys]


def _set(files: Any, keys: Sequence[str | int], value: Any) -> None:
    *above, last = keys
    for key in above:
        if key == 0 and not files:  # the list that it would be in is left out
            return
        files = files[key] if key == 0 else files.setdefault(key, {})
    if value is not ABSENT:
        files[last] = deepcopy(value)
    elif last in files:
        del files[last]


class Refused(Exception):  # noqa: N818 - it is no error here
    """What `homeport check` says against the files."""


def releases(files: Files) -> dict[str, Release]:
    """The releases of a stack by model, made from the content of its files.

    Raises:
        Refused: The files are not valid, or the environment does not allow them.
    """
    return _releases(json.dumps(files))


@cache
def _releases(files: str) -> dict[str, Release]:
    content = json.loads(files)
    try:
        environment = Environment.model_validate(content["environment"])
        live = LiveModels.model_validate(content["models"])
        models = {entry.spec: Model.model_validate(content[Path(entry.spec).stem]) for entry in live.models.values()}
    except ValidationError as error:
        raise Refused("; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())) from None
    found = {}
    for entry in live.models.values():
        model = models[entry.spec]
        peers = [each for each in models.values() if each is not model]
        made = Release.of(model, environment, entry.stable, entry.canary)
        found[model.name] = replace(made, peers=peers, deployed_by="shop/prod", commit=COMMIT)
    problems = [each.message for made in found.values() for each in violations(made)]
    problems += [each.message for each in total_violations(environment.limits.total, list(found.values()))]
    if problems:
        raise Refused("; ".join(problems))
    return found


@dataclass(frozen=True)
class Effect:
    """What an edit does to the objects of all models."""

    created: Sequence[str] = ()
    """Kinds of objects."""
    changed: Sequence[str] = ()
    """Kinds of objects whose content changes in place."""
    exchanged: Sequence[str] = ()
    """Kinds of objects for which another one is created first, and the old one deleted at the end."""
    deleted: Sequence[str] = ()
    noted: bool = False
    """Labels or annotations change, also of objects whose content stays."""
    restarts: bool = False
    """Pods of a version that runs before and after are replaced."""


Objects = Mapping[tuple[str, str], Manifest]
"""Objects by name of the model and of the resource in Pulumi."""


def objects(files: Files) -> Objects:
    """All objects of a stack.

    Raises:
        Refused: There are none, because the files are not accepted.
    """
    return {
        (name, each.name): each.manifest for name, release in releases(files).items() for each in resources(release)
    }


def effect(old: Objects, new: Objects) -> Effect:
    """What happens to the objects of before, and of which kinds those of after are that are new."""
    kind_of = {key: each["kind"] for key, each in {**old, **new}.items()}
    created, deleted = (
        Counter(kind_of[key] for key in keys) for keys in (new.keys() - old.keys(), old.keys() - new.keys())
    )
    both = old.keys() & new.keys()
    return Effect(
        _kinds(created - deleted),
        _kinds(Counter(kind_of[key] for key in both if _content(old[key]) != _content(new[key]))),
        _kinds(created & deleted),
        _kinds(deleted - created),
        noted=any(_notes(old[key]) != _notes(new[key]) for key in both),
        restarts=any(
            "template" in old[key].get("spec", {}) and old[key]["spec"]["template"] != new[key]["spec"]["template"]
            for key in both
        ),
    )


def refusal(old: Objects, new: Objects) -> str | None:
    """Why the update does not begin, although the files are right: what it would take from the pods of before."""
    for key in old.keys() & new.keys():
        before, after = old[key], new[key]
        if after["kind"] == "Namespace" and (
            found := homes([Live.of(before)], after, after["metadata"]["annotations"][MARK])
        ):
            return "; ".join(found)
        if after["kind"] == "ResourceQuota" and (found := shortages(used(old, new, key[0]), after["spec"]["hard"])):
            return "; ".join(found)
    return None


def used(old: Objects, new: Objects, model: str) -> Manifest:
    """The quota of a model as the cluster shows it, when the autoscaler has removed the pods that will be too many."""
    found: Counter[str] = Counter()
    for (name, key), each in old.items():
        if name == model and each["kind"] == "Deployment":
            count = min(most(objects, name, key) for objects in (old, new) if (name, key) in objects)
            found["pods"] += count
            for resource, size in sizes(each).items():
                found[resource] += count * int(1000 * amount(size))
    return {"status": {"used": {name: str(count) if name == "pods" else f"{count}m" for name, count in found.items()}}}


def most(objects: Objects, model: str, deployment: str) -> int:
    """Maximum replicas of a version."""
    suffix = deployment.removeprefix("deployment")
    scaled, own = (objects.get((model, f"{kind}{suffix}")) for kind in ("scaledobject", "horizontalpodautoscaler"))
    if scaled:
        return int(scaled["spec"]["maxReplicaCount"])
    return int(own["spec"]["maxReplicas"]) if own else 0


def sizes(deployment: Manifest) -> dict[str, str]:
    """What a pod counts in a quota, by the quota's names."""
    resources = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]
    return {f"{part}.{name}": size for part in ("requests", "limits") for name, size in resources[part].items()}


def _kinds(found: Counter[str]) -> list[str]:
    return sorted(found)


def _content(manifest: Manifest) -> Manifest:
    return {key: value for key, value in manifest.items() if key != "metadata"}


def _notes(manifest: Manifest) -> Manifest:
    """Its metadata, without what tells of every edit of a file."""
    metadata = manifest["metadata"]
    every = {"homeport/spec-digest", "homeport/git-commit"}
    notes = {key: value for key, value in metadata["annotations"].items() if key not in every}
    return {**metadata, "annotations": notes}
