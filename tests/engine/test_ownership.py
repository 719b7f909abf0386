"""What others made in the cluster, by the real engine: it is never changed or deleted unless somebody names it."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.engine import interruption
from tests.support import Cluster, Program, live_entry, running, until, write_program

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


def there(cluster: Cluster, namespace: str) -> set[tuple[str, ...]]:
    """What is in a namespace: whose states controllers may change, but which nobody may delete or make again."""
    found = [
        cluster.get(f"namespace/{namespace}"),
        *cluster.get(KINDS.partition(",")[2], f"--namespace={namespace}")["items"],
    ]
    return {
        (each["kind"], *(str(each["metadata"].get(key)) for key in ("name", "uid", "generation", "deletionTimestamp")))
        for each in found
    }


@contextmanager
def without_answers(program: Program) -> Iterator[Path]:
    """The hooks get no answer; the file is there once they have asked."""
    folder, path = program.folder / "bin", program.variables["PATH"]
    folder.mkdir(exist_ok=True)
    (folder / "kubectl").write_text(f"#!/bin/sh\ntouch {folder}/asked\nexec sleep 60\n")
    (folder / "kubectl").chmod(0o755)
    program.variables["PATH"] = f"{folder}:{path}"
    try:
        yield folder / "asked"
    finally:
        program.variables["PATH"] = path


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
        assert "Namespace/other-team: no one's; labels: kubernetes.io/metadata.name=other-team, team=billing" in shown
        assert "fields written by: kubectl-create" in shown
        assert "HOMEPORT_ADOPT=Namespace/other-team" in shown
    assert everything(cluster, "other-team") == theirs

    program.variables["HOMEPORT_ADOPT"] = "Namespace/other-team"
    program.up()
    del program.variables["HOMEPORT_ADOPT"]
    with without_answers(program) as asked:
        program.expect_no_changes()
        assert not asked.exists(), "what does not change is not looked at"
    both = there(cluster, "other-team")
    objects = (
        "configmap/prices",
        "secret/password",
        "--namespace=other-team",
        "--output=json",
        "--show-managed-fields",
    )
    theirs = cluster.kubectl("get", *objects)
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
    assert there(cluster, "other-team") == both
    assert cluster.kubectl("get", *objects) == theirs
    program.variables["HOMEPORT_DELETE"] = "ConfigMap/other-team/prices,Secret/other-team/password"
    program.destroy()
    assert not cluster.exists("namespace/other-team")


@pytest.mark.slow
def test_what_others_put_into_a_namespace_of_ours_stops_only_what_would_lose_it(
    cluster: Cluster, program: Program
) -> None:
    go_live(program, "ours")
    program.up()
    create(cluster, "ConfigMap", "notes", "ours", data={"a": "1"})
    create(cluster, "Service", "ours-canary", "ours", spec={"ports": [{"port": 80}]})
    before = there(cluster, "ours")
    go_live(program, "ours", canary="2")
    shown = program.up(fails=True)
    assert "Service/ours/ours-canary: no one's" in shown
    assert there(cluster, "ours") == before
    cluster.kubectl("delete", "service/ours-canary", "--namespace=ours")
    program.up()
    notes = cluster.kubectl("get", "configmap/notes", "--namespace=ours", "--output=json")
    # A canary goes without its namespace, so nothing of others would be lost.
    go_live(program, "ours")
    program.up()
    assert not cluster.exists("deployment/ours-canary", "--namespace=ours")
    # Another namespace is another home, which a model does not get while it has one.
    environment = program.folder / "environment.yaml"
    environment.write_text(json.dumps(ENVIRONMENT | {"namespace": "ml-{model}"}))
    before = there(cluster, "ours")
    assert 'found the namespace "ml-ours" for a model that lives in "ours"' in program.up(fails=True)
    assert there(cluster, "ours") == before
    environment.write_text(json.dumps(ENVIRONMENT))
    go_live(program)
    assert "ConfigMap/ours/notes" in program.up(fails=True)
    assert cluster.kubectl("get", "configmap/notes", "--namespace=ours", "--output=json") == notes
    assert there(cluster, "ours") == before
    cluster.kubectl("delete", "configmap/notes", "--namespace=ours")
    program.up()
    assert not cluster.exists("namespace/ours")


def test_a_preview_without_the_cluster_says_what_it_does_not_show(program: Program) -> None:
    go_live(program, "ours")
    program.variables["KUBECONFIG"] = str(program.folder / "nowhere")
    _, _, shown = program("preview", f"--stack={program.stack}").partition("Diagnostics:")
    assert shown.count("this preview does not show whether objects of others are in the way") == 1


OWN = """\
import json
import os

