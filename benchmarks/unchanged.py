"""`python -m benchmarks.unchanged`: what homeport's hooks and its wait add to a `pulumi up` that changes nothing.

The real engine updates a sandbox with fake nodes, in turns with the library as it is and without its hooks and its wait.
Only the ratios of one run on one machine are meaningful elsewhere.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

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
"""
"""Takes hooks and wait out of the library, before a program uses it."""


def main() -> None:
    """Measure all stacks in turns and print the table."""
    with own_sandbox("bench", "unchanged", fake_nodes=True) as sandbox, tempfile.TemporaryDirectory() as scratch:
        cluster = Cluster(sandbox.env())
        cluster.kubectl("cordon", sandbox.node)
        add_fake_nodes(cluster)
        print("\n".join(_table({count: _measure(cluster, Path(scratch), count) for count in COUNTS})))  # noqa: T201


def _measure(cluster: Cluster, scratch: Path, count: int) -> dict[str, float]:
    """The median of seconds that an update takes, with and without hooks and wait."""
    seconds: dict[str, list[float]] = {WITH: [], WITHOUT: []}
    with ExitStack() as stacks:
        programs = {
            variant: stacks.enter_context(
                running(cluster, _source(scratch, variant, count), scratch / f"{variant}-{count}")
            )
            for variant in seconds
        }
        for program in programs.values():
            program.up()
        for turn in range(RUNS):
            for variant, program in programs.items():
                seconds[variant].append(_unchanged(program))
                told = f"{count} models, run {turn + 1} of {RUNS}, {variant}: {seconds[variant][-1]:.2f} s"
                print(told, file=sys.stderr)  # noqa: T201
    return {variant: statistics.median(runs) for variant, runs in seconds.items()}


def _source(scratch: Path, variant: str, count: int) -> Path:
    source = scratch / f"source-{variant}-{count}"
    source.mkdir()
    with (fleet.write(source, count) / "environment.yaml").open("a") as environment:
        environment.write(f"namespace: '{variant}-{{model}}'\n")
    (source / "Pulumi.yaml").write_text(f"name: {variant}\nruntime: python\n")
    program = PROGRAM.replace('"."', '"stacks/prod"')
    (source / "__main__.py").write_text(program if variant == WITH else BARE + program)
    return source


def _unchanged(program: Program) -> float:
    begun = time.perf_counter()
    shown = program.up()
    seconds = time.perf_counter() - begun
    if "unchanged" not in shown or "created" in shown or "updated" in shown:
        raise RuntimeError(f"the update is to change nothing:\n{shown}")
    return seconds


def _table(medians: dict[int, dict[str, float]]) -> list[str]:
    machine = f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}"
    return [
        f"`pulumi up --skip-preview` without changes; median of {RUNS} runs; {machine}; Python {platform.python_version()}.",
        "",
        "| models | seconds | seconds without hooks and wait | times as long |",
        "|---:|---:|---:|---:|",
        *(
            f"| {count} | {found[WITH]:.2f} | {found[WITHOUT]:.2f} | {found[WITH] / found[WITHOUT]:.2f} |"
            for count, found in medians.items()
        ),
    ]


if __name__ == "__main__":
    main()
