"""Manifests: pure functions from a release to Kubernetes objects, one module for each concern."""

from collections.abc import Callable, Sequence

from homeport.manifests.deployer import access
from homeport.manifests.deployment import deployment
from homeport.manifests.identity import identity
from homeport.manifests.isolation import isolation
from homeport.manifests.names import Manifest
from homeport.manifests.network import network
from homeport.manifests.resource import Resource, Stage
from homeport.manifests.routing import routes, routing
from homeport.manifests.scaling import scaled_objects, scaling
from homeport.manifests.secrets import secrets
from homeport.manifests.weights import weights
from homeport.release import Release

__all__ = ["Manifest", "Resource", "Stage", "manifests", "resources"]

CONCERNS: Sequence[Callable[[Release], list[Resource]]] = (
    isolation,
    access,
    identity,
    network,
    routing,
    scaling,
    weights,
    secrets,
    deployment,
    scaled_objects,
    routes,
)
"""The parts of a release. Stages decide the order of creation, and this order decides within a stage."""


def resources(release: Release) -> list[Resource]:
    """All objects of a release in the order of creation, each with its name and its stage.

    The release must have no `violations`.
    """
    found = [resource for concern in CONCERNS for resource in concern(release)]
    return sorted(found, key=lambda resource: resource.stage)


def manifests(release: Release) -> list[Manifest]:
    """All objects of a release, in an order in which they can be created: isolation exists before the pods.

    The release must have no `violations`.
    """
    return [resource.manifest for resource in resources(release)]
