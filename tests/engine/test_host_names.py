"""Destinations by name, where the environment says that Cilium enforces them: its object, by the real engine."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests
from tests.support import EXAMPLES, PATIENTLY, Cluster, differences, running

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "ciliumnetworkpolicies.cilium.io"},
    "spec": {
        "group": "cilium.io",
        "scope": "Namespaced",
        "names": {
            "kind": "CiliumNetworkPolicy",
            "plural": "ciliumnetworkpolicies",
            "singular": "ciliumnetworkpolicy",
        },
        "versions": [
            {
                "name": "v2",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
"""The name of Cilium's kind, without its schema: this cluster has another network plugin."""


@pytest.fixture
def known(cluster: Cluster) -> Iterator[None]:
    name = f"crd/{CRD['metadata']['name']}"
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(CRD))
    try:
        established = '--for=jsonpath={.status.conditions[?(@.type=="Established")].status}=True'
        cluster.kubectl("wait", established, name, PATIENTLY)
        yield
    finally:
        cluster.kubectl("delete", name)


@pytest.mark.usefixtures("known")
def test_host_name_becomes_an_object_of_cilium(cluster: Cluster, tmp_path: Path) -> None:
    source = shutil.copytree(EXAMPLES / "own-program", tmp_path / "source")
    model, environment = source / "model.yaml", source / "environment.yaml"
    model.write_text(model.read_text().replace("cidr: 203.0.113.0/24", "host: features.example.com"))
    environment.write_text(environment.read_text() + "network: {plugin: cilium}\n")
    release = Release(Model.load(model), Environment.load(environment), "3", "image")
    (policy,) = (each for each in manifests(release) if each["kind"] == "CiliumNetworkPolicy")
    with running(cluster, source, tmp_path) as program:
        program.up()
        (live,) = cluster.live(policy)
        assert differences(policy["spec"], live["spec"]) == []
        assert live["metadata"]["name"] == "churn-egress-hosts"
        program.expect_no_changes()
