"""The whole matrix of who reaches whom on a real node, before the policies and after: just what is declared.

Three models of which one calls another, a gateway, a collector of metrics, a stranger that bears the labels of a model,
an intruder in a model's own namespace; pods, Services, DNS, API server, node, metadata and the internet; TCP and UDP,
declared and undeclared ports.
"""

import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from homeport import Release, manifests
from homeport.manifests.names import labels
from sandbox.components import API_SERVICE_ADDRESS, DNS_ADDRESS
from sandbox.network import METADATA_ADDRESS, NODE_ADDRESS, OUTSIDE_ADDRESS
from tests.cluster.probes import (
    METRICS,
    NAMESPACE,
    SERVING,
    UNDECLARED,
    Probes,
    Target,
    model,
    namespace,
    pod,
    releases,
)
from tests.support import PATIENCE, undigested

# Public addresses, because a wide network opens no special-purpose ones. They are of the namespace at the other end of the
# sandbox's cable, and no packet leaves it. 7.0.0.0/8 is not in use on the internet.
FEATURES, ELSEWHERE = "7.0.113.10", "7.51.100.10"
"""Addresses of the internet, which the world outside the sandbox's node plays."""

MODELS = [
    model(
        "alpha",
        calls=["beta"],
        egress=[
            {"cidr": "7.0.113.0/24", "port": 443, "reason": "features"},
            {"cidr": "7.0.113.10/32", "port": 5353, "protocol": "UDP", "reason": "names"},
        ],
    ),
    model("beta", egress=[{"cidr": "0.0.0.0/0", "port": 80, "reason": "everyone"}]),
    model("gamma"),
]
RELEASES = releases(
    MODELS,
    gateway={"namespace": NAMESPACE.format("gateway")},
    monitoring={"namespace": NAMESPACE.format("monitoring")},
)
GOVERNED = {"alpha", "beta", "gamma", "intruder"}
PODS = (*GOVERNED, "gateway", "monitoring", "stranger")
DNS_QUESTION = (
    bytes.fromhex("000101000001000000000000") + b"\x0akubernetes\x07default\x03svc\x07cluster\x05local\0\0\x01\0\x01"
)

Connection = tuple[str, str, str]
"""Who, whom, by which protocol and port."""
Matrix = frozenset[Connection]

DECLARED = {
    *(
        (name, server, f"{protocol} 53")
        for name in ("alpha", "beta", "gamma")
        for server in ("dns pod", "dns service")
        for protocol in ("tcp", "udp")
    ),
    *(("gateway", name, f"tcp {SERVING}") for name in ("alpha", "beta", "gamma")),
    *(("gateway", f"{name} service", "tcp 80") for name in ("alpha", "beta", "gamma")),
    *(("monitoring", name, f"tcp {METRICS}") for name in ("alpha", "beta", "gamma")),
    ("alpha", "beta", f"tcp {SERVING}"),
    ("alpha", "beta service", "tcp 80"),
    ("alpha", "features", "tcp 443"),
    ("alpha", "features", "udp 5353"),
    ("beta", "features", "tcp 80"),
    ("beta", "elsewhere", "tcp 80"),
}
"""What the specs say, by hand: nobody's function decides it."""


@dataclass(frozen=True)
class Scene:
    """What stands in the cluster, and how to look at it."""

    probes: Probes
    addresses: dict[str, str]
    targets: list[Target]

    def matrix(self) -> Matrix:
        with ThreadPoolExecutor(len(PODS)) as pool:
            answers = pool.map(lambda name: (name, self.probes.dial(self.addresses[name], self.targets)), PODS)
            return frozenset(
                (name, target.name, target.port)
                for name, reached in answers
                for target, open_ in zip(self.targets, reached, strict=True)
                # A pod's way to itself never leaves it.
                if open_ and target.name != name
            )

    def settled(self, unlike: Matrix | None = None, like: Matrix | None = None) -> Matrix:
        """The matrix once it is `like`, or `unlike` and the same twice in a row, or what it is when time is up."""
        deadline = time.monotonic() + PATIENCE
        last = None
        while True:
            found = self.matrix()
            if found == like or time.monotonic() > deadline or (like is None and found == last != unlike):
                return found
            last = found


def policies() -> list[Any]:
    return deepcopy([each for release in RELEASES for each in manifests(release) if each["kind"] == "NetworkPolicy"])


