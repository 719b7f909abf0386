"""Secrets: each is an object in the model's namespace, and a file that the model can read but not write.

This module never reads a value: it is a Pulumi Output, or it is unknown and the object has no data.
"""

from homeport.catalogue.container import SECRETS, SECRETS_VARIABLE
from homeport.manifests.names import Manifest, manifest
from homeport.manifests.resource import Resource
from homeport.release import Release
from homeport.specs.environment import ExternalSecret

VOLUME = "secrets"

MODE = 0o440
"""Readable for the user and the group of the pod, and not writable."""


def secrets(release: Release) -> list[Resource]:
    """A Secret for each value from Pulumi's configuration, an ExternalSecret for each from a store."""
    return [Resource(_object(release, secret.name), suffix=f"-{secret.name}") for secret in release.model.secrets]


def secret_volumes(release: Release) -> list[Manifest]:
    """The volume of a pod with all secrets. Without `subPath`, so that the kubelet updates a value in place."""
    sources = [
        {"secret": {"name": _object_name(release, secret.name), "items": [{"key": secret.name, "path": secret.name}]}}
        for secret in release.model.secrets
    ]
    return [{"name": VOLUME, "projected": {"defaultMode": MODE, "sources": sources}}] if sources else []


def secret_mounts(release: Release) -> list[Manifest]:
    """Where the volume is in the container."""
    return [{"name": VOLUME, "mountPath": SECRETS, "readOnly": True}] if release.model.secrets else []


def secret_variables(release: Release) -> dict[str, str]:
    """The variable with the folder; never a value."""
    return {SECRETS_VARIABLE: SECRETS} if release.model.secrets else {}


def secret_annotations(release: Release) -> dict[str, str]:
    """Annotation of a pod that changes with a secret's version, not with a hash, which would reveal its value."""
    versions = {secret.name: release.secret_sources[secret.name].version for secret in release.model.secrets}
    told = ", ".join(f"{name}={version}" for name, version in versions.items() if version)
    return {"homeport/secret-versions": told} if told else {}


def _object(release: Release, name: str) -> Manifest:
    source = release.secret_sources[name]
    return (
        _external_secret(release, name, source.external) if source.external else _secret(release, name, source.config)
    )


def _object_name(release: Release, name: str) -> str:
    """Name of the Secret. It tells the kind of the source: while a secret moves to another, there are two objects.

    With a dot, so that it is never the name of another secret.
    """
    kind = ".external" if release.secret_sources[name].external else ""
    return f"{release.model.name}-{name}{kind}"


def _secret(release: Release, name: str, key: str | None) -> Manifest:
    made = manifest(release, "v1", "Secret", _object_name(release, name), type="Opaque")
    made["metadata"]["annotations"]["homeport/secret-source"] = f"Pulumi config {key}; its value stands in no file"
    if name in release.secret_values:
        made["data"] = {name: release.secret_values[name]}
    return made


def _external_secret(release: Release, name: str, source: ExternalSecret) -> Manifest:
    # https://external-secrets.io/latest/api/externalsecret/
    remote = {"key": source.key} | ({"property": source.property} if source.property else {})
    spec = {
        "secretStoreRef": {"kind": source.kind, "name": source.store},
        "target": {"name": _object_name(release, name)},
        "data": [{"secretKey": name, "remoteRef": remote}],
    }
    return manifest(release, "external-secrets.io/v1", "ExternalSecret", _object_name(release, name), spec=spec)
