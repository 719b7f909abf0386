"""Whose Pulumi is used."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from sandbox import SandboxError, engine, own_pulumi
from sandbox.parts import DOCKER_BUILD_PROVIDER_VERSION, KUBERNETES_PROVIDER_VERSION
from sandbox.paths import Paths
from sandbox.progress import Progress

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a pulumi on a PATH that has nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOMEPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(own_pulumi.VARIABLE, raising=False)

    def write(version: str, folder: str = "bin", *, language_host: bool = True) -> Path:
        (tmp_path / folder).mkdir(parents=True)
        programs = {"pulumi": f"echo {version}"} | ({"pulumi-language-python": "exit 0"} if language_host else {})
        for name, script in programs.items():
            (tmp_path / folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / folder / name).chmod(0o755)
        return tmp_path / folder / "pulumi"

    return write


def settle(ask: own_pulumi.Ask | None) -> str:
    said = io.StringIO()
    own_pulumi.settle(Progress(Console(file=said)), ask)
    return said.getvalue()


def nobody(question: str) -> bool:
    raise AssertionError(question)


@pytest.mark.parametrize(("text", "version"), [("v3.259.0\n", (3, 259)), ("3.100.1-dev", (3, 100)), ("x", None)])
def test_version(text: str, version: tuple[int, int] | None) -> None:
    assert own_pulumi.parse_version(text) == version


@pytest.mark.usefixtures("install")
def test_without_one_there_is_nothing_to_decide() -> None:
    assert own_pulumi.used() is None
    assert settle(nobody) == ""


def test_one_that_fits_is_used_where_nobody_can_be_asked_and_it_is_said(install: Install) -> None:
    pulumi = install("v3.219.0")
    assert settle(None) == f"using {pulumi}, v3.219.0 (HOMEPORT_PULUMI=built builds one instead)\n"
    used = own_pulumi.used()
    assert used
    assert used.path == str(pulumi)


@pytest.mark.parametrize(
    ("version", "language_host", "why"),
    [
        ("v3.218.9", True, "3.219 or newer, and older than 4, is needed"),
        ("v4.0.0", True, "3.219 or newer, and older than 4, is needed"),
        ("dev", True, "it does not print its version"),
        ("v3.259.0", False, "pulumi-language-python, which a release has, is not beside it"),
    ],
)
def test_one_that_does_not_fit_is_not_used_and_why_is_said(
    install: Install, monkeypatch: pytest.MonkeyPatch, version: str, language_host: bool, why: str
) -> None:
    pulumi = install(version, language_host=language_host)
    assert own_pulumi.used() is None
    assert settle(nobody) == f"not using {pulumi}, {version}: {why}\n"
    monkeypatch.setenv(own_pulumi.VARIABLE, "own")
    with pytest.raises(SandboxError, match=f"HOMEPORT_PULUMI=own, but {pulumi} is {version}: {why}"):
        own_pulumi.used()


@pytest.mark.parametrize("answer", [True, False])
def test_the_user_is_asked_once(install: Install, answer: bool) -> None:
    pulumi = install("v3.259.0")
    questions = []

    def user(question: str) -> bool:
        questions.append(question)
        return answer

    said = settle(user)
    (question,) = questions
    assert str(pulumi) in question
    assert "it downloads its providers" in question
    assert ("not using" in said) != answer
    assert settle(nobody) == said
    assert (own_pulumi.used() is not None) == answer


def test_the_variable_decides_over_the_answer(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("v3.259.0")
    settle(lambda _: True)
    monkeypatch.setenv(own_pulumi.VARIABLE, "built")
    assert own_pulumi.used() is None
    assert "(HOMEPORT_PULUMI=own uses it)" in settle(nobody)
    monkeypatch.setenv(own_pulumi.VARIABLE, "mine")
    with pytest.raises(SandboxError, match="HOMEPORT_PULUMI: found 'mine', accepted: own or built"):
        own_pulumi.used()


@pytest.mark.usefixtures("install")
def test_asking_for_ones_own_where_there_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(own_pulumi.VARIABLE, "own")
    with pytest.raises(SandboxError, match="no `pulumi` was found on PATH; HOMEPORT_PULUMI=built builds one"):
        own_pulumi.used()


def test_the_one_in_the_cache_is_not_the_users(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = install("v3.259.0", "cache/engine/1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(built.parent), str(tmp_path / "bin")]))
    assert own_pulumi.find() is None
    own = install("v3.250.0")
    found = own_pulumi.find()
    assert found
    assert found.path == str(own)


def test_its_providers_are_its_own_to_download_and_a_failure_says_what_else_there_is(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("PULUMI_HOME", str(home))
    pulumi = install("v3.259.0")
    (home / "plugins" / f"resource-kubernetes-v{KUBERNETES_PROVIDER_VERSION}").mkdir(parents=True)
    asked = tmp_path / "asked"
    pulumi.write_text(f'#!/bin/sh\n[ "$1" = version ] && echo v3.259.0 || echo "$@" >> {asked}\n')
    progress = Progress(Console(file=io.StringIO()))
    engine.download(Paths("dev"), progress)
    assert asked.read_text() == f"plugin install resource docker-build {DOCKER_BUILD_PROVIDER_VERSION}\n"
    pulumi.write_text('#!/bin/sh\n[ "$1" = version ] && echo v3.259.0 && exit\necho no such host; exit 1\n')
    with pytest.raises(
        SandboxError, match="no such host\n\nHOMEPORT_PULUMI=built builds Pulumi and its providers instead"
    ):
        engine.download(Paths("dev"), progress)
