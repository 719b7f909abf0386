"""A model that takes all it can get, on the same node as another: the other loses no request."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from homeport import Release, manifests
from tests.cluster.probes import SERVING, Probes, model, releases
from tests.support import until

pytestmark = pytest.mark.load

RATE, SECONDS = 100, 10
NOISY, QUIET = releases(
    [
        model("noisy", resources={"cpu": "500m", "memory": "128Mi", "tmp": "32Mi", "shm": "24Mi"}),
        model("quiet", resources={"cpu": "500m", "memory": "128Mi"}),
    ]
)


@pytest.fixture(scope="module")
def standing(probes: Probes) -> Iterator[None]:
    with probes.standing([*manifests(NOISY), *manifests(QUIET)]):
        yield


def fill(probes: Probes, memory: int = 0, tmp: int = 0, shm: int = 0) -> str:
    """Every core in use; memory, tmp and shm filled (MiB). Tells how much memory it has, and what went wrong."""
    return probes.post(probes.address(NOISY.namespace), f"/burn?memory={memory}&tmp={tmp}&shm={shm}").strip()


def overfill_memory(probes: Probes) -> None:
    """More than its limit, twice: the kernel ends its container, which starts anew."""
    for _ in range(2):
        before = container(probes)["restartCount"]
        with suppress(subprocess.CalledProcessError):  # no answer comes from one that is killed
            fill(probes, memory=512)
        until(lambda: container(probes)["ready"] and container(probes)["restartCount"] > before)  # noqa: B023


def overfill_tmp(probes: Probes) -> None:
    """More than its size: the kubelet evicts the pod, and another takes its place."""
    with suppress(subprocess.CalledProcessError):
        fill(probes, tmp=64)
    until(lambda: evicted(probes) and len(pods(probes, NOISY)) == 1 and container(probes)["ready"])


def pods(probes: Probes, release: Release) -> list[Any]:
    found = probes.cluster.get("pods", f"--namespace={release.namespace}")["items"]
    return [each for each in found if each["status"]["phase"] != "Failed" and "containerStatuses" in each["status"]]


def evicted(probes: Probes) -> bool:
    found = probes.cluster.get("pods", f"--namespace={NOISY.namespace}")["items"]
    return any(each["status"].get("reason") == "Evicted" for each in found)


def container(probes: Probes, release: Release = NOISY) -> Any:
    return pods(probes, release)[0]["status"]["containerStatuses"][0]


def meanwhile(work: Callable[[Probes], None], probes: Probes, url: str) -> Any:
    """How requests fare while something is being done, and until it is."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work, probes)
        found = probes.load(url, RATE, SECONDS)
        done.result()
    return found


@pytest.mark.usefixtures("standing")
def test_neighbour_loses_no_request(probes: Probes, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://{probes.address(QUIET.namespace)}:{SERVING}/"
    probes.load(url, RATE, 2)  # the first requests pay for what the others find ready
    measured = {"alone": probes.load(url, RATE, SECONDS)}
    assert fill(probes, memory=80, tmp=28, shm=16) == "80 <nil>"
    assert fill(probes, shm=32) == "80 write /dev/shm/filling: no space left on device"
    measured["beside one at its limits"] = probes.load(url, RATE, SECONDS)
    measured["beside one that is killed for its memory"] = meanwhile(overfill_memory, probes, url)
    assert container(probes)["lastState"]["terminated"]["reason"] == "OOMKilled"
    measured["beside one that is evicted for its tmp"] = meanwhile(overfill_tmp, probes, url)

    with capsys.disabled():
        for name, found in measured.items():
            times = f"p50 {found['p50'] * 1000:.1f} ms, p99 {found['p99'] * 1000:.1f} ms"
            failed = f"{len(found['errors'])} of {found['requests']} requests failed"
            print(f"\n  a neighbour {name}: {failed}, {times}", end="")  # noqa: T201
    assert [error for found in measured.values() for error in found["errors"]] == []
    assert {found["requests"] for found in measured.values()} == {RATE * SECONDS}
    assert container(probes, QUIET)["restartCount"] == 0
