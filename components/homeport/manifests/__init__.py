"""Manifests: pure functions from a release to Kubernetes objects, one module a concern."""

from homeport.manifests.identity import identity
from homeport.manifests.isolation import isolation
from homeport.manifests.names import Manifest
from homeport.manifests.network import network
from homeport.manifests.routing import routes, routing
from homeport.manifests.scaling import scaled_objects, scaling
from homeport.manifests.secrets import secrets
from homeport.manifests.weights import weights
from homeport.manifests.workload import workload
from homeport.release import Release

__all__ = ["Manifest", "manifests"]


def manifests(release: Release) -> list[Manifest]:
    """All objects of a release, in an order in which they can be created: the walls stand before anyone moves in.

    The release must have no `violations`.
    """
    concerns = (isolation, identity, network, routing, scaling, weights, secrets, workload, scaled_objects, routes)
    return [manifest for concern in concerns for manifest in concern(release)]
