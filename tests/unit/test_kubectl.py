"""What kubectl is asked, and how its answers and errors are read; a script stands in for it."""

import json
from pathlib import Path

import pytest

from homeport.components.kubectl import Kubectl, KubectlError

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "iris", "labels": {"a": "b"}}}
LINE = "v1\tNamespace\t" + json.dumps(NAMESPACE["metadata"])


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the script finds what to print, and leaves what it was told."""
    program = tmp_path / "kubectl"
    program.write_text(
        f'#!/bin/sh\ncd {tmp_path}\necho "$@" >> told\ncase "$*" in *filename=-*) cat > stdin;; esac\n'
        'for each in "$@"; do case "$each" in --kubeconfig=*) cp "${each#--kubeconfig=}" seen;; esac; done\n'
        "cat out; cat err >&2; exit $(cat code)\n"
    )
    program.chmod(0o755)
    answers(tmp_path, LINE)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def answers(folder: Path, out: str = "", err: str = "", code: int = 0) -> None:
    for name, content in {"out": out, "err": err, "code": str(code)}.items():
        (folder / name).write_text(f"{content}\n" if content else "")


def test_an_object_is_asked_for_by_its_name_alone(kubectl: Path) -> None:
    (found,) = Kubectl(context="prod", cluster="eu").find([NAMESPACE | {"data": {"password": "hunter2"}}])
    assert str(found.name) == "Namespace/iris"
    assert found.metadata == NAMESPACE["metadata"]
    assert (kubectl / "told").read_text().startswith("--context=prod --cluster=eu --request-timeout=10s get ")
    asked = NAMESPACE | {"metadata": {"name": "iris"}}
    assert (kubectl / "stdin").read_text() == f"---\n{json.dumps(asked)}\n"


@pytest.mark.parametrize("content", ["kind: Config\n", '{"kind": "Config"}'])
def test_a_kubeconfig_may_be_a_path_or_a_content(kubectl: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    for kubeconfig in (str(path), content):
        Kubectl(kubeconfig=kubeconfig).reach()
        assert (kubectl / "seen").read_text() == content
        (kubectl / "seen").unlink()


def test_homes_of_a_model_are_found_by_its_labels(kubectl: Path) -> None:
    (found,) = Kubectl().namespaces("iris")
    assert str(found.name) == "Namespace/iris"
    labels = "app.kubernetes.io/name=iris,app.kubernetes.io/managed-by=homeport"
    assert f"get namespaces --selector={labels}" in (kubectl / "told").read_text()


def test_a_list_is_read_object_by_object(kubectl: Path) -> None:
    answers(kubectl, f"v1\tList\t{{}}\n{LINE}\n{LINE}")
    assert len(Kubectl().find([NAMESPACE])) == 2
    answers(kubectl)
    assert Kubectl().find([NAMESPACE]) == []


def test_what_only_tells_of_others_is_not_content(kubectl: Path) -> None:
    answers(kubectl, "configmaps\nevents\nendpoints\nendpointslices.discovery.k8s.io\nevents.events.k8s.io\npods")
    with pytest.raises(ValueError, match="not enough values"):  # the script gives the same answer to both questions
        Kubectl().content("iris")
    assert " get configmaps,pods --namespace=iris " in (kubectl / "told").read_text()


def test_an_object_of_an_unknown_kind_does_not_exist(kubectl: Path) -> None:
    unknown = (
        'error: resource mapping not found for name: "a": no matches for kind "Foo"\nensure CRDs are installed first'
    )
    answers(kubectl, LINE, unknown, 1)
    assert len(Kubectl().find([NAMESPACE])) == 1
    answers(kubectl, LINE, f"{unknown}\nError from server (Forbidden): no", 1)
    with pytest.raises(KubectlError, match=r"^Error from server \(Forbidden\): no$"):
        Kubectl().find([NAMESPACE])


def test_kinds_of_an_api_that_is_not_served_are_none(kubectl: Path) -> None:
    answers(kubectl, json.dumps({"resources": [{"kind": "HTTPRoute"}, {"kind": "Gateway"}]}))
    assert Kubectl().kinds("gateway.networking.k8s.io/v1") == {"HTTPRoute", "Gateway"}
    assert Kubectl().kinds("v1")
    told = (kubectl / "told").read_text()
    assert "--raw=/apis/gateway.networking.k8s.io/v1\n" in told
    assert "--raw=/api/v1\n" in told
    answers(kubectl, "", "Error from server (NotFound): the server could not find the requested resource", 1)
    assert Kubectl().kinds("keda.sh/v1alpha1") == set()
    answers(kubectl, "", "Error from server (Forbidden): no", 1)
    with pytest.raises(KubectlError, match="Forbidden"):
        Kubectl().kinds("keda.sh/v1alpha1")


def test_an_error_is_one_line_without_the_log(kubectl: Path) -> None:
    log = 'E1126 16:46:18.808943   32003 memcache.go:265] "Unhandled Error" err="refused"'
    answers(kubectl, "", f"{log}\n{log}\nrefused\nrefused", 1)
    with pytest.raises(KubectlError, match=r"^refused$"):
        Kubectl().reach()
    answers(kubectl, "", "", 1)
    with pytest.raises(KubectlError, match="exit code 1"):
        Kubectl().reach()


def test_without_kubectl_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KubectlError, match="found no kubectl on PATH: install it"):
        Kubectl().reach()
