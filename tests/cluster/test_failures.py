"""A version that does not come up: on a real node, what keeps it is told within seconds, each kind in its sentence."""

import json
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests
from homeport.rollout import KINDS, rollout
from sandbox import Sandbox
from tests.cluster.scene import MODEL, REPOSITORY, import_servers
from tests.support import PATIENCE, Cluster

HERE = {
    "cluster": {"identifier": "failures"},
    "relax": {"apparmor": "the machine may be a container", "image_pull": "there is no registry"},
    "limits": {"cpu": 2000, "memory": "1Ti"},
    "endpoint_seconds": 1,
}

Objects = list[dict[str, Any]]


def one(objects: Objects, kind: str) -> dict[str, Any]:
    return next(each for each in objects if each["kind"] == kind)


def no_pods(objects: Objects) -> None:
    one(objects, "ResourceQuota")["spec"]["hard"]["pods"] = "0"


def small_containers(objects: Objects) -> None:
    (limit,) = one(objects, "LimitRange")["spec"]["limits"]
    for field in ("default", "defaultRequest", "max"):
        limit[field] = {"cpu": "10m"}


def not_restricted(objects: Objects) -> None:
    one(objects, "Deployment")["spec"]["template"]["spec"]["hostNetwork"] = True


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


@pytest.fixture(scope="module")
def told(
    sandbox: Sandbox, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, list[str]]]:
    """What was told of each case until its sentence came: all stand beside each other."""
    import_servers(sandbox, tmp_path_factory.mktemp("servers"))
    objects = [each for name in CASES for each in made(name)]
    try:
        cluster.kubectl("create", "--filename=-", stdin="".join(f"---\n{json.dumps(each)}\n" for each in objects))
        found: dict[str, list[str]] = {name: [] for name in CASES}
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not all(expected(found[name], name) for name in CASES):
            there = cluster.get(",".join(KINDS), "--all-namespaces")["items"]
            for name in CASES:
                own = [each for each in there if each["metadata"]["namespace"] == name]
                found[name] += [cause.text for cause in rollout(own, name, 1).causes if cause.text not in found[name]]
        yield found
    finally:
        cluster.kubectl("delete", "namespace", "--wait=false", *CASES)


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
def test_failure_is_told_in_its_sentence(told: dict[str, list[str]], name: str) -> None:
    assert expected(told[name], name), told[name]
