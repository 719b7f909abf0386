"""Change under load on a real node: no request fails, whatever happens to the pods in an orderly way.

Two loads of 200 requests a second go to the Service's address or to the Gateway's during each event, one with a
connection for each request; one request of a hundred takes longer than an endpoint's withdrawal. The report goes to
build/change-report.md.
"""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests
from sandbox import Sandbox
from tests.cluster.gateway import gateway
from tests.cluster.load import NO_FAILURE, Row, answers
from tests.cluster.scene import ENVIRONMENT, HOST, MODEL, NAME, REPOSITORY, SHORT, Changed, Scene, acting, kill, ready
from tests.support import PATIENCE, PATIENTLY, Cluster, until

pytestmark = [pytest.mark.load, pytest.mark.usefixtures("shown")]

NAMESPACE = f"--namespace={NAME}"


@pytest.fixture(scope="module")
def scene(
    sandbox: Sandbox, cluster: Cluster, report: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    with acting(sandbox, cluster, tmp_path_factory.mktemp("change"), report) as scene:
        yield scene


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


SIZE = MODEL["resources"] | {"cpu": "100m"}
"""So small that eight replicas have room on a node of two cores."""


def four(surge: int) -> Changed:
    """Four replicas, of which an update replaces some at once."""
    return {"scale": {"min": 4, "max": 4}, "resources": SIZE}, {"max_surge": surge}


@pytest.mark.parametrize("surge", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_update_of_several_replicas_at_once(scene: Scene, surge: int) -> None:
    said: list[str] = []

    def update() -> None:
        said.append(scene.deploy("2", changed=four(surge)))
        scene.settle(4)

    scene.deploy("1", changed=four(surge))
    scene.settle(4)
    scene.no_failure_during(f"update of 4 replicas, {surge} at once", update)
    assert f"{NAME}: 4 of 4 replicas of the new version serve" in said[0]
    assert scene.versions() == {"2"}
    scene.deploy("1")
    scene.settle()


def scale(scene: Scene, replicas: int) -> None:
    """By the autoscaler, which alone decides the number."""
    patch = json.dumps({"spec": {"minReplicas": replicas, "maxReplicas": replicas}})
    scene.cluster.kubectl("patch", "horizontalpodautoscaler/change", NAMESPACE, f"--patch={patch}")
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


def restarted(scene: Scene, pod: str) -> bool:
    """Whether a pod's container has ended and serves again."""
    (found,) = (each for each in scene.pods() if each["metadata"]["name"] == pod)
    return found["status"]["containerStatuses"][0]["restartCount"] > 0 and ready(found)


def kill_one(scene: Scene) -> float:
    """A container's process is killed; when it was."""
    pod = next(each for each in scene.pods() if each["status"]["containerStatuses"][0]["restartCount"] == 0)
    moment = kill(pod)
    until(partial(restarted, scene, pod["metadata"]["name"]))
    return moment


def test_killed_container_is_restarted_and_soon_gets_no_requests(scene: Scene) -> None:
    """Nobody drains here: those who call the Service directly lose what the replica has begun, and some more."""
    killed: list[float] = []
    row = scene.during("`kill -9` of a container", lambda: killed.append(kill_one(scene)))
    assert all(moment < killed[0] + 5 for moment in row.failed_from)


BAD = {
    "absent": (f"{REPOSITORY}:absent cannot be pulled: ", "trying and failing to pull image"),
    "crash": ("the model crashed with exit code 1; its last lines: the model's file is damaged", "file is damaged"),
    "moment": ("the model crashed with exit code 1; its last lines: the model's file is damaged", "file is damaged"),
    "never": ("Startup probe failed: HTTP probe failed with statuscode: 503", "the model is not loaded"),
}
"""Version -> what Pulumi says of it, and what the command says that Pulumi names."""


def try_bad(scene: Scene, version: str) -> None:
    """An update that fails, and the one that repairs it."""
    begun = time.monotonic()
    said = scene.deploy(version, changed=SHORT, fails=True)
    # The model's own limit of 17 seconds, and not Pulumi's of ten minutes, also on a busy machine.
    assert time.monotonic() - begun < PATIENCE
    reason, log = BAD[version]
    assert reason in said, said
    command = shlex.split(re.search("kubectl logs .*", said)[0])  # type: ignore[index]
    until(lambda: log in shell(scene, command))
    assert {"1"} <= scene.versions() <= {"1", version}
    scene.deploy("1")
    scene.settle()
    assert scene.versions() == {"1"}


def shell(scene: Scene, command: list[str]) -> str:
    done = subprocess.run(command, env=scene.cluster.variables, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


slow = partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize("version", ["crash", slow("absent"), slow("never")])
def test_bad_version_fails_with_its_reason_while_the_other_serves_on(scene: Scene, version: str) -> None:
    before = scene.lives(NAME)
    scene.no_failure_during(f"bad version ({version}) and repair", lambda: try_bad(scene, version))
    assert scene.lives(NAME) == before


@pytest.mark.slow
def test_version_that_is_ready_for_a_moment_replaces_no_other(scene: Scene) -> None:
    """What it takes in that moment is lost with it: nothing can drain a crash. The others serve on."""
    row = scene.during("version ready for a moment, and repair", lambda: try_bad(scene, "moment"))
    new = row.results["no keep-alive"]
    assert new.failed < new.requests * 0.1


# Through the Gateway: slow, for Traefik alone takes minutes to build.

REQUESTS = 5000


@pytest.fixture(scope="module")
def door(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the Gateway."""
    with gateway(scene.sandbox, scene.cluster, tmp_path_factory.mktemp("gateway")) as address:
        until(lambda: ours(answers(scene.sandbox, f"http://{address}/", HOST, 10)))
        yield address


def ours(answers: Iterable[str]) -> bool:
    return all(name.startswith(f"{NAME}-") for name in answers)


def share(scene: Scene, door: str, requests: int = REQUESTS) -> float:
    """Percent of the requests that the canary answers; the stable version answers all others."""
    found = answers(scene.sandbox, f"http://{door}/", HOST, requests)
    assert ours(found), found
    return 100 * sum(count for name, count in found.items() if name.startswith(f"{NAME}-canary-")) / found.total()


@pytest.mark.slow
def test_canary_gets_its_share_and_no_change_of_it_costs_a_request(scene: Scene, door: str) -> None:
    shares: dict[int, float] = {}

    def give(percent: int) -> None:
        scene.deploy("1", "2", percent)
        # The Gateway takes up changes every other second, and on a busy machine later.
        until(lambda: abs(share(scene, door, 500) - percent) < 10)
        shares[percent] = share(scene, door)

    def settle(stable: str) -> None:
        scene.deploy(stable)
        scene.settle()

    scene.no_failure_during("canary start, 10 percent", lambda: give(10), door, HOST)
    pods = scene.lives(NAME)
    scene.no_failure_during("10 to 50 percent", lambda: give(50), door, HOST)
    assert scene.lives(NAME) == pods, "a change of the share restarts nobody"
    scene.no_failure_during("abort", lambda: settle("1"), door, HOST)
    assert scene.lives(NAME).items() < pods.items(), "only the canary goes"
    give(20)
    scene.no_failure_during("promotion", lambda: settle("2"), door, HOST)
    assert scene.versions() == {"2"}
    settle("1")
    assert all(abs(found - percent) < 3 for percent, found in shares.items()), shares
    until(lambda: share(scene, door, 500) == 0)


@pytest.mark.slow
def test_gateway_tries_another_replica_when_one_was_killed(scene: Scene, door: str) -> None:
    """Also what the killed replica had begun is done, by another."""
    event = "`kill -9` of a container, through the Gateway"
    scene.no_failure_during(event, lambda: kill_one(scene), door, HOST)


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


def single_replica(deployment: Any) -> None:
    """Breaks nothing, also where a replica starts for longer than the one before it serves on."""
    deployment["spec"]["replicas"] = 1
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": "START_SECONDS", "value": "8"})


def take_first(deployment: Any) -> None:
    """With two replicas the other one serves on."""
    deployment["spec"]["strategy"]["rollingUpdate"] = {"maxSurge": 0, "maxUnavailable": 1}


def take_the_only_one_first(deployment: Any) -> None:
    single_replica(deployment)
    take_first(deployment)


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        (no_drain, True),
        slow(no_sleep, True),
        slow(all_at_once, True),
        slow(take_first, False),
        slow(single_replica, False),
        slow(take_the_only_one_first, True),
    ],
)
def test_requests_fail_without_what_protects_them(scene: Scene, change: Callable[[Any], None], fails: bool) -> None:
    what = change.__name__.replace("_", " ")
    there = f"{NAME}-{what.replace(' ', '-')}"
    namespace = there.replace(NAME, "{model}", 1)
    environment = Environment.model_validate(ENVIRONMENT | {"namespace": namespace, "gateway": None})
    made = deepcopy(manifests(Release(Model.model_validate(MODEL), environment, "1", f"{REPOSITORY}:1")))
    # The changes themselves say how many replicas there are.
    objects = [each for each in made if each["kind"] != "HorizontalPodAutoscaler"]
    for each in objects:
        if each["kind"] == "Deployment":
            each["spec"]["replicas"] = MODEL["scale"]["min"]
            change(each)
    name = (f"deployment/{NAME}", f"--namespace={there}")
    wait = ("rollout", "status", *name, PATIENTLY)
    try:
        stream = "".join(f"---\n{json.dumps(each)}\n" for each in objects)
        scene.cluster.kubectl("apply", "--server-side", "--filename=-", stdin=stream)
        scene.cluster.kubectl(*wait)

        def restart() -> None:
            scene.cluster.kubectl("rollout", "restart", *name)
            scene.cluster.kubectl(*wait)

        row = scene.during(f"update with {what}", restart, scene.address(there))
        assert row.results["no keep-alive"].failed > 0 if fails else row.failed == NO_FAILURE
    finally:
        scene.cluster.kubectl("delete", "namespace", there, "--ignore-not-found", "--wait=false")
