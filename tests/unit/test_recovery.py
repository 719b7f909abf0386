"""Recovery: what is taken for created, what is on its way out, whose lock is stale; and when nobody can be asked."""

import os
import socket
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from homeport.cli import app
from homeport.commands.recover import Lock, adopt, forget, homeless, leaving, marks, namespaces
from homeport.manifests.names import MARK

STACK = "urn:pulumi:dev::homeport::"
PROVIDER = f"{STACK}pulumi:providers:kubernetes::cluster"
SERVICE = f"{STACK}homeport:index:ModelService::iris"


def resource(kind: str, name: str = "iris", **other: Any) -> dict[str, Any]:
    namespace = {} if kind == "core/v1:Namespace" else {"namespace": "iris"}
    return {
        "urn": f"{STACK}homeport:index:ModelService$kubernetes:{kind}::iris-{kind.rpartition(':')[2].lower()}",
        "type": f"kubernetes:{kind}",
        "inputs": {"metadata": {"name": name, **namespace}},
        "provider": f"{PROVIDER}::04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "parent": SERVICE,
        **other,
    }


def state(*operations: tuple[str, dict[str, Any]], known: tuple[str, ...] = (PROVIDER, SERVICE)) -> dict[str, Any]:
    pending = [{"type": kind, "resource": each} for kind, each in operations]
    return {"resources": [{"urn": urn} for urn in known], "pending_operations": pending}


def test_what_was_being_created_is_taken_for_created_under_its_name() -> None:
    namespace, deployment = resource("core/v1:Namespace"), resource("apps/v1:Deployment", "iris-canary")
    deployment["dependencies"] = [namespace["urn"]]
    told = state(("creating", namespace), ("creating", deployment))
    assert adopt(told) == [namespace["urn"], deployment["urn"]]
    assert [each["id"] for each in told["resources"][2:]] == ["iris", "iris/iris-canary"]
    assert told["resources"][-1]["dependencies"] == [namespace["urn"]]
    assert told["resources"][-1]["parent"] == SERVICE
    assert told["pending_operations"] == []


def test_what_was_being_changed_or_deleted_is_left_to_the_refresh() -> None:
    told = state(("updating", resource("apps/v1:Deployment")), ("deleting", resource("core/v1:Service")))
    assert adopt(told) == []
    assert len(told["pending_operations"]) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"type": "aws:s3/bucket:Bucket"},
        {"inputs": {"metadata": {"generateName": "iris-"}}},
        {"inputs": {}},
        {"provider": f"{STACK}pulumi:providers:kubernetes::gone::1"},
        {"urn": SERVICE},
    ],
    ids=["not-kubernetes", "generated-name", "no-name", "provider-is-gone", "in-the-state-already"],
)
def test_what_cannot_be_known_stays_pending(other: dict[str, Any]) -> None:
    told = state(("creating", resource("apps/v1:Deployment", **other)))
    assert adopt(told) == []
    assert len(told["pending_operations"]) == 1


def test_relations_to_what_is_gone_are_dropped() -> None:
    gone = f"{STACK}kubernetes:core/v1:Namespace::gone"
    lost = resource("apps/v1:Deployment", parent=gone, dependencies=[PROVIDER, gone])
    told = state(("creating", lost | {"propertyDependencies": {"spec": [gone], "metadata": None}}))
    assert adopt(told) == [lost["urn"]]
    made = told["resources"][-1]
    assert "parent" not in made
    assert made["dependencies"] == [PROVIDER]
    assert made["propertyDependencies"] == {"spec": [], "metadata": []}


def marked(name: str, wanted: str | None, live: str | None = None) -> dict[str, Any]:
    def metadata(mark: str | None) -> dict[str, Any]:
        return {"metadata": {"name": name, "annotations": {MARK: mark} if mark else None}}

    outputs = {} if live is None else {"outputs": metadata(live or None)}
    return resource("apps/v1:Deployment", name, urn=f"{SERVICE}::{name}", inputs=metadata(wanted), **outputs)


