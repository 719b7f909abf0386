"""Who can reach whom, as an analyzer of other people reads it off the policies: what is declared, and nothing else."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from copy import deepcopy
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from homeport import Release, manifests
from homeport.catalogue.addresses import inner_networks
from sandbox import build
from tests.audit.examples import examples
from tests.audit.parts import NETPOLICY
from tests.support import undigested

EXAMPLES = examples()

Connection = tuple[str, str, str]
"""Who, whom (a workload, or all addresses of a protocol and port), by which protocol and port."""

SURROUNDINGS = {"kube-system": {"k8s-app": "kube-dns"}, "elsewhere": {"app": "stranger"}}
"""Namespaces that every cluster has, and the labels of a workload in each."""


def declared(releases: Sequence[Release]) -> set[Connection]:
    """What the specs say, without a look at the manifests."""
    return {connection for release in releases for connection in _declared(release)}


def _declared(release: Release) -> Iterator[Connection]:
    model, here = release.model, release.environment
    name = _workload(release.namespace, model.name)
    yield name, _workload("kube-system"), "TCP 53"
    yield name, _workload("kube-system"), "UDP 53"
    for callee in release.callees:
        yield name, _workload(here.namespace_of(callee.name), callee.name), f"TCP {callee.serving_port}"
    if here.gateway:
        yield _workload(here.gateway.namespace), name, f"TCP {model.serving_port}"
    if here.monitoring and model.metrics_endpoint:
        yield _workload(here.monitoring.namespace), name, f"TCP {model.metrics_endpoint.port}"
    for egress in model.egress:
        yield name, _ranges([str(egress.cidr)]), f"{egress.protocol} {egress.port}"
    if identity := release.identity:
        if identity.kind.name == "service_account":
            yield name, _ranges(["169.254.169.252/32"]), "TCP 988"
            yield name, _ranges(["169.254.169.254/32"]), "TCP 80"
        else:
            yield name, _ranges([here.token_endpoint or "0.0.0.0/0"]), "TCP 443"


def connections(objects: Sequence[Any], folder: Path) -> set[Connection]:
    """What the analyzer reads off the policies about the models."""
    models = {each["metadata"]["namespace"] for each in objects if each["kind"] == "ResourceQuota"}
    (folder / "manifests.yaml").write_text("".join(f"---\n{json.dumps(each)}\n" for each in objects))
    program = build.program(NETPOLICY, "netpolicy")
    done = subprocess.run(
        [program, "list", "--quiet", "--output=json", f"--dirpath={folder}"],
        capture_output=True,
        text=True,
        check=True,
    )
    addresses: dict[tuple[str, str, bool], list[str]] = {}
    found: set[Connection] = set()
    for each in json.loads(done.stdout):
        source, target = each["src"], each["dst"]
        if not models & {source.partition("/")[0], target.partition("/")[0]}:
            continue  # among the surroundings, which nothing here governs
        for port in each["conn"].split(","):
            if "[" not in target:
                addresses.setdefault((source, port, True), []).append(target)
            elif "[" not in source:
                addresses.setdefault((target, port, False), []).append(source)
            else:
                found.add((source, target, port))
    for (workload, port, out), parts in addresses.items():
        found.add((workload, _joined(parts), port) if out else (_joined(parts), workload, port))
    return found


def scene(releases: Sequence[Release]) -> list[Any]:
    """The manifests among what stands around them in a cluster, and a pod that slipped into each namespace."""
    objects = deepcopy([manifest for release in releases for manifest in manifests(release)])
    peers = [peer for release in releases for peer in (release.environment.gateway, release.environment.monitoring)]
    around = SURROUNDINGS | {peer.namespace: {"app": peer.namespace} for peer in peers if peer}
    for namespace, labels in around.items():
        metadata = {"name": namespace, "labels": {"kubernetes.io/metadata.name": namespace}}
        objects += [{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, _pods(namespace, labels)]
    for each in objects:
        # The API server labels every namespace with its name.
        if each["kind"] == "Namespace":
            each["metadata"]["labels"]["kubernetes.io/metadata.name"] = each["metadata"]["name"]
    return objects + [_pods(release.namespace, {"app": "intruder"}, "intruder") for release in releases]


def _pods(namespace: str, labels: dict[str, str], name: str = "") -> Any:
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name or namespace, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def _workload(namespace: str, name: str = "") -> str:
    return f"{namespace}/{name or namespace}[Deployment]"


def _ranges(cidrs: list[str]) -> str:
    """Addresses of the networks, without the private parts of wide ones, in the analyzer's form."""
    networks = [network for cidr in cidrs for network in _outside(cidr)]
    return _joined([f"{network[0]}-{network[-1]}" for network in networks])


