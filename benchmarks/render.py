"""`make bench`: a thousand models made, checked and rendered, compared with Helm and Kustomize.

It prints one table: medians, and how many times as long as homeport each takes. Only the ratios of one run on one machine
are meaningful elsewhere.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks import fleet
from benchmarks.peers import HELM, HELM_VERSION, KUSTOMIZE, KUSTOMIZE_VERSION
from homeport import Stack, manifests, violations
from homeport.commands.render import HEADER, render, write
from homeport.output.yaml import text
from sandbox import build
from sandbox.progress import Progress

MODELS = 1000
RUNS = 5
KUSTOMIZED = 100
"""Models that Kustomize builds one after another. The time grows with their number, so it is multiplied."""

ROOT = Path(__file__).parent.parent
PROGRAM = [sys.executable, "-m", "benchmarks.render"]


class Measured(NamedTuple):
    """The cost of one run."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Row:
    """One way to get the objects."""

    name: str
    run: Callable[[], Measured]


def main() -> None:
    """Measure all rows in turns, so that other work on the machine affects all equally, and print the table."""
    build.ensure((HELM, KUSTOMIZE), Progress())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # In its own process: a child's peak memory is never less than its parent's was when it started.
        prepared = subprocess.run(
            [*PROGRAM, "prepare", scratch], env=_environment(), check=True, stdout=subprocess.PIPE, text=True
        )
        rows, objects = _rows(folder), int(prepared.stdout)
        found: dict[str, list[Measured]] = {row.name: [] for row in rows}
        for turn in range(RUNS):
            for row in rows:
                print(f"run {turn + 1} of {RUNS}: {row.name}", file=sys.stderr)  # noqa: T201
                found[row.name].append(row.run())
    print(_table(found, objects))  # noqa: T201


