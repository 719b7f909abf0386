"""`python -m benchmarks.build`: what it costs to build the parts of the sandbox from an empty Go build cache.

Prints a table of processor seconds, user and system, of the whole process tree. They depend less than wall time on what else
the machine does. Go's module cache is filled first: downloads are not measured.
"""

import os
import resource
import subprocess
import tempfile
import time
from unittest.mock import patch

from sandbox import build
from sandbox.parts import BUILDER, CLUSTER, ENGINE, METRICS_SERVER, Part
from sandbox.progress import Progress

PARTS = (*ENGINE, *CLUSTER, *BUILDER, METRICS_SERVER)
"""What `make demo` builds, in its order."""


def main() -> None:
    """Build every part and print the table."""
    for directory in dict.fromkeys(part.directory for part in PARTS):
        subprocess.run(["go", "mod", "download"], cwd=directory, env=os.environ | {"GOWORK": "off"}, check=True)
    print("| part | processor seconds | wall seconds |\n|---|---:|---:|")  # noqa: T201
    total = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        empty = {"HOMEPORT_CACHE": f"{scratch}/cache", "GOCACHE": f"{scratch}/go"}
        with patch.dict(os.environ, empty):
            for part in PARTS:
                cost, wall = _build(part)
                total += cost
                print(f"| {part.name} | {cost:.0f} | {wall:.0f} |", flush=True)  # noqa: T201
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"\n{total:.0f} seconds of processor time; the largest process had {peak:.1f} GiB")  # noqa: T201


def _build(part: Part) -> tuple[float, float]:
    begun, before = time.monotonic(), _processor_seconds()
    build.ensure([part], Progress())
    return _processor_seconds() - before, time.monotonic() - begun


def _processor_seconds() -> float:
    """Of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
