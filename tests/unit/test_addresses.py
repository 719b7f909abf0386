"""What a declared network opens, and what it never does."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from homeport import Environment, Model, Release, manifests, violations
from homeport.catalogue.addresses import (
    METADATA_NETWORKS,
    OWN_NETWORKS,
    PRIVATE_NETWORKS,
    SPECIAL_NETWORKS,
    allowed_in,
    disguise_around,
    inner_networks,
    metadata_around,
    wrapped,
)
from homeport.specs.model import Egress
from tests.support import undigested

MODEL = {"name": "iris", "owner": "ds", "image": "registry.example.com/iris"}
CILIUM = {"network": {"plugin": "cilium"}}
GKE = {"cloud": "gke", "identities": {"iris": {"service_account": "iris@project.iam.gserviceaccount.com"}}}

POD_IDENTITY = {"cloud": "eks-karpenter", "identities": {"iris": {"pod_identity": True}}}
ROLE = {"cloud": "eks-karpenter", "identities": {"iris": {"role_arn": "arn:aws:iam::111122223333:role/iris"}}}


def release(egress: dict[str, Any], **environment: Any) -> Release:
    model = Model.model_validate(MODEL | {"egress": [{"port": 443, "reason": "features"} | egress]})
    here = Environment.model_validate({"cluster": {"identifier": "test"}} | environment)
    return Release(model, here, "1", "registry.example.com/iris:1")


def opened(cidr: str) -> Any:
    (policy,) = (
        each for each in manifests(release({"cidr": cidr})) if undigested(each["metadata"]["name"]) == "iris-egress"
    )
    return policy["spec"]["egress"][1]["to"][0]["ipBlock"]


@pytest.mark.parametrize(
    ("cidr", "excluded"),
    [
        ("203.0.113.0/24", []),
        ("10.0.0.0/8", []),
        ("10.0.8.0/24", []),
        ("100.64.0.0/10", ["100.100.100.200/32"]),
        ("168.63.129.0/24", ["168.63.129.16/32"]),
        ("192.0.0.0/16", ["192.0.0.0/24", "192.0.2.0/24"]),
        (
            "0.0.0.0/0",
            [
                "0.0.0.0/8",
                "10.0.0.0/8",
                "100.64.0.0/10",
                "127.0.0.0/8",
                "168.63.129.16/32",
                "169.254.0.0/16",
                "172.16.0.0/12",
                "192.0.0.0/24",
                "192.0.2.0/24",
                "192.31.196.0/24",
                "192.52.193.0/24",
                "192.88.99.0/24",
                "192.168.0.0/16",
                "192.175.48.0/24",
                "198.18.0.0/15",
                "198.51.100.0/24",
                "203.0.113.0/24",
                "224.0.0.0/4",
                "240.0.0.0/4",
            ],
        ),
        ("fd20::/16", ["fd20:ce::254/128"]),
        ("2001::/23", ["2001::/32"]),
        ("64:ff9b::a000:0/100", ["64:ff9b::a83f:8110/128", "64:ff9b::a9fe:0/112", "64:ff9b::ac10:0/108"]),
        (
            "::/0",
            [
                "::/8",
                "100::/64",
                "100:0:0:1::/64",
                "2001::/23",
                "2001:db8::/32",
                "2002::/16",
                "2620:4f:8000::/48",
                "3fff::/20",
                "5f00::/16",
                "fc00::/7",
                "fe80::/10",
                "fec0::/10",
                "ff00::/8",
            ],
        ),
        ("2001:db8::/32", []),
    ],
)
def test_a_wide_network_means_the_public_addresses_in_it(cidr: str, excluded: list[str]) -> None:
    assert inner_networks(cidr) == excluded
    assert opened(cidr) == {"cidr": cidr} | ({"except": excluded} if excluded else {})


def accepted(cidr: str) -> bool:
    try:
        Egress(cidr=cidr, port=443, reason="features")
    except ValidationError:
        return False
    return True


def networks(version: int, least: int = 0) -> st.SearchStrategy[str]:
    """Networks of all sizes, near the boundaries of what is known and anywhere."""
    stated = {**METADATA_NETWORKS, **SPECIAL_NETWORKS}
    near = [ip_network(each) for each in (*stated, *(other for network in stated for other in wrapped(network)))]
    edges = [int(address) for each in near if each.version == version for address in (each[0], each[-1])]
    most = 32 if version == 4 else 128
    kind = IPv4Network if version == 4 else IPv6Network

    def network(first: int, offset: int, prefix: int) -> str:
        return str(kind((max(0, min(first + offset, 2**most - 1)) >> most - prefix << most - prefix, prefix)))

    anywhere = st.one_of(st.sampled_from(edges), st.integers(0, 2**most - 1))
    return st.builds(network, anywhere, st.sampled_from([-1, 0, 1]), st.integers(least, most))


ANY_NETWORK = st.one_of(networks(4), networks(6))


def reached(cidr: str, address: IPv4Address | IPv6Address) -> bool:
    """Whether a network without its inner ones has an address, as Kubernetes reads a policy."""
    return address in ip_network(cidr) and not any(address in ip_network(each) for each in inner_networks(cidr))


@settings(deadline=None)
@given(ANY_NETWORK)
def test_what_is_left_out_is_a_part_and_stated_once(cidr: str) -> None:
    network, inner = ip_network(cidr), [ip_network(each) for each in inner_networks(cidr)]
    assert all(each != network and each.subnet_of(network) for each in inner)  # type: ignore[arg-type]
    assert not any(one.overlaps(other) for one in inner for other in inner if one is not other)


@settings(deadline=None)
@given(ANY_NETWORK, st.data())
def test_no_network_opens_metadata(cidr: str, data: st.DataObject) -> None:
    assume(accepted(cidr))
    network = ip_network(cidr)
    for stated in METADATA_NETWORKS:
        for each in map(ip_network, (stated, *wrapped(stated))):
            if each.version == network.version and each.overlaps(network):
                chosen = data.draw(st.integers(0, each.num_addresses - 1))
                assert not reached(cidr, each[chosen])


@settings(deadline=None)
@given(networks(6), st.data())
def test_no_network_of_ipv6_leads_to_what_is_not_public_in_ipv4(cidr: str, data: st.DataObject) -> None:
    """The last 32 bits of NAT64, and where 6to4 and Teredo have theirs, as Python's own library reads them."""
    assume(accepted(cidr))
    network = ip_network(cidr)
    assert isinstance(network, IPv6Network)
    address = IPv6Address(int(network[data.draw(st.integers(0, network.num_addresses - 1))]))
    hidden = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in IPv6Network("64:ff9b::/96"):
        hidden.append(IPv4Address(int(address) & 0xFFFFFFFF))
    refused = [IPv4Network(each) for each in METADATA_NETWORKS | PRIVATE_NETWORKS | OWN_NETWORKS if ":" not in each]
    if any(found and found in each for found in hidden for each in refused):
        assert not reached(cidr, address)


