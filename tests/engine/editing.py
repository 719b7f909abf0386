"""Editing live models by the real engine, with the real controllers and admission, and telling what each edit did to them."""

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeport import Release, Stack, manifests
from homeport.manifests.kinds import KINDS
from homeport.needs import needs
from tests.cluster.gateway import OBJECTS
from tests.engine.conftest import fake_node
from tests.support import Cluster, Program, running, write_program
from tests.transitions import BASE, NAME, Files

NAMESPACE = f"--namespace={NAME}"
OURS = "--selector=app.kubernetes.io/managed-by=homeport"
OWN = {"edits": "true"}
"""Label of the nodes that are there only for edits."""

PLATFORM: Mapping[str, dict[str, Any]] = {
    "PriorityClass": {"value": 1},
    "PersistentVolume": {
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadOnlyMany"],
            "hostPath": {"path": "/nowhere"},
        }
    },
    "Gateway": {"spec": next(each["spec"] for each in OBJECTS if each["kind"] == "Gateway")},
}
"""What an object that an environment names says, by kind."""

CONFIGURATION = ("token", "licence")
"""Keys of Pulumi's configuration that have values."""

Template = Mapping[str, Any]


@dataclass
class Watched:
    """What the API server told of a namespace while something happened."""

    ready: dict[str, list[int]] = field(default_factory=dict)
    """Ready replicas of each Deployment, in their order."""
    gone: dict[str, int] = field(default_factory=dict)
    """Names of policies and pods that were deleted, with the resource version of their deletion, which orders all."""


@contextmanager
def watching(cluster: Cluster) -> Iterator[Watched]:
    """What happens in the namespace of the model."""
    found = Watched()

    def read(kind: str, shown: str, take: Any) -> tuple["subprocess.Popen[str]", threading.Thread]:
        shape = f"--output=jsonpath={shown}{{'\\n'}}"
        command = ["kubectl", "get", kind, NAMESPACE, "--watch", "--output-watch-events", shape]
        watch = subprocess.Popen(command, env=cluster.variables, stdout=subprocess.PIPE, text=True)
        assert watch.stdout is not None
        lines = watch.stdout

        def follow() -> None:
            with lines:
                for line in lines:
                    take(*line.split())

        reader = threading.Thread(target=follow)
        reader.start()
        return watch, reader

    def replicas(event: str, name: str, ready: str = "0") -> None:
        if event != "DELETED":
            found.ready.setdefault(name, []).append(int(ready))

    def deleted(event: str, name: str, version: str) -> None:
        if event == "DELETED":
            found.gone[name] = int(version)

    named = "{.type} {.object.metadata.name} {.object.metadata.resourceVersion}"
    watches = [
        read("deployments", "{.type} {.object.metadata.name} {.object.status.readyReplicas}", replicas),
        read("networkpolicies", named, deleted),
        read("pods", named, deleted),
    ]
    try:
        yield found
    finally:
        for watch, reader in watches:
            watch.terminate()
            watch.wait()
            reader.join()


def write(folder: Path, files: Files) -> None:
    """The files of a stack, with this content."""
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(json.dumps(content))


def pods(cluster: Cluster) -> dict[str, set[str]]:
    """Names of the pods of each version that are not being deleted."""
    found: dict[str, set[str]] = {}
    for each in cluster.get("pods", NAMESPACE)["items"]:
        if "deletionTimestamp" not in each["metadata"]:
            instance = each["metadata"]["labels"]["app.kubernetes.io/instance"]
            found.setdefault(instance, set()).add(each["metadata"]["name"])
    return found


