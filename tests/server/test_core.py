"""Both processes on one core while the event loop is late, where a limit lets them have no more than one."""

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from sandbox.image import SERVER


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SERVER.parent))
    return import_module("homeport_server.core")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.cfs_quota_us": "200000\n", "cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_limit_of_a_group(core: ModuleType, tmp_path: Path, files: Mapping[str, str], found: float | None) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert core.limit_of(tmp_path) == found


@pytest.mark.parametrize(("limit", "shares"), [(0.5, True), (1.0, True), (2.0, False)])
def test_both_share_a_core_until_the_loop_is_in_time_again(
    core: ModuleType, monkeypatch: pytest.MonkeyPatch, limit: float, shares: bool
) -> None:
    every = os.sched_getaffinity(0)
    if len(every) == 1:
        pytest.skip("this machine has one core only")
    monkeypatch.setattr(core, "limit", lambda: limit)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        both = core.Core(other.pid)

        def allowed() -> tuple[set[int], set[int]]:
            return os.sched_getaffinity(0), os.sched_getaffinity(other.pid)

        try:
            both.notice(0.05, 100)
            assert allowed() == (every, every)
            both.notice(0.2, 101)
            one, another = allowed()
            assert (len(one) == 1, one == another) == (shares, True)
            both.notice(0, 110)
            assert allowed() == (one, one)
            both.notice(0, 112)
            assert allowed() == (every, every)
        finally:
            os.sched_setaffinity(0, every)
            other.communicate(b"\n")
