"""What is said of clusters that there are already."""

import json
import os
from pathlib import Path

import pytest

from sandbox import clusters

REGISTRY = "With a cluster and a registry by https://kind.sigs.k8s.io/docs/user/local-registry"


def kubeconfig(file: Path, *names: str, current: str = "") -> Path:
    contexts = [{"name": name, "context": {"cluster": name, "user": name}} for name in names]
    file.write_text(
        json.dumps({"apiVersion": "v1", "kind": "Config", "contexts": contexts, "current-context": current})
    )
    return file


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a PATH with nothing in them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    monkeypatch.setenv("HOMEPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


def test_contexts_of_all_files_the_current_one_first(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "first", "a", "b")
    second = kubeconfig(tmp_path / "second", "b", "c", current="c")
    third = kubeconfig(tmp_path / "third", "d", current="d")
    assert clusters.contexts([first, tmp_path / "absent", second, third]) == ["c", "a", "b", "d"]


def test_a_strange_name_does_nothing_to_a_terminal_or_a_shell(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "config", "kind-\x1b[2J", "kind-a; halt")
    assert clusters.contexts([file]) == ["kind-a; halt"]
    line = clusters.wording(["kind-a; halt"], None)
    assert line
    assert "HOMEPORT_CONTEXT='kind-a; halt' make demo" in line


@pytest.mark.parametrize(
    "text", ["", "[]", "{contexts: [1]}", "{contexts: {a: b}}", ": :\n- {", "contexts:\n- {}\n", "\x00"]
)
def test_a_file_that_is_no_kubeconfig_has_no_contexts(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    assert clusters.contexts([tmp_path / "file"]) == []


@pytest.mark.usefixtures("machine")
def test_a_machine_with_nothing_is_told_nothing() -> None:
    assert clusters.advice() is None


def test_a_cluster_of_kind_is_named_with_the_command(machine: Path) -> None:
    (machine / ".kube").mkdir()
    kubeconfig(machine / ".kube" / "config", "prod-eu", "kind-kind", current="prod-eu")
    advice = clusters.advice()
    assert advice
    assert "HOMEPORT_CONTEXT=kind-kind make demo" in advice
    assert "prod" not in advice


def test_a_cluster_elsewhere_is_named_without_a_command_to_copy(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kubeconfig(machine / "config", "prod-eu", "test-eu", "dev-eu", "lab", current="test-eu")
    monkeypatch.setenv("KUBECONFIG", f"{machine / 'absent'}{os.pathsep}{file}")
    advice = clusters.advice()
    assert advice
    assert advice.startswith("Your kubeconfig has test-eu, prod-eu, dev-eu and others.")
    assert "HOMEPORT_CONTEXT=NAME make demo" in advice


def test_the_sandboxs_own_cluster_is_none_of_the_users(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "cache" / "run" / "dev").mkdir(parents=True)
    file = kubeconfig(machine / "cache" / "run" / "dev" / "kubeconfig", "homeport-dev", current="homeport-dev")
    monkeypatch.setenv("KUBECONFIG", str(file))
    assert clusters.advice() is None


def test_docker_and_kind_are_told_of_where_docker_runs(machine: Path) -> None:
    program(machine / "bin", "kind", "exit 0")
    assert clusters.advice() is None
    program(machine / "bin", "docker", "exit 1")
    assert clusters.advice() is None
    program(machine / "bin", "docker", "echo 28.2.2")
    advice = clusters.advice()
    assert advice
    assert REGISTRY in advice
    assert "HOMEPORT_CONTEXT=kind-kind make demo" in advice


def test_docker_that_does_not_answer_is_not_waited_for(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_DOCKER_SECONDS", 0.2)
    program(machine / "bin", "k3d", "exit 0")
    program(machine / "bin", "docker", "/bin/sleep 60")
    assert clusters.advice() is None
