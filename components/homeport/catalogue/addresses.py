"""Addresses: networks that are not public, and those of the clouds' metadata services."""

from collections.abc import Iterable
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

METADATA_NETWORKS = {
    # 169.254.169.254 of nearly all clouds, 169.254.170.2 and .23 (AWS ECS and EKS), 169.254.169.252 (GKE).
    "169.254.0.0/16": "https://www.rfc-editor.org/rfc/rfc3927",
    "168.63.129.16/32": "https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16",
    "100.100.100.200/32": "https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata",
    "192.0.0.192/32": "https://docs.oracle.com/en/cloud/cloud-at-customer/occ-get-started/retrieve-predefined-instance-metadata.html",
    # fe80::a9fe:a9fe of OpenStack.
    "fe80::/10": "https://docs.openstack.org/nova/latest/user/metadata.html",
    # fd00:ec2::254, and fd00:ec2::23 of EKS Pod Identity: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html
    "fd00:ec2::/32": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html",
    "fd20:ce::254/128": "https://docs.cloud.google.com/compute/docs/metadata/querying-metadata",
    "fd00:c1::a9fe:a9fe/128": "https://github.com/oracle/oci-python-sdk/blob/master/src/oci/auth/signers/instance_principals_security_token_signer.py",
    "fd00:100::100:200/128": "https://github.com/canonical/cloud-init/blob/main/tests/unittests/sources/test_aliyun.py",
    "fd00:42::42/128": "https://docs.cloud-init.io/en/latest/reference/datasources/scaleway.html",
    "fd00:a9fe:a9fe::1/128": "https://docs.cloud-init.io/en/latest/reference/datasources/akamai.html",
}
"""A network at which a node's credentials are given to every caller, and the source for it."""

PRIVATE_NETWORKS = {
    "10.0.0.0/8": "https://www.rfc-editor.org/rfc/rfc1918",
    "100.64.0.0/10": "https://www.rfc-editor.org/rfc/rfc6598",
    "172.16.0.0/12": "https://www.rfc-editor.org/rfc/rfc1918",
    "192.168.0.0/16": "https://www.rfc-editor.org/rfc/rfc1918",
    "fc00::/7": "https://www.rfc-editor.org/rfc/rfc4193",
}
"""Where clusters have their pods, services and nodes."""

OWN_NETWORKS = {
    "0.0.0.0/8": "https://www.rfc-editor.org/rfc/rfc791",
    "127.0.0.0/8": "https://www.rfc-editor.org/rfc/rfc1122",
}
"""Where a machine reaches itself."""

_SPECIAL_4 = "https://www.iana.org/assignments/iana-ipv4-special-registry"
_SPECIAL_6 = "https://www.iana.org/assignments/iana-ipv6-special-registry"
_SPACE_6 = "https://www.iana.org/assignments/ipv6-address-space"

SPECIAL_NETWORKS = {
    **PRIVATE_NETWORKS,
    **OWN_NETWORKS,
    "169.254.0.0/16": _SPECIAL_4,
    "192.0.0.0/24": _SPECIAL_4,
    "192.0.2.0/24": _SPECIAL_4,
    "192.31.196.0/24": _SPECIAL_4,
    "192.52.193.0/24": _SPECIAL_4,
    "192.88.99.0/24": _SPECIAL_4,
    "192.175.48.0/24": _SPECIAL_4,
    "198.18.0.0/15": _SPECIAL_4,
    "198.51.100.0/24": _SPECIAL_4,
    "203.0.113.0/24": _SPECIAL_4,
    "224.0.0.0/4": "https://www.iana.org/assignments/multicast-addresses",
    "240.0.0.0/4": _SPECIAL_4,
    # Reserved, with ::, ::1, ::ffff:0:0/96, 64:ff9b::/96 and 64:ff9b:1::/48 of the special registry in it. Stated as a whole:
    # some network plugins stop at ::ffff:0:0/96 in a policy, and from Kubernetes 1.36 on the API server refuses it.
    "::/8": _SPACE_6,
    "100::/64": _SPECIAL_6,
    "100:0:0:1::/64": _SPECIAL_6,
    "2001::/23": _SPECIAL_6,
    "2001:db8::/32": _SPECIAL_6,
    "2002::/16": _SPECIAL_6,
    "2620:4f:8000::/48": _SPECIAL_6,
    "3fff::/20": _SPECIAL_6,
    "5f00::/16": _SPECIAL_6,
    "fe80::/10": _SPECIAL_6,
    "fec0::/10": _SPACE_6,
    "ff00::/8": "https://www.iana.org/assignments/ipv6-multicast-addresses",
}
"""What is no public address: the registries of special purposes, without the networks that lie inside another one."""

