"""Edits of a live model by the real engine, with the real controllers and admission: each is safe, or refused."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.engine.conftest import fake_node
from tests.engine.editing import NAMESPACE, Live, create, edited, templates, write
from tests.support import Cluster, until
from tests.transitions import EGRESS, NAME, TRIGGER, Refused, Transition, effect, objects, refusal, stated, transitions

OTHERS = {"others": {"group": "oidc:others", "models": [NAME], "folder": "."}}
GIVEN: dict[str, Any] = {
    "model.resources": {"cpu": "500m", "memory": "512Mi"},
    "model.scale": {"min": 3, "max": 3},
    "model.egress": [EGRESS],
    "model.weights": {"claim": "first"},
    "environment.keda": {"triggers": {"concurrency": TRIGGER}},
    "environment.limits": {"cpu": 4, "memory": "4Gi", "replicas": 4},
    "environment.claims": {NAME: {name: {"volume": f"{NAME}-{name}"} for name in ("first", "second")}},
    "environment.secrets": {NAME: {"token": {"config": "token"}}},
    "environment.teams": {"ds": {"group": "oidc:ds", "models": [NAME], "folder": "."}},
    "environment.endpoint_seconds": 1,
}
SECRET = [{"name": "token", "reason": "features"}]
STORE = {NAME: {"token": {"external": {"store": "company", "key": "token"}}}}

EDITS: Mapping[str, Mapping[str, Any]] = {
    "a fixed number becomes a range": {"model.scale": {"min": 2, "max": 4}},
    "less cpu than a quota of sizes would leave, and a secret": {
        "model.resources": {"cpu": "100m", "memory": "128Mi"},
        "model.secrets": SECRET,
    },
    "a network no more": {"model.egress": []},
    "another port, a network, and the secret from a store": {
        "model.port": 9000,
        "model.egress": [EGRESS],
        "environment.secrets": STORE,
    },
    "another owner, and its team": {"model.owner": "others", "environment.teams": OTHERS},
    "another volume, without the secret": {"model.weights": {"claim": "second"}, "model.secrets": []},
    "no volume": {"model.weights": None},
    "scaled by demand": {"model.scale": {"min": 2, "max": 4, "target": {"concurrency": 3}}},
    "scaled by cpu, one replica": {"model.scale": {"min": 1, "max": 1}},
    "higher ceilings": {
        "model.resources": {"cpu": 2, "memory": "2Gi"},
        "environment.limits": {"cpu": 8, "memory": "8Gi"},
    },
}
"""In this order, each after those before it. One of each sort; the slow test makes all that differ."""


@pytest.fixture(scope="module")
def live(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with edited(cluster, tmp_path_factory.mktemp("edits"), stated(GIVEN)) as live:
        live.given = dict(GIVEN)
        yield live


@pytest.mark.parametrize("name", EDITS)
def test_edit_is_safe(live: Live, name: str) -> None:
    live.given |= EDITS[name]
    live.edit(stated(live.given))


def test_what_draining_pods_need_stays_until_they_have_gone(cluster: Cluster, live: Live) -> None:
    """A pod of a node that no kubelet looks after drains as long as it may. On fake nodes, pods end at once."""
    policies = {each["metadata"]["name"] for each in cluster.get("networkpolicies", NAMESPACE)["items"]}
    node: Any = fake_node("silent")
    del node["metadata"]["annotations"]
    create(cluster, node)
    (template,) = templates(live.wanted()).values()
    old = {"nodeName": "silent", "terminationGracePeriodSeconds": 3000}
    metadata = {"name": "old", "namespace": NAME, "labels": {"app.kubernetes.io/name": NAME}}
    create(cluster, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] | old})
    cluster.kubectl("delete", "pod/old", NAMESPACE, "--wait=false")
    live.given |= {"model.env": {"MODE": "exact"}, "model.egress": [], "environment.teams": {}}
    live.files = stated(live.given)
    write(live.program.folder, live.files)
    with ThreadPoolExecutor() as pool:
        update = pool.submit(live.program.up)
        try:
            # No pod needs the team's role, so it goes as soon as the new pods serve.
            until(lambda: update.done() or not cluster.exists(f"role/{NAME}-team", NAMESPACE), 300)
            assert not update.done()
            assert policies < {each["metadata"]["name"] for each in cluster.get("networkpolicies", NAMESPACE)["items"]}
        finally:
            cluster.kubectl("delete", "pod/old", NAMESPACE, "--force", "--grace-period=0")
        assert f"{NAME}: replicas of the old version drain" in update.result()
    cluster.kubectl("delete", "node/silent")
    live.expect_what_is_rendered()


REFUSED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "another home": (
        {"environment.namespace": "ml-{model}"},
        f'found the namespace "ml-{NAME}" for a model that lives in "{NAME}"',
    ),
    "a ceiling below what runs": (
        {"model.resources": {"cpu": "100m", "memory": "128Mi"}, "environment.limits": {"cpu": "300m", "memory": "1Gi"}},
        f"ResourceQuota/{NAME}/{NAME} is not changed, because the pods that run or drain have more than it would allow",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_safe_is_refused_before_anything_changes(cluster: Cluster, live: Live, name: str) -> None:
    given, why = REFUSED[name]
    before = versions(live)
    write(live.program.folder, stated({**live.given, **given}))
    try:
        assert why in live.program("preview", f"--stack={live.program.stack}", fails=True)
        assert why in live.program.up(fails=True)
        assert {key: versions(live)[key] for key in before if "Deployment" in key} == {
            key: version for key, version in before.items() if "Deployment" in key
        }
        assert not cluster.exists(f"namespace/ml-{NAME}")
    finally:
        write(live.program.folder, live.files)
        live.program.up()
    live.expect_what_is_rendered()


def versions(live: Live) -> dict[str, str]:
    """What each object of ours says, so that a change of it is seen."""
    return {
        f"{each['kind']} {each['metadata']['name']}": json.dumps(each["spec"]) for each in live.live() if "spec" in each
    }


def test_from_zero_kubernetes_autoscaler_takes_over_no_model(cluster: Cluster, live: Live) -> None:
    """KEDA, which is not here, would have removed the last replica."""
    live.given |= {"model.scale": {"min": 1, "max": 4, "target": {"concurrency": 3}}}
    live.edit(stated(live.given))
    cluster.kubectl("scale", f"deployment/{NAME}", "--replicas=0", NAMESPACE)
    write(live.program.folder, stated({**live.given, "model.scale": {"min": 1, "max": 2}}))
    shown = live.program.up(fails=True)
    assert "no replica runs, and from zero Kubernetes' autoscaler starts none" in shown
    cluster.kubectl("scale", f"deployment/{NAME}", "--replicas=1", NAMESPACE)
    live.given |= {"model.scale": {"min": 1, "max": 2}}
    live.files = stated(live.given)
    live.program.up()
    live.expect_what_is_rendered()


def test_after_all_edits_nothing_is_left_to_change(live: Live) -> None:
    live.program.expect_no_changes()


def shape(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """The fields that differ, whatever their values and in whichever item of a list."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in old.keys() | new.keys():
            yield from shape(old.get(key), new.get(key), f"{at}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            yield from shape(before, after, f"{at}[]")
    elif old != new:
        yield at


def different() -> list[Transition]:
    """Of the edits that change the same fields of the same kinds of objects, one."""
    found: dict[frozenset[tuple[str, str]], Transition] = {}
    for edit in transitions():
        try:
            old, new = objects(edit.before), objects(edit.after)
        except Refused:
            continue
        if refusal(old, new) or edit.name.startswith(("model.name", "environment.cluster")):
            continue
        what = effect(old, new)
        fields = {
            (old[key]["kind"], field) for key in old.keys() & new.keys() for field in shape(old[key], new[key])
        } | {(kind, "all") for kind in (*what.created, *what.exchanged, *what.deleted)}
        if what != type(what)():
            found.setdefault(frozenset(fields), edit)
    return list(found.values())


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_all_edits_that_differ_are_safe(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """From one to the next, which is another edit."""
    left = different()
    with edited(cluster, tmp_path_factory.mktemp("all"), left[0].before) as live:
        while left:
            edit = next((each for each in left if each.before == live.files), left[0])
            left.remove(edit)
            try:
                if edit.before != live.files:
                    live.edit(edit.before)
                live.edit(edit.after)
            except AssertionError as error:
                error.add_note(f"edit: {edit.name}")
                raise
        live.program.expect_no_changes()
