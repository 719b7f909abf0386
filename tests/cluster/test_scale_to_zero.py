"""KEDA itself on a real node: a model without work has no replica, work brings one and more, and no update does."""

import json
import os
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox, archive, build
from sandbox.certificates import Authority
from sandbox.network import NODE_ADDRESS
from sandbox.progress import Progress
from tests.cluster.parts import KEDA, KEDA_DEFINITIONS, SERVER, install_definitions
from tests.cluster.scene import ENVIRONMENT, MODEL, REPOSITORY
from tests.support import PATIENTLY, Cluster, Program, live_entry, running, until, write_program

pytestmark = pytest.mark.slow  # KEDA alone takes ten minutes to build

NAMESPACE = "--namespace=worker"
METRICS_SERVICE, QUEUE_PORT, ADAPTER_PORT = "127.0.0.1:9666", 9400, 10350
SCALE = {"min": 0, "max": 3, "target": {"queue_length": 5}, "down_seconds": 10}
TRIGGERS = {
    "queue_length": {
        "type": "metrics-api",
        "metadata": {
            "url": f"http://127.0.0.1:{QUEUE_PORT}/{{model}}.json",
            "valueLocation": "length",
            "targetValue": "{target}",
        },
        "from_zero": True,
    }
}


def adapter_objects(authority: bytes) -> list[dict[str, Any]]:
    """How the API server finds KEDA's adapter, which is a process on the node."""
    name = {"name": "keda-metrics-apiserver", "namespace": "keda"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": name,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": ADAPTER_PORT}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": name | {"labels": {"kubernetes.io/service-name": name["name"]}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": ADAPTER_PORT, "protocol": "TCP"}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
            "spec": {
                "group": "external.metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "caBundle": b64encode(authority).decode(),
                "service": name,
            },
        },
    ]


@pytest.fixture(scope="module")
def keda(sandbox: Sandbox, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """KEDA's operator and adapter on the node; the folder of queues, each a file that says how long it is."""
    build.ensure((KEDA,), Progress())
    scratch = tmp_path_factory.mktemp("keda")
    install_definitions(cluster, KEDA_DEFINITIONS)
    authority = Authority("keda")
    pair = authority.issue("keda", names=("127.0.0.1", "keda-metrics-apiserver.keda.svc"))
    certificates = scratch / "certificates"
    certificates.mkdir()
    for name, content in {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}.items():
        (certificates / name).write_bytes(content)
    stream = "".join(f"---\n{json.dumps(each)}\n" for each in adapter_objects(authority.certificate))
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=stream)
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--output=json"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:6443"
    kubeconfig = scratch / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    queues = scratch / "queues"
    queues.mkdir()
    commands = {
        "queue": [sys.executable, "-m", "http.server", str(QUEUE_PORT), "--bind=127.0.0.1", f"--directory={queues}"],
        "operator": [
            build.program(KEDA, "operator"),
            "--metrics-bind-address=0",
            "--health-probe-bind-address=0",
            f"--metrics-service-bind-address={METRICS_SERVICE}",
            f"--cert-dir={certificates}",
        ],
        "adapter": [
            build.program(KEDA, "adapter"),
            f"--secure-port={ADAPTER_PORT}",
            "--port=10351",
            f"--metrics-service-address={METRICS_SERVICE}",
            f"--cert-dir={certificates}",
            f"--tls-cert-file={certificates / 'tls.crt'}",
            f"--tls-private-key-file={certificates / 'tls.key'}",
            f"--lister-kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
        ],
    }
    here = {"POD_NAMESPACE": "keda", "KEDA_CLUSTER_OBJECT_NAMESPACE": "keda", "WATCH_NAMESPACE": ""}
    environment = {**os.environ, **here, "KUBECONFIG": str(kubeconfig)}
    processes: list[subprocess.Popen[bytes]] = []
    with ExitStack() as stack:
        for name, command in commands.items():
            log = stack.enter_context((scratch / f"{name}.log").open("wb"))
            process = stack.enter_context(
                subprocess.Popen(sandbox.nsenter(command), env=environment, stdout=log, stderr=log)
            )
            stack.callback(process.terminate)
            processes.append(process)
        available = "apiservice/v1beta1.external.metrics.k8s.io"
        cluster.kubectl("wait", "--for=condition=Available", available, PATIENTLY)
        assert [process.poll() for process in processes] == [None] * 3, f"one has ended, see {scratch}"
        yield queues


@dataclass
class Scene:
    """The model and its queue."""

    cluster: Cluster
    program: Program
    queue: Path

    def waiting(self, messages: int) -> None:
        written = self.queue.with_suffix(".new")
        written.write_text(json.dumps({"length": messages}))
        written.rename(self.queue)

    def write(self, **fields: Any) -> None:
        size = {"cpu": "100m", "memory": "64Mi", "tmp": "16Mi"}
        spec = MODEL | {"name": "worker", "resources": size, "scale": SCALE} | fields
        (self.program.folder / "model.yaml").write_text(json.dumps(spec))

    def replicas(self) -> tuple[int, int]:
        """Those that KEDA wants, and those that are ready."""
        found = self.cluster.get("deployment/worker", NAMESPACE)
        return found["spec"]["replicas"], found["status"].get("readyReplicas", 0)


def seconds_until(state: Callable[[], bool]) -> float:
    begun = time.monotonic()
    until(state)
    return time.monotonic() - begun


@pytest.fixture
def scene(sandbox: Sandbox, cluster: Cluster, keda: Path, tmp_path: Path) -> Iterator[Scene]:
    build.ensure((SERVER,), Progress())
    archive.write_image(tmp_path / "image.tar", f"{REPOSITORY}:1", build.directory(SERVER) / "good")
    sandbox.import_image(tmp_path / "image.tar")
    live = {"models": {"worker": live_entry("1")}}
    environment = ENVIRONMENT | {"gateway": None, "keda": {"triggers": TRIGGERS}}
    source = write_program(tmp_path / "source", "scale-to-zero", environment=environment, models=live)
    with running(cluster, source, tmp_path / "running") as program:
        scene = Scene(cluster, program, keda / "worker.json")
        scene.waiting(0)
        scene.write()
        yield scene
    assert not cluster.exists("namespace/worker")


def test_from_none_to_three_and_back(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    # The first replica starts whether there is work or not: the version is tried.
    scene.program.up()
    seconds = {"1 to 0 after the first up": seconds_until(lambda: scene.replicas() == (0, 0))}
    scene.program.expect_no_changes("--refresh")
    scene.write(env={"LOG_LEVEL": "debug"})
    scene.program.up()
    assert scene.replicas() == (0, 0)
    scene.waiting(4)
    seconds["0 to 1, until it is ready"] = seconds_until(lambda: scene.replicas() == (1, 1))
    scene.waiting(14)
    seconds["1 to 3, until they are ready"] = seconds_until(lambda: scene.replicas() == (3, 3))
    scene.write(env={"LOG_LEVEL": "info"})
    scene.program.up()
    assert scene.replicas()[0] == 3
    scene.program.expect_no_changes("--refresh")
    scene.waiting(0)
    seconds["3 to 0"] = seconds_until(lambda: scene.replicas() == (0, 0))
    with capsys.disabled():
        for event, took in seconds.items():
            print(f"\n  {event}: {took:.0f} s", end="")  # noqa: T201
