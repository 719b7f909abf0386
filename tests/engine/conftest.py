"""A real engine and a real API server; the nodes are fakes that report every pod as ready."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import Sandbox
from tests.cluster.gateway import install_gateway
from tests.cluster.parts import EXTERNAL_SECRETS, GATEWAY_API, KEDA_DEFINITIONS, install_definitions
from tests.controllers import answering
from tests.support import Cluster

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
    sandbox = Sandbox(f"engine-{worker_id}")  # a cluster for each of pytest-xdist's workers
    sandbox.start(fake_nodes=True, metrics=False)  # there are none of fake pods
    try:
        cluster = Cluster(sandbox.env())
        # Nothing is to run for real here: the images of these tests do not exist.
        cluster.kubectl("cordon", sandbox.node)
        for index in range(FAKE_NODES):
            cluster.kubectl("create", "--filename=-", stdin=json.dumps(fake_node(f"fake-{index}")))
        install_definitions(cluster, GATEWAY_API, EXTERNAL_SECRETS, KEDA_DEFINITIONS)
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(CILIUM))
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{CILIUM['metadata']['name']}", "--timeout=60s")
        install_gateway(cluster)
        cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
        with answering(cluster, "httproutes", "scaledobjects"):
            yield cluster
    finally:
        sandbox.stop()


def fake_node(name: str) -> dict[str, object]:
    size = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "250"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": size, "capacity": size},
    }
