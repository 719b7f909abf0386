"""Ownership: whose an object in the cluster is, from its metadata alone."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from homeport.manifests.names import MARK

_MANAGED_BY = "app.kubernetes.io/managed-by"
_SHOWN = 80
"""Maximum characters of a label or an annotation in a message."""

_TOOLS: tuple[tuple[str, str, str], ...] = (
    # Helm, `pkg/action/validate.go`
    ("annotations", "meta.helm.sh/release-name", "the Helm release"),
    # https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
    ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
    # https://fluxcd.io/flux/components/kustomize/kustomizations/ and https://fluxcd.io/flux/components/helm/helmreleases/
    ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux's Kustomization"),
    ("labels", "helm.toolkit.fluxcd.io/name", "Flux's HelmRelease"),
    # kapp, `pkg/kapp/resources/labeled_resources.go`
    ("labels", "kapp.k14s.io/app", "kapp's app"),
    # cli-utils, `pkg/inventory/policy.go`; Config Sync has it too
    ("annotations", "config.k8s.io/owning-inventory", "the inventory"),
)
"""Where tools write that an object is theirs: part of the metadata, key, and what its value names."""

_MADE_BY_KUBERNETES = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
"""Kind and name of the objects that Kubernetes makes in every namespace."""

_HIDDEN = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation that repeats an object's content, such as the values of a Secret."""


class Owner(Enum):
    """Whose an object is, as seen by one stack's model."""

    OURS = "ours"
    NO_ONE = "no one's"
    OTHER = "another's"


@dataclass(frozen=True)
class Name:
    """Which object, in the cluster that it is in."""

    group: str
    """API group; empty for the core of Kubernetes."""
    kind: str
    namespace: str
    """Empty for an object that is in no namespace."""
    name: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Self:
        """The name of the object that a manifest describes."""
        group, _, _ = manifest["apiVersion"].rpartition("/")
        metadata = manifest["metadata"]
        return cls(group, manifest["kind"], metadata.get("namespace") or "", metadata["name"])

    @property
    def home(self) -> str:
        """The namespace that it is in, or that it is."""
        return self.namespace or self.name

    def __str__(self) -> str:
        """As messages show it, and as variables name it: `Deployment.apps/iris/iris`."""
        kind = f"{self.kind}.{self.group}" if self.group else self.kind
        return "/".join(filter(None, (kind, self.namespace, self.name)))


@dataclass(frozen=True)
class Live:
    """An object in the cluster, without its content."""

    name: Name
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Self:
        """An object as the cluster shows it."""
        return cls(Name.of(manifest), manifest["metadata"])

    @property
    def leaving(self) -> bool:
        """Whether it is being deleted."""
        return "deletionTimestamp" in self.metadata

    @property
    def uid(self) -> str:
        """Tells it from others that had its name before."""
        return str(self.metadata["uid"])

    @property
    def mark(self) -> str | None:
        """Whose it is, as homeport has marked it: `PROJECT/STACK/MODEL`."""
        return self._part("annotations").get(MARK)

    @property
    def holder(self) -> str | None:
        """The tool or object that manages it, apart from homeport; None if none has left a sign."""
        for part, key, what in _TOOLS:
            if value := self._part(part).get(key):
                return f"{what} {_short(value)}"
        for owner in self.metadata.get("ownerReferences") or ():
            return f"{owner['kind']} {_short(owner['name'])}"
        manager = self._part("labels").get(_MANAGED_BY, "homeport")
        return None if manager == "homeport" else _short(manager)

    def owner(self, mark: str) -> Owner:
        """Whose it is, as seen by the model with a mark."""
        if self.holder or (self.mark and self.mark != mark):
            return Owner.OTHER
        return Owner.OURS if self.mark else Owner.NO_ONE

    def resembles(self, model: str) -> bool:
        """Whether a homeport, perhaps of another release, has made it for a model with this name."""
        labels = self._part("labels")
        return labels.get(_MANAGED_BY) == "homeport" and self._part("annotations").get("homeport/model") == model

    def __str__(self) -> str:
        """Its name and everything in its metadata that tells whose it is."""
        whose = self.holder or (f"the stack and model {_short(self.mark)}" if self.mark else None)
        managers = sorted({each["manager"] for each in self.metadata.get("managedFields") or ()})
        return "; ".join(
            (
                f"{self.name}: {f'managed by {whose}' if whose else Owner.NO_ONE.value}",
                f"labels: {_pairs(self._part('labels'))}",
                f"annotations: {_pairs(self._part('annotations'))}",
                f"fields written by: {', '.join(map(_short, managers)) or 'unknown'}",
            )
        )

    def _part(self, name: str) -> Mapping[str, str]:
        return self.metadata.get(name) or {}


def taken(found: Iterable[Live], name: Name, mark: str, adopted: Container[str]) -> list[Live]:
    """Objects in the way of the creation of one of a model's objects.

    Args:
        found: Those of the model's objects that exist.
        name: The object that is created now.
        mark: The mark of the model.
        adopted: Names of objects that the model may take over if they are no one's.
    """
    model = mark.rpartition("/")[2]

    def in_the_way(live: Live) -> bool:
        if live.name != name and live.resembles(model):
            return False  # the stack may have it already, perhaps from before it was marked; otherwise its own creation decides
        owner = live.owner(mark)
        return owner is Owner.OTHER or (owner is Owner.NO_ONE and str(live.name) not in adopted)

    return [live for live in found if in_the_way(live)]


def foreign(found: Iterable[Live], mark: str) -> list[Live]:
    """Objects that neither the model with a mark has made, nor Kubernetes, nor a controller from one of the model's.

    Controllers state from which object they have made another (`ownerReferences`), such as the pods of a Deployment.
    """
    left = [each for each in found if (each.name.kind, each.name.name) not in _MADE_BY_KUBERNETES]
    ours: set[str] = set()
    while more := {each.uid for each in left if each.mark == mark or not ours.isdisjoint(_made_from(each))}:
        ours |= more
        left = [each for each in left if each.uid not in more]
    return sorted(left, key=lambda each: str(each.name))


def _made_from(live: Live) -> set[str]:
    return {each["uid"] for each in live.metadata.get("ownerReferences") or ()}


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{_short(key)}={_short(value)}" for key, value in values.items() if key != _HIDDEN) or "none"


def _short(text: str) -> str:
    """Text of others, so that it can neither fill nor forge a message."""
    plain = "".join(each if each.isprintable() else "?" for each in text)
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}…"
