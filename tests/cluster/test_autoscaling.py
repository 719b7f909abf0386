"""The autoscaler on a real node: replicas come with the load and go with it, no update resets them, no request fails.

The load is that of tests/cluster/test_change.py. The report goes to build/autoscaling-report.md.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox, archive, build
from sandbox.progress import Progress
from tests.cluster.load import Result, Row, loads, table
from tests.cluster.parts import SERVER, VEGETA
from tests.cluster.scene import ENVIRONMENT, MODEL, REPOSITORY
from tests.support import PATIENCE, ROOT, Cluster, Program, live_entry, running, until, write_program

pytestmark = pytest.mark.load

REPORT = ROOT / "build" / "autoscaling-report.md"
NAMESPACE = "--namespace=busy"
LEAST, MOST = 2, 3
SIZE = {"cpu": "50m", "memory": "64Mi", "tmp": "16Mi"}
"""So little that answering two loads of 200 requests a second, which takes about 130m, is too much for two of them."""
SCALE = {"min": LEAST, "max": MOST, "target": {"cpu": 70}}
BUSY, LARGE = "/burn/500", {"cpu": "200m", "memory": "64Mi", "tmp": "16Mi"}
"""A path whose requests use 200m more, and a size for which only these are too much."""
# A replica at its limit would answer late, for as long as the others take to come.
RELAXED = ENVIRONMENT["relax"] | {"cpu_limits": "the node has cores to spare"}


@dataclass
class Scene:
    """The model and the load on it."""

    sandbox: Sandbox
    cluster: Cluster
    program: Program
    scratch: Path
    rows: list[Row] = field(default_factory=list)

    def write(self, scale: Any = SCALE, **fields: Any) -> None:
        spec = MODEL | {"name": "busy", "resources": SIZE, "scale": scale} | fields
        (self.program.folder / "model.yaml").write_text(json.dumps(spec))

    def wanted(self) -> int:
        return int(self.deployment()["spec"]["replicas"])

    def settle(self, replicas: int) -> None:
        """Wait until just so many replicas run, all of them ready, and none is on its way out."""

        def settled() -> bool:
            deployment, pods = self.deployment(), self.cluster.get("pods", NAMESPACE)["items"]
            ready = deployment["status"].get("availableReplicas", 0)
            return bool(deployment["spec"]["replicas"] == ready == len(pods) == replicas)

        until(settled, 2 * PATIENCE)  # a window of the autoscaler alone takes five minutes

    def deployment(self) -> Any:
        return self.cluster.get("deployment/busy", NAMESPACE)

    def address(self) -> str:
        return str(self.cluster.get("service/busy", NAMESPACE)["spec"]["clusterIP"])

    def no_failure_during(self, event: str, work: Callable[[], None], path: str = "") -> float:
        """Seconds that something took while requests came, having seen that none failed."""
        folder = self.scratch / event.replace(" ", "-")
        with loads(self.sandbox, folder, self.address() + path) as results:
            begun = time.monotonic()
            work()
            seconds = time.monotonic() - begun
        self.rows.append(Row(event, seconds, results))
        assert {name: failures(result) for name, result in results.items()} == {"no keep-alive": {}, "keep-alive": {}}
        return seconds

    @contextmanager
    def replicas_stay(self, number: int) -> Iterator[None]:
        """Whatever is written to the Deployment meanwhile, and however briefly, the number is this."""
        watch = ["kubectl", "get", "deployment/busy", NAMESPACE, "--watch", "--output=jsonpath={.spec.replicas} "]
        seen = self.scratch / f"replicas-{time.monotonic()}"
        with (
            seen.open("w") as file,
            subprocess.Popen(watch, env=self.cluster.variables, stdout=file) as process,
        ):
            try:
                yield
            finally:
                process.terminate()
        numbers = seen.read_text().split()
        assert len(numbers) > 1, "nothing was written"
        assert set(numbers) == {str(number)}


def failures(result: Result) -> dict[str, int]:
    return dict(result.failures)


@pytest.fixture(scope="module")
def scene(sandbox: Sandbox, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scratch = tmp_path_factory.mktemp("autoscaling")
    build.ensure((VEGETA, SERVER), Progress())
    archive.write_image(scratch / "image.tar", f"{REPOSITORY}:1", build.directory(SERVER) / "good")
    sandbox.import_image(scratch / "image.tar")
    live = {"models": {"busy": live_entry("1")}}
    here = ENVIRONMENT | {"gateway": None, "relax": RELAXED}
    source = write_program(scratch / "source", "autoscaling", environment=here, models=live)
    with running(cluster, source, scratch / "running") as program:
        scene = Scene(sandbox, cluster, program, scratch)
        scene.write()
        program.up()
        scene.settle(LEAST)
        try:
            yield scene
        finally:
            REPORT.parent.mkdir(exist_ok=True)
            REPORT.write_text(table(scene.rows))


@pytest.fixture(autouse=True)
def shown(scene: Scene, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Each test's lines of the report."""
    before = len(scene.rows)
    yield
    with capsys.disabled():
        for line in table(scene.rows[before:]).splitlines()[2:]:
            print(f"\n  {line}", end="")  # noqa: T201


def grow(scene: Scene) -> None:
    until(lambda: scene.wanted() > LEAST)
    scene.settle(MOST)


def test_replicas_come_with_the_load_and_no_update_takes_them_away(scene: Scene) -> None:
    scene.no_failure_during(f"autoscaling, {LEAST} to {MOST}", lambda: grow(scene))

    def update() -> None:
        scene.write(env={"LOG_LEVEL": "debug"})
        with scene.replicas_stay(MOST):
            scene.program.up()
        scene.program.expect_no_changes("--refresh")

    scene.no_failure_during(f"update with {MOST} replicas by autoscaling", update)
    assert scene.wanted() == MOST


@pytest.mark.slow
def test_replicas_go_with_the_load(scene: Scene) -> None:
    scene.write(SCALE | {"down_seconds": 10}, resources=LARGE)
    scene.program.up()
    scene.settle(LEAST)
    scene.no_failure_during("autoscaling with a window of 10 s", lambda: scene.settle(MOST), BUSY)
    scene.no_failure_during(f"autoscaling, {MOST} to {LEAST}", lambda: scene.settle(LEAST))


@pytest.mark.slow
def test_replicas_come_with_the_memory_in_use(scene: Scene) -> None:
    scene.write({"min": 1, "max": 2, "target": {"memory": 50}}, resources=SIZE | {"memory": "128Mi"})
    scene.program.up()
    scene.settle(1)

    def hold() -> None:
        ask = [sys.executable, str(ROOT / "tests" / "cluster" / "ask.py"), scene.address(), "GET", "/hold/90"]
        subprocess.run(scene.sandbox.nsenter(ask), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
        scene.settle(2)

    scene.no_failure_during("autoscaling on memory, 1 to 2", hold)
