"""A real Gateway on the node: Traefik, which asks another replica when one breaks off without an answer."""

import json
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import Sandbox, build
from sandbox.progress import Progress
from tests.cluster.parts import GATEWAY_API, SOURCES, TRAEFIK, install_definitions
from tests.support import PATIENTLY, Cluster

PORT = 8000
ADDRESS = f"127.0.0.1:{PORT}"

OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gateway"}},
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "traefik"},
        "spec": {"controllerName": "traefik.io/gateway-controller"},
    },
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "public", "namespace": "gateway"},
        "spec": {
            "gatewayClassName": "traefik",
            "listeners": [
                {
                    "name": "web",
                    "protocol": "HTTP",
                    "port": PORT,
                    "allowedRoutes": {"namespaces": {"from": "All"}},
                }
            ],
        },
    },
]
"""The Gateway, whoever serves it."""

TRAEFIKS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "traefik", "namespace": "gateway"}},
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "traefik"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "traefik", "namespace": "gateway"}],
    },
]


def install_gateway(cluster: Cluster) -> None:
    """Lets the cluster have the Gateway `public`, which nothing serves yet."""
    _apply(cluster, OBJECTS)


def _apply(cluster: Cluster, objects: list[dict[str, Any]]) -> None:
    stream = "".join(f"---\n{json.dumps(each)}\n" for each in objects)
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=stream)


@contextmanager
def gateway(sandbox: Sandbox, cluster: Cluster, scratch: Path) -> Iterator[str]:
    """The address of Traefik, which runs on the node as the Gateway `public`."""
    build.ensure((TRAEFIK,), Progress())
    install_definitions(cluster, GATEWAY_API)
    _apply(cluster, [*OBJECTS, *TRAEFIKS])
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--output=json"))
    authority = scratch / "authority.crt"
    authority.write_bytes(b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]))
    token = scratch / "token"
    token.write_text(cluster.kubectl("create", "token", "traefik", "--namespace=gateway").strip())
    middlewares = scratch / "middlewares.yaml"
    middlewares.write_text(json.dumps({"http": {"middlewares": {"repeat": {"plugin": {"repeat": {}}}}}}))
    shutil.copytree(SOURCES / "repeat", scratch / "plugins-local" / "src" / "repeat")
    command = [
        build.program(TRAEFIK, "traefik"),
        f"--entrypoints.web.address={ADDRESS}",
        "--entrypoints.web.http.middlewares=repeat@file",
        "--experimental.localplugins.repeat.modulename=repeat",
        f"--providers.file.filename={middlewares}",
        "--providers.kubernetesgateway=true",
        "--providers.kubernetesgateway.endpoint=https://127.0.0.1:6443",
        f"--providers.kubernetesgateway.token={token}",
        f"--providers.kubernetesgateway.certauthfilepath={authority}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]
    with (
        (scratch / "log").open("wb") as log,
        subprocess.Popen(sandbox.nsenter(command), cwd=scratch, stdout=log, stderr=log) as process,
    ):
        try:
            cluster.kubectl(*("wait", "--for=condition=Programmed", "gateway/public", "--namespace=gateway", PATIENTLY))
            yield ADDRESS
        finally:
            process.terminate()
