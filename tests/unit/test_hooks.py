"""The hooks: what they ask the cluster, how often, and what they refuse, in the order in which the engine calls them."""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pulumi
import pytest

from homeport.components import hooks
from homeport.components.hooks import Declared, EditError, Hooks, OwnershipError
from homeport.components.kubectl import Kubectl, KubectlError
from homeport.manifests import Manifest
from homeport.manifests.names import MARK
from homeport.needs import Need
from homeport.ownership import Live
from homeport.rules.violation import Violation
from homeport.specs.problems import Problem, SpecError, dotted

IRIS = "shop/prod/iris"


def manifest(kind: str, name: str = "iris", mark: str | None = IRIS, namespace: str = "iris") -> Manifest:
    place = {} if kind == "Namespace" else {"namespace": namespace}
    notes = {"annotations": {MARK: mark}} if mark else {}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "uid": f"{kind}/{name}", **place, **notes}}


NAMESPACE, SERVICE, CANARY = manifest("Namespace"), manifest("Service"), manifest("Service", "iris-canary")
NOTES = manifest("ConfigMap", "notes", None)


class FakeCluster(Kubectl):
    """Has some objects, and counts what it is asked."""

    def __init__(self, *objects: Manifest) -> None:
        self.objects = [Live.of(each) for each in objects]
        self.asked: list[str] = []
        self.fails = False
        self.quota: Any = {}
        self.pods: list[list[Any]] = []
        """The pods at each look; none at further ones."""
        self.served: dict[str, set[str]] = {}

    def find(self, manifests: Any) -> list[Live]:
        return self._answer(
            "find", [each for each in self.objects if each.name in {Live.of(one).name for one in manifests}]
        )

    def namespaces(self, model: str) -> list[Live]:  # noqa: ARG002
        return self._answer("namespaces", [each for each in self.objects if each.name.kind == "Namespace"])

    def kinds(self, api_version: str) -> set[str]:
        self.asked.append(api_version)
        return self.served.get(api_version, set())

    def content(self, namespace: str) -> list[Live]:
        return self._answer("content", [each for each in self.objects if each.name.namespace == namespace])

    def read(self, manifests: Any) -> list[Any]:  # noqa: ARG002
        return [self.quota]

    def all(self, kinds: Any, namespace: str) -> list[Any]:  # noqa: ARG002
        self.asked.append(f"pods of {namespace}")
        return self.pods.pop(0) if self.pods else []

    def _answer(self, what: str, found: list[Live]) -> list[Live]:
        self.asked.append(what)
        if self.fails:
            raise KubectlError("no answer")
        return found


