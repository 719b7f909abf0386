"""Pods that dial each other: models made as any other, and neighbours that nothing governs."""

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from homeport import Environment, Model, Release, violations
from sandbox import Sandbox, build
from tests.audit.parts import PROBE
from tests.cluster.ask import Answer
from tests.support import PATIENTLY, ROOT, Cluster

REPOSITORY = "homeport.invalid/probe"
IMAGE = f"{REPOSITORY}:1"
SERVING, METRICS, UNDECLARED = 8080, 8082, 9999
"""The ports on which every pod listens; on SERVING and UNDECLARED for UDP too."""

NAMESPACE = "probe-{}"
RELAXED = {"apparmor": "the machine may be a container", "image_pull": "there is no registry"}


@dataclass(frozen=True)
class Target:
    """What a pod dials."""

    name: str
    protocol: str
    address: str
    question: bytes = b"?"

    @property
    def port(self) -> str:
        return f"{self.protocol} {self.address.rpartition(':')[2]}"


def model(name: str, **fields: Any) -> Model:
    """A model whose server is the probe."""
    here = {
        "name": name,
        "owner": "test",
        "image": REPOSITORY,
        "protocol": "http",
        "port": SERVING,
        "health": {"live": "/live", "ready": "/ready"},
        "metrics": {"port": METRICS},
        "resources": {"cpu": "100m", "memory": "64Mi", "tmp": "16Mi"},
        "scale": {"min": 1, "max": 1},
        "drain_seconds": 1,
    }
    return Model.model_validate(here | fields)


def releases(models: Sequence[Model], **environment: Any) -> list[Release]:
    """The models in one environment of their own."""
    here = {
        "cluster": {"identifier": "test"},
        "namespace": NAMESPACE.format("{model}"),
        "relax": RELAXED,
        "endpoint_seconds": 1,
    }
    accepted = Environment.model_validate(here | environment)
    found = [
        Release(each, accepted, "1", IMAGE, peers=[peer for peer in models if peer is not each]) for each in models
    ]
    assert [violation for release in found for violation in violations(release)] == []
    return found


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pod(name: str, namespace: str, **labels: str) -> dict[str, Any]:
    """A pod that no Deployment owns, and that Pod Security accepts everywhere."""
    size = {"cpu": "50m", "memory": "32Mi", "ephemeral-storage": "16Mi"}
    container = {
        "name": "probe",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "resources": {"requests": size, "limits": size},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "readinessProbe": {"tcpSocket": {"port": SERVING}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


class Probes:
    """Puts objects into the cluster, and asks the pods among them to dial."""

    def __init__(self, sandbox: Sandbox, cluster: Cluster) -> None:
        self.sandbox, self.cluster = sandbox, cluster

    @contextmanager
    def standing(self, objects: Sequence[Any]) -> Iterator[None]:
        """The objects stand and their pods are ready; in the end their namespaces are gone."""
        try:
            self.apply(objects)
            for each in objects:
                where = f"--namespace={each['metadata'].get('namespace')}"
                if each["kind"] == "Deployment":
                    self.cluster.kubectl(
                        "rollout", "status", f"deployment/{each['metadata']['name']}", where, PATIENTLY
                    )
                if each["kind"] == "Pod":
                    name = f"pod/{each['metadata']['name']}"
                    self.cluster.kubectl("wait", "--for=condition=Ready", name, where, PATIENTLY)
            yield
        finally:
            names = [each["metadata"]["name"] for each in objects if each["kind"] == "Namespace"]
            self.cluster.kubectl("delete", "namespace", "--ignore-not-found", PATIENTLY, *names)

    def apply(self, objects: Sequence[Any]) -> None:
        if not objects:
            return
        stream = "".join(f"---\n{json.dumps(each)}\n" for each in objects)
        self.cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=stream)

    def address(self, namespace: str, selector: str = "") -> str:
        """Address of the only ready pod in a namespace that the selector chooses."""
        found = self.cluster.get("pods", f"--namespace={namespace}", f"--selector={selector}")["items"]
        (address,) = (each["status"]["podIP"] for each in found if "deletionTimestamp" not in each["metadata"])
        return str(address)

    def service(self, name: str, namespace: str) -> str:
        return str(self.cluster.get(f"service/{name}", f"--namespace={namespace}")["spec"]["clusterIP"])

    def dial(self, source: str, targets: Sequence[Target]) -> list[bool]:
        """Whether the pod at an address reaches each target.

        It is asked from the node, whose own traffic to its pods no policy filters.
        """
        wanted = [
            {"protocol": each.protocol, "address": each.address, "question": b64encode(each.question).decode()}
            for each in targets
        ]
        return [bool(each) for each in json.loads(self.post(source, "/dial", json.dumps(wanted)))]

    def post(self, pod: str, path: str, body: str = "") -> str:
        answer = self.answer(pod, path, body)
        assert answer.status == 200, answer
        return answer.body

    def answer(self, pod: str, path: str, body: str = "") -> Answer:
        ask = [sys.executable, str(ROOT / "tests" / "cluster" / "ask.py"), f"{pod}:{SERVING}", "POST", path]
        done = subprocess.run(self.sandbox.nsenter(ask), input=body, capture_output=True, text=True, check=True)
        return Answer(**json.loads(done.stdout))

    @contextmanager
    def listening(self, tcp: str, udp: str, *, outside: bool) -> Iterator[None]:
        """A probe that listens on every address of the node, or of the world outside."""
        command = [build.program(PROBE, "probe"), f"-tcp={tcp}", f"-udp={udp}"]
        with subprocess.Popen(self.sandbox.nsenter(command, outside=outside)) as process:
            try:
                yield
            finally:
                process.terminate()

    def load(self, url: str, rate: int, seconds: int) -> Any:
        """Sends requests from the node at a constant rate, and tells how they fared."""
        program = [build.program(PROBE, "probe"), f"-load={url}", f"-rate={rate}", f"-seconds={seconds}"]
        done = subprocess.run(self.sandbox.nsenter(program), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)
