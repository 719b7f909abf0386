"""Names, labels and annotations: what every object is called and how it tells what it belongs to.

Labels are those that Kubernetes recommends
(https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/).
"""

from typing import Any

from homeport.release import Release

Manifest = dict[str, Any]
"""A Kubernetes object in the shape of its API. A leaf may be a Pulumi Output: it is placed, never looked into."""

MODEL_LABEL = "app.kubernetes.io/name"
INSTANCE_LABEL = "app.kubernetes.io/instance"
VERSION_LABEL = "app.kubernetes.io/version"

FIELD_MANAGER = {"pulumi.com/patchFieldManager": "homeport"}
"""Whose fields Kubernetes takes an object's to be. The provider would invent a name for each creation: one that is begun
again after an interruption would leave the fields with two owners, and the next change would be a conflict of both."""


def manifest(
    release: Release, api_version: str, kind: str, name: str, *, namespaced: bool = True, **content: Any
) -> Manifest:
    """An object with the metadata that every object of a release carries."""
    place = {"namespace": release.namespace} if namespaced else {}
    notes = FIELD_MANAGER | annotations(release)
    metadata = {"name": name, **place, "labels": labels(release), "annotations": notes}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def labels(release: Release) -> dict[str, str]:
    """Labels of every object."""
    return selector(release) | {
        VERSION_LABEL: release.version,
        "app.kubernetes.io/component": "model",
        "app.kubernetes.io/managed-by": "homeport",
    }


def selector(release: Release) -> dict[str, str]:
    """Labels that tell stable pods or those of a canary, whatever their version: a Deployment's selector cannot change."""
    return model_selector(release) | {INSTANCE_LABEL: release.instance}


def model_selector(release: Release) -> dict[str, str]:
    """Labels that tell the pods of a model, the canary's among them."""
    return {MODEL_LABEL: release.model.name}


def annotations(release: Release) -> dict[str, str]:
    """Audit annotations of every object: who answers for it, which text it was made from, what was let go."""
    relaxed = ", ".join(release.relax.reasons)
    weights = {"homeport/weights-version": release.weights.version} if release.weights else {}
    return (
        ({"homeport/relaxed": relaxed} if relaxed else {})
        | weights
        | {
            "homeport/model": release.model.name,
            "homeport/version": release.version,
            "homeport/owner": release.model.owner,
            "homeport/git-commit": release.commit,
            "homeport/spec-digest": release.model.digest,
        }
    )
