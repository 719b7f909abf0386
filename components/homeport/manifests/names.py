"""Names, labels and annotations of every object.

The labels are those that Kubernetes recommends
(https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/).
"""

from typing import Any

from homeport.manifests.kinds import KINDS
from homeport.release import Release

Manifest = dict[str, Any]
"""A Kubernetes object in the form of its API. A leaf may be a Pulumi Output, whose value is never read."""

MODEL_LABEL = "app.kubernetes.io/name"
INSTANCE_LABEL = "app.kubernetes.io/instance"
VERSION_LABEL = "app.kubernetes.io/version"

MANAGED = {"app.kubernetes.io/managed-by": "homeport"}
COMPONENT = {"app.kubernetes.io/component": "model"}

FIELD_MANAGER = {"pulumi.com/patchFieldManager": "homeport"}
"""The owner of an object's fields. By default, the provider makes up a name for each creation. A creation that is repeated
after an interruption would then leave the fields with two owners, and the next change would be a conflict."""

CLUSTER = "homeport/cluster"
"""Annotation of a namespace that tells in which cluster the environment says it is."""

MARK = "homeport/deployed-by"
"""Annotation that tells whose an object is: `PROJECT/STACK/MODEL`, of the Pulumi stack that deploys it. It is never part of a
pod, because it would restart the pod."""

OWNER = "homeport/owner"
"""Annotation that tells which team a model is of."""


def manifest(release: Release, api_version: str, kind: str, name: str, **content: Any) -> Manifest:
    """An object with the metadata of every object of a release. Its kind must be in `KINDS`."""
    place = {"namespace": release.namespace} if KINDS[api_version, kind].namespaced else {}
    mark = {MARK: f"{release.deployed_by}/{release.model.name}"} if release.deployed_by else {}
    notes = FIELD_MANAGER | mark | annotations(release)
    metadata = {"name": name, **place, "labels": labels(release), "annotations": notes}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def labels(release: Release) -> dict[str, str]:
    """Labels of every object."""
    return selector(release) | {VERSION_LABEL: release.version} | COMPONENT | MANAGED


def selector(release: Release) -> dict[str, str]:
    """Labels that select the stable pods or the canary's, without the version, because a selector cannot change."""
    return model_selector(release) | {INSTANCE_LABEL: release.instance}


def model_selector(release: Release) -> dict[str, str]:
    """Labels that select the pods of a model, including the canary's."""
    return {MODEL_LABEL: release.model.name}


def annotations(release: Release) -> dict[str, str]:
    """Audit annotations of every object: its owner, its source and the relaxed controls."""
    relaxed = ", ".join(release.relax.reasons)
    weights = {"homeport/weights-version": release.weights.version} if release.weights else {}
    return (
        ({"homeport/relaxed": relaxed} if relaxed else {})
        | weights
        | {
            "homeport/model": release.model.name,
            "homeport/version": release.version,
            OWNER: release.model.owner,
            "homeport/git-commit": release.commit,
            "homeport/spec-digest": release.model.digest,
        }
    )