@pytest.mark.parametrize(("cidr", "bits"), [("0.0.0.0/0", 32), ("::/0", 128)])
@settings(deadline=None)
@given(st.data())
def test_everything_means_all_that_is_public(cidr: str, bits: int, data: st.DataObject) -> None:
    version = 4 if bits == 32 else 6
    address = ip_network(data.draw(networks(version, bits)))[0]
    if not address.is_global or address.is_multicast:
        assert not reached(cidr, address)
    elif not any(address in ip_network(each) for each in (*METADATA_NETWORKS, *SPECIAL_NETWORKS)):
        assert reached(cidr, address)


@settings(deadline=None)
@given(networks(6, 96))
def test_only_networks_that_wrap_are_refused(cidr: str) -> None:
    first = ip_network(cidr)[0]
    assert isinstance(first, IPv6Address)
    if disguise_around(cidr):
        wraps = first.sixtofour or first.teredo or first in IPv6Network("::/8")
        assert wraps, f"{cidr} is refused as one that wraps addresses of IPv4"


@pytest.mark.parametrize(
    "cidr",
    [
        "::ffff:0:0/96",
        "::ffff:169.254.169.254/128",
        "::ffff:203.0.113.7/128",
        "::ffff:0:169.254.169.254/128",
        "::169.254.169.254/128",
        "::/64",
        "::1/128",
        "64:ff9b::169.254.169.254/128",
        "64:ff9b::10.1.2.0/120",
        "64:ff9b::168.63.129.16/128",
        "64:ff9b:1::/48",
        "2002:a9fe:a9fe::/48",
        "2002:a00::/32",
        "2001::/32",
        "2001:0:a9fe:a9fe::/64",
    ],
)
def test_an_address_of_ipv4_in_that_of_ipv6_is_refused(cidr: str) -> None:
    with pytest.raises(ValidationError, match=r"the network of IPv4 itself, such as 203\.0\.113\.0/24, or one of IPv6"):
        release({"cidr": cidr})


@pytest.mark.parametrize(
    "cidr",
    [
        "203.0.113.0/24",
        "10.20.0.0/16",
        "172.20.0.10/32",
        "0.0.0.0/0",
        "2001:db8:7::/48",
        "2606:4700::/32",
        "fd12:3456::/32",
        "64:ff9b::/96",
        "64:ff9b::203.0.113.0/120",
        "::/0",
    ],
)
def test_an_honest_network_is_accepted(cidr: str) -> None:
    assert accepted(cidr)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "169.254.169.252",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
        "fd00:100::100:200",
        "fd00:42::42",
        "fd00:a9fe:a9fe::1",
        "fe80::a9fe:a9fe",
    ],
)
def test_the_address_of_every_clouds_metadata_is_refused_and_left_out(address: str) -> None:
    assert metadata_around(address)
    assert not accepted(address)
    here = ip_address(address)
    for prefix in range(here.max_prefixlen):
        cidr = str(ip_network(f"{address}/{prefix}", strict=False))
        assert not accepted(cidr) or not reached(cidr, here)


