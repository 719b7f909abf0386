"""A version that does not come up: on a real node, what keeps it is told within seconds, each kind in its sentence."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests
from homeport.rollout import KINDS, rollout
from sandbox import Sandbox
from tests.cluster.scene import MODEL, REPOSITORY, import_servers
from tests.support import DIGEST, PATIENCE, Cluster

EMPTY = "127.0.0.1:5999"
"""A registry that has nothing."""
NOTHING = """
from http.server import HTTPServer, SimpleHTTPRequestHandler

# With a status line also for what it does not understand, from which containerd concludes that it has no TLS.
SimpleHTTPRequestHandler.default_request_version = "HTTP/1.0"
HTTPServer(("127.0.0.1", 5999), SimpleHTTPRequestHandler).serve_forever()
"""
GONE = f"{EMPTY}/gone:1@{DIGEST}"

HERE = {
    "cluster": {"identifier": "failures"},
    "relax": {"apparmor": "the machine may be a container", "image_pull": "there is no registry"},
    "limits": {"cpu": 2000, "memory": "1Ti"},
    "endpoint_seconds": 1,
    "provision_seconds": 3600,  # longer than these tests look
}

Objects = list[dict[str, Any]]


def one(objects: Objects, kind: str) -> dict[str, Any]:
    return next(each for each in objects if each["kind"] == kind)


def no_pods(objects: Objects) -> None:
    one(objects, "ResourceQuota")["spec"]["hard"]["pods"] = "0"


def small_containers(objects: Objects) -> None:
    (limit,) = one(objects, "LimitRange")["spec"]["limits"]
    for bound in ("default", "defaultRequest", "max"):
        limit[bound] = {"cpu": "10m"}


def not_restricted(objects: Objects) -> None:
    one(objects, "Deployment")["spec"]["template"]["spec"]["hostNetwork"] = True


def absent_image(objects: Objects) -> None:
    one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"] = GONE


def without_secret(objects: Objects) -> None:
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "missing", "secret": {"secretName": "nowhere"}})
    pod["containers"][0]["volumeMounts"].append({"name": "missing", "mountPath": "/missing"})


Case = tuple[str, dict[str, Any], Callable[[Objects], None] | None, str]
"""Version of the server, fields of the model, what is done to its objects, and how the sentence begins."""

CASES: dict[str, Case] = {
    "room": ("1", {"resources": {"cpu": 1000}}, None, "no node takes a pod of cpu 1k, "),
    "quota": (
        "1",
        {},
        no_pods,
        "no new pod fits into the quota of the namespace: exceeded quota: quota, requested: pods=1",
    ),
    "ceiling": (
        "1",
        {},
        small_containers,
        "a pod is larger than the namespace allows: maximum cpu usage per Container is 10m",
    ),
    "security": (
        "1",
        {},
        not_restricted,
        'Pod Security refuses the pod: violates PodSecurity "restricted:latest": host namesp',
    ),
    "image": ("absent", {}, None, f"{REPOSITORY}:absent cannot be pulled: "),
    "gone": ("1", {}, absent_image, f"the registry has no {GONE}: "),
    "crash": ("crash", {}, None, "the model crashed with exit code 1; its last lines: the model's file is damaged"),
    "memory": (
        "1",
        {"env": {"HOLD_MIB": "256"}},
        None,
        "the model needs more memory than 128Mi: it was ended (OOMKilled",
    ),
    "never": (
        "never",
        {"startup_seconds": 60},
        None,
        "a pod runs but is not ready: Startup probe failed: HTTP probe failed with",
    ),
    "secret": (
        "1",
        {},
        without_secret,
        'a volume cannot be mounted: MountVolume.SetUp failed for volume "missing" : secret ',
    ),
}


HOPELESS = ("gone", "crash", "memory", "ceiling", "security")
"""Cases that waiting cannot heal."""


@dataclass
class Told:
    """What was told of the cases, which stand beside each other."""

    found: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in CASES})
    """Of each case."""
    hopeless: dict[str, float] = field(default_factory=dict)
    """Cases of which it is sure that waiting cannot heal them, with the seconds after which it was."""


@contextmanager
def empty_registry(sandbox: Sandbox, scratch: Path) -> Iterator[None]:
    """A server that has no file answers as a registry that has no image."""
    command = sandbox.nsenter([sys.executable, "-c", NOTHING])
    with subprocess.Popen(command, cwd=scratch, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def told(sandbox: Sandbox, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    import_servers(sandbox, tmp_path_factory.mktemp("servers"))
    objects = [each for name in CASES for each in made(name)]
    try:
        with empty_registry(sandbox, tmp_path_factory.mktemp("registry")):
            cluster.kubectl("create", "--filename=-", stdin="".join(f"---\n{json.dumps(each)}\n" for each in objects))
            yield look(cluster)
    finally:
        cluster.kubectl("delete", "namespace", "--wait=false", *CASES)


def look(cluster: Cluster) -> Told:
    told, begun = Told(), time.monotonic()
    while time.monotonic() - begun < PATIENCE:
        if told.hopeless.keys() >= set(HOPELESS) and all(expected(told.found[name], name) for name in CASES):
            break
        there = cluster.get(",".join(KINDS), "--all-namespaces")["items"]
        for name, found in told.found.items():
            causes = rollout([each for each in there if each["metadata"]["namespace"] == name], name, 1).causes
            found += [cause.text for cause in causes if cause.text not in found]
            if any(cause.final for cause in causes):
                told.hopeless.setdefault(name, time.monotonic() - begun)
    return told


def made(name: str) -> Objects:
    version, fields, change, _ = CASES[name]
    model = MODEL | {"name": name, "scale": {"min": 1, "max": 1}, "startup_seconds": 30}
    sizes = {"resources": MODEL["resources"] | fields.get("resources", {})}
    release = Release(
        Model.model_validate(model | fields | sizes),
        Environment.model_validate(HERE),
        version,
        f"{REPOSITORY}:{version}",
    )
    objects = deepcopy(manifests(release))
    if change:
        change(objects)
    return objects


def expected(found: list[str], name: str) -> bool:
    return any(text.startswith(CASES[name][-1]) for text in found)


@pytest.mark.parametrize("name", CASES)
def test_failure_is_told_in_its_sentence(told: Told, name: str) -> None:
    assert expected(told.found[name], name), told.found[name]


@pytest.mark.parametrize("name", HOPELESS)
def test_what_cannot_heal_is_known_long_before_the_time_is_over(told: Told, name: str) -> None:
    assert name in told.hopeless, told.hopeless
