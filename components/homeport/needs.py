"""Needs: what the objects of a model need of a cluster besides Kubernetes itself, each with the field that promises it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from homeport.manifests.names import Manifest
from homeport.release import Release
from homeport.rules.violation import Violation
from homeport.specs.problems import Location, dotted


@dataclass(frozen=True)
class Need:
    """An object of the platform that an object of a model names."""

    field: Location
    """Field of the environment that names it."""
    api_version: str
    kind: str
    name: str
    namespace: str | None = None

    @property
    def reference(self) -> Manifest:
        """Which object it is."""
        place = {"namespace": self.namespace} if self.namespace else {}
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": self.name, **place}}


_PROGRAMS: Mapping[tuple[str, str], tuple[str, Location]] = {
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): ("the Gateway API", ("gateway", "name")),
    ("keda.sh/v1alpha1", "ScaledObject"): ("KEDA", ("keda",)),
    ("external-secrets.io/v1", "ExternalSecret"): ("the External Secrets Operator", ("secrets",)),
    ("cilium.io/v2", "CiliumNetworkPolicy"): ("Cilium", ("network", "plugin")),
}
"""Kinds that Kubernetes itself does not have: what brings each, and the field of the environment that promises it."""


def extended(manifests: Sequence[Manifest]) -> list[tuple[str, str]]:
    """API version and name of each kind in manifests that Kubernetes itself does not have."""
    return [
        kind for kind in dict.fromkeys((each["apiVersion"], each["kind"]) for each in manifests) if kind in _PROGRAMS
    ]


def unknown_kind(api_version: str, kind: str) -> Violation:
    """The problem of a kind that the cluster does not serve."""
    program, field = _PROGRAMS[api_version, kind]
    message = f"found a cluster that does not serve {kind} ({api_version}), accepted: one with {program}"
    return Violation(field, f"{message}, or no `{dotted(field)}`", source="environment")


def needs(release: Release) -> list[Need]:
    """The platform's objects that those of a release name."""
    return list(_needs(release))


def missing(need: Need) -> Violation:
    """The problem of an object that does not exist."""
    there = f" in the namespace {need.namespace}" if need.namespace else ""
    message = f'found "{need.name}", which the cluster does not have, accepted: the name of a {need.kind}{there}'
    return Violation(need.field, message, source="environment")


def _needs(release: Release) -> Iterator[Need]:
    here, model = release.environment, release.model
    if here.priority_class:
        yield Need(("priority_class",), "scheduling.k8s.io/v1", "PriorityClass", here.priority_class)
    if here.gateway and here.gateway.name:
        namespace = here.gateway.namespace
        yield Need(("gateway", "name"), "gateway.networking.k8s.io/v1", "Gateway", here.gateway.name, namespace)
    for demand, trigger in release.triggers.items():
        if trigger.authentication:
            named = ("keda", "triggers", demand, "authentication")
            yield Need(named, "keda.sh/v1alpha1", "ClusterTriggerAuthentication", trigger.authentication)
    if model.weights and (claim := model.weights.claim):
        yield Need(("claims", model.name, claim, "volume"), "v1", "PersistentVolume", release.claims[claim].volume)
    for secret in model.secrets:
        source = release.secret_sources[secret.name].external
        if source and source.kind == "ClusterSecretStore":  # others are in the namespace of the model
            place = ("secrets", model.name, secret.name, "external", "store")
            yield Need(place, "external-secrets.io/v1", source.kind, source.store)
