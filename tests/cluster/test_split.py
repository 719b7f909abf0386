"""A canary behind a real Gateway on a real node: it gets its share of the requests, and no change of it costs one."""

import json
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox, archive, build
from sandbox.progress import Progress
from tests.cluster.load import answers, loads
from tests.cluster.parts import GATEWAY_API, SERVER, TRAEFIK, VEGETA, install_definitions
from tests.cluster.test_change import ENVIRONMENT, MODEL, PROGRAM, REPOSITORY
from tests.support import Cluster, Program, running

pytestmark = pytest.mark.slow  # Traefik alone takes minutes to build

PORT = 8000
HOST = "split.models.example.com"
ADDRESS = f"127.0.0.1:{PORT}"
REQUESTS = 5000

GATEWAY: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gateway"}},
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "traefik", "namespace": "gateway"}},
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "traefik"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "traefik", "namespace": "gateway"}],
    },
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


def write(folder: Path, stable: str, canary: str = "", weight: int = 0) -> None:
    entry: dict[str, Any] = {"spec": "model.yaml", "stable": {"version": stable}}
    if canary:
        entry["canary"] = {"version": canary, "weight": weight}
    (folder / "models.yaml").write_text(json.dumps({"models": {"split": entry}}))


@pytest.fixture(scope="module")
def gateway(sandbox: Sandbox, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Traefik on the node, as the Gateway `public`."""
    build.ensure((TRAEFIK,), Progress())
    scratch = tmp_path_factory.mktemp("gateway")
    install_definitions(cluster, GATEWAY_API)
    stream = "".join(f"---\n{json.dumps(each)}\n" for each in GATEWAY)
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=stream)
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--output=json"))
    authority = scratch / "authority.crt"
    authority.write_bytes(b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]))
    token = scratch / "token"
    token.write_text(cluster.kubectl("create", "token", "traefik", "--namespace=gateway").strip())
    command = [
        build.program(TRAEFIK, "traefik"),
        f"--entrypoints.web.address={ADDRESS}",
        "--providers.kubernetesgateway=true",
        "--providers.kubernetesgateway.endpoint=https://127.0.0.1:6443",
        f"--providers.kubernetesgateway.token={token}",
        f"--providers.kubernetesgateway.certauthfilepath={authority}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]
    with (
        (scratch / "log").open("wb") as log,
        subprocess.Popen(sandbox.nsenter(command), stdout=log, stderr=log) as process,
    ):
        try:
            cluster.kubectl(
                *("wait", "--for=condition=Programmed", "gateway/public", "--namespace=gateway", "--timeout=60s")
            )
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def program(
    sandbox: Sandbox, cluster: Cluster, gateway: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    assert gateway is None
    scratch = tmp_path_factory.mktemp("split")
    build.ensure((VEGETA, SERVER), Progress())
    for version in ("1", "2"):
        file = scratch / f"{version}.tar"
        archive.write_image(file, f"{REPOSITORY}:{version}", build.directory(SERVER) / "good")
        sandbox.import_image(file)
    source = scratch / "source"
    source.mkdir()
    size = {"cpu": "200m", "memory": "64Mi", "tmp": "16Mi"}
    where = {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com", "scheme": "http"}
    (source / "model.yaml").write_text(json.dumps(MODEL | {"name": "split", "resources": size}))
    (source / "environment.yaml").write_text(json.dumps(ENVIRONMENT | {"gateway": where, "provision_seconds": 60}))
    (source / "__main__.py").write_text(PROGRAM)
    (source / "Pulumi.yaml").write_text("name: split\nruntime: python\n")
    write(source, "1", "2", 10)
    with running(cluster, source, scratch / "running") as program:
        program.up()
        time.sleep(2)
        yield program


def share(sandbox: Sandbox) -> float:
    """Percent of the requests that the canary answers."""
    found = answers(sandbox, f"http://{ADDRESS}/", HOST, REQUESTS)
    assert found.total() == REQUESTS
    assert all(name.startswith("split-") for name in found), found
    return 100 * sum(count for name, count in found.items() if name.startswith("split-canary-")) / REQUESTS


def test_each_version_gets_its_share_and_no_change_costs_a_request(
    sandbox: Sandbox, program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = {10: share(sandbox)}
    with loads(sandbox, tmp_path / "weight", ADDRESS, HOST) as changed:
        write(program.folder, "1", "2", 50)
        program.up()
        time.sleep(1)
        shares[50] = share(sandbox)
    with loads(sandbox, tmp_path / "promotion", ADDRESS, HOST) as promoted:
        write(program.folder, "2")
        program.up()
        time.sleep(1)
    with capsys.disabled():
        for weight, found in shares.items():
            print(f"\n  weight {weight}: {found:.2f} % of {REQUESTS} requests", end="")  # noqa: T201
        for event, results in {"weight 10 to 50": changed, "promotion": promoted}.items():
            for name, result in results.items():
                print(f"\n  {event}, {name}: {result.failed} of {result.requests} failed", end="")  # noqa: T201
    assert all(abs(found - weight) < 3 for weight, found in shares.items())
    assert [dict(result.failures) for results in (changed, promoted) for result in results.values()] == [{}] * 4
    assert share(sandbox) == 0
