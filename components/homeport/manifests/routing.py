"""Routing: the address under which a model is reached."""

from homeport.manifests.names import Manifest, manifest, selector
from homeport.release import Release


def routing(release: Release) -> list[Manifest]:
    """The Service in front of the model's pods."""
    port = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
    spec = {"type": "ClusterIP", "selector": selector(release), "ports": [port]}
    service = manifest(release, "v1", "Service", release.model.name, spec=spec)
    # Pulumi waits 10 s for a Service to settle; the Deployment, which is awaited, tells all that this would.
    service["metadata"]["annotations"]["pulumi.com/skipAwait"] = "true"
    return [service]


def url(release: Release) -> str:
    """Address of the model for other models in the cluster."""
    return f"http://{release.model.name}.{release.namespace}.svc.cluster.local"
