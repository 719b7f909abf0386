"""The sandbox comes and goes without a trace, also when whoever starts it is killed."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from tests.support import ROOT

NAME = "trace"


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """No other run of these tests is under way."""
    with Sandbox(NAME).kept():
        yield


def command(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "sandbox", *arguments, "--name", NAME], cwd=ROOT)


def traces() -> list[str]:
    """What is left on the machine: processes, mounts, network namespaces, interfaces, cgroups, run files."""
    marks = (f"homeport-{NAME}", f"/run/{NAME}/")
    found = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.splitlines()
    found += subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    found += Path("/proc/mounts").read_text().splitlines()
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/homeport-{NAME}*")]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(f"{process}: {process.read_bytes().replace(bytes(1), b' ').decode(errors='replace')}")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [line for line in found if any(mark in line for mark in marks)]


def recorded(sandbox: Sandbox) -> dict[str, Any]:
    """Component -> its process."""
    records: dict[str, Any] = json.loads((Path(sandbox.status().logs).parent / "processes.json").read_text())
    return records


def test_starting_adds_what_is_missing_and_else_changes_nothing_and_stopping_leaves_nothing() -> None:
    sandbox = Sandbox(NAME)
    try:
        sandbox.start(images=True, metrics=False)
        bare = recorded(sandbox)
        assert sandbox.status().running
        assert sandbox.status().not_started == ["metrics-server", "kwok"]
        assert command("start").wait() == 0
        whole = recorded(sandbox)
        assert whole.keys() - bare.keys() == {"metrics-server"}
        assert bare.items() <= whole.items()
        sandbox.start(fake_nodes=True)
        assert recorded(sandbox).keys() - whole.keys() == {"kwok"}
        assert sandbox.status().components["kwok"]
        assert sandbox.status().not_started == []
        whole = recorded(sandbox)
        assert command("start", "--fake-nodes").wait() == 0
        assert recorded(sandbox) == whole
        assert command("status").wait() == 0
        assert traces() != []
    finally:
        sandbox.stop()
    assert traces() == []
    assert command("status").wait() == 3


@pytest.mark.parametrize("seconds", [0.7, 2.0, 4.0])
def test_killed_starter_leaves_nothing_that_stop_does_not_find(seconds: float) -> None:
    with command("start") as starter:
        time.sleep(seconds)
        starter.send_signal(signal.SIGKILL)
    assert command("stop").wait() == 0
    assert traces() == []
