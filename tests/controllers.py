"""Stand-ins for controllers that a test's cluster does not run: a Gateway's, and KEDA's.

They write what the real ones write into the status of an object, and only where no other has written.
"""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.support import Cluster

REFUSED = "refused.example.com"
"""No listener admits hosts with this ending."""

_NAME = "example.com/gateway-controller"
_NOW = "2026-01-01T00:00:00Z"


def _route(route: Any) -> dict[str, Any] | None:
    generation = {"observedGeneration": route["metadata"]["generation"]}
    for answer in route.get("status", {}).get("parents", ()):
        if answer["controllerName"] != _NAME or generation.items() <= answer["conditions"][0].items():
            return None
    admitted = not route["spec"]["hostnames"][0].endswith(REFUSED)
    accepted = _condition("Accepted", "True", "Accepted")
    refused = _condition("Accepted", "False", "NoMatchingListenerHostname", "No matching listener hostname")
    conditions = [accepted if admitted else refused, _condition("ResolvedRefs", "True", "ResolvedRefs")]
    answer = {
        "parentRef": route["spec"]["parentRefs"][0],
        "controllerName": _NAME,
        "conditions": [each | generation for each in conditions],
    }
    return {"parents": [answer]}


def _scaled_object(scaled: Any) -> dict[str, Any] | None:
    if scaled.get("status", {}).get("conditions"):
        return None
    ready = _condition("Ready", "True", "ScaledObjectReady")
    return {"conditions": [{key: value for key, value in ready.items() if key != "lastTransitionTime"}]}


def _condition(name: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": _NOW}


_ANSWERS: Mapping[str, Callable[[Any], dict[str, Any] | None]] = {
    "httproutes": _route,
    "scaledobjects": _scaled_object,
}


@contextmanager
def answering(cluster: Cluster, *resources: str) -> Iterator[None]:
    """While this lasts, the objects of these resources get the status that a controller gives them."""
    with ExitStack() as stack:
        for resource in resources:
            stack.enter_context(_watching(cluster, resource))
        yield


@contextmanager
def _watching(cluster: Cluster, resource: str) -> Iterator[None]:
    # Without an end of the watch: the API server ends one of its own accord after 30 minutes or later.
    command = ["kubectl", "get", resource, "--all-namespaces", "--watch", "--output=json"]
    ended = threading.Event()
    watches: list[subprocess.Popen[str]] = []

    def follow() -> None:
        while not ended.is_set():
            watch = subprocess.Popen(command, env=cluster.variables, stdout=subprocess.PIPE, text=True)
            watches.append(watch)
            if ended.is_set():
                watch.terminate()
            assert watch.stdout is not None
            with watch.stdout as lines:
                for each in _objects(lines):
                    if status := _ANSWERS[resource](each):
                        _write(cluster, resource, each, status)
            watch.wait()

    thread = threading.Thread(target=follow, name=f"answering {resource}")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        for watch in watches:
            watch.terminate()
        thread.join()


def _objects(lines: Iterator[str]) -> Iterator[Any]:
    """The objects that kubectl prints, each in several lines."""
    text = ""
    for line in lines:
        text += line
        if line == "}\n":
            yield json.loads(text)
            text = ""


def _write(cluster: Cluster, resource: str, found: Any, status: Mapping[str, Any]) -> None:
    """Writes a status; the object may be gone."""
    name, namespace = found["metadata"]["name"], f"--namespace={found['metadata']['namespace']}"
    patch = ["--subresource=status", "--type=merge", f"--patch={json.dumps({'status': status})}"]
    command = ["kubectl", "patch", resource, name, namespace, *patch]
    subprocess.run(command, env=cluster.variables, capture_output=True, check=False)