def unguarded() -> list[Any]:
    """Everything but the policies."""
    (alpha, *_, gamma) = RELEASES
    return [
        *(each for release in RELEASES for each in manifests(release) if each["kind"] != "NetworkPolicy"),
        *(namespace(NAMESPACE.format(name)) for name in ("gateway", "monitoring", "stranger")),
        pod("gateway", NAMESPACE.format("gateway"), app="gateway"),
        pod("monitoring", NAMESPACE.format("monitoring"), app="monitoring"),
        pod("stranger", NAMESPACE.format("stranger"), **labels(alpha)),
        pod("intruder", gamma.namespace, app="intruder"),
    ]


def targets(probes: Probes, addresses: dict[str, str]) -> list[Target]:
    dns = probes.address("kube-system", "k8s-app=kube-dns")
    ports = [("tcp", SERVING), ("tcp", METRICS), ("tcp", UNDECLARED), ("udp", SERVING), ("udp", UNDECLARED)]
    internet = [("tcp", 80), ("tcp", 443), ("udp", 80), ("udp", 443), ("udp", 5353)]
    world = {
        "features": FEATURES,
        "elsewhere": ELSEWHERE,
        "metadata": METADATA_ADDRESS,
        "private network": OUTSIDE_ADDRESS,
    }
    return [
        *(Target(name, on, f"{address}:{port}") for name, address in addresses.items() for on, port in ports),
        *(Target(f"{each.model.name} service", "tcp", f"{service(probes, each)}:80") for each in RELEASES),
        *(Target("dns pod", on, f"{dns}:53", DNS_QUESTION) for on in ("tcp", "udp")),
        *(Target("dns service", on, f"{DNS_ADDRESS}:53", DNS_QUESTION) for on in ("tcp", "udp")),
        Target("dns pod", "tcp", f"{dns}:8181"),
        Target("api service", "tcp", f"{API_SERVICE_ADDRESS}:443"),
        Target("api server", "tcp", f"{NODE_ADDRESS}:6443"),
        Target("node", "tcp", f"{NODE_ADDRESS}:10250"),
        Target("node", "tcp", f"{NODE_ADDRESS}:18080"),
        Target("node", "udp", f"{NODE_ADDRESS}:18080"),
        *(Target(name, on, f"{address}:{port}") for name, address in world.items() for on, port in internet),
    ]


def service(probes: Probes, release: Release) -> str:
    return probes.service(release.model.name, release.namespace)


@pytest.fixture(scope="module")
def unguarded_scene(probes: Probes) -> Iterator[Scene]:
    outside = [("address", "add", f"{address}/32", "dev", "lo") for address in (FEATURES, ELSEWHERE)]
    for arguments in outside:
        subprocess.run(probes.sandbox.nsenter(["ip", *arguments], outside=True), check=False, capture_output=True)
    with (
        probes.listening("80,443", "80,443,5353", outside=True),
        probes.listening("18080", "18080", outside=False),
        probes.standing(unguarded()),
    ):
        addresses = {
            name: probes.address(NAMESPACE.format(name), f"app.kubernetes.io/name={name}")
            for name in ("alpha", "beta", "gamma")
        }
        addresses |= {name: probes.address(NAMESPACE.format(name)) for name in ("gateway", "monitoring", "stranger")}
        addresses["intruder"] = probes.address(NAMESPACE.format("gamma"), "app=intruder")
        yield Scene(probes, addresses, targets(probes, addresses))


@pytest.fixture(scope="module")
def before(unguarded_scene: Scene) -> Matrix:
    return unguarded_scene.settled()


@pytest.fixture(scope="module")
def scene(unguarded_scene: Scene, before: Matrix) -> Scene:
    unguarded_scene.probes.apply(policies())
    unguarded_scene.settled(unlike=before)
    return unguarded_scene


def expected(targets: Sequence[Target]) -> set[Connection]:
    """What is declared, and everything between those that nothing governs."""
    return DECLARED | {
        (name, target.name, target.port)
        for name in PODS
        for target in targets
        if not GOVERNED & {name, target.name.removesuffix(" service")} and target.name != name
    }


def test_everything_is_open_without_policies(unguarded_scene: Scene, before: Matrix) -> None:
    everything = {
        (name, each.name, each.port) for name in PODS for each in unguarded_scene.targets if each.name != name
    }
    assert sorted(everything - before) == []


def test_only_what_is_declared_is_open_with_policies(scene: Scene) -> None:
    found, wanted = scene.matrix(), expected(scene.targets)
    assert (sorted(found - wanted), sorted(wanted - found)) == ([], [])


# Each rule of the policies is needed, and one more is seen.


