"""Routing: the addresses of a model, and which version answers there."""

from homeport.manifests.names import Manifest, manifest, selector
from homeport.manifests.resource import Resource, Stage
from homeport.release import Release

PORT = 80
GATEWAY_API = "gateway.networking.k8s.io"


def routing(release: Release) -> list[Resource]:
    """A Service in front of the pods of each version."""
    return [Resource(_service(track), suffix=track.suffix) for track in release.tracks]


def routes(release: Release) -> list[Resource]:
    """The HTTPRoute that splits requests from outside among versions, if the environment has a Gateway.

    It is the last object, so that a version gets no requests before it is ready.
    """
    gateway, host = release.environment.gateway, release.environment.host_of(release.model.name)
    if gateway is None or host is None:
        return []
    canary = release.canary.percent if release.canary else 0
    spec = {
        "parentRefs": [
            {"group": GATEWAY_API, "kind": "Gateway", "namespace": gateway.namespace, "name": gateway.name},
        ],
        "hostnames": [host],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [
                    {"group": "", "kind": "Service", "name": track.instance, "port": PORT, "weight": weight}
                    for track, weight in zip(release.tracks, [100 - canary, canary], strict=False)
                ],
            }
        ],
    }
    route = manifest(release, f"{GATEWAY_API}/v1", "HTTPRoute", release.model.name, spec=spec)
    return [Resource(route, Stage.SERVING)]


def url(release: Release) -> str:
    """URL of the model: at the Gateway if the environment has one, otherwise inside the cluster."""
    gateway, host = release.environment.gateway, release.environment.host_of(release.model.name)
    return f"{gateway.scheme}://{host}" if gateway and host else internal_url(release)


def internal_url(release: Release) -> str:
    """URL of the stable version for other models in the cluster."""
    return f"http://{release.model.name}.{release.namespace}.svc.cluster.local"


def _service(release: Release) -> Manifest:
    port = {"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
    spec = {"type": "ClusterIP", "selector": selector(release), "ports": [port]}
    service = manifest(release, "v1", "Service", release.instance, spec=spec)
    # Pulumi would wait 10 s for the Service. It already waits for the Deployment, which shows the same.
    service["metadata"]["annotations"]["pulumi.com/skipAwait"] = "true"
    return service