@dataclass
class Live:
    """The model that is edited, as it is by now."""

    cluster: Cluster
    program: Program
    files: Files
    given: dict[str, Any] = field(default_factory=dict)
    """What the files state by path, for those who edit by path."""

    def edit(self, files: Files) -> Watched:
        """Deploys what the files say, and looks whether that was safe and whether the cluster has just that."""
        before, old = pods(self.cluster), templates(self.wanted())
        least = {name: self._least() for name in old}
        self.files = files
        write(self.program.folder, files)
        wanted = self.wanted()
        prepare(self.cluster, self.releases())
        with watching(self.cluster) as seen:
            self.program.up()
        self.expect_what_is_rendered()
        new, after = templates(wanted), pods(self.cluster)
        for name in old.keys() & new.keys():
            assert min(seen.ready[name]) >= min(least[name], self._least()), (name, seen.ready)
            replaced = before.get(name, set()).isdisjoint(after[name])
            assert replaced == (old[name] != new[name]), (name, before, after)
        last = max((seen.gone.get(pod, 0) for names in before.values() for pod in names), default=0)
        early = [each for each in seen.gone if "gress-" in each and seen.gone[each] < last]
        assert not early, (early, seen.gone)
        return seen

    def releases(self) -> Sequence[Release]:
        """What is live, as the files say."""
        return Stack.read(self.program.folder).releases

    def wanted(self) -> list[Any]:
        """What is rendered."""
        return [each for release in self.releases() for each in manifests(release)]

    def expect_what_is_rendered(self) -> None:
        """No object of ours is missing, too many or different."""
        wanted = self.wanted()
        names = {key(each) for each in wanted}
        there = {key(each) for each in self.live()}
        found = [f"not rendered: {each}" for each in there - names] + [f"not there: {each}" for each in names - there]
        found = found or self.cluster.differences(wanted)
        assert not found, found

    def live(self) -> list[Any]:
        """Every object of ours."""
        kinds = ",".join(f"{kind.resource}.{kind.group}".strip(".") for kind in KINDS.values())
        found = self.cluster.get(kinds, "--all-namespaces", OURS)["items"]
        marks = (each["metadata"]["annotations"].get("homeport/deployed-by", "") for each in found)
        return [each for each, mark in zip(found, marks, strict=True) if mark.startswith("edits/")]

    def _least(self) -> int:
        (release,) = (each for each in self.releases() if each.model.name == NAME)
        # KEDA is not here, so what it scales has the replicas that it had.
        return min(1, release.replicas[0]) if release.triggers else release.replicas[0]


def key(each: Mapping[str, Any]) -> str:
    metadata = each["metadata"]
    return f"{each['kind']} {'/'.join(filter(None, (metadata.get('namespace'), metadata['name'])))}"


def templates(objects: Iterable[Any]) -> dict[str, Template]:
    """Pod templates of the model's versions."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]
        for each in objects
        if each["kind"] == "Deployment" and each["metadata"]["namespace"] == NAME
    }


def prepare(cluster: Cluster, releases: Iterable[Release]) -> None:
    """What the platform does: it has what the environment names, nodes that take the pods, and volumes that are free again."""
    for release in releases:
        for need in needs(release):
            if need.kind in PLATFORM:
                create(cluster, need.reference | PLATFORM[need.kind])
        for template in templates(manifests(release)).values():
            add_nodes(cluster, template)
    for volume in cluster.get("persistentvolumes")["items"]:
        name, phase = volume["metadata"]["name"], volume["status"]["phase"]
        if name.startswith(f"{NAME}-") and phase == "Released":
            cluster.kubectl("patch", f"persistentvolume/{name}", '--patch={"spec":{"claimRef":null}}')


def add_nodes(cluster: Cluster, template: Template) -> None:
    """A node for each of the alternatives that a pod may run on, with what the pod asks for."""
    requests = template["spec"]["containers"][0]["resources"]["requests"]
    extended = {name: "64" for name in requests if "/" in name}
    affinity = template["spec"]["affinity"].get("nodeAffinity", {})
    for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", ()):
        labels = {each["key"]: each["values"][0] for each in term["matchExpressions"] if each["operator"] == "In"}
        if labels or extended:
            digest = hashlib.sha256(json.dumps([labels, extended], sort_keys=True).encode()).hexdigest()
            node: Any = fake_node(f"fake-{digest[:12]}")
            node["metadata"]["labels"] |= labels | OWN
            node["status"]["allocatable"] |= extended
            create(cluster, node)


def create(cluster: Cluster, made: Mapping[str, Any]) -> None:
    """An object of the platform, if it is not there."""
    metadata = made["metadata"]
    if namespace := metadata.get("namespace"):
        create(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    place = [f"--namespace={namespace}"] if namespace else []
    if not cluster.exists(f"{made['kind']}/{metadata['name']}", *place):
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(made))


@contextmanager
def edited(cluster: Cluster, scratch: Path, files: Files = BASE) -> Iterator[Live]:
    """A stack that has what the files say, on a platform that has what edits may ask for."""
    source = write_program(scratch / "source", "edits")
    write(source, files)
    try:
        with running(cluster, source, scratch / "running") as program:
            for name in CONFIGURATION:
                program("config", "set", name, "open sesame", "--secret", f"--stack={program.stack}")
            live = Live(cluster, program, files)
            prepare(cluster, live.releases())
            program.up()
            live.expect_what_is_rendered()
            yield live
    finally:
        cluster.kubectl("delete", "nodes", "--selector=edits", "--ignore-not-found")