def _rows(folder: Path) -> list[Row]:
    stack, out = folder / "repository" / "stacks" / "prod", folder / "out.yaml"
    homeport = str(Path(sys.executable).with_name("homeport"))
    rendered = str(folder / "rendered")
    return [
        Row("homeport: objects made and checked", lambda: _timed([*PROGRAM, "make", str(stack)])),
        Row("homeport: made, checked and written as YAML", lambda: _timed([*PROGRAM, "write", str(stack)])),
        Row(
            "`homeport render`: the whole command, from the files that people write and Git",
            lambda: _process([homeport, "render", f"--stacks={stack.parent}", f"--out={rendered}"], out),
        ),
        Row(
            "`helm template` of a chart that contains the finished objects",
            lambda: _process(_helm(folder / "static"), out),
        ),
        Row(
            "`helm template` of a chart that makes them from a list of models",
            lambda: _process(_helm(folder / "templated"), out),
        ),
        Row(
            f"`kustomize build` of one folder for each model ({KUSTOMIZED} folders, times {MODELS // KUSTOMIZED})",
            lambda: _times(_process(_kustomize(folder / "kustomized"), out), MODELS // KUSTOMIZED),
        ),
    ]


def _prepare(folder: Path) -> int:
    """Write the input of all rows, check that all of them produce the same objects, and return their number."""
    files = render(Stack.read(fleet.write(folder / "repository", MODELS)))
    _static_chart(folder / "static", files)
    _templated_chart(folder / "templated", files)
    _kustomizations(folder / "kustomized", files)
    out = folder / "out.yaml"
    for chart in ("static", "templated"):
        _process(_helm(folder / chart), out)
        _same_objects(out, files)
    _process(_kustomize(folder / "kustomized"), out)
    _same_objects(out, dict(sorted(files.items())[:KUSTOMIZED]), text_too=False)
    return sum(content.count("\nkind: ") for content in files.values())


def _helm(chart: Path) -> list[str]:
    return [build.program(HELM, "helm"), "template", "x", str(chart)]


def _kustomize(folders: Path) -> list[str]:
    return ["sh", "-ec", f'for each in {folders}/*; do "{build.program(KUSTOMIZE, "kustomize")}" build "$each"; done']


def _static_chart(chart: Path, files: Mapping[str, str]) -> None:
    _chart(chart)
    for name, content in files.items():
        (chart / "templates" / name).write_text(content)


def _templated_chart(chart: Path, files: Mapping[str, str]) -> None:
    """One template for all models, as in a chart; what differs between them comes from its values."""
    _chart(chart)
    name, content = next(iter(files.items()))
    name = name.removesuffix(".yaml")
    content = re.sub("homeport/spec-digest: .*", "homeport/spec-digest: {{ .digest }}", content)
    template = content.removeprefix(HEADER).replace(name, "{{ .name }}")
    (chart / "templates" / "models.yaml").write_text("{{- range .Values.models }}\n---\n" + template + "{{- end }}\n")
    digests = (re.search("homeport/spec-digest: (.*)", each) for each in files.values())
    models = [
        {"name": file.removesuffix(".yaml"), "digest": digest[1]}
        for file, digest in zip(files, digests, strict=True)
        if digest
    ]
    (chart / "values.yaml").write_text(json.dumps({"models": models}))


def _chart(chart: Path) -> None:
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: models\nversion: 0.1.0\n")


def _kustomizations(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in sorted(files.items())[:KUSTOMIZED]:
        place = folder / name.removesuffix(".yaml")
        place.mkdir(parents=True)
        (place / "objects.yaml").write_text(content)
        (place / "kustomization.yaml").write_text("resources: [objects.yaml]\n")


def _same_objects(out: Path, files: Mapping[str, str], *, text_too: bool = True) -> None:
    """Check that all tools make the same objects. Kustomize writes them in its own order."""
    wanted = [each for content in files.values() for each in _documents(content)]
    made = _documents(out.read_text())
    same = sorted(made) == sorted(wanted) if text_too else out.read_text().count("\nkind: ") == len(wanted)
    if not same:
        raise RuntimeError(f"{out} has {len(made)} objects, not the {len(wanted)} that homeport makes")


def _documents(content: str) -> list[str]:
    lines = (line for line in content.splitlines() if not line.startswith("#") and line.strip())
    return [each.strip() for each in "\n".join(lines).split("---\n") if each.strip()]


def _process(command: Sequence[str], out: Path) -> Measured:
    """Wall time and peak memory of a command and of all processes that it starts."""
    with out.open("w") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, env=_environment())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Measured(seconds, usage.ru_maxrss / 1024)


def _timed(command: Sequence[str]) -> Measured:
    """The time that a program prints for its work without its start, and the peak memory of the whole process."""
    with tempfile.NamedTemporaryFile() as output:
        whole = _process(command, Path(output.name))
        return Measured(float(Path(output.name).read_text()), whole.megabytes)


def _times(measured: Measured, times: int) -> Measured:
    return Measured(measured.seconds * times, measured.megabytes)


def _environment() -> dict[str, str]:
    # Compiled modules are kept, as on every user's machine.
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return variables | {"PYTHONPATH": str(ROOT)}


def _work(what: str, folder: Path) -> float:
    """The work that is measured in its own process: from specs in memory to objects, or to files."""
    stack = Stack.read(folder)
    begun = time.perf_counter()
    if any(violations(release) for release in stack.releases):
        raise RuntimeError("the fleet is to be valid")
    if what == "make":
        objects = [manifests(release) for release in stack.releases]
        seconds = time.perf_counter() - begun
        assert len(objects) == MODELS  # noqa: S101 - and they are kept until here
    else:
        text.cache_clear()
        with tempfile.TemporaryDirectory() as out:
            write(render(stack), Path(out))
            seconds = time.perf_counter() - begun
    return seconds


def _table(found: Mapping[str, Sequence[Measured]], objects: int) -> str:
    medians = {
        name: Measured(statistics.median(each.seconds for each in runs), max(each.megabytes for each in runs))
        for name, runs in found.items()
    }
    _, base, *_ = medians.values()
    machine = f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}"
    versions = f"Python {platform.python_version()}, Helm {HELM_VERSION}, Kustomize {KUSTOMIZE_VERSION}"
    lines = [
        f"{MODELS:,} models, {objects:,} objects; median of {RUNS} runs; {machine}; {versions}.",
        "",
        "| | seconds | peak memory, MB | times as long |",
        "|---|---:|---:|---:|",
        *(
            f"| {name} | {each.seconds:.2f} | {each.megabytes:.0f} | {each.seconds / base.seconds:.1f} |"
            for name, each in medians.items()
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        what, where = sys.argv[1], Path(sys.argv[2])
        print(_prepare(where) if what == "prepare" else _work(what, where))  # noqa: T201
    else:
        main()
