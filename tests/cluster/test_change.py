"""Change under load on a real node: no request fails, whatever happens to the pods in an orderly way.

Two loads of 200 requests a second go to the Service's address during each event, one with a connection for each
request; one request of a hundred takes longer than an endpoint's withdrawal. The report goes to build/change-report.md.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests
from sandbox import Sandbox, archive, build
from sandbox.progress import Progress
from tests.cluster.load import Row, loads, table
from tests.cluster.parts import SERVER, VEGETA
from tests.support import ROOT, Cluster, Program, running

REPORT = ROOT / "build" / "change-report.md"
REPOSITORY = "homeport.invalid/server"
IMAGES = {"1": "good", "2": "good", "crash": "crash", "moment": "moment", "never": "never"}
"""Version -> what its server does."""
NAMESPACE = "--namespace=change"
PODS = "--selector=app.kubernetes.io/name=change"

MODEL: dict[str, Any] = {
    "name": "change",
    "owner": "test",
    "image": REPOSITORY,
    "protocol": "http",
    "port": 8080,
    "health": {"live": "/live", "ready": "/ready"},
    "resources": {"cpu": "500m", "memory": "128Mi", "tmp": "16Mi"},
    "scale": {"min": 2, "max": 2},
    "startup_seconds": 10,
    "drain_seconds": 10,
}
ENVIRONMENT: dict[str, Any] = {
    "cluster": {"identifier": "change"},
    "relax": {"apparmor": "the machine may be a container", "image_pull": "there is no registry"},
    "endpoint_seconds": 5,
    "provision_seconds": 15,
}
PROGRAM = """\
from homeport import Stack

