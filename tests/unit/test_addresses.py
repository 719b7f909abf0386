"""What a declared network opens, and what it never does."""

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from homeport import Environment, Model, Release, manifests, violations
from homeport.catalogue.addresses import METADATA_NETWORKS, inner_networks, metadata_around

MODEL = {"name": "iris", "owner": "ds", "image": "registry.example.com/iris"}
CILIUM = {"network": {"plugin": "cilium"}}
GKE = {"cloud": "gke", "identities": {"iris": {"service_account": "iris@project.iam.gserviceaccount.com"}}}


def release(egress: dict[str, Any], **environment: Any) -> Release:
    model = Model.model_validate(MODEL | {"egress": [{"port": 443, "reason": "features"} | egress]})
    here = Environment.model_validate({"cluster": {"identifier": "test"}} | environment)
    return Release(model, here, "1", "registry.example.com/iris:1")


def opened(cidr: str) -> Any:
    (policy,) = (each for each in manifests(release({"cidr": cidr})) if each["metadata"]["name"] == "iris-egress")
    return policy["spec"]["egress"][1]["to"][0]["ipBlock"]


@pytest.mark.parametrize(
    ("cidr", "excluded"),
    [
        ("203.0.113.0/24", []),
        ("10.0.0.0/8", []),
        ("10.0.8.0/24", []),
        ("100.64.0.0/10", ["100.100.100.200/32"]),
        ("168.63.129.0/24", ["168.63.129.16/32"]),
        ("128.0.0.0/1", ["168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]),
        (
            "0.0.0.0/0",
            [
                "10.0.0.0/8",
                "100.64.0.0/10",
                "168.63.129.16/32",
                "169.254.0.0/16",
                "172.16.0.0/12",
                "192.168.0.0/16",
            ],
        ),
        ("fd00::/8", ["fd00:ec2::/32", "fd20:ce::254/128"]),
        ("::/0", ["fc00::/7", "fe80::/10"]),
        ("2001:db8::/32", []),
    ],
)
def test_a_wide_network_means_the_public_addresses_in_it(cidr: str, excluded: list[str]) -> None:
    assert inner_networks(cidr) == excluded
    assert opened(cidr) == {"cidr": cidr} | ({"except": excluded} if excluded else {})


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 128))
def test_no_network_opens_metadata(address: Any, prefix: int) -> None:
    cidr = str(ip_network(f"{address}/{prefix % (address.max_prefixlen + 1)}", strict=False))
    assume(metadata_around(cidr) is None)
    network, excluded = ip_network(cidr), [ip_network(each) for each in inner_networks(cidr)]
    for metadata in (ip_network(each) for each in METADATA_NETWORKS):
        if metadata.version == network.version and metadata.overlaps(network):
            assert any(metadata.subnet_of(each) for each in excluded)  # type: ignore[arg-type]
    # What NetworkPolicy asks of an exception.
    assert all(each != network and each.subnet_of(network) for each in excluded)  # type: ignore[arg-type]


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
    (policy,) = (each for each in manifests(made) if each["kind"] == "CiliumNetworkPolicy")
    return policy


def test_host_name_is_reached_on_its_port_where_the_plugin_knows_names() -> None:
    policy = cilium()
    dns, host = policy["spec"]["egress"]
    assert host == {
        "toFQDNs": [{"matchName": "features.example.com"}],
        "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}],
    }
    # Without seeing the questions, Cilium would not know the answers.
    assert dns["toPorts"][0]["rules"] == {"dns": [{"matchPattern": "*"}]}
    assert policy["metadata"]["name"] == "iris-egress-hosts"


def test_name_that_points_to_metadata_opens_nothing() -> None:
    assert cilium()["spec"]["egressDeny"] == [{"toCIDR": list(METADATA_NETWORKS)}]
    assert "egressDeny" not in cilium(**GKE)["spec"]


def test_no_cilium_object_without_a_host_name() -> None:
    kinds = {each["kind"] for each in manifests(release({"cidr": "203.0.113.0/24"}, **CILIUM))}
    assert "CiliumNetworkPolicy" not in kinds
