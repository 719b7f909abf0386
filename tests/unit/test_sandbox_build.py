"""Building parts, by a `go` that does as the test says."""

import io
import subprocess
import time
from pathlib import Path

import pytest
from rich.console import Console

from sandbox import SandboxError, build
from sandbox.jobs import Job, Stop
from sandbox.parts import Cost, Part
from sandbox.paths import cache
from sandbox.progress import Progress

GO = """#!/bin/sh
[ "$1" = version ] && echo "go version go1.99.0 linux/amd64" && exit
while [ "$1" != -o ]; do shift; done
echo "${2##*/}" >> "$HOMEPORT_CACHE/order"
echo "go: downloading example.com v1.0.0"
"""
BUILDS = 'echo runtime; echo main; echo "$GOTMPDIR" > "$2"'


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script that is run for `go`; by itself it builds."""
    monkeypatch.setenv("HOMEPORT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "go"
    script.write_text(GO + BUILDS)
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    return script


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(told: io.StringIO) -> Progress:
    return Progress(Console(file=told))


def part(folder: Path, name: str, cost: Cost | None = None) -> Part:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "go.mod").write_text(f"module {name}\n")
    return Part(name, {name: "."}, sources=folder, cost=cost)


@pytest.mark.usefixtures("go")
def test_one_after_another_each_once_and_no_scratch_is_left(
    tmp_path: Path, progress: Progress, told: io.StringIO
) -> None:
    parts = [part(tmp_path, "short", Cost(1, 2)), part(tmp_path, "long", Cost(9, 2)), part(tmp_path, "unknown")]
    build.ensure(parts, progress)
    assert (cache() / "order").read_text().split() == ["short", "long", "unknown"]
    assert "building from source, once: short, long, unknown\n" in told.getvalue()
    for each in parts:
        scratch = Path(Path(build.program(each, each.name)).read_text().strip())
        assert scratch.is_relative_to(cache())
        assert not scratch.exists()
    assert build.missing(parts) == []
    assert list((cache() / "logs").iterdir()) == []
    build.ensure(parts, progress)
    assert len((cache() / "order").read_text().split()) == 3


def test_a_failure_shows_the_end_of_its_log_and_stops_what_is_done_beside(
    tmp_path: Path, go: Path, progress: Progress
) -> None:
    go.write_text(GO + "echo 'main.go:3: undefined: x' >&2; exit 1")

    def wait(stop: Stop) -> None:
        stop.wait(60)
        stop.check()

    begun = time.monotonic()
    with pytest.raises(
        SandboxError, match=r"(?s)building one failed; the end of .*build-one-.*main.go:3: undefined: x"
    ):
        build.ensure([part(tmp_path, "one")], progress, beside=[Job("base image", wait)])
    assert time.monotonic() - begun < 50


def test_what_fails_beside_stops_the_builds_with_its_own_message(tmp_path: Path, go: Path, progress: Progress) -> None:
    go.write_text(GO + "sleep 60")

    def fail(_: Stop) -> None:
        raise SandboxError("debootstrap failed")

    begun = time.monotonic()
    with pytest.raises(SandboxError, match="debootstrap failed"):
        build.ensure([part(tmp_path, "one"), part(tmp_path, "two")], progress, beside=[Job("base image", fail)])
    assert time.monotonic() - begun < 50
    assert [path for path in (cache() / "parts").iterdir() if path.is_dir()] == []


def test_what_an_interrupted_build_compiled_counts(tmp_path: Path, go: Path, progress: Progress) -> None:
    go.write_text(GO + "echo runtime; echo math; exit 1")
    one = part(tmp_path, "one", Cost(100, 8))
    with pytest.raises(SandboxError):
        build.ensure([one], progress)
    state = build._Build(one, progress).state()
    assert (state.cost, state.done, state.before) == (100, 0.25, 0.25)
    go.write_text(GO + "echo math; echo net; exit 1")
    with pytest.raises(SandboxError):
        build.ensure([one], progress)
    assert build._Build(one, progress).state().done == 0.375
    go.write_text(GO + BUILDS)
    build.ensure([one], progress)
    assert build._Build(one, progress).state().done == 1.0


@pytest.mark.parametrize(("packages", "cost"), [(11, 100.0), (12, None)])
def test_a_part_that_compiles_more_than_is_known_has_no_known_cost(
    tmp_path: Path, go: Path, progress: Progress, packages: int, cost: float | None
) -> None:
    go.write_text(GO + "\n".join(f"echo package{number}" for number in range(packages)) + "\nexit 1")
    one = part(tmp_path, "one", Cost(100, 10))
    with pytest.raises(SandboxError):
        build.ensure([one], progress)
    assert build._Build(one, progress).state().cost == cost


def test_without_a_go_that_can_build_it_nothing_begins(tmp_path: Path, go: Path, progress: Progress) -> None:
    go.write_text("#!/bin/sh\necho go version go1.20 linux/amd64\n")
    with pytest.raises(SandboxError, match="or newer is needed to build the sandbox"):
        build.ensure([part(tmp_path, "one")], progress)
    assert subprocess.run(["ls", str(cache())], capture_output=True, text=True, check=True).stdout == ""