def changed(scene: Scene, objects: list[Any], gone: Sequence[str] = ()) -> tuple[set[Connection], set[Connection]]:
    """What is closed and what is opened when the objects are put in place of the policies; undone in the end."""
    strict = scene.settled(like=frozenset(expected(scene.targets)))
    assert strict == expected(scene.targets)
    try:
        for name in gone:
            model = name.partition("-")[0]
            scene.probes.cluster.kubectl("delete", f"networkpolicy/{name}", f"--namespace={NAMESPACE.format(model)}")
        scene.probes.apply(objects)
        found = scene.settled(unlike=strict)
    finally:
        scene.probes.apply(policies())
    return set(strict - found), set(found - strict)


def rules() -> list[Any]:
    """Every rule: name of its policy, direction, index. Those of alpha are of each sort; the others repeat them."""
    return [
        pytest.param(name, direction, index, marks=[] if name.startswith("alpha-") else pytest.mark.slow)
        for policy in policies()
        for name in [undigested(policy["metadata"]["name"])]
        for direction in ("ingress", "egress")
        for index, _ in enumerate(policy["spec"].get(direction, []))
    ]


def named(objects: list[Any], name: str) -> Any:
    return next(each for each in objects if undigested(each["metadata"]["name"]) == name)


@pytest.mark.parametrize(("policy", "direction", "index"), rules())
def test_without_a_rule_something_declared_is_closed(scene: Scene, policy: str, direction: str, index: int) -> None:
    mutant = named(policies(), policy)
    del mutant["spec"][direction][index]
    closed, opened = changed(scene, [mutant])
    name = policy.partition("-")[0]
    assert closed
    assert closed <= {each for each in DECLARED if name in (each[0], each[1].removesuffix(" service"))}
    assert not opened


def test_without_the_caller_only_its_call_is_closed(scene: Scene) -> None:
    mutant = named(policies(), "beta-ingress")
    del mutant["spec"]["ingress"][0]["from"][0]
    assert changed(scene, [mutant]) == (
        {("alpha", "beta", f"tcp {SERVING}"), ("alpha", "beta service", "tcp 80")},
        set(),
    )


def test_without_default_deny_the_intruder_is_free(scene: Scene) -> None:
    closed, opened = changed(scene, [], gone=["gamma-default-deny"])
    assert not closed
    assert {each[0] for each in opened if each[1] == "metadata"} == {"intruder"}
    assert {each[1] for each in opened if each[0] == "stranger"} == {"intruder"}


def test_without_the_exception_metadata_and_cluster_are_reached(scene: Scene) -> None:
    mutant = named(policies(), "beta-egress")
    (wide,) = (rule for rule in mutant["spec"]["egress"] if rule["to"][0].get("ipBlock", {}).get("cidr") == "0.0.0.0/0")
    del wide["to"][0]["ipBlock"]["except"]
    closed, opened = changed(scene, [mutant])
    assert not closed
    assert {("beta", "metadata", "tcp 80"), ("beta", "private network", "tcp 80")} <= opened


ADDED: dict[str, tuple[str, str, Any, set[Connection]]] = {
    "metadata": (
        "gamma-egress",
        "egress",
        {"to": [{"ipBlock": {"cidr": f"{METADATA_ADDRESS}/32"}}], "ports": [{"port": 80, "protocol": "TCP"}]},
        {("gamma", "metadata", "tcp 80")},
    ),
    "UDP beside TCP": (
        "alpha-egress",
        "egress",
        {"to": [{"ipBlock": {"cidr": "7.0.113.0/24"}}], "ports": [{"port": 443, "protocol": "UDP"}]},
        {("alpha", "features", "udp 443")},
    ),
    "a stranger": (
        "beta-ingress",
        "ingress",
        {
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "probe-stranger"}}}],
            "ports": [{"port": UNDECLARED, "protocol": "TCP"}],
        },
        {("stranger", "beta", f"tcp {UNDECLARED}")},
    ),
    "a call without its other end": (
        "gamma-egress",
        "egress",
        {"to": [{"namespaceSelector": {}}], "ports": [{"port": UNDECLARED, "protocol": "TCP"}]},
        {("gamma", name, f"tcp {UNDECLARED}") for name in ("gateway", "monitoring", "stranger")},
    ),
}


@pytest.mark.parametrize("rule", ADDED)
def test_one_rule_more_opens_just_what_it_says(scene: Scene, rule: str) -> None:
    policy, direction, added, opened = ADDED[rule]
    mutant = named(policies(), policy)
    mutant["spec"][direction].append(added)
    assert changed(scene, [mutant]) == (set(), opened)
