"""Addresses: which networks are nobody's public ones, and which the clouds keep for their machines' metadata."""

from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

METADATA_NETWORKS = (
    # Link-local: 169.254.169.254 (all clouds), 169.254.170.2 and .23 (AWS credentials), 169.254.169.252 (GKE).
    "169.254.0.0/16",
    # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    "168.63.129.16/32",
    # https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
    "100.100.100.200/32",
    "fe80::/10",
    # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    "fd00:ec2::/32",
    # https://docs.cloud.google.com/compute/docs/metadata/querying-metadata
    "fd20:ce::254/128",
)
"""Where a node's credentials are handed to whoever asks."""

PRIVATE_NETWORKS = (
    # https://www.rfc-editor.org/rfc/rfc1918, https://www.rfc-editor.org/rfc/rfc6598, https://www.rfc-editor.org/rfc/rfc4193
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
)
"""Where clusters have their pods, services and nodes."""

METADATA_NAMES = ("metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal")
"""Names that stand for a metadata address."""


def metadata_around(cidr: str) -> str | None:
    """The metadata network that all of `cidr` is in."""
    network = ip_network(cidr)
    return next((each for each in METADATA_NETWORKS if _inside(network, ip_network(each))), None)


def inner_networks(cidr: str) -> list[str]:
    """Private and metadata networks that are parts of `cidr`: what somebody who names so wide a network cannot mean.

    None of them is in another, so each is stated once.
    """
    around = ip_network(cidr)
    found = [each for each in map(ip_network, METADATA_NETWORKS + PRIVATE_NETWORKS) if each != around]
    found = [each for each in found if _inside(each, around)]
    outermost = [each for each in found if not any(_inside(each, other) for other in found if other != each)]
    return [str(each) for each in sorted(outermost, key=lambda each: each.network_address.packed)]


def _inside(network: Network, other: Network) -> bool:
    return network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]