def test_every_row_has_its_source() -> None:
    for network, source in {**METADATA_NETWORKS, **SPECIAL_NETWORKS}.items():
        assert str(ip_network(network)) == network
        assert source.startswith("https://")


MISTAKES = {
    "metadata address": (
        {"cidr": "169.254.169.254/32"},
        "a network outside 169.254.0.0/16, where nodes get their credentials; the environment's `identities` allow "
        "what a model's cloud identity needs",
    ),
    "link-local addresses": ({"cidr": "169.254.0.0/16"}, "a network outside 169.254.0.0/16, where nodes"),
    "metadata address of IPv6": ({"cidr": "fd00:ec2::254/128"}, "a network outside fd00:ec2::/32, where nodes"),
    "name of metadata": (
        {"host": "metadata.google.internal"},
        "the name of a host outside the cluster; use `calls` to reach other models",
    ),
    "name of a Service": ({"host": "rose.rose.svc.cluster.local"}, "the name of a host outside the cluster; use"),
    "zone": ({"cidr": "2606:4700::1%eth0/128"}, "a network such as 203.0.113.0/24 (found a zone (%))"),
    "line end in a zone": ({"cidr": "fc00::1%a\n/128"}, "a network such as 203.0.113.0/24 (found a zone (%))"),
    "wildcard": ({"host": "*.example.com"}, "String should match pattern"),
    "neither": ({}, "exactly one of `cidr` and `host`"),
    "both": ({"cidr": "203.0.113.0/24", "host": "features.example.com"}, "exactly one of `cidr` and `host`"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_destination_that_is_refused(mistake: str) -> None:
    egress, message = MISTAKES[mistake]
    with pytest.raises(ValidationError) as error:
        release(egress)
    assert message in str(error.value)


def test_host_name_is_refused_where_nothing_enforces_it() -> None:
    (violation,) = violations(release({"host": "features.example.com"}))
    assert violation.field == ("egress", 0, "host")
    assert violation.message == (
        'found "features.example.com", accepted: a `cidr`, because NetworkPolicy has no host names; `host` '
        "needs `network.plugin` in the environment"
    )


def cilium(**environment: Any) -> Any:
    made = release({"host": "features.example.com"}, **CILIUM, **environment)
    assert violations(made) == []
    denial, opening = (each for each in manifests(made) if each["kind"] == "CiliumNetworkPolicy")
    assert denial["metadata"]["name"] == "iris-deny-metadata"
    assert undigested(opening["metadata"]["name"]) == "iris-egress-hosts"
    return denial, opening


def test_host_name_is_reached_on_its_port_where_the_plugin_knows_names() -> None:
    _, policy = cilium()
    dns, host = policy["spec"]["egress"]
    assert host == {
        "toFQDNs": [{"matchName": "features.example.com"}],
        "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}],
    }
    # Without seeing the questions, Cilium would not know the answers.
    assert dns["toPorts"][0]["rules"] == {"dns": [{"matchPattern": "*"}]}


def denied(policy: Any, address: str) -> bool:
    here = ip_address(address)
    return any(
        here in ip_network(block["cidr"]) and not any(here in ip_network(each) for each in block.get("except", []))
        for rule in policy["spec"]["egressDeny"]
        for block in rule["toCIDRSet"]
    )


@pytest.mark.parametrize(
    ("environment", "agents"),
    [
        ({}, set()),
        (POD_IDENTITY, {"169.254.170.23"}),
        (ROLE, set()),
        (GKE, {"169.254.169.252", "169.254.169.254"}),
    ],
)
def test_a_name_that_points_to_metadata_opens_only_what_the_identity_needs(
    environment: dict[str, Any], agents: set[str]
) -> None:
    policy, _ = cilium(**environment)
    addresses = {"169.254.169.252", "169.254.169.254", "169.254.170.2", "169.254.170.23"}
    assert {each for each in addresses if not denied(policy, each)} == agents
    for network in METADATA_NETWORKS:
        if network != "169.254.0.0/16":
            assert denied(policy, str(ip_network(network)[0]))
    assert denied(policy, "64:ff9b::a9fe:a9fe")


def test_the_denial_is_there_before_a_host_is_and_only_where_cilium_is() -> None:
    def names(**environment: Any) -> list[str]:
        made = manifests(release({"cidr": "203.0.113.0/24"}, **environment))
        return [each["metadata"]["name"] for each in made if each["kind"] == "CiliumNetworkPolicy"]

    assert names(**CILIUM) == ["iris-deny-metadata"]
    assert names() == []


CLUSTER = ["10.96.0.1/32", "10.0.3.17/32", "192.168.1.0/24", "172.16.0.0/12", "fd00:10::/64", "64:ff9b::a00:1/128"]
"""An API server, a kubelet, nodes, pods, and what leads to one of them."""

PUBLIC = ["0.0.0.0/0", "::/0"]

LIMITS = [
    *((cidr, PUBLIC, False) for cidr in CLUSTER),
    *((cidr, PUBLIC, True) for cidr in ("8.8.8.0/24", "8.0.0.0/5", "0.0.0.0/0", "::/0", "2000::/3", "2606:4700::/32")),
    # A network of documentation is no public one, and 64:ff9b::/96 has to be named.
    ("203.0.113.0/24", PUBLIC, False),
    ("64:ff9b::808:0/112", PUBLIC, False),
    ("64:ff9b::808:0/112", ["64:ff9b::/96"], True),
    ("10.0.8.0/24", ["10.0.8.0/24"], True),
    ("10.0.8.7/32", ["10.0.0.0/16"], True),
    ("10.0.0.0/16", ["10.0.8.0/24"], False),
    ("10.1.0.0/24", ["10.0.0.0/16"], False),
    ("8.8.8.0/24", ["10.0.0.0/8"], False),
    ("10.0.8.0/24", ["0.0.0.0/0", "10.0.8.0/24"], True),
    ("10.0.8.0/24", [], False),
    ("fd00:10::1/128", ["fd00:10::/64", "0.0.0.0/0"], True),
]


@pytest.mark.parametrize(("cidr", "limits", "allowed"), LIMITS)
def test_the_environment_limits_where_models_are_let_out(cidr: str, limits: list[str], allowed: bool) -> None:
    stated = release({"cidr": "8.8.8.8/32"}, limits={"egress": ["8.8.8.8/32"]})
    egress = Egress.model_construct(cidr=cidr, port=443, reason="features")  # one is refused whatever the limits are
    model = stated.model.model_copy(update={"egress": [egress]})
    here = Environment.model_validate({"cluster": {"identifier": "test"}, "limits": {"egress": limits}})
    found = violations(Release(model, here, "1", "registry.example.com/iris:1"))
    message = f'found "{cidr}", accepted: {", ".join(limits) or "none"} (limits.egress)'
    assert [(each.field, each.message) for each in found] == ([] if allowed else [(("egress", 0, "cidr"), message)])


HOSTS = [
    ("features.example.com", ["features.example.com"], True),
    ("features.example.com", ["*.example.com"], True),
    ("a.b.example.com", ["*.example.com"], True),
    ("example.com", ["*.example.com"], False),
    ("features.example.com.evil.test", ["*.example.com", "features.example.com"], False),
    ("evilexample.com", ["*.example.com"], False),
    # Its owner may let it lead to any address.
    ("features.example.com", PUBLIC, False),
]


@pytest.mark.parametrize(("host", "limits", "allowed"), HOSTS)
def test_the_environment_limits_hosts_by_name(host: str, limits: list[str], allowed: bool) -> None:
    assert bool(violations(release({"host": host}, limits={"egress": limits}, **CILIUM))) != allowed


@st.composite
def parts_of(draw: st.DrawFn, around: st.SearchStrategy[str]) -> tuple[str, str]:
    """A network that a model may state, and the network around it."""
    limit = draw(around)
    network = ip_network(limit)
    prefix = draw(st.integers(network.prefixlen, network.max_prefixlen))
    first = int(network[draw(st.integers(0, network.num_addresses - 1))])
    shift = network.max_prefixlen - prefix
    cidr = str(type(network)((first >> shift << shift, prefix)))
    assume(accepted(cidr))
    return cidr, limit


@settings(deadline=None)
@given(parts_of(ANY_NETWORK), st.data())
def test_no_address_beyond_the_limit_is_opened(networks: tuple[str, str], data: st.DataObject) -> None:
    cidr, limit = networks
    network = ip_network(cidr)
    address = network[data.draw(st.integers(0, network.num_addresses - 1))]
    assert not allowed_in(cidr, limit) or not reached(cidr, address) or reached(limit, address)


@settings(deadline=None)
@given(ANY_NETWORK, st.data())
def test_public_limits_open_only_what_is_public(cidr: str, data: st.DataObject) -> None:
    network = ip_network(cidr)
    address = network[data.draw(st.integers(0, network.num_addresses - 1))]
    if accepted(cidr) and any(allowed_in(cidr, each) for each in PUBLIC):
        assert not reached(cidr, address) or (address.is_global and not address.is_multicast)
