"""Weights: large files of a model, mounted read-only from their own image or from a volume of the platform."""

from homeport.manifests.names import Manifest, manifest
from homeport.manifests.resource import Resource, Stage
from homeport.release import Release

VOLUME = "weights"


def weights(release: Release) -> list[Resource]:
    """The PersistentVolumeClaim for a volume of the platform in the model's namespace, if the model has a claim.

    It has the volume's name. A claim is bound for its life, so another volume is another claim beside it.
    """
    volume = _volume(release)
    if volume is None:
        return []
    spec = {
        "accessModes": ["ReadOnlyMany"],
        # Bound to exactly this volume. Without a class, no other volume is provisioned. A claim must request a size, but
        # the volume's own size applies.
        "storageClassName": "",
        "volumeName": volume,
        "resources": {"requests": {"storage": "1Mi"}},
    }
    claim = manifest(release, "v1", "PersistentVolumeClaim", volume, spec=spec)
    return [Resource(claim, Stage.STORAGE, f"-{volume}")]


def weights_volumes(release: Release) -> list[Manifest]:
    """The volume of a pod."""
    if release.model.weights is None:
        return []
    if volume := _volume(release):
        claim = {"claimName": volume, "readOnly": True}
        return [{"name": VOLUME, "persistentVolumeClaim": claim}]
    # As for the image of the code, the registry checks the pull credentials at each start.
    policy = "IfNotPresent" if release.relax.image_pull else "Always"
    return [{"name": VOLUME, "image": {"reference": weights_reference(release), "pullPolicy": policy}}]


def _volume(release: Release) -> str | None:
    """Name of the PersistentVolume with the weights, or None."""
    found = release.model.weights
    return release.claims[found.claim].volume if found and found.claim else None


def weights_mounts(release: Release) -> list[Manifest]:
    """Where the volume is in the container."""
    found = release.model.weights
    return [{"name": VOLUME, "mountPath": found.path, "readOnly": True}] if found else []


def weights_reference(release: Release) -> str | None:
    """Full reference of the image with the weights, or None."""
    found, live = release.model.weights, release.weights
    if found is None or found.image is None or live is None:
        return None
    return f"{found.image}:{live.version}" + (f"@{live.digest}" if live.digest else "")
