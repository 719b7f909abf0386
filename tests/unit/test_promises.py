"""What keeps an object from what it promises, told by statuses as the controllers write them; and the wait for it."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pulumi
import pytest

from homeport.components import rollouts
from homeport.components.hooks import Hooks
from homeport.components.kubectl import KubectlError
from homeport.components.rollouts import RolloutError, Rollouts
from homeport.manifests.resource import Resource, Stage
from homeport.promises import PROMISES, Promise
from homeport.rollout import Cause

REFUSED = "Gateway gateway/public"


def condition(name: str, status: str, reason: str = "Some", message: str = "words", generation: int = 3) -> Any:
    return {
        "type": name,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
    }


def route(*answers: list[Any]) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "iris", "namespace": "iris", "generation": 3},
        "spec": {"parentRefs": [{"namespace": "gateway", "name": "public"}], "hostnames": ["iris.example.com"]},
        "status": {"parents": [{"conditions": each} for each in answers]},
    }


def scaled_object(*conditions: Any, least: int = 0) -> dict[str, Any]:
    told = [{key: value for key, value in each.items() if key != "observedGeneration"} for each in conditions]
    metadata = {"name": "iris", "namespace": "iris", "generation": 3}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata,
        "spec": {"minReplicaCount": least},
        "status": {"conditions": told},
    }


def autoscaler(*conditions: Any, least: int = 1, most: int = 3) -> dict[str, Any]:
    return scaled_object(*conditions) | {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v2",
        "spec": {"minReplicas": least, "maxReplicas": most},
    }


ACCEPTED, RESOLVED = condition("Accepted", "True"), condition("ResolvedRefs", "True")
NO_API = "the server could not find the requested resource (get pods.metrics.k8s.io)"
SILENT = Cause(f"no controller has answered for {REFUSED}: none runs, or there is no such Gateway")

CASES: dict[str, tuple[dict[str, Any], list[Cause]]] = {
    "route": (route([ACCEPTED, RESOLVED]), []),
    "route, of the first controller that accepts it": (route([condition("Accepted", "False")], [ACCEPTED]), []),
    "route without a controller": (route(), [SILENT]),
    "route that waits for one": (route([condition("Accepted", "Unknown", "Pending")]), [SILENT]),
    "route whose change is not seen": (route([condition("Accepted", "True", generation=2)]), [SILENT]),
    "route with another host": (
        route([condition("Accepted", "False", "NoMatchingListenerHostname"), RESOLVED]),
        [
            Cause(
                f"no listener of {REFUSED} admits the host iris.example.com (gateway.host): NoMatchingListenerHostname: "
                "words",
                final=True,
            )
        ],
    ),
    "route from another namespace": (
        route([condition("Accepted", "False", "NotAllowedByListeners")]),
        [
            Cause(
                f"no listener of {REFUSED} admits routes from the namespace iris (its allowedRoutes): "
                "NotAllowedByListeners: words",
                final=True,
            )
        ],
    ),
    "route to no listener": (
        route([condition("Accepted", "False", "NoMatchingParent")]),
        [Cause(f"{REFUSED} has no listener for the route: NoMatchingParent: words", final=True)],
    ),
    "route to a Service that is not seen": (
        route([ACCEPTED, condition("ResolvedRefs", "False", "BackendNotFound")]),
        [Cause(f"{REFUSED} does not serve the route: BackendNotFound: words")],
    ),
    "KEDA": (scaled_object(condition("Ready", "True")), []),
    "no KEDA": (scaled_object(), [Cause("KEDA has not answered: it does not run, or does not watch this namespace")]),
    "KEDA, at first": (
        scaled_object(condition("Ready", "Unknown")),
        [Cause("KEDA has not answered: it does not run, or does not watch this namespace")],
    ),
    "KEDA, with no answer of the counter": (
        scaled_object(condition("Ready", "False", "TriggerError")),
        [Cause("KEDA cannot watch the triggers (keda.triggers): TriggerError: words")],
    ),
    "metric": (autoscaler(condition("ScalingActive", "True")), []),
    "metric of no replicas": (autoscaler(condition("ScalingActive", "False", "ScalingDisabled")), []),
    "metric that nothing depends on": (autoscaler(least=2, most=2), []),
    "no metric yet": (
        autoscaler(condition("AbleToScale", "True")),
        [Cause("the autoscaler has no metric yet")],
    ),
    "no metric": (
        autoscaler(condition("ScalingActive", "False")),
        [Cause("the autoscaler has no metric: words")],
    ),
    "no metrics": (
        autoscaler(condition("ScalingActive", "False", message=NO_API)),
        [Cause(f"the autoscaler has no metric: {NO_API}", final=True)],
    ),
}


@pytest.mark.parametrize(("found", "causes"), CASES.values(), ids=CASES)
def test_what_keeps_an_object_from_what_it_promises(found: dict[str, Any], causes: list[Cause]) -> None:
    assert list(PROMISES[found["kind"]].keeps(found)) == causes


class Cluster:
    """Has an object with one status after the other, the last one from then on."""

    def __init__(self, *found: Any, served: bool = True) -> None:
        self.found, self.served, self.looks = list(found), served, 0

    def kinds(self, _: str) -> set[str]:
        return {"PodMetrics"} if self.served else set()

    def read(self, _: Any) -> list[Any]:
        self.looks += 1
        now = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(now, Exception):
            raise now
        return [now]

    async def ask(self, ask: Callable[[Any], Any]) -> Any:
        return ask(self)

    async def standing(self) -> list[Any]:
        return self.found


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings."""
    found: list[str] = []
    monkeypatch.setattr(rollouts, "LOOK_SECONDS", 0)
    monkeypatch.setattr(pulumi.log, "warn", lambda text, _: found.append(text))
    monkeypatch.setattr(pulumi.log, "info", lambda *_, **__: None)
    return found


