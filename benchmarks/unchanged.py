"""`python -m benchmarks.unchanged`: what homeport's hooks and its wait add to a `pulumi up` that changes nothing.

The real engine updates a sandbox with fake nodes, in turns with the library as it is and without its hooks and its wait.
Only the ratios of one run on one machine are meaningful elsewhere.
"""

import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks import fleet
from tests.engine.conftest import add_fake_nodes
from tests.support import PROGRAM, Cluster, Program, own_sandbox, running

COUNTS = (1, 20)
"""Models of a stack."""
RUNS = 9

WITH, WITHOUT = "with", "without"
BARE = """\
from homeport.components.hooks import Hooks
from homeport.components.rollouts import Rollouts

Hooks.__init__ = Hooks.of = Hooks.declare = Hooks.follow = lambda *_, **__: None
Rollouts.notice = lambda *_: None
Rollouts.served = lambda rollouts, workload, *_: workload
Rollouts.kept = lambda rollouts, child, *_: child
"""
"""Takes hooks and wait out of the library, before a program uses it."""


class Cost(NamedTuple):
    """What one update costs."""

    seconds: float
    processor: float
    """Seconds of user and system, of all processes; they depend less on what else the machine does."""


def main() -> None:
    """Measure all stacks in turns and print the table."""
    with (
        own_sandbox("bench", "unchanged", fake_nodes=True, metrics=False) as sandbox,
        tempfile.TemporaryDirectory() as scratch,
    ):
        cluster = Cluster(sandbox.env())
        cluster.kubectl("cordon", sandbox.node)
        add_fake_nodes(cluster)
        print("\n".join(_table({count: _measure(cluster, Path(scratch), count) for count in COUNTS})))  # noqa: T201


def _measure(cluster: Cluster, scratch: Path, count: int) -> dict[str, Cost]:
    """The medians of what an update costs, with and without hooks and wait."""
    found: dict[str, list[Cost]] = {WITH: [], WITHOUT: []}
    with ExitStack() as stacks:
        programs = {
            variant: stacks.enter_context(
                running(cluster, _source(scratch, variant, count), scratch / f"{variant}-{count}")
            )
            for variant in found
        }
        for program in programs.values():
            program.up()
        for turn in range(RUNS):
            for variant, program in programs.items():
                found[variant].append(_unchanged(program))
                told = f"{count} models, run {turn + 1} of {RUNS}, {variant}: {found[variant][-1]}"
                print(told, file=sys.stderr)  # noqa: T201
    return {variant: Cost(*map(statistics.median, zip(*runs, strict=True))) for variant, runs in found.items()}


def _source(scratch: Path, variant: str, count: int) -> Path:
    source = scratch / f"source-{variant}-{count}"
    source.mkdir()
    with (fleet.write(source, count) / "environment.yaml").open("a") as environment:
        environment.write(f"namespace: '{variant}-{{model}}'\n")
    (source / "Pulumi.yaml").write_text(f"name: {variant}\nruntime: python\n")
    program = PROGRAM.replace('"."', '"stacks/prod"')
    (source / "__main__.py").write_text(program if variant == WITH else BARE + program)
    return source


def _unchanged(program: Program) -> Cost:
    begun, before = time.perf_counter(), _processor()
    shown = program.up()
    cost = Cost(time.perf_counter() - begun, _processor() - before)
    if "unchanged" not in shown or "created" in shown or "updated" in shown:
        raise RuntimeError(f"the update is to change nothing:\n{shown}")
    return cost


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _table(medians: dict[int, dict[str, Cost]]) -> list[str]:
    machine = f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}"
    return [
        f"`pulumi up --skip-preview` without changes; median of {RUNS} runs; {machine}; Python {platform.python_version()}.",
        "",
        "| models | | with | without | ratio |",
        "|---:|---|---:|---:|---:|",
        *(
            f"| {count} | {what} | {value:.2f} | {bare:.2f} | {value / bare:.2f} |"
            for count, found in medians.items()
            for what, value, bare in zip(("seconds", "processor seconds"), found[WITH], found[WITHOUT], strict=True)
        ),
    ]


if __name__ == "__main__":
    main()
