"""All attacks at once on a server with half a cpu and 768 MiB: it answers, is not killed, and is then as it was."""

import concurrent.futures
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server.client import Answer, ended, tensor
from tests.server.conftest import Server, Start
from tests.server.group import group
from tests.support import ROOT

logger = logging.getLogger(__name__)

MIB = 2**20
SECONDS = 20.0
HEALTH_SECONDS = 1.0
GOOD_SECONDS = 3.0
ROUNDS = 3
"""A machine that is busy with something else may be slow once. A server without bounds is slow in each round."""

REST_SECONDS = 45.0
"""More than a request may take to arrive."""


@contextmanager
def attacked(server: Server, *names: str) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.server.attacks", str(server.port), *names]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process, ended(process):
        assert process.stdout
        assert process.stdout.readline() == b"attacking\n"
        yield


def asked(ask: Callable[[], Answer], pause: float, seconds: float) -> tuple[list[float], list[int]]:
    """How long each answer took, and its status, when asking again and again."""
    took, statuses = [], []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            statuses.append(ask().status)
        except OSError:
            statuses.append(0)
        took.append(time.monotonic() - begun)
        time.sleep(pause)
    return took, statuses


@pytest.mark.load
def test_all_attacks_at_once(start: Start, iris: Path) -> None:
    with group(0.5, 768 * MIB) as limits, start(iris, limits=limits) as server:
        for _ in range(20):
            assert server.infer(tensor()).status == 200
        rest = limits.resident()
        for _ in range(ROUNDS):
            with attacked(server), concurrent.futures.ThreadPoolExecutor() as askers:
                checks = askers.submit(asked, lambda: server.get("/v2/health/live"), 0.1, SECONDS)
                took, statuses = asked(lambda: server.infer(tensor()), 0.3, SECONDS)
                health_took, health_statuses = checks.result()
                most = limits.resident()
            logger.info(
                "health %.2f s at most (%s), good %.2f s (%s)", max(health_took), len(health_took), max(took), len(took)
            )
            assert set(health_statuses) == set(statuses) == {200}
            if in_time := max(health_took) < HEALTH_SECONDS and max(took) < GOOD_SECONDS:
                break
        assert in_time

        end = time.monotonic() + REST_SECONDS
        while (now := limits.resident()) > rest + 40 * MIB and time.monotonic() < end:
            time.sleep(1)
        logger.info("memory %s MiB, under attack %s MiB, then %s MiB", rest // MIB, most // MIB, now // MIB)
        assert now <= rest + 40 * MIB, f"{rest // MIB} MiB before, {now // MIB} MiB after"
        assert server.process.poll() is None
