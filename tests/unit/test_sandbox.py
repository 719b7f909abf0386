"""The parts of the sandbox that need no machine."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peers import HELM, KUSTOMIZE
from sandbox import Sandbox, SandboxError, machine, parts, processes
from sandbox.paths import Paths
from sandbox.progress import duration
from tests.audit.parts import AUDITORS, PROBE
from tests.cluster.parts import GATEWAY_API, SERVER, TRAEFIK, VEGETA


def test_process_is_told_by_its_start_time_whatever_its_name() -> None:
    assert processes.parse_start_time("42 (a) b) (c) S " + " ".join(str(n) for n in range(1, 40))) == 19


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/amd64", (1, 27)),
        ("go version devel", None),
        ("", None),
    ],
)
def test_go_version(text: str, version: tuple[int, ...] | None) -> None:
    assert machine.parse_go_version(text) == version


def test_changed_sources_are_built_anew(tmp_path: Path) -> None:
    part = replace(parts.REGISTRY, sources=tmp_path)
    (tmp_path / "registry").mkdir()
    (tmp_path / "coredns").mkdir()
    seen = set()
    for file, text in {"go.mod": "a", "go.sum": "a", "registry/main.go": "a", "stubs/a.go": "a"}.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
        assert parts.key(part) not in seen
        seen.add(parts.key(part))
    (tmp_path / "coredns" / "main.go").write_text("another part's")
    assert parts.key(part) in seen


def test_what_one_part_compiled_serves_the_others() -> None:
    """Other flags of the compiler would compile each package again."""
    compiler = {
        tuple(each for each in parts.flags(part) if "gcflags" in each) for part in (*parts.ENGINE, *parts.CLUSTER)
    }
    assert len(compiler) == 1


@pytest.mark.parametrize(
    "part",
    [*parts.ENGINE, *parts.CLUSTER, *AUDITORS, PROBE, VEGETA, SERVER, GATEWAY_API, TRAEFIK, HELM, KUSTOMIZE],
    ids=lambda part: part.name,
)
def test_every_part_pins_all_it_is_built_from(part: parts.Part) -> None:
    assert (part.directory / "go.mod").is_file()
    assert (part.directory / "go.sum").is_file() or part in (PROBE, SERVER)
    assert all((package / "main.go").is_file() for package in part.own_packages)


@pytest.mark.parametrize("name", ["", "Dev", "a" * 21, "-a", "a_b"])
def test_name_that_cannot_name_a_sandbox(name: str) -> None:
    with pytest.raises(SandboxError, match="cannot name a sandbox"):
        Paths(name)


def test_durations_are_read_by_people() -> None:
    assert [duration(seconds) for seconds in (3.21, 80)] == ["3.2s", "1m20s"]


KEEPER = (
    "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
)


def test_a_sandbox_that_a_living_process_keeps_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE", str(tmp_path))
    (tmp_path / "run").mkdir()
    command = [sys.executable, "-SE", "-c", KEEPER, str(tmp_path / "run" / "mine.user")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout
        assert keeper.stdout.read(1)
        with pytest.raises(SandboxError, match="process unknown uses sandbox mine"), Sandbox("mine").kept():
            pytest.fail("two keep it")
        with Sandbox("another").kept():
            pass
        keeper.kill()
    # The lock of a process that was killed is no one's.
    used = pytest.raises(
        SandboxError, match=f"process {os.getpid()} uses sandbox mine, so it is neither started nor stopped"
    )
    with Sandbox("mine").kept(), used, Sandbox("mine").kept():
        pytest.fail("two keep it")
    with Sandbox("mine").kept():
        pass
