"""The parts of the sandbox that need no machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peers import HELM, KUSTOMIZE
from sandbox import SandboxError, machine, parts, processes
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
