"""`kill -9` of pulumi, of its provider and of the recovery itself, then `homeport recover`: all is as the files say."""

import json
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from homeport import Stack, manifests
from tests.engine import interruption
from tests.engine.interruption import HEAD, Kill, Live, Operation
from tests.support import ROOT, Cluster, Program, live_entry, running, until, write_program

REPORT = ROOT / "build" / "interruption-report.md"
CYCLES = 5
"""Of the slow test: seven operations each, so 35 kills."""

ENVIRONMENT = {
    "cluster": {"identifier": "interruption"},
    "gateway": {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com"},
}


def model(name: str) -> dict[str, Any]:
    return {"name": name, "owner": "ds", "image": f"registry.example.com/{name}", "scale": {"min": 1, "max": 2}}


def live(stable: str, canary: str = "", percent: int = 0) -> Live:
    """The model that changes, and one that does not."""
    return {**UNTOUCHED, "interrupted": live_entry(stable, canary, percent, "interrupted.yaml")}


UNTOUCHED: Live = {"untouched": {"spec": "untouched.yaml", "stable": {"version": "1"}}}
OPERATIONS = (
    Operation("create", live("1")),
    Operation("update", live("2")),
    Operation("canary", live("2", "3", 10)),
    Operation("percent", live("2", "3", 50)),
    Operation("promotion", live("3")),
    Operation("destroy", live("3"), command="destroy"),
    Operation("destroy, finished", live("3"), command="destroy", recovery=("--destroy",)),
)


def write(folder: Path, models: Live) -> list[Any]:
    """Makes models live, and returns the objects that are wanted then."""
    (folder / "models.yaml").write_text(json.dumps({"models": models}))
    return [each for release in Stack.read(folder).releases for each in manifests(release)]


@pytest.fixture
def program(cluster: Cluster, tmp_path: Path) -> Iterator[Program]:
    specs = {"environment": ENVIRONMENT} | {name: model(name) for name in ("interrupted", "untouched")}
    source = write_program(tmp_path / "source", "interruption", **specs)
    write(source, UNTOUCHED)
    with running(cluster, source, tmp_path / "running") as program:
        yield program


def interrupt(cluster: Cluster, program: Program, operation: Operation, seconds: float, chance: random.Random) -> Kill:
    """Kills a victim at a random moment of an operation that takes some seconds, recovers, and looks."""
    before = [each for release in Stack.read(program.folder).releases for each in manifests(release)]
    kept = interruption.kept(before, write(program.folder, operation.live)) if operation.command == "up" else set()
    pods = interruption.pods(cluster, kept)
    assert pods or operation.name == "create" or not kept
    moment, victim = chance.random(), chance.choice(operation.victims)
    after = interruption.kill(program, operation.command, moment * seconds, provider=victim == "provider")
    row = Kill(operation.name, victim, moment, after)
    if victim == "engine, then recovery":
        interruption.recover(program, *operation.recovery, killed_after=chance.uniform(1, 10))
    begun = time.monotonic()
    interruption.recover(program, *operation.recovery)
    row.seconds = time.monotonic() - begun
    nothing = "--destroy" in operation.recovery
    row.problems = interruption.problems(cluster, program.folder, program, nothing=nothing)
    if gone := pods - interruption.pods(cluster, kept):
        row.problems.append(f"restarted: {sorted(gone)}")
    return row


def test_killed_at_any_moment_all_is_as_the_files_say_after_one_command(cluster: Cluster, program: Program) -> None:
    chance = interruption.chance()
    _, _, canary, _, promotion, destroy, _ = OPERATIONS
    write(program.folder, canary.live)
    begun = time.monotonic()
    program.up()
    yardstick = time.monotonic() - begun
    # Each victim once. A creation is killed in the next test; all operations are in the slow one.
    killed = [replace(promotion, victims=("provider",)), replace(destroy, victims=("engine, then recovery",))]
    rows = [interrupt(cluster, program, operation, yardstick, chance) for operation in killed]
    assert [str(row) for row in rows if row.problems] == []


def test_a_creation_that_is_no_longer_wanted_is_found_where_pulumi_alone_leaves_it(
    cluster: Cluster, program: Program
) -> None:
    write(program.folder, live("1"))
    program.up()
    write(program.folder, live("1", "2", 10))
    process = interruption.start(program, "up")
    there = "--namespace=interrupted"
    until(lambda: cluster.exists("service/interrupted-canary", there), every=0.05)
    process.send_signal(signal.SIGSTOP)
    # The engine goes on for moments that are shorter than a creation, so it is stopped while the provider creates.
    while not cluster.exists("deployment/interrupted-canary", there):
        process.send_signal(signal.SIGCONT)
        time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
    (provider,) = interruption.providers(process)  # outlives its engine
    # Its engine is there: nothing is touched.
    assert "another update of the stack is running" in interruption.recover(program, fails=True)
    process.kill()
    process.wait()
    write(program.folder, live("1"))
    # What people try first. It shows too that what looks for problems finds them.
    program("cancel", "--yes", f"--stack={program.stack}")
    program.up()
    found = interruption.problems(cluster, program.folder, program)
    assert "only in the cluster: Deployment interrupted/interrupted-canary" in found
    assert any(line.startswith("pending: creating") for line in found)
    # And the command that is there for it.
    shown = interruption.recover(program)
    assert "checking whether it was created: kubernetes:apps/v1:Deployment interrupted-deployment-canary" in shown
    assert f"stopping a provider whose pulumi is gone (pid {provider})" in shown
    assert interruption.problems(cluster, program.folder, program) == []
    assert "unchanged" in interruption.recover(program)


@pytest.mark.slow
def test_recovery_waits_until_a_namespace_is_gone(cluster: Cluster, program: Program) -> None:
    program.up()
    held = {"name": "held", "namespace": "untouched", "finalizers": ["homeport.invalid/held"]}
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(configmap))
    program.variables["HOMEPORT_DELETE"] = "ConfigMap/untouched/held"
    process = interruption.start(program, "destroy")
    until(lambda: cluster.get("namespace/untouched")["metadata"].get("deletionTimestamp"), every=0.05)
    process.kill()
    process.wait()
    release = ["--type=merge", '--patch={"metadata": {"finalizers": null}}']
    waiting = "waiting until it is deleted: kubernetes:core/v1:Namespace untouched-namespace"
    go = partial(cluster.kubectl, "patch", "configmap/held", "--namespace=untouched", *release)
    assert waiting in interruption.recover(program, upon={waiting: go})
    assert interruption.problems(cluster, program.folder, program) == []


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_killed_thirty_five_times_all_is_as_the_files_say_after_one_command(cluster: Cluster, program: Program) -> None:
    chance = interruption.chance()
    durations = []
    for operation in OPERATIONS[:-1]:
        write(program.folder, operation.live)
        begun = time.monotonic()
        program.destroy() if operation.command == "destroy" else program.up()
        durations.append(time.monotonic() - begun)
    durations.append(durations[-1])
    REPORT.parent.mkdir(exist_ok=True)
    with REPORT.open("w", encoding="utf-8", buffering=1) as report:
        report.write("\n".join([*HEAD, ""]))
        rows = []
        for _ in range(CYCLES):
            for operation, seconds in zip(OPERATIONS, durations, strict=True):
                rows.append(interrupt(cluster, program, operation, seconds, chance))
                report.write(f"{rows[-1]}\n")
    assert [str(row) for row in rows if row.problems] == []