from homeport import Environment, ModelService, cluster_provider
from pulumi import ResourceOptions

environment = Environment.load("environment.yaml")
parts = os.environ["PARTS"].split()
if "provider" in parts:
    options = ResourceOptions(providers=[cluster_provider(environment)])
if "model" in parts:
    model = json.load(open("ours.yaml"))
    ModelService("ours", {"model": model, "environment": environment, "version": "1"}, options)
"""


def test_the_last_model_of_a_program_of_ones_own_goes_while_the_provider_is_declared(
    cluster: Cluster, tmp_path: Path
) -> None:
    specs = {"environment": ENVIRONMENT | {"protect": True}, "ours": model("ours")}
    source = write_program(tmp_path / "source", "own", OWN, **specs)
    with running(cluster, source, tmp_path / "running") as program:
        program.variables["PARTS"] = "provider model"
        program.up()
        before = there(cluster, "ours")
        program.variables["PARTS"] = ""
        assert "was not registered" in program.up(fails=True)
        program.variables["PARTS"] = "provider"
        assert "set `protect: false` in the environment" in program.up(fails=True)
        assert there(cluster, "ours") == before
        program.variables["PARTS"] = "provider model"
        (program.folder / "environment.yaml").write_text(json.dumps(ENVIRONMENT))
        program.up()
        program.variables["PARTS"] = "provider"
        program.up()
        assert not cluster.exists("namespace/ours")


@pytest.mark.slow
def test_recovery_leaves_alone_what_another_made_before_the_hook_could_look(cluster: Cluster, program: Program) -> None:
    go_live(program, "ours")
    create(cluster, "Namespace", "ours")
    theirs = everything(cluster, "ours")
    with without_answers(program) as asked:
        process = interruption.start(program, "up")
        until(asked.exists, every=0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert any(each["type"] == "creating" for each in program.state()["pending_operations"])
    shown = interruption.recover(program, fails=True)  # its update refuses, as any would
    assert "leaving alone what another made: kubernetes:core/v1:Namespace ours-namespace" in shown
    assert "Namespace/ours: no one's" in shown
    go_live(program)
    interruption.recover(program)
    assert everything(cluster, "ours") == theirs
    cluster.kubectl("delete", "namespace/ours")


@pytest.mark.slow
def test_a_namespace_that_someone_deleted_is_told_and_a_refresh_brings_it_back(
    cluster: Cluster, program: Program
) -> None:
    """As an administrator. `test_guard.py` has the deployer, who may read nothing there."""
    go_live(program, "ours")
    program.up()
    before = {each[:2] for each in there(cluster, "ours") if each[0] not in {"Pod", "ReplicaSet"}}
    cluster.kubectl("delete", "namespace/ours")
    assert "to make it again, run: homeport recover --stack=dev" in program.up(fails=True)
    program.up("--refresh")
    assert {each[:2] for each in there(cluster, "ours") if each[0] not in {"Pod", "ReplicaSet"}} == before


MODELS = ("alpha", "beta")
TEMPLATES = ("{model}", "ml-{model}")


@dataclass(frozen=True)
class Step:
    """What others make, and what is live afterwards."""

    theirs: frozenset[tuple[str, str, str]]
    """Kind, name and namespace of objects that others make, where they can."""
    live: frozenset[str]
    canary: bool
    template: str


def objects_of_others() -> st.SearchStrategy[frozenset[tuple[str, str, str]]]:
    homes = [template.format(model=name) for template in TEMPLATES for name in MODELS]
    made = [("Namespace", home, "") for home in homes]
    for home in homes:
        name = home.removeprefix("ml-")
        # Names of ours, of a canary of ours, and others.
        made += [("ConfigMap", "notes", home), ("Secret", name, home), ("ServiceAccount", name, home)]
        made += [("Service", f"{name}-canary", home), ("Service", name, home)]
    return st.frozensets(st.sampled_from(made), max_size=4)


STEPS = st.builds(
    Step,
    theirs=objects_of_others(),
    live=st.frozensets(st.sampled_from(MODELS)),
    canary=st.booleans(),
    template=st.sampled_from(TEMPLATES),
)


def tried(cluster: Cluster, folder: Path, steps: list[Step]) -> int:
    """Changes the files step by step, and looks after each whether what others made is as they left it.

    Returns:
        How many of the updates succeeded.
    """
    specs = {"environment": ENVIRONMENT} | {name: model(name) for name in MODELS}
    source = write_program(folder / "source", "tried", **specs)
    (source / "models.yaml").write_text('{"models": {}}')
    theirs: dict[tuple[str, str, str], tuple[str, str]] = {}
    succeeded = 0
    with running(cluster, source, folder / "running") as program:
        try:
            for step in steps:
                for kind, name, namespace in sorted(step.theirs, key=lambda each: each[0] != "Namespace"):
                    place = [f"--namespace={namespace}"] if namespace else []
                    there = not namespace or cluster.exists(f"namespace/{namespace}")
                    if there and not cluster.exists(f"{kind}/{name}", *place):
                        content = {"spec": {"ports": [{"port": 80}]}} if kind == "Service" else {}
                        create(cluster, kind, name, namespace or None, **content)
                        theirs[kind, name, namespace] = version(cluster, kind, name, namespace)
                environment = ENVIRONMENT | {"namespace": step.template}
                (program.folder / "environment.yaml").write_text(json.dumps(environment))
                go_live(program, *sorted(step.live), canary="2" if step.canary else "")
                succeeded += program.run("up", "--yes", "--skip-preview", f"--stack={program.stack}").returncode == 0
                assert {each: version(cluster, *each) for each in theirs} == theirs
        finally:
            for kind, name, namespace in theirs:
                cluster.kubectl(
                    "delete",
                    f"{kind}/{name}",
                    *([f"--namespace={namespace}"] if namespace else []),
                    "--ignore-not-found",
                )
    assert [name for name in namespaces(cluster) if name.removeprefix("ml-") in MODELS] == []
    return succeeded


def version(cluster: Cluster, kind: str, name: str, namespace: str) -> tuple[str, str]:
    """Another one after each change, and after a deletion that was followed by a creation."""
    metadata = cluster.get(f"{kind}/{name}", *([f"--namespace={namespace}"] if namespace else []))["metadata"]
    return metadata["uid"], metadata["resourceVersion"]


def namespaces(cluster: Cluster) -> list[str]:
    return [each["metadata"]["name"] for each in cluster.get("namespaces")["items"]]


def test_nothing_of_others_changes_in_a_chosen_order_of_events(cluster: Cluster, tmp_path: Path) -> None:
    """The worst of what the slow test draws: names of ours, taken before and after we come; renamed; taken out."""
    both = frozenset(MODELS)
    steps = [
        Step(frozenset({("Namespace", "ml-beta", ""), ("Service", "beta", "ml-beta")}), both, False, "{model}"),
        Step(
            frozenset({("Service", "alpha-canary", "alpha"), ("ConfigMap", "notes", "beta")}), both, True, "ml-{model}"
        ),
        Step(frozenset(), frozenset(), False, "{model}"),
    ]
    assert tried(cluster, tmp_path, steps) == 1


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_nothing_of_others_changes_in_any_order_of_events(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    succeeded: list[int] = []

    @settings(
        max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(STEPS, min_size=2, max_size=4))
    def any_order(steps: list[Step]) -> None:
        succeeded.append(tried(cluster, tmp_path_factory.mktemp("order"), steps))

    any_order()
    assert sum(succeeded) > len(succeeded) / 2, "nothing is shown by updates that all fail"
