"""Load at a constant rate that waits for nobody, so that a slow or lost answer hides no other; and how it fared."""

import json
import signal
import subprocess
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sandbox import Sandbox, build
from tests.cluster.parts import VEGETA
from tests.support import PATIENCE

RATE = 200
"""Requests a second, of each load."""
MOST_SECONDS = 240
"""However long an event takes: the load ends by itself."""
SLOW_EVERY, SLOW_MS = 100, 6000
"""Of so many requests one takes so long: longer than an endpoint's withdrawal takes, so that draining is seen too."""


@dataclass
class Result:
    """How requests fared."""

    requests: int = 0
    slow: int = 0
    """Of them, those that were to take long."""
    failures: Counter[str] = field(default_factory=Counter)
    """Reason -> how many failed for it."""
    failed_from: list[float] = field(default_factory=list)
    """When each of the failed was sent, in seconds since 1970."""
    latencies: list[float] = field(default_factory=list)
    """Seconds, of the others, in ascending order."""

    @property
    def failed(self) -> int:
        return self.failures.total()

    def milliseconds(self, part: float) -> float:
        """The time within which a part of the requests that are not slow was answered."""
        return self.latencies[min(int(len(self.latencies) * part), len(self.latencies) - 1)] * 1000


@contextmanager
def loads(sandbox: Sandbox, scratch: Path, address: str, host: str = "") -> Iterator[dict[str, Result]]:
    """While the context lasts, requests go to an address: each over a connection of its own, and over kept ones.

    The results are there when the context has ended.
    """
    scratch.mkdir()
    targets = scratch / "targets"
    fast, slow = f"GET http://{address}/\n", f"GET http://{address}/?ms={SLOW_MS}\n"
    targets.write_text(fast * (SLOW_EVERY - 1) + slow)
    results = {"no keep-alive": Result(), "keep-alive": Result()}
    kept = {"no keep-alive": "false", "keep-alive": "true"}
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name in results:
            command = [build.program(VEGETA, "vegeta"), "attack", f"-rate={RATE}", f"-duration={MOST_SECONDS}s"]
            command += [f"-targets={targets}", f"-keepalive={kept[name]}", "-timeout=20s"]
            command += [f"-output={scratch / name}", *([f"-header=Host: {host}"] if host else [])]
            processes.append(subprocess.Popen(sandbox.nsenter(command)))
        yield results
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)  # no more requests; those under way are waited for
        for process in processes:
            process.wait(timeout=PATIENCE)
    for name, result in results.items():
        _read(scratch / name, result)


def answers(sandbox: Sandbox, url: str, host: str, requests: int) -> Counter[str]:
    """Who answered how many of so many requests: the answers are names of pods. Those that failed by their reason."""
    command = [build.program(VEGETA, "vegeta"), "attack", "-rate=500", f"-duration={requests / 500}s"]
    command += [f"-header=Host: {host}", "-keepalive=false"]
    done = subprocess.run(
        sandbox.nsenter(command), input=f"GET {url}\n".encode(), stdout=subprocess.PIPE, check=True
    ).stdout
    encode = [build.program(VEGETA, "vegeta"), "encode", "--to=json"]
    hits = subprocess.run(encode, input=done, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    return Counter(hit["error"] or b64decode(hit["body"]).decode().strip() for hit in map(json.loads, hits))


def _read(file: Path, result: Result) -> None:
    encode = [build.program(VEGETA, "vegeta"), "encode", "--to=json", str(file)]
    for line in subprocess.run(encode, capture_output=True, text=True, check=True).stdout.splitlines():
        hit = json.loads(line)
        result.requests += 1
        if hit["code"] != 200:
            result.failures[hit["error"] or str(hit["code"])] += 1
            result.failed_from.append(datetime.fromisoformat(hit["timestamp"]).timestamp())
        if "ms=" in hit["url"]:
            result.slow += 1
        else:
            result.latencies.append(hit["latency"] / 1e9)
    result.latencies.sort()


@dataclass(frozen=True)
class Row:
    """An event, and the load during it."""

    event: str
    seconds: float
    results: dict[str, Result]

    @property
    def failed(self) -> dict[str, dict[str, int]]:
        """Reason -> how many failed for it, of each load."""
        return {name: dict(result.failures) for name, result in self.results.items()}

    @property
    def failed_from(self) -> list[float]:
        """When each of the failed was sent, in seconds since 1970."""
        return [moment for result in self.results.values() for moment in result.failed_from]


NO_FAILURE: dict[str, dict[str, int]] = {"no keep-alive": {}, "keep-alive": {}}

HEADER = """\
| event | seconds | requests | failures, no keep-alive | failures, keep-alive | p50 | p99 |
|---|---|---|---|---|---|---|
"""


def table(rows: Sequence[Row]) -> str:
    """The report: p50 and p99 without keep-alive, of the requests that are not slow by themselves."""
    return HEADER + "".join(_line(row) for row in rows)


def _line(row: Row) -> str:
    new, kept = row.results["no keep-alive"], row.results["keep-alive"]
    requests, p50, p99 = new.requests + kept.requests, new.milliseconds(0.5), new.milliseconds(0.99)
    return (
        f"| {row.event} | {row.seconds:.0f} | {requests} | {new.failed} of {new.requests} | "
        f"{kept.failed} of {kept.requests} | {p50:.1f} ms | {p99:.1f} ms |\n"
    )
