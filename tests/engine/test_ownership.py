"""What others made in the cluster, by the real engine: it is never changed or deleted unless somebody names it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Cluster, Program, live_entry, running, write_program

KINDS = (
    "namespaces,configmaps,secrets,serviceaccounts,services,resourcequotas,limitranges,roles,rolebindings,networkpolicies,"
    "deployments,replicasets,pods,horizontalpodautoscalers,poddisruptionbudgets,persistentvolumeclaims"
)
ENVIRONMENT = {
    "cluster": {"identifier": "ownership"},
    "gateway": {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com"},
}


def model(name: str) -> dict[str, Any]:
    return {"name": name, "owner": "ds", "image": f"registry.example.com/{name}", "scale": {"min": 1, "max": 1}}


def go_live(program: Program, *names: str, canary: str = "") -> None:
    models = {name: live_entry("1", canary, 10, f"{name}.yaml") for name in names}
    (program.folder / "models.yaml").write_text(json.dumps({"models": models}))


@pytest.fixture
def program(cluster: Cluster, tmp_path: Path) -> Iterator[Program]:
    specs = {"environment": ENVIRONMENT, "other-team": model("other-team"), "ours": model("ours")}
    source = write_program(tmp_path / "source", "ownership", **specs)
    (source / "models.yaml").write_text('{"models": {}}')
    with running(cluster, source, tmp_path / "running") as program:
        yield program


def create(cluster: Cluster, kind: str, name: str, namespace: str | None = None, **content: Any) -> None:
    place = {"namespace": namespace} if namespace else {}
    labels = {"labels": {"team": "billing"}}
    made = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **place, **labels}, **content}
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(made))


def everything(cluster: Cluster, namespace: str) -> str:
    """A namespace and all that is in it, byte for byte, so with the version that each change changes."""
    options = ("--output=json", "--show-managed-fields")
    inside = cluster.kubectl("get", KINDS.partition(",")[2], f"--namespace={namespace}", *options)
    return cluster.kubectl("get", f"namespace/{namespace}", *options) + inside


def test_a_namespace_of_others_is_taken_over_and_deleted_only_by_name(cluster: Cluster, program: Program) -> None:
    create(cluster, "Namespace", "other-team")
    create(cluster, "ConfigMap", "prices", "other-team", data={"a": "1"})
    create(cluster, "Secret", "password", "other-team", stringData={"a": "hunter2"})
    theirs = everything(cluster, "other-team")
    go_live(program, "other-team")
    preview = program("preview", f"--stack={program.stack}", fails=True)
    update = program.up(fails=True)
    for shown in (preview, update):
        assert "these objects exist, and ownership/dev/other-team did not make them" in shown
        assert "Namespace/other-team: no one's; labels: team=billing" in shown
        assert "fields written by: kubectl-create" in shown
        assert "HOMEPORT_ADOPT=Namespace/other-team" in shown
    assert everything(cluster, "other-team") == theirs

    program.variables["HOMEPORT_ADOPT"] = "Namespace/other-team"
    program.up()
    del program.variables["HOMEPORT_ADOPT"]
    program.expect_no_changes()
    both = everything(cluster, "other-team")
    assert '"name": "prices"' in both
    # The model goes, alone and with its stack.
    go_live(program)
    removal = program.up(fails=True)
    go_live(program, "other-team")
    destruction = program.destroy(fails=True)
    for shown in (removal, destruction):
        assert (
            "is not deleted, because these objects, which ownership/dev/other-team did not make, would be lost" in shown
        )
        assert "ConfigMap/other-team/prices: no one's; labels: team=billing" in shown
        assert "HOMEPORT_DELETE=ConfigMap/other-team/prices,Secret/other-team/password" in shown
        assert "hunter2" not in shown
    assert everything(cluster, "other-team") == both
    program.variables["HOMEPORT_DELETE"] = "ConfigMap/other-team/prices,Secret/other-team/password"
    program.destroy()
    assert not cluster.exists("namespace/other-team")


def test_what_others_put_into_a_namespace_of_ours_stops_only_what_would_lose_it(
    cluster: Cluster, program: Program
) -> None:
    go_live(program, "ours")
    program.up()
    create(cluster, "ConfigMap", "notes", "ours", data={"a": "1"})
    create(cluster, "Service", "ours-canary", "ours", spec={"ports": [{"port": 80}]})
    before = everything(cluster, "ours")
    go_live(program, "ours", canary="2")
    shown = program.up(fails=True)
    assert "Service/ours/ours-canary: no one's" in shown
    assert everything(cluster, "ours") == before
    cluster.kubectl("delete", "service/ours-canary", "--namespace=ours")
    program.up()
    notes = cluster.kubectl("get", "configmap/notes", "--namespace=ours", "--output=json")
    # A canary goes without its namespace, so nothing of others would be lost.
    go_live(program, "ours")
    program.up()
    assert not cluster.exists("deployment/ours-canary", "--namespace=ours")
    # The new name is another namespace, and the old one goes.
    environment = program.folder / "environment.yaml"
    environment.write_text(json.dumps(ENVIRONMENT | {"namespace": "ml-{model}"}))
    before = everything(cluster, "ours")
    assert "ConfigMap/ours/notes" in program.up(fails=True)
    assert everything(cluster, "ours") == before
    assert cluster.kubectl("get", "configmap/notes", "--namespace=ours", "--output=json") == notes
    assert cluster.exists("deployment/ours", "--namespace=ml-ours")
    cluster.kubectl("delete", "configmap/notes", "--namespace=ours")
    program.up()
    assert not cluster.exists("namespace/ours")


def test_a_preview_without_the_cluster_says_what_it_does_not_show(program: Program) -> None:
    go_live(program, "ours")
    program.variables["KUBECONFIG"] = str(program.folder / "nowhere")
    shown = program("preview", f"--stack={program.stack}")
    assert shown.count("this preview does not show whether objects of others are in the way") == 1
