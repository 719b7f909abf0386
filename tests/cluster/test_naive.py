"""Hand-written Deployments beside homeport's: the same image under the same load while the same things happen.

Each table of build/comparison.md is of one load, one row an event, one column a Deployment: failures of requests.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests
from sandbox import Sandbox
from tests.cluster.load import NO_FAILURE, Row, loads
from tests.cluster.scene import ENVIRONMENT, MODEL, NAME, REPOSITORY, import_servers, kill, ready
from tests.support import PATIENTLY, ROOT, Cluster, until

pytestmark = pytest.mark.slow

REPORT = ROOT / "build" / "comparison.md"
KINDS = ("naive", "readiness only", "homeport")


def by_hand(version: str, *, careful: bool) -> list[dict[str, Any]]:
    """What a first page of a tutorial says, or a second: Deployment and Service."""
    labels = {"app": NAME}
    container: dict[str, Any] = {"name": "model", "image": f"{REPOSITORY}:{version}"}
    container["ports"] = [{"containerPort": MODEL["port"]}]
    if careful:
        container["readinessProbe"] = {"httpGet": {"path": MODEL["health"]["ready"], "port": MODEL["port"]}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": 80, "targetPort": MODEL["port"]}]}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME, "namespace": NAME}}
        | {"spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME, "namespace": NAME}, "spec": service},
    ]


def objects(kind: str, version: str) -> list[dict[str, Any]]:
    if kind != "homeport":
        return by_hand(version, careful=kind == "readiness only")
    environment = Environment.model_validate(ENVIRONMENT | {"gateway": None})
    return manifests(Release(Model.model_validate(MODEL), environment, version, f"{REPOSITORY}:{version}"))


class Home:
    """One of the Deployments."""

    def __init__(self, cluster: Cluster, kind: str) -> None:
        self.cluster, self.kind = cluster, kind

    def deploy(self, version: str) -> None:
        stream = "".join(f"---\n{json.dumps(each)}\n" for each in objects(self.kind, version))
        self.cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=stream)

    def pods(self) -> list[Any]:
        items: list[Any] = self.cluster.get("pods", f"--namespace={NAME}")["items"]
        return items

    def settled(self, version: str) -> bool:
        found = self.pods()
        versions = {each["spec"]["containers"][0]["image"].rpartition(":")[2] for each in found}
        return len(found) == 2 and all(map(ready, found)) and versions == {version}

    def update(self, version: str) -> None:
        self.deploy(version)
        until(lambda: self.settled(version))

    def delete_pod(self) -> None:
        self.cluster.kubectl("delete", "pod", self.pods()[0]["metadata"]["name"], f"--namespace={NAME}")
        until(lambda: self.settled("1"))

    def kill(self) -> None:
        pod = self.pods()[0]
        kill(pod)

        def restarted() -> bool:
            (same,) = (each for each in self.pods() if each["metadata"]["uid"] == pod["metadata"]["uid"])
            return same["status"]["containerStatuses"][0]["restartCount"] > 0 and self.settled("1")

        until(restarted)

    def crash(self) -> None:
        """A version that crashes, found out after 20 seconds, and the way back."""
        self.deploy("crash")
        time.sleep(20)
        self.update("1")


EVENTS: dict[str, Callable[[Home], None]] = {
    "update": lambda home: home.update("2"),
    "rollback": lambda home: home.update("1"),
    "deletion of a pod": Home.delete_pod,
    "`kill -9` of a container": Home.kill,
    "a version that crashes, and its repair": Home.crash,
}
ORDERLY = set(EVENTS) - {"`kill -9` of a container"}


@pytest.fixture
def address(sandbox: Sandbox, cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[Home], str]]:
    """Makes a Deployment at home, and tells its Service's address; all of it is gone afterwards."""
    import_servers(sandbox, tmp_path)

    def make(home: Home) -> str:
        home.update("1")
        return str(cluster.get(f"service/{NAME}", f"--namespace={NAME}")["spec"]["clusterIP"])

    yield make
    cluster.kubectl("delete", "namespace", NAME, "--ignore-not-found", PATIENTLY)


def test_what_costs_others_requests_costs_none_here(
    sandbox: Sandbox, cluster: Cluster, address: Callable[[Home], str], tmp_path: Path
) -> None:
    rows: dict[str, dict[str, Row]] = defaultdict(dict)
    for kind in KINDS:
        home = Home(cluster, kind)
        where = address(home)
        for number, (event, work) in enumerate(EVENTS.items()):
            with loads(sandbox, tmp_path / f"{kind}-{number}", where) as results:
                work(home)
            rows[event][kind] = Row(event, 0, results)
        cluster.kubectl("delete", "namespace", NAME, PATIENTLY)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join(table(rows, load) for load in NO_FAILURE))
    assert [rows[event]["homeport"].failed for event in ORDERLY] == [NO_FAILURE] * len(ORDERLY)
    assert all(rows["update"][kind].failed != NO_FAILURE for kind in KINDS if kind != "homeport")


def table(rows: dict[str, dict[str, Row]], load: str) -> str:
    lines = [f"| {load} | {' | '.join(KINDS)} |", "|---" * (len(KINDS) + 1) + "|"]
    for event, found in rows.items():
        results = [found[kind].results[load] for kind in KINDS]
        lines.append(f"| {event} | {' | '.join(f'{each.failed} of {each.requests}' for each in results)} |")
    return "\n".join(lines) + "\n"
