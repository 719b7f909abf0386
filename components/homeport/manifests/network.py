"""Network: nothing in or out, except DNS and what is declared; `calls` opens both ends of a call."""

from typing import Any

from homeport.manifests.names import MODEL_LABEL, Manifest, manifest, selector
from homeport.model import Model
from homeport.release import Release

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""Set by the API server on every namespace, so nobody can claim another's name."""

# Where a pod gets a token for its identity, as (network, TCP port). Link-local addresses are answered by the node.
POD_IDENTITY_AGENT = [("169.254.170.23/32", 80)]
"""https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html"""
GKE_METADATA_SERVER = [("169.254.169.252/32", 988), ("169.254.169.254/32", 80)]
"""The second on GKE Dataplane V2.
https://docs.cloud.google.com/kubernetes-engine/docs/concepts/workload-identity#metadata_server"""
PRIVATE_NETWORKS = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
"""What no public token service is in: private, shared and link-local addresses, the nodes' metadata among them."""


def network(release: Release) -> list[Manifest]:
    """Default deny both ways, and what is let in and out. One policy a direction, so each can be read whole."""
    pods = {"matchLabels": selector(release)}
    return [
        _policy(release, "default-deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
        _policy(release, "ingress", {"podSelector": pods, "policyTypes": ["Ingress"], "ingress": _ingress(release)}),
        _policy(release, "egress", {"podSelector": pods, "policyTypes": ["Egress"], "egress": _egress(release)}),
    ]


def _policy(release: Release, suffix: str, spec: Manifest) -> Manifest:
    return manifest(release, "networking.k8s.io/v1", "NetworkPolicy", f"{release.model.name}-{suffix}", spec=spec)


def _ingress(release: Release) -> list[Manifest]:
    environment, model = release.environment, release.model
    serving: list[Manifest] = [_pods_of(release, caller) for caller in release.callers]
    if environment.gateway:
        serving.append(_namespace(environment.gateway.namespace))
    rules = [{"from": serving, "ports": [_port(model.serving_port)]}] if serving else []
    if environment.monitoring and model.metrics_endpoint:
        scrapers = [_namespace(environment.monitoring.namespace)]
        rules.append({"from": scrapers, "ports": [_port(model.metrics_endpoint.port)]})
    return rules


def _egress(release: Release) -> list[Manifest]:
    dns = _namespace("kube-system") | {"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    return [
        {"to": [dns], "ports": [_port(53, "UDP"), _port(53)]},
        *({"to": [_pods_of(release, callee)], "ports": [_port(callee.serving_port)]} for callee in release.callees),
        *(
            {"to": [{"ipBlock": {"cidr": egress.cidr}}], "ports": [_port(egress.port, egress.protocol)]}
            for egress in release.model.egress
        ),
        *_tokens(release),
    ]


def _tokens(release: Release) -> list[Manifest]:
    """What the model's identity needs to become a token, and no model without one may reach."""
    identity, endpoint = release.identity, release.environment.token_endpoint
    if identity is None:
        return []
    if identity.pod_identity or identity.service_account:
        agents = POD_IDENTITY_AGENT if identity.pod_identity else GKE_METADATA_SERVER
        return [{"to": [{"ipBlock": {"cidr": cidr}}], "ports": [_port(port)]} for cidr, port in agents]
    # AWS STS and Microsoft Entra ID are known by name only, which a NetworkPolicy cannot say.
    block: Manifest = {"cidr": endpoint} if endpoint else {"cidr": "0.0.0.0/0", "except": PRIVATE_NETWORKS}
    return [{"to": [{"ipBlock": block}], "ports": [_port(443)]}]


def _pods_of(release: Release, model: Model) -> Manifest:
    pods = {"podSelector": {"matchLabels": {MODEL_LABEL: model.name}}}
    return _namespace(release.environment.namespace_of(model.name)) | pods


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: name}}}


def _port(port: int, protocol: str = "TCP") -> Manifest:
    return {"port": port, "protocol": protocol}
