"""A model under load on a real node, with another model beside it that must see nothing of what happens."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import Sandbox, archive, build
from sandbox.progress import Progress
from tests.cluster.gateway import install_gateway
from tests.cluster.load import NO_FAILURE, Row, loads
from tests.cluster.parts import GATEWAY_API, SERVER, VEGETA, install_definitions
from tests.controllers import answering
from tests.support import Cluster, Program, live_entry, running, until, write_program

REPOSITORY = "127.0.0.1:1/server"
"""A registry that is not there: the node has the images, but that of a version that nobody built."""
IMAGES = {"1": "good", "2": "good", "crash": "crash", "moment": "moment", "never": "never"}
"""Version -> what its server does."""
NAME = "change"
BYSTANDER = "bystander"
GATEWAY = {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com", "scheme": "http"}
HOST = f"{NAME}.models.example.com"

MODEL: dict[str, Any] = {
    "name": NAME,
    "owner": "test",
    "image": REPOSITORY,
    "protocol": "http",
    "port": 8080,
    "health": {"live": "/live", "ready": "/ready"},
    "resources": {"cpu": "250m", "memory": "128Mi", "tmp": "16Mi"},
    "scale": {"min": 2, "max": 2},
    "startup_seconds": 10,
    "drain_seconds": 10,
}
OTHER = MODEL | {"name": BYSTANDER, "resources": {"cpu": "100m", "memory": "64Mi", "tmp": "16Mi"}}
ENVIRONMENT: dict[str, Any] = {
    "cluster": {"identifier": "change"},
    "gateway": GATEWAY,
    "relax": {"apparmor": "the machine may be a container", "image_pull": "there is no registry"},
    "endpoint_seconds": 5,
    "provision_seconds": 15,
}
Changed = tuple[dict[str, Any], dict[str, Any]]
"""What changes of model and environment for an update."""
UNCHANGED: Changed = {}, {}
SHORT: Changed = {"startup_seconds": 3}, {"provision_seconds": 1}
"""For an update that is to fail: nobody needs to wait long for it."""


@dataclass
class Scene:
    """The model and the load on it."""

    sandbox: Sandbox
    cluster: Cluster
    program: Program
    scratch: Path
    rows: list[Row] = field(default_factory=list)

    def deploy(
        self, stable: str, canary: str = "", percent: int = 0, *, changed: Changed = UNCHANGED, fails: bool = False
    ) -> str:
        """What pulumi says to an update."""
        model, environment = changed
        live = {NAME: live_entry(stable, canary, percent), BYSTANDER: live_entry("1", spec="bystander.yaml")}
        written = {
            "models.yaml": {"models": live},
            "model.yaml": MODEL | model,
            "bystander.yaml": OTHER,
            "environment.yaml": ENVIRONMENT | environment,
        }
        for file, content in written.items():
            (self.program.folder / file).write_text(json.dumps(content))  # YAML is a superset of JSON
        return self.program("up", "--yes", "--skip-preview", f"--stack={self.program.stack}", fails=fails)

    def pods(self, model: str = NAME) -> list[Any]:
        """Those that are not on their way out, the oldest first."""
        found = self.cluster.get("pods", f"--namespace={model}")["items"]
        there = [each for each in found if "deletionTimestamp" not in each["metadata"]]
        return sorted(there, key=lambda each: str(each["metadata"]["creationTimestamp"]))

    def names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.pods()]

    def versions(self) -> set[str]:
        """Those of the pods that take requests."""
        return {each["metadata"]["labels"]["app.kubernetes.io/version"] for each in self.pods() if ready(each)}

    def lives(self, model: str) -> dict[str, int]:
        """Pods of a model, and how often each was restarted."""
        return {
            each["metadata"]["uid"]: sum(status["restartCount"] for status in each["status"]["containerStatuses"])
            for each in self.pods(model)
        }

    def settle(self, replicas: int = 2) -> None:
        """Wait until so many pods are ready, and none is on its way out."""

        def settled() -> bool:
            found = self.cluster.get("pods", f"--namespace={NAME}")["items"]
            return len(found) == replicas and all(map(ready, found))

        until(settled)

    def during(self, event: str, work: Callable[[], object], address: str = "", host: str = "") -> Row:
        """What becomes of requests while something is done. The other model sees nothing of it."""
        others = self.lives(BYSTANDER)
        folder = self.scratch / event.replace(" ", "-")
        with loads(self.sandbox, folder, address or self.address(NAME), host) as results:
            time.sleep(2)
            begun = time.monotonic()
            work()
            seconds = time.monotonic() - begun
            time.sleep(1)
        row = Row(event, seconds, results)
        self.rows.append(row)
        assert all(result.requests > 200 * seconds * 0.95 for result in results.values()), (
            "the load did not keep its rate"
        )
        assert all(result.slow > 0 for result in results.values())
        assert self.lives(BYSTANDER) == others
        return row

    def no_failure_during(self, event: str, work: Callable[[], object], address: str = "", host: str = "") -> None:
        assert self.during(event, work, address, host).failed == NO_FAILURE

    def address(self, namespace: str, name: str = NAME) -> str:
        return str(self.cluster.get(f"service/{name}", f"--namespace={namespace}")["spec"]["clusterIP"])

    def evict(self, pod: str) -> bool:
        """What `kubectl drain` does for each pod of a node. False: the disruption budget does not allow it now."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAME}}
        path = f"/api/v1/namespaces/{NAME}/pods/{pod}/eviction"
        done = subprocess.run(
            ["kubectl", "create", f"--raw={path}", "--filename=-"],
            env=self.cluster.variables,
            input=json.dumps(body),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or "disruption budget" in done.stderr, done.stderr
        return done.returncode == 0


@contextmanager
def acting(sandbox: Sandbox, cluster: Cluster, scratch: Path, rows: list[Row]) -> Iterator[Scene]:
    """Both models, deployed and ready."""
    build.ensure((VEGETA,), Progress())
    import_servers(sandbox, scratch)
    install_definitions(cluster, GATEWAY_API)
    install_gateway(cluster)
    with (
        answering(cluster, "httproutes"),  # most tests need no Gateway that works
        running(cluster, write_program(scratch / "source", NAME), scratch / "running") as program,
    ):
        scene = Scene(sandbox, cluster, program, scratch, rows)
        scene.deploy("1")
        scene.settle()
        yield scene


def import_servers(sandbox: Sandbox, scratch: Path) -> None:
    """Lets the node have the image of every version."""
    build.ensure((SERVER,), Progress())
    for version, behaviour in IMAGES.items():
        file = scratch / f"{version}.tar"
        archive.write_image(file, f"{REPOSITORY}:{version}", build.directory(SERVER) / behaviour)
        sandbox.import_image(file)


def processes(pod: Any) -> list[int]:
    """The processes in a pod's container."""
    ours = f"pod{pod['metadata']['uid']}"
    return [
        int(group.parent.name)
        for group in Path("/proc").glob("[0-9]*/cgroup")
        if ours in text(group) and text(group.with_name("comm")).strip() != "pause"
    ]


def kill(pod: Any) -> float:
    """`kill -9` of the process in a pod's container, as the kernel does when memory is short. When it was gone."""
    (process,) = processes(pod)
    os.kill(process, signal.SIGKILL)
    while text(Path(f"/proc/{process}/comm")):
        time.sleep(0.001)
    return time.time()


def text(file: Path) -> str:
    """What a file of a process says, who may be gone."""
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def ready(pod: Any) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
