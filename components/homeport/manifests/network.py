"""Network: nothing in or out, except DNS and what is declared; `calls` opens both ends of a call.

A NetworkPolicy only ever opens, so two of them open what either does. A policy that opens has a digest of its rules in its name: a
change creates another one before the pods change, and the old one goes after the old pods have gone. Until then each has
what it needs.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from homeport.catalogue.addresses import METADATA_NETWORKS, inner_networks, parts, wrapped
from homeport.manifests.names import MODEL_LABEL, Manifest, manifest, model_selector
from homeport.manifests.resource import Resource
from homeport.release import Release
from homeport.specs.model import Model

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""Set by the API server on every namespace, so no namespace can claim another's name."""

DNS_LABELS = {"k8s-app": "kube-dns"}
"""Labels of the cluster's name servers in kube-system, whatever program they are."""


DENY = "default-deny"
DENY_ALL: Manifest = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
INGRESS, EGRESS = "ingress", "egress"
POLICIES = (DENY, f"{INGRESS}-[0-9a-f]{{8}}", f"{EGRESS}-[0-9a-f]{{8}}")
"""The NetworkPolicies of a model by what follows its name in theirs: regular expressions, with the digest of `_digest`."""
HOSTS, METADATA = "egress-hosts", "deny-metadata"
HOST_POLICIES = (METADATA, f"{HOSTS}-[0-9a-f]{{8}}")
"""The CiliumNetworkPolicies of a model by what follows its name in theirs, as `POLICIES`."""


def network(release: Release) -> list[Resource]:
    """Default deny both ways, and what is let in and out. One policy a direction, so each can be read whole."""
    pods = {"matchLabels": model_selector(release)}
    inward = {"podSelector": pods, "policyTypes": ["Ingress"], "ingress": _ingress(release)}
    outward = {"podSelector": pods, "policyTypes": ["Egress"], "egress": _egress(release)}
    return [
        _policy(release, DENY, DENY_ALL),
        _let_in(release, inward),
        _policy(release, f"{EGRESS}-{_digest(outward)}", outward),
        *([*_metadata(release), *_hosts(release)] if release.environment.network.plugin == "cilium" else []),
    ]


def _digest(spec: Manifest) -> str:
    """Eight digits that are others for other rules."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:8]


def _policy(release: Release, suffix: str, spec: Manifest) -> Resource:
    name = f"{release.model.name}-{suffix}"
    policy = manifest(release, "networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)
    return Resource(policy, suffix=f"-{suffix}")


def _let_in(release: Release, spec: Manifest) -> Resource:
    """The policy of what is let in. It changes with files of other models, so it names those that it lets in."""
    resource = _policy(release, f"{INGRESS}-{_digest(spec)}", spec)
    callers = ", ".join(f"{caller.name} of {caller.owner}" for caller in release.callers)
    resource.manifest["metadata"]["annotations"] |= {"homeport/callers": callers} if callers else {}
    return resource


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
    dns = _namespace("kube-system") | {"podSelector": {"matchLabels": DNS_LABELS}}
    return [
        {"to": [dns], "ports": [_port(53, "UDP"), _port(53)]},
        *({"to": [_pods_of(release, callee)], "ports": [_port(callee.serving_port)]} for callee in release.callees),
        *(
            {"to": [_block(egress.cidr)], "ports": [_port(egress.port, egress.protocol)]}
            for egress in release.model.egress
            if egress.cidr
        ),
        *_tokens(release),
    ]


def _tokens(release: Release) -> list[Manifest]:
    """What the model's identity needs to become a token, and no model without one may reach."""
    if agents := _agents(release):
        return [{"to": [_block(cidr)], "ports": [_port(port)]} for cidr, port in agents]
    # AWS STS and Microsoft Entra ID are known by name only, which a NetworkPolicy cannot say.
    endpoint = release.environment.token_endpoint or "0.0.0.0/0"
    return [{"to": [_block(endpoint)], "ports": [_port(443)]}] if release.identity else []


def _agents(release: Release) -> Sequence[tuple[str, int]]:
    """What turns the model's identity into a token on its node: network and port."""
    return release.identity.kind.token_addresses if release.identity else ()


def _hosts(release: Release) -> list[Resource]:
    """What lets the model reach hosts by name: Cilium reads the answers of the name server, and so sees the questions.

    https://docs.cilium.io/en/stable/security/policy/language/#dns-based
    """
    named = [egress for egress in release.model.egress if egress.host]
    if not named:
        return []
    server = {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system"} | _cilium_labels(DNS_LABELS)}
    questions = {"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*"}]}}
    spec: Manifest = {
        "endpointSelector": {"matchLabels": model_selector(release)},
        "egress": [
            {"toEndpoints": [server], "toPorts": [questions]},
            *(
                {
                    "toFQDNs": [{"matchName": egress.host}],
                    "toPorts": [{"ports": [{"port": str(egress.port), "protocol": egress.protocol}]}],
                }
                for egress in named
            ),
        ],
    }
    return [_cilium(release, f"{HOSTS}-{_digest(spec)}", spec)]


def _metadata(release: Release) -> list[Resource]:
    """What no name may lead to: its owner may let it point to any address. A denial has priority over all that is allowed.

    It is there before a host is, and changes in place: two denials would deny what either does.
    """
    agents = [cidr for cidr, _ in _agents(release)]
    denied = [each for network in METADATA_NETWORKS for each in (network, *wrapped(network))]
    spec = {
        "endpointSelector": {"matchLabels": model_selector(release)},
        "egressDeny": [{"toCIDRSet": [_without(network, agents) for network in denied]}],
    }
    return [_cilium(release, METADATA, spec)]


def _cilium(release: Release, suffix: str, spec: Manifest) -> Resource:
    policy = manifest(release, "cilium.io/v2", "CiliumNetworkPolicy", f"{release.model.name}-{suffix}", spec=spec)
    return Resource(policy, suffix=f"-{suffix}")


def _cilium_labels(labels: dict[str, str]) -> dict[str, str]:
    return {f"k8s:{key}": value for key, value in labels.items()}


def _block(cidr: str) -> Manifest:
    """The addresses of a network, without the private ones of a network so wide that it has them in it."""
    return {"ipBlock": _without(cidr, inner_networks(cidr))}


def _without(cidr: str, networks: Sequence[str]) -> Manifest:
    inner = parts(cidr, networks)
    return {"cidr": cidr} | ({"except": inner} if inner else {})


def _pods_of(release: Release, model: Model) -> Manifest:
    pods = {"podSelector": {"matchLabels": {MODEL_LABEL: model.name}}}
    return _namespace(release.environment.namespace_of(model.name)) | pods


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: name}}}


def _port(port: int, protocol: str = "TCP") -> Manifest:
    return {"port": port, "protocol": protocol}