def _outside(cidr: str) -> Iterator[IPv4Network]:
    left = [IPv4Network(cidr)]
    for inner in map(IPv4Network, inner_networks(cidr)):
        for part in [part for part in left if inner.subnet_of(part)]:
            left.remove(part)
            left += part.address_exclude(inner)
    yield from left


def _joined(ranges: list[str]) -> str:
    """Ranges of addresses, those beside each other as one."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(tuple(int(IPv4Address(each)) for each in text.split("-")) for text in ranges):
        if joined and joined[-1][1] + 1 >= first:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return " ".join(f"{IPv4Address(first)}-{IPv4Address(last)}" for first, last in joined)


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_is_declared_is_open_and_nothing_else(example: str, tmp_path: Path) -> None:
    assert connections(scene(EXAMPLES[example]), tmp_path) == declared(EXAMPLES[example])


def rules(example: str) -> list[tuple[str, str, int]]:
    """Every rule of every policy of an example: name, direction, index."""
    return [
        (policy["metadata"]["name"], direction, index)
        for release in EXAMPLES[example]
        for policy in manifests(release)
        if policy["kind"] == "NetworkPolicy"
        for direction in ("ingress", "egress")
        for index, _ in enumerate(policy["spec"].get(direction, []))
    ]


def named(objects: list[Any], name: str) -> Any:
    policies = (each for each in objects if each["kind"] == "NetworkPolicy")
    return next(each for each in policies if undigested(each["metadata"]["name"]) == undigested(name))


@pytest.mark.parametrize(
    ("example", "policy", "direction", "index"),
    [(example, *rule) for example in EXAMPLES for rule in rules(example)],
)
def test_every_rule_is_needed(example: str, policy: str, direction: str, index: int, tmp_path: Path) -> None:
    objects = scene(EXAMPLES[example])
    del named(objects, policy)["spec"][direction][index]
    lost = declared(EXAMPLES[example]) - connections(objects, tmp_path)
    assert len(lost) == (2 if index == 0 and direction == "egress" else len(lost)) >= 1  # DNS has two protocols


@pytest.mark.parametrize("policy", ["default-deny", "ingress", "egress"])
def test_every_policy_is_needed(policy: str, tmp_path: Path) -> None:
    objects = scene(EXAMPLES["examples/own-program"])
    objects.remove(named(objects, f"churn-{policy}"))
    if policy != "default-deny":  # it denies what the other two would allow, so without it the ways are open
        objects.remove(named(objects, "churn-default-deny"))
    assert connections(objects, tmp_path) - declared(EXAMPLES["examples/own-program"])


ADDED: dict[str, tuple[str, Any]] = {
    "everyone in": ("ingress", {}),
    "a stranger in": ("ingress", {"from": [{"namespaceSelector": {}}]}),
    "another port": ("ingress", {"from": [{"namespaceSelector": {}}], "ports": [{"port": 22, "protocol": "TCP"}]}),
    "everywhere out": ("egress", {}),
    "one address more": ("egress", {"to": [{"ipBlock": {"cidr": "203.0.112.255/32"}}], "ports": [{"port": 443}]}),
    "metadata": ("egress", {"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}], "ports": [{"port": 80}]}),
    "UDP beside TCP": (
        "egress",
        {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 443, "protocol": "UDP"}]},
    ),
}


@pytest.mark.parametrize("rule", ADDED)
def test_one_rule_more_is_noticed(rule: str, tmp_path: Path) -> None:
    direction, added = ADDED[rule]
    objects = scene(EXAMPLES["examples/own-program"])
    named(objects, f"churn-{direction}")["spec"][direction].append(added)
    assert connections(objects, tmp_path) != declared(EXAMPLES["examples/own-program"])