Stack.read(".").deploy()
"""


def live(version: str) -> str:
    return f'models:\n  change:\n    spec: model.yaml\n    stable: {{version: "{version}"}}\n'


@dataclass
class Scene:
    """The model and the load on it."""

    sandbox: Sandbox
    cluster: Cluster
    program: Program
    scratch: Path
    rows: list[Row] = field(default_factory=list)

    def deploy(self, version: str, **options: bool) -> str:
        (self.program.folder / "models.yaml").write_text(live(version))
        return self.program("up", "--yes", "--skip-preview", f"--stack={self.program.stack}", **options)

    def pods(self) -> list[Any]:
        """Those that are not on their way out, the oldest first."""
        found = self.cluster.get("pods", NAMESPACE, PODS)["items"]
        there = [each for each in found if "deletionTimestamp" not in each["metadata"]]
        return sorted(there, key=lambda each: str(each["metadata"]["creationTimestamp"]))

    def names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.pods()]

    def versions(self) -> set[str]:
        """Those of the pods that take requests."""
        return {each["metadata"]["labels"]["app.kubernetes.io/version"] for each in self.pods() if ready(each)}

    def settle(self, replicas: int = 2, seconds: float = 60) -> None:
        """Wait until so many pods are ready, and none is on its way out."""

        def settled() -> bool:
            found = self.cluster.get("pods", NAMESPACE, PODS)["items"]
            return len(found) == replicas and all(map(ready, found))

        until(settled, seconds)

    def during(self, event: str, work: Callable[[], None], address: str = "") -> Row:
        """What becomes of requests while something is done, and until its last pod is gone."""
        folder = self.scratch / event.replace(" ", "-")
        with loads(self.sandbox, folder, address or self.address("change")) as results:
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
        return row

    def no_failure_during(self, event: str, work: Callable[[], None]) -> None:
        row = self.during(event, work)
        assert {name: dict(result.failures) for name, result in row.results.items()} == {
            "no keep-alive": {},
            "keep-alive": {},
        }

    def address(self, namespace: str) -> str:
        return str(self.cluster.get("service/change", f"--namespace={namespace}")["spec"]["clusterIP"])

    def evict(self, pod: str) -> bool:
        """What `kubectl drain` does for each pod of a node. False: the disruption budget does not allow it now."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "change"}}
        path = f"/api/v1/namespaces/change/pods/{pod}/eviction"
        done = subprocess.run(
            ["kubectl", "create", f"--raw={path}", "--filename=-"],
            env=self.cluster.environment,
            input=json.dumps(body),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or "disruption budget" in done.stderr, done.stderr
        return done.returncode == 0


def ready(pod: Any) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def until(state: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not state():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def scene(sandbox: Sandbox, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scratch = tmp_path_factory.mktemp("change")
    build.ensure((VEGETA, SERVER), Progress())
    for version, behaviour in IMAGES.items():
        file = scratch / f"{version}.tar"
        archive.write_image(file, f"{REPOSITORY}:{version}", build.directory(SERVER) / behaviour)
        sandbox.import_image(file)
    source = scratch / "source"
    source.mkdir()
    for name, content in {"model.yaml": MODEL, "environment.yaml": ENVIRONMENT}.items():
        (source / name).write_text(json.dumps(content))  # YAML is a superset of JSON
    (source / "models.yaml").write_text(live("1"))
    (source / "__main__.py").write_text(PROGRAM)
    (source / "Pulumi.yaml").write_text("name: change\nruntime: python\n")
    with running(cluster, source, scratch / "running") as program:
        scene = Scene(sandbox, cluster, program, scratch)
        scene.deploy("1")
        scene.settle()
        try:
            yield scene
        finally:
            REPORT.parent.mkdir(exist_ok=True)
            REPORT.write_text(table(scene.rows))


@pytest.fixture(autouse=True)
def shown(scene: Scene, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Each test's line of the report."""
    before = len(scene.rows)
    yield
    with capsys.disabled():
        for line in table(scene.rows[before:]).splitlines()[2:]:
            print(f"\n  {line}", end="")  # noqa: T201


def test_update(scene: Scene) -> None:
    def update() -> None:
        scene.deploy("2")
        scene.settle()

    scene.no_failure_during("update", update)
    assert scene.versions() == {"2"}


def test_rollback(scene: Scene) -> None:
    def roll_back() -> None:
        scene.deploy("1")
        scene.settle()

    scene.no_failure_during("rollback", roll_back)
    assert scene.versions() == {"1"}


def scale(scene: Scene, replicas: int) -> None:
    """What an autoscaler does."""
    scene.cluster.kubectl("scale", "deployment/change", f"--replicas={replicas}", NAMESPACE)
    scene.settle(replicas)


def test_scale_up_and_down(scene: Scene) -> None:
    scene.no_failure_during("scale up, 2 to 4", lambda: scale(scene, 4))
    scene.no_failure_during("scale down, 4 to 2", lambda: scale(scene, 2))


def test_deletion_of_a_pod(scene: Scene) -> None:
    def delete() -> None:
        scene.cluster.kubectl("delete", "pod", scene.names()[0], NAMESPACE)
        scene.settle()

    scene.no_failure_during("deletion of a pod", delete)


def test_drain_keeps_to_the_disruption_budget(scene: Scene) -> None:
    refused: list[str] = []

    def drain() -> None:
        for name in scene.names():
            while not scene.evict(name):
                refused.append(name)
                time.sleep(0.5)
        scene.settle()

    before = scene.names()
    scene.no_failure_during("drain of every pod", drain)
    assert refused, "the second replica went before the first was replaced"
    assert not set(before) & set(scene.names())


BAD = {
    "crash": "the model's file is damaged",
    "moment": "the model's file is damaged",
    "never": "containers with unready status: [model]",
}
"""Version -> what Pulumi says of it, in the words of its pod."""


def try_bad(scene: Scene, version: str) -> None:
    """An update that fails, and the one that repairs it."""
    begun = time.monotonic()
    said = scene.deploy(version, fails=True)
    # The model's own limit, and what Pulumi needs before and after.
    assert time.monotonic() - begun < 45 + 45
    assert BAD[version] in said, said
    assert {"1"} <= scene.versions() <= {"1", version}
    scene.deploy("1")
    scene.settle()
    assert scene.versions() == {"1"}


@pytest.mark.parametrize("version", ["crash", pytest.param("never", marks=pytest.mark.slow)])
def test_bad_version_fails_with_its_reason_while_the_other_serves_on(scene: Scene, version: str) -> None:
    scene.no_failure_during(f"bad version ({version}) and repair", lambda: try_bad(scene, version))


@pytest.mark.slow
def test_version_that_is_ready_for_a_moment_replaces_no_other(scene: Scene) -> None:
    """What it takes in that moment is lost with it: nothing can drain a crash. The others serve on."""
    row = scene.during("version ready for a moment, and repair", lambda: try_bad(scene, "moment"))
    new = row.results["no keep-alive"]
    assert new.failed < new.requests * 0.1


# Whether the load would see it: without what protects requests, some fail.


def no_sleep(deployment: Any) -> None:
    del deployment["spec"]["template"]["spec"]["containers"][0]["lifecycle"]


def no_drain(deployment: Any) -> None:
    """The surest to be seen: at any time some requests are under way that take longer than this."""
    no_sleep(deployment)
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1


def all_at_once(deployment: Any) -> None:
    no_sleep(deployment)
    deployment["spec"]["strategy"]["rollingUpdate"] = {"maxSurge": 0, "maxUnavailable": "100%"}


@pytest.mark.parametrize(
    "broken",
    [no_drain, pytest.param(no_sleep, marks=pytest.mark.slow), pytest.param(all_at_once, marks=pytest.mark.slow)],
)
def test_requests_fail_without_what_protects_them(scene: Scene, broken: Callable[[Any], None]) -> None:
    environment = Environment.model_validate(ENVIRONMENT | {"namespace": "broken-{model}"})
    objects = deepcopy(manifests(Release(Model.model_validate(MODEL), environment, "1", f"{REPOSITORY}:1")))
    for each in objects:
        if each["kind"] == "Deployment":
            broken(each)
    name, namespace = "deployment/change", "--namespace=broken-change"
    wait = ("rollout", "status", name, namespace, "--timeout=60s")
    try:
        stream = "".join(f"---\n{json.dumps(each)}\n" for each in objects)
        scene.cluster.kubectl("apply", "--server-side", "--filename=-", stdin=stream)
        scene.cluster.kubectl(*wait)

        def restart() -> None:
            scene.cluster.kubectl("rollout", "restart", name, namespace)
            scene.cluster.kubectl(*wait)

        event = f"update with {broken.__name__.replace('_', ' ')}"
        row = scene.during(event, restart, scene.address("broken-change"))
        assert row.results["no keep-alive"].failed > 0
    finally:
        with suppress(AssertionError):
            scene.cluster.kubectl("delete", "namespace", "broken-change", "--timeout=90s")
