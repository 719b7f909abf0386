"""A real engine and a real API server; the nodes are fakes that report every pod as ready."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.gateway import install_gateway
from tests.cluster.parts import EXTERNAL_SECRETS, GATEWAY_API, KEDA_DEFINITIONS, install_definitions
from tests.controllers import answering
from tests.support import PATIENTLY, Cluster, own_sandbox

FAKE_NODES = 3

CILIUM: dict[str, Any] = {
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


@pytest.fixture(scope="session")
def cluster(worker_id: str) -> Iterator[Cluster]:
    with own_sandbox("engine", worker_id, fake_nodes=True, metrics=False) as sandbox:  # there are none of fake pods
        cluster = Cluster(sandbox.env())
        # Nothing is to run for real here: the images of these tests do not exist.
        cluster.kubectl("cordon", sandbox.node)
        add_fake_nodes(cluster)
        install_definitions(cluster, GATEWAY_API, EXTERNAL_SECRETS, KEDA_DEFINITIONS)
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(CILIUM))
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{CILIUM['metadata']['name']}", PATIENTLY)
        install_gateway(cluster)
        cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", PATIENTLY)
        with answering(cluster, "httproutes", "scaledobjects"):
            yield cluster


def add_fake_nodes(cluster: Cluster) -> None:
    for index in range(FAKE_NODES):
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(fake_node(f"fake-{index}")))


def fake_node(name: str) -> dict[str, object]:
    size = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "250"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": size, "capacity": size},
    }
