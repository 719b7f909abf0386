"""What `make demo` does in which order, and how it runs pulumi where nobody sits at a terminal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox import SandboxError, clusters, demo, own_pulumi

ROOT = Path(__file__).parents[2]


class Machine:
    """Plays the sandbox, and writes down what is asked of it."""

    started: tuple[dict[str, bool], ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def start(self, _: Any, **wanted: bool) -> None:
        print(f"start {wanted}")  # noqa: T201
        Machine.started += (wanted,)

    def env(self) -> dict[str, str]:
        return {}

    def status(self) -> Any:
        has_metrics = any(wanted.get("metrics", True) for wanted in Machine.started)
        return SimpleNamespace(components={"metrics-server": True} if has_metrics else {})


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE", str(tmp_path))
    monkeypatch.setattr(Machine, "started", ())
    monkeypatch.setattr(own_pulumi, "find", lambda: None)
    monkeypatch.setattr(clusters, "advice", lambda: "use your own cluster")
    monkeypatch.setattr(demo, "Sandbox", Machine)
    monkeypatch.setattr(demo, "_set_aside_unreadable_configuration", lambda: None)
    monkeypatch.setattr(demo, "_pulumi", lambda *_: "[]")
    monkeypatch.setattr(demo, "_update", lambda *_: None)
    monkeypatch.setattr(demo, "_changes", lambda _: [])
    monkeypatch.setattr(demo, "_infer", lambda *_: {"outputs": [{"name": "predict", "data": ["setosa"]}]})


@pytest.mark.usefixtures("machine")
def test_a_prediction_waits_for_no_metrics_and_they_follow_once(capsys: pytest.CaptureFixture[str]) -> None:
    demo.up()
    told = capsys.readouterr()
    assert list(Machine.started) == [{"images": True, "metrics": False}, {"images": True}]
    prediction, start, there = (
        told.out.index(text)
        for text in ("Prediction predict: ['setosa']", "start {'images': True}", "Metrics for the autoscaler are there")
    )
    assert told.out.index("Metrics for the autoscaler follow") in range(prediction, start)
    assert start < there
    demo.up()
    assert list(Machine.started)[2:] == [{"images": True, "metrics": False}]
    assert "autoscaler" not in capsys.readouterr().out


@pytest.mark.usefixtures("machine")
def test_what_saves_building_is_said_before_anything_is_built(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo.up()
    assert "use your own cluster" in capsys.readouterr().err
    monkeypatch.setattr("sandbox.build.missing", lambda _: [])
    demo.up()
    assert "use your own cluster" not in capsys.readouterr().err


PULUMI = """#!{python}
import signal, sys, time

def cancel(*_):
    print('{{"stdoutEvent": {{"message": "cancelling"}}}}' * 9000, flush=True)  # more than a pipe holds
    open("{folder}/cancelled", "w").close()
    sys.exit(1)

signal.signal(signal.SIGINT, cancel)
print('{{"timestamp": 1, "resOutputsEvent": {{"metadata": {{"op": "create", "type": "t", "urn": "u::p::a:b:Kind::name"}}}}}}', flush=True)
print(sys.argv[1:], flush=True)
{rest}
"""


def install(folder: Path, rest: str) -> Mapping[str, str]:
    """The environment in which `pulumi` is one that does as it is told."""
    script = folder / "pulumi"
    script.write_text(PULUMI.format(python=sys.executable, folder=folder, rest=rest))
    script.chmod(0o755)
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_without_a_terminal_its_events_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo._update(install(tmp_path, "sys.exit(0)"), "up")
    created, arguments = capsys.readouterr().out.splitlines()
    assert created == "created Kind name"
    assert arguments.startswith("['up', '--yes', '--skip-preview', '--stack=dev', '--json'")


def test_its_failure_is_ours(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"pulumi destroy .* failed \(exit code 7\)"):
        demo._update(install(tmp_path, "sys.exit(7)"), "destroy")


def test_it_is_given_the_time_to_end_in_order(tmp_path: Path) -> None:
    environment = install(tmp_path, "time.sleep(60)")
    program = (
        "import os, signal\n"
        "from sandbox import demo, jobs\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "jobs.end_in_order()\n"
        "demo._update(os.environ, 'up')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**environment, "PYTHONPATH": f"{ROOT}:{ROOT / 'components'}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == "created Kind name\n"
        time.sleep(0.2)
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 128 + signal.SIGTERM
    assert (tmp_path / "cancelled").exists()