class Engine:
    """Calls the hooks, as the engine does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *declared: Manifest) -> None:
        self.hooks: dict[str, Callable[[Any], Any]] = {}
        monkeypatch.setattr(pulumi, "ResourceHook", lambda name, hook, _: self.hooks.setdefault(name, hook))
        self.guards = Hooks(cast("Any", SimpleNamespace(pulumi_resource_name="cluster")))
        if declared:
            self.guards.declare(Declared(declared))
        self.cluster = FakeCluster()

        async def kubectl() -> Kubectl:
            return self.cluster

        monkeypatch.setattr(self.guards, "_kubectl", kubectl)

    def create(self, *created: Manifest) -> list[str]:
        return self._call("create", [{"new_inputs": each, "urn": _urn(each)} for each in created])

    def update(self, *updated: Manifest) -> list[str]:
        return self._call("update", [{"new_inputs": each, "urn": _urn(each)} for each in updated])

    def delete(self, *deleted: Manifest, protected: bool = False) -> list[str]:
        kind = "delete-protected" if protected else "delete"
        return self._call(kind, [{"old_inputs": each, "urn": _urn(each)} for each in deleted])

    def registers(self, *manifests: Manifest) -> None:
        for each in manifests:
            urn = _urn(each)
            self.guards.follow(SimpleNamespace(urn=SimpleNamespace(apply=lambda told, urn=urn: told(urn))))  # type: ignore[arg-type]

    def _call(self, kind: str, calls: Sequence[dict[str, Any]]) -> list[str]:
        """What each call refuses; empty where it refuses nothing."""

        async def call() -> list[Any]:
            hook = self.hooks[f"homeport-before-{kind}-cluster"]
            return await asyncio.gather(*(hook(SimpleNamespace(**each)) for each in calls), return_exceptions=True)

        found = asyncio.run(call())
        assert all(isinstance(each, OwnershipError | EditError | SpecError | None) for each in found), found
        return [str(each or "") for each in found]


def _urn(manifest: Manifest) -> str:
    return f"urn:{manifest['kind']}/{manifest['metadata']['name']}"


def test_all_objects_of_a_new_model_cost_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, NAMESPACE, SERVICE)
    assert engine.create(NAMESPACE, SERVICE) == ["", ""]
    assert engine.cluster.asked == ["find", "namespaces"]


def test_one_object_of_another_stops_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, NAMESPACE, SERVICE)
    engine.cluster = FakeCluster(NAMESPACE, manifest("Service", mark="shop/dev/iris"))
    shown = engine.create(NAMESPACE, SERVICE)
    assert all("managed by the stack and model shop/dev/iris" in each for each in shown)
    assert "HOMEPORT_ADOPT" not in shown[0]
    monkeypatch.setenv("HOMEPORT_ADOPT", "Service/iris/iris")
    assert all(engine.create(NAMESPACE, SERVICE))


def test_what_is_no_ones_is_taken_over_by_the_name_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, NAMESPACE, SERVICE)
    engine.cluster = FakeCluster(manifest("Namespace", mark=None), manifest("Service", mark=None))
    shown, _ = engine.create(NAMESPACE, SERVICE)
    _, _, value = shown.partition("HOMEPORT_ADOPT=")
    assert value == "Namespace/iris,Service/iris/iris"
    monkeypatch.setenv("HOMEPORT_ADOPT", value)
    assert engine.create(NAMESPACE, SERVICE) == ["", ""]
    monkeypatch.setenv("HOMEPORT_ADOPT", "Namespace/iris")
    assert all(engine.create(NAMESPACE, SERVICE))


def test_a_model_that_is_taken_out_goes_as_a_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    engine.cluster = FakeCluster(NAMESPACE, SERVICE, CANARY, NOTES)
    shown = engine.delete(CANARY, SERVICE)
    assert all("HOMEPORT_DELETE=ConfigMap/iris/notes" in each for each in shown)
    assert engine.cluster.asked == ["find", "content"]
    monkeypatch.setenv("HOMEPORT_DELETE", "ConfigMap/iris/note")
    assert all(engine.delete(CANARY, SERVICE, NAMESPACE))
    for agreed in ("ConfigMap/iris/notes", "Namespace/iris", " Namespace/rose , ConfigMap/iris/notes"):
        monkeypatch.setenv("HOMEPORT_DELETE", agreed)
        assert engine.delete(CANARY, SERVICE, NAMESPACE) == ["", "", ""]


def test_what_comes_while_a_model_goes_is_found_before_the_namespace_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    engine.cluster = FakeCluster(NAMESPACE, SERVICE)
    assert engine.delete(SERVICE) == [""]
    engine.cluster.objects = [Live.of(NAMESPACE), Live.of(NOTES)]
    assert "ConfigMap/iris/notes" in engine.delete(NAMESPACE)[0]


@pytest.mark.parametrize(
    "now", [[], [NAMESPACE | {"metadata": NAMESPACE["metadata"] | {"deletionTimestamp": "now"}}, NOTES]]
)
def test_a_namespace_that_is_gone_or_going_has_nothing_to_lose(
    monkeypatch: pytest.MonkeyPatch, now: list[Manifest]
) -> None:
    engine = Engine(monkeypatch)
    engine.cluster = FakeCluster(*now)
    assert engine.delete(SERVICE, NAMESPACE) == ["", ""]


def test_a_namespace_that_others_made_again_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    engine.cluster = FakeCluster(manifest("Namespace", mark=None))
    assert all("Namespace/iris: no one's" in each for each in engine.delete(SERVICE, NAMESPACE))


def test_a_canary_goes_whatever_others_have_put_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, NAMESPACE, SERVICE)
    engine.registers(NAMESPACE, SERVICE)
    engine.cluster = FakeCluster(NAMESPACE, SERVICE, CANARY, NOTES)
    assert engine.delete(CANARY) == [""]


def test_an_object_that_others_have_made_again_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, NAMESPACE, SERVICE)
    engine.cluster = FakeCluster(NAMESPACE, SERVICE, manifest("Service", "iris-canary", None))
    assert "Service/iris/iris-canary: no one's" in engine.delete(CANARY)[0]


def test_a_replacement_is_no_removal_and_a_destruction_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, NAMESPACE, SERVICE)
    engine.cluster = FakeCluster(NAMESPACE, SERVICE, NOTES)
    assert engine.delete(SERVICE) == [""]  # its declaration waits for the replacement
    engine.registers(NAMESPACE, SERVICE)
    assert "ConfigMap/iris/notes" in engine.delete(SERVICE)[0]
    assert "ConfigMap/iris/notes" in engine.delete(NAMESPACE)[0]


def test_a_protected_model_loses_nothing_before_its_namespace_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Engine(monkeypatch)
    assert all("`protect: false`" in each for each in gone.delete(SERVICE, NAMESPACE, protected=True))
    live = Engine(monkeypatch, NAMESPACE, SERVICE)
    live.cluster = FakeCluster(CANARY)
    assert live.delete(CANARY, protected=True) == [""]


@pytest.mark.parametrize("preview", [True, False])
def test_without_an_answer_only_a_preview_goes_on(monkeypatch: pytest.MonkeyPatch, preview: bool) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    engine = Engine(monkeypatch, NAMESPACE, SERVICE)
    engine.cluster.fails = True
    shown = engine.create(NAMESPACE, SERVICE) + engine.delete(CANARY, NAMESPACE)
    if preview:
        assert shown == [""] * 4
        assert told == ["this preview does not show whether objects of others are in the way: no answer"]
    else:
        assert all("no answer" in each for each in shown)
        monkeypatch.setenv("HOMEPORT_DELETE", "Namespace/iris")
        assert engine.delete(CANARY, NAMESPACE) == ["", ""]


def test_a_home_is_not_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = manifest("Namespace", "ml-iris")
    engine = Engine(monkeypatch, moved)
    engine.cluster = FakeCluster(NAMESPACE)
    assert (
        'found the namespace "ml-iris" for a model that lives in "iris", accepted: that one' in engine.create(moved)[0]
    )
    assert engine.create(manifest("Service", namespace="ml-iris")) == [""]  # which waits for the namespace


QUOTA = manifest("ResourceQuota") | {"spec": {"hard": {"requests.cpu": "3", "pods": "3"}}}
RANGE = manifest("LimitRange") | {"spec": {"limits": [{"max": {"cpu": "1"}}]}}


def sized(cpu: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"containers": [{"resources": {"limits": {"cpu": cpu}}}]}}


def test_a_limit_is_not_made_smaller_than_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, NAMESPACE, QUOTA, RANGE)
    engine.cluster.quota = {"status": {"used": {"requests.cpu": "3500m", "pods": "9"}}}
    engine.cluster.pods = [[sized("2")]]
    quota, limit = engine.update(QUOTA, RANGE)
    assert "ResourceQuota/iris/iris is not changed" in quota
    assert "requests.cpu: 3500m used, 3 allowed" in quota
    assert "pods" not in quota.splitlines()[1]
    assert "cpu: 2 in a container, 1 allowed" in limit


def test_a_limit_that_what_runs_fits_into_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, NAMESPACE, QUOTA, RANGE)
    engine.cluster.quota = {"status": {"used": {"requests.cpu": "3"}}}
    engine.cluster.pods = [[sized("1"), sized("2", deletionTimestamp="now")]]
    assert engine.update(QUOTA, RANGE) == ["", ""]


def drains(seconds: int) -> dict[str, Any]:
    return {"metadata": {"name": "iris-1", "deletionTimestamp": "now", "deletionGracePeriodSeconds": seconds}}


RUNS: dict[str, Any] = {"metadata": {"name": "iris-2"}}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that went by, which a wait adds to."""
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now.append(now[-1] + seconds)

    monkeypatch.setattr(hooks, "time", SimpleNamespace(monotonic=lambda: now[-1]))
    monkeypatch.setattr(hooks, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    monkeypatch.setattr(pulumi.log, "info", lambda _: None)
    return now


def test_what_draining_pods_need_stays_until_they_have_gone(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    policy, secret = manifest("NetworkPolicy", "iris-egress-1"), manifest("Secret", "iris-token")
    engine = Engine(monkeypatch, NAMESPACE, SERVICE)
    engine.cluster = FakeCluster(NAMESPACE, SERVICE, policy, secret)
    engine.cluster.pods = [[drains(60), RUNS], [drains(60), RUNS], [RUNS]]
    assert engine.delete(policy, secret, CANARY) == ["", "", ""]
    assert engine.cluster.asked.count("pods of iris") == 3
    assert clock[-1] == 4


def test_a_policy_stays_while_pods_drain_that_it_lets_in(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    peers = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in ("rose", "gateway")
    ]
    policy = manifest("NetworkPolicy", "iris-ingress-1") | {"spec": {"ingress": [{"from": peers}]}}
    engine = Engine(monkeypatch, NAMESPACE)
    engine.guards.declare(Declared([manifest("Namespace", "rose")]))
    engine.cluster = FakeCluster(NAMESPACE, policy)
    assert engine.delete(policy) == [""]
    assert set(engine.cluster.asked) == {"find", "pods of iris", "pods of rose"}
    assert clock == [0]


def test_a_pod_of_a_lost_node_is_waited_for_no_longer_than_it_may_drain(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    policy = manifest("NetworkPolicy", "iris-egress-1")
    engine = Engine(monkeypatch, NAMESPACE)
    engine.cluster = FakeCluster(NAMESPACE, policy)
    engine.cluster.pods = [[drains(30)]] * 100
    assert engine.delete(policy) == [""]
    assert 30 < clock[-1] <= 30 + 2 * hooks.LOOK_SECONDS


def test_a_new_model_hides_no_other_from_a_deployer() -> None:
    new = [manifest("Namespace", "new"), manifest("Deployment", "new", namespace="new")]
    old = [NAMESPACE, manifest("Deployment")]

    class Forbids(FakeCluster):
        """Lets nobody read in a namespace that does not exist."""

        def read(self, manifests: Any) -> list[Any]:
            self.asked.append("read")
            if new[1] in manifests:
                raise KubectlError("forbidden")
            return list(manifests)

    cluster = Forbids(NAMESPACE)
    assert hooks._standing(cluster, [old, new]) == [old[1]]
    assert cluster.asked == ["read", "find", "read"]
    assert hooks._standing(Forbids(*old), [old]) == [old[1]]


ROUTE = {**manifest("HTTPRoute"), "apiVersion": "gateway.networking.k8s.io/v1"}
PUBLIC = Need(("gateway", "name"), "gateway.networking.k8s.io/v1", "Gateway", "public", "gateway")
UNSERVED = (
    "gateway.name: found a cluster that does not serve HTTPRoute (gateway.networking.k8s.io/v1), accepted: one with"
)
ABSENT = (
    'gateway.name: found "public", which the cluster does not have, accepted: the name of a Gateway in the namespace'
)


def at_field(violation: Violation) -> Problem:
    return Problem(violation.message, field=dotted(violation.field))


@pytest.mark.parametrize("own_program", [False, True])
@pytest.mark.parametrize("preview", [False, True])
def test_what_the_cluster_lacks_is_refused_before_anything_is_created(
    monkeypatch: pytest.MonkeyPatch, preview: bool, own_program: bool
) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    engine = Engine(monkeypatch)
    engine.guards.declare(Declared([NAMESPACE, ROUTE], [PUBLIC], at_field, own_program))
    # A program of one's own may install it first, which a preview does not see.
    expected = ["", ""] if own_program and preview else [UNSERVED, UNSERVED]
    shown = engine.create(NAMESPACE, ROUTE)
    assert [text.startswith(begin) for text, begin in zip(shown, expected, strict=True)] == [True, True]
    assert all(text.startswith(UNSERVED) and text.endswith("makes it first") for text in warned)
    assert bool(warned) == (own_program and preview)
    assert engine.cluster.asked.count(ROUTE["apiVersion"]) == 1


def test_an_object_of_the_platform_that_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    engine.guards.declare(Declared([NAMESPACE, ROUTE], [PUBLIC], at_field))
    engine.cluster.served[ROUTE["apiVersion"]] = {"HTTPRoute", "Gateway"}
    (shown,) = engine.create(ROUTE)
    assert shown.startswith(ABSENT)
    there = Engine(monkeypatch)
    there.guards.declare(Declared([NAMESPACE, ROUTE], [PUBLIC], at_field))
    there.cluster.served = engine.cluster.served
    there.cluster.objects.append(Live.of(PUBLIC.reference))
    assert there.create(ROUTE) == [""]


def test_who_may_not_read_the_platform_learns_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    engine.guards.declare(Declared([NAMESPACE, ROUTE], [PUBLIC], at_field))
    engine.cluster.served[ROUTE["apiVersion"]] = {"HTTPRoute", "Gateway"}
    find = engine.cluster.find

    def forbidden(manifests: Any) -> list[Live]:
        if PUBLIC.reference in manifests:
            raise KubectlError("forbidden")
        return find(manifests)

    monkeypatch.setattr(engine.cluster, "find", forbidden)
    assert engine.create(ROUTE) == [""]


def test_an_update_without_changes_costs_one_call_of_kubectl(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    class Counting(Kubectl):
        def _run(self, *arguments: str, **_: Any) -> str:
            called.append(arguments[0])
            return ""

    engine = Engine(monkeypatch)
    guards = Hooks(engine.guards.provider, Counting())
    for name in ("iris", "rose"):
        made = [manifest("Namespace", name), manifest("Deployment", name, namespace=name)]
        guards.declare(Declared(made, [], at_field))

    async def all_models() -> list[Any]:
        return list(await asyncio.gather(guards.standing(), guards.standing()))

    assert asyncio.run(all_models()) == [[], []]
    assert called == ["get"]