def wait(cluster: Cluster, *, created: bool = False, updated: bool = False, over: bool = False) -> None:
    """As after an update that created or changed the object, or neither; the time may be over."""
    manifest = cluster.found[-1]
    kind = manifest["kind"]
    resource = Resource(manifest, Stage.SERVING)
    waiting = Rollouts(cast("pulumi.Resource", None), cast("Hooks", cluster), None)
    waiting._created |= {resource.name} if created else set()
    waiting._updated |= {resource.name} if updated else set()
    promise = PROMISES[kind]
    if over:
        promise = Promise(**vars(promise) | {"seconds": -1})
    asyncio.run(waiting._keep(promise, resource, resource))


def test_a_promise_that_is_kept_late_is_waited_for(said: list[str]) -> None:
    cluster = Cluster(route(), KubectlError("no route to host"), route([ACCEPTED]))
    wait(cluster, created=True)
    assert (cluster.looks, said) == (3, [])


def test_what_is_waited_for_is_told_once_and_after_a_while(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "TELL_SECONDS", -1)
    wait(Cluster(route(), route(), route([ACCEPTED])), created=True)
    assert said == [f"iris: {SILENT.text}"]
    wait(Cluster(autoscaler(), autoscaler(condition("ScalingActive", "True"))), created=True)
    assert len(said) == 1


def test_what_cannot_heal_ends_the_update_at_once(said: list[str]) -> None:
    refused = route([condition("Accepted", "False", "NotAllowedByListeners")])
    with pytest.raises(
        RolloutError, match=r"^iris: no listener of Gateway gateway/public admits routes from .*: words$"
    ):
        wait(Cluster(refused), updated=True)
    assert said == []


def test_an_object_without_an_answer_ends_the_update_after_its_time() -> None:
    with pytest.raises(RolloutError, match=r"^iris: KEDA has not answered: .* \(waited -1 seconds\)$"):
        wait(Cluster(scaled_object()), created=True, over=True)


def test_an_autoscaler_without_a_metric_is_a_warning(said: list[str]) -> None:
    wait(Cluster(autoscaler()), created=True, over=True)
    assert said == ["iris: the autoscaler has no metric yet (waited -1 seconds)"]
    cluster = Cluster(autoscaler(), served=False)
    wait(cluster, created=True)
    assert said[1:] == [
        "iris: the update does not wait until its autoscaler has a metric: the cluster does not serve metrics.k8s.io/v1beta1"
    ]
    assert cluster.looks == 0


def test_an_update_interrupts_the_metric_and_does_not_wait_for_it(said: list[str]) -> None:
    cluster = Cluster(autoscaler())
    wait(cluster, updated=True)
    assert (cluster.looks, said) == (0, [])


def test_what_an_update_does_not_change_is_a_warning(said: list[str]) -> None:
    wait(Cluster(route()))
    assert said == [f"iris: {SILENT.text}; this update does not change that"]
    wait(Cluster(autoscaler()))
    assert len(said) == 1