def test_marks_are_those_of_the_cluster_once_it_was_asked() -> None:
    told = {
        "resources": [
            marked("a", "shop/dev/a"),
            marked("b", "shop/dev/b", "shop/prod/b"),
            marked("c", "shop/dev/c", ""),
        ]
    }
    urns = [each["urn"] for each in told["resources"]]
    assert list(marks(told, urns).values()) == ["shop/dev/a", "shop/prod/b", None]
    assert marks(told, urns[1:2]) == {urns[1]: "shop/prod/b"}
    assert marks({}, urns) == {}


def test_what_another_made_leaves_the_state_with_every_relation_to_it() -> None:
    gone, left = marked("a", "shop/dev/a"), marked("b", "shop/dev/b")
    left |= {"dependencies": [gone["urn"], PROVIDER], "outputs": {"kept": True}}
    left |= {"parent": gone["urn"], "deletedWith": gone["urn"]}
    told = {"resources": [{"urn": PROVIDER}, gone, left]}
    forget(told, [gone["urn"]])
    assert [each["urn"] for each in told["resources"]] == [PROVIDER, left["urn"]]
    assert told["resources"][1]["dependencies"] == [PROVIDER]
    assert {"parent", "deletedWith"}.isdisjoint(told["resources"][1])
    assert told["resources"][1]["outputs"] == {"kept": True}


def test_what_was_in_a_namespace_that_left_the_state_is_gone() -> None:
    def inside(kind: str, home: str, mark: str | None = "shop/dev/iris") -> dict[str, Any]:
        metadata = {"name": kind, "namespace": home, "annotations": {MARK: mark} if mark else None}
        return resource(f"core/v1:{kind}", urn=f"{SERVICE}::{home}-{kind}", inputs={"metadata": metadata})

    lost, own = inside("Service", "iris"), inside("Secret", "iris", mark=None)
    there = [resource("core/v1:Namespace", "rose"), inside("Service", "rose")]
    others = [{"urn": SERVICE, "type": "homeport:index:ModelService"}, {"urn": PROVIDER, "type": "x", "inputs": {}}]
    told = {"resources": [*others, *there, lost, own]}
    assert namespaces(told) == {there[0]["urn"]: "rose"}
    assert homeless(told) == {lost["urn"]: "iris"}


def test_state_without_anything_is_left_alone() -> None:
    assert adopt({}) == []
    assert homeless({}) == {}
    assert leaving({}) == []


def test_object_with_a_deletion_timestamp_is_on_its_way_out() -> None:
    going = resource("core/v1:Namespace", outputs={"metadata": {"deletionTimestamp": "2026-11-22T10:00:00Z"}})
    staying = resource("core/v1:Service", outputs={"metadata": {"name": "iris"}})
    assert leaving({"resources": [going, staying, {"urn": SERVICE}]}) == [going["urn"]]


def lock(pid: int, hostname: str = "") -> Lock:
    return Lock(pid, "ada", hostname or socket.gethostname(), "2026-11-22T10:00:00Z")


def test_lock_is_stale_when_no_pulumi_has_its_pid() -> None:
    assert lock(os.getpid()).stale  # somebody else has it now
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert lock(gone.pid).stale
    # Far behind in a long line, as `ps` shortens what it prints.
    program = "import time; print('here', flush=True); time.sleep(60)"
    arguments = [sys.executable, "-c", program, "x" * 200, "pulumi"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stdout.readline()  # it has its command line now
        try:
            assert not lock(running.pid).stale
        finally:
            running.kill()


def test_lock_of_another_machine_is_never_known_to_be_stale() -> None:
    assert not lock(2**22, "elsewhere").stale


def test_without_a_terminal_it_wants_to_be_told() -> None:
    done = CliRunner().invoke(app, ["recover", "--stack", "dev"], env={"TERM": "dumb", "NO_COLOR": "1"})
    assert done.exit_code == 2
    assert "Invalid value: --yes is required when standard input is not a terminal" in done.stderr