_WRAPPED_AT = {
    # The prefix of NAT64: https://www.rfc-editor.org/rfc/rfc6052
    "64:ff9b::/96": 96,
    # 6to4: https://www.rfc-editor.org/rfc/rfc3056
    "2002::/16": 16,
}
"""Networks of IPv6 whose addresses lead to those of IPv4, and the bit at which such an address begins."""

_NO_WAY_IN = {
    # IPv4-mapped, -compatible and -translated addresses and NAT64 of local use, but not the prefix of NAT64 above.
    "::/8": _SPACE_6,
    # Teredo contains two IPv4 addresses, so all of it is refused.
    "2001::/32": "https://www.rfc-editor.org/rfc/rfc4380",
}
"""Networks of IPv6 that stand for addresses of IPv4 in ways that programs do not agree on."""

METADATA_NAMES = (
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.tencentyun.com",
    "metadata.azure.internal",
    "instance-data",
    "instance-data.ec2.internal",
)
"""Names that stand for a metadata address."""


def metadata_around(cidr: str) -> str | None:
    """The metadata network that all of `cidr` is in."""
    return _around(cidr, METADATA_NETWORKS)


def disguise_around(cidr: str) -> str | None:
    """The network that all of `cidr` is in, of those that stand for networks of IPv4 that are not to be reached so."""
    closed = {**METADATA_NETWORKS, **PRIVATE_NETWORKS, **OWN_NETWORKS}
    found = _around(cidr, [other for each in closed for other in wrapped(each)])
    return found or (None if _around(cidr, _WRAPPED_AT) else _around(cidr, _NO_WAY_IN))


def allowed_in(cidr: str, around: str) -> bool:
    """Whether all of `cidr` is in what a network means: if it contains networks of special purposes, only the rest."""
    return _inside(cidr, around) and not any(_inside(cidr, inner) for inner in inner_networks(around))


@cache
def wrapped(cidr: str) -> list[str]:
    """The networks of IPv6 that lead to a network of IPv4; none of one of IPv6."""
    inner = _network(cidr)
    if isinstance(inner, IPv6Network):
        return []
    found = []
    for around, bit in _WRAPPED_AT.items():
        first = int(_network(around).network_address) | int(inner.network_address) << 128 - 32 - bit
        found.append(str(IPv6Network((first, bit + inner.prefixlen))))
    return found


@cache
def inner_networks(cidr: str) -> list[str]:
    """Networks of special purposes that are parts of `cidr`: what somebody who names so wide a network cannot mean.

    None of them is in another, so each is stated once.
    """
    stated = {**METADATA_NETWORKS, **SPECIAL_NETWORKS, **_NO_WAY_IN}
    known = {each for network in stated for each in (network, *wrapped(network))} - {cidr}
    found = parts(cidr, known)
    outermost = [each for each in found if len([other for other in found if _inside(each, other)]) == 1]
    return sorted(outermost, key=lambda each: _network(each).network_address.packed)


def parts(cidr: str, networks: Iterable[str]) -> list[str]:
    """Those of the networks that lie in `cidr`: nothing else can be left out of it in a NetworkPolicy."""
    return [each for each in networks if _inside(each, cidr)]


def _around(cidr: str, networks: Iterable[str]) -> str | None:
    return next((each for each in networks if _inside(cidr, each)), None)


def _inside(one: str, other: str) -> bool:
    network, around = _network(one), _network(other)
    return network.version == around.version and network.subnet_of(around)  # type: ignore[arg-type]


@cache
def _network(cidr: str) -> Network:
    return ip_network(cidr)
