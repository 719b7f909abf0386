"""Who a model is to the cloud, and what that opens in its network."""

from typing import Any

import pytest
from pydantic import ValidationError

from homeport import Environment, Model, Release
from homeport.catalogue.addresses import inner_networks
from homeport.manifests import manifests
from tests.support import undigested

ROLE = "arn:aws:iam::111122223333:role/fraud-score"
EMAIL = "iris@project.iam.gserviceaccount.com"
CLIENT = "00000000-1111-2222-3333-444444444444"
PUBLIC = {"cidr": "0.0.0.0/0", "except": inner_networks("0.0.0.0/0")}
"""Stated address by address in test_addresses.py."""

ENDPOINT = {"token_endpoint": "10.0.8.0/24"}


def environment(cloud: str, identity: dict[str, Any] | None, **fields: Any) -> Environment:
    identities = {"iris": identity} if identity else {}
    content = {"cloud": cloud, "cluster": {"identifier": "test"}, "identities": identities, **fields}
    return Environment.model_validate(content)


def objects(here: Environment) -> dict[str, Any]:
    model = Model.model_validate({"name": "iris", "owner": "ds", "image": "registry.example.com/iris"})
    found = manifests(Release(model, here, "1", "registry.example.com/iris:1"))
    return {f"{each['kind']}/{undigested(each['metadata']['name'])}": each for each in found}


def cloud_annotations(here: Environment) -> dict[str, str]:
    annotations = objects(here)["ServiceAccount/iris"]["metadata"]["annotations"]
    return {key: value for key, value in annotations.items() if not key.startswith(("homeport/", "pulumi.com/"))}


def opened(here: Environment) -> list[tuple[Any, list[int]]]:
    """Networks and ports that the egress policy opens to an address."""
    rules = objects(here)["NetworkPolicy/iris-egress"]["spec"]["egress"]
    return [
        (rule["to"][0]["ipBlock"], [port["port"] for port in rule["ports"]])
        for rule in rules
        if "ipBlock" in rule["to"][0]
    ]


ANNOTATED = [
    ("eks-karpenter", {"role_arn": ROLE}, {"eks.amazonaws.com/role-arn": ROLE}),
    ("eks-auto", {"pod_identity": True}, {}),
    ("gke", {"service_account": EMAIL}, {"iam.gke.io/gcp-service-account": EMAIL}),
    ("aks", {"client_id": CLIENT}, {"azure.workload.identity/client-id": CLIENT}),
    ("aks-nap", {"client_id": CLIENT}, {"azure.workload.identity/client-id": CLIENT}),
]


@pytest.mark.parametrize(("cloud", "identity", "annotations"), ANNOTATED)
def test_the_service_account_tells_the_cloud_who_it_is(
    cloud: str, identity: dict[str, Any], annotations: dict[str, str]
) -> None:
    assert cloud_annotations(environment(cloud, identity)) == annotations


@pytest.mark.parametrize(("cloud", "identity", "_annotations"), ANNOTATED)
def test_no_token_for_the_cluster_is_mounted(cloud: str, identity: dict[str, Any], _annotations: Any) -> None:
    found = objects(environment(cloud, identity))
    assert found["ServiceAccount/iris"]["automountServiceAccountToken"] is False
    assert found["Deployment/iris"]["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


LABEL = "azure.workload.identity/use"


@pytest.mark.parametrize(("cloud", "identity", "_annotations"), ANNOTATED)
def test_only_aks_labels_the_pod(cloud: str, identity: dict[str, Any], _annotations: Any) -> None:
    deployment = objects(environment(cloud, identity))["Deployment/iris"]
    assert deployment["spec"]["template"]["metadata"]["labels"].get(LABEL) == (
        "true" if "client_id" in identity else None
    )
    assert LABEL not in deployment["spec"]["selector"]["matchLabels"]


ENDPOINTS = [
    ("eks-managed", {"pod_identity": True}, [({"cidr": "169.254.170.23/32"}, [80])]),
    (
        "gke",
        {"service_account": EMAIL},
        [({"cidr": "169.254.169.252/32"}, [988]), ({"cidr": "169.254.169.254/32"}, [80])],
    ),
    ("eks-managed", {"role_arn": ROLE}, [(PUBLIC, [443])]),
    ("aks", {"client_id": CLIENT}, [(PUBLIC, [443])]),
]


@pytest.mark.parametrize(("cloud", "identity", "endpoints"), ENDPOINTS)
def test_a_model_reaches_what_gives_its_identity_a_token(
    cloud: str, identity: dict[str, Any], endpoints: list[Any]
) -> None:
    assert opened(environment(cloud, identity)) == endpoints


def test_the_environment_narrows_the_token_endpoint() -> None:
    here = environment("aks", {"client_id": CLIENT}, **ENDPOINT)
    assert opened(here) == [({"cidr": "10.0.8.0/24"}, [443])]


@pytest.mark.parametrize("cloud", ["eks-managed", "gke", "aks"])
def test_a_model_without_identity_reaches_no_endpoint(cloud: str) -> None:
    here = environment(cloud, None, **ENDPOINT)
    assert opened(here) == []
    assert cloud_annotations(here) == {}


REFUSED = [
    ("gke", {"role_arn": ROLE}, "only service_account on gke, not role_arn (of iris)"),
    ("eks-auto", {"client_id": CLIENT}, "only role_arn or pod_identity on eks-auto, not client_id (of iris)"),
    ("aks", {"service_account": EMAIL}, "only client_id on aks, not service_account (of iris)"),
    ("nvidia", {"role_arn": ROLE}, "none on nvidia, not role_arn (of iris)"),
    ("eks-auto", {"role_arn": ROLE, "pod_identity": True}, "exactly one of role_arn, pod_identity, service_account"),
    ("eks-auto", {}, "exactly one of role_arn, pod_identity, service_account"),
    ("eks-auto", {"role_arn": "fraud-score"}, "String should match pattern"),
    ("gke", {"service_account": "someone@example.com"}, "String should match pattern"),
    ("aks", {"client_id": "iris"}, "String should match pattern"),
    ("eks-auto", {"pod_identity": False}, "Input should be True"),
    ("eks-auto", {"role": ROLE}, "Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("cloud", "identity", "message"), REFUSED)
def test_an_identity_of_another_cloud_or_form_is_refused(cloud: str, identity: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Environment.model_validate(
            {"cloud": cloud, "cluster": {"identifier": "test"}, "identities": {"iris": identity}}
        )
    assert message in str(error.value)
