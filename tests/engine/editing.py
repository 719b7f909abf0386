"""Editing live models by the real engine, with the real controllers and admission, and telling what each edit did to them."""

import json
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeport import Stack, manifests
from homeport.manifests.kinds import KINDS
from tests.engine.conftest import fake_node
from tests.support import Cluster, Program, running, until, write_program
from tests.transitions import BASE, NAME, Files

NAMESPACE = f"--namespace={NAME}"
OURS = "--selector=app.kubernetes.io/managed-by=homeport"
VOLUMES = [f"{NAME}-{name}" for name in ("first", "second", "third")]
CLASSES = ("low", "high")
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
        prepare(self.cluster, wanted)
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

    def wanted(self) -> list[Any]:
        """What is rendered."""
        return [each for release in Stack.read(self.program.folder).releases for each in manifests(release)]

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
        (release,) = (each for each in Stack.read(self.program.folder).releases if each.model.name == NAME)
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


def prepare(cluster: Cluster, wanted: Iterable[Any]) -> None:
    """What the platform does: nodes that take the pods, and volumes that are free again."""
    for template in templates(wanted).values():
        resources = template["spec"]["containers"][0]["resources"]["requests"]
        extended = {name: "64" for name in resources if "/" in name}
        affinity = template["spec"]["affinity"].get("nodeAffinity", {})
        for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", ()):
            labels = {each["key"]: each["values"][0] for each in term["matchExpressions"] if each["operator"] == "In"}
            if labels or extended:
                add_node(cluster, labels, extended)
    for volume in cluster.get("persistentvolumes")["items"]:
        if volume["metadata"]["name"] in VOLUMES and volume["status"]["phase"] == "Released":
            cluster.kubectl(
                "patch", f"persistentvolume/{volume['metadata']['name']}", "--patch", '{"spec":{"claimRef":null}}'
            )


def add_node(cluster: Cluster, labels: Mapping[str, str], extended: Mapping[str, str]) -> None:
    name = "-".join(["fake", *(part.lower() for pair in sorted({**labels, **extended}.items()) for part in pair)])
    name = "".join(each if each.isalnum() else "-" for each in name)[:60].strip("-")
    node: Any = fake_node(name)
    node["metadata"]["labels"] |= labels
    node["status"]["allocatable"] |= extended
    if not cluster.exists(f"node/{name}"):
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(node))
        until(lambda: "Ready" in cluster.kubectl("get", f"node/{name}", "--no-headers"), 120)


def volume(name: str) -> dict[str, Any]:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany"], "hostPath": {"path": "/nowhere"}}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def priority_class(name: str) -> dict[str, Any]:
    return {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": 1}


@contextmanager
def edited(cluster: Cluster, scratch: Path, files: Files = BASE) -> Iterator[Live]:
    """A stack that has what the files say, on a platform that has what edits may ask for."""
    platform = [*map(volume, VOLUMES), *map(priority_class, CLASSES)]
    source = write_program(scratch / "source", "edits")
    write(source, files)
    cluster.kubectl("create", "--filename=-", stdin="\n---\n".join(map(json.dumps, platform)))
    try:
        with running(cluster, source, scratch / "running") as program:
            for name in CONFIGURATION:
                program("config", "set", name, "open sesame", "--secret", f"--stack={program.stack}")
            live = Live(cluster, program, files)
            prepare(cluster, live.wanted())
            program.up()
            live.expect_what_is_rendered()
            yield live
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin="\n---\n".join(map(json.dumps, platform)))
