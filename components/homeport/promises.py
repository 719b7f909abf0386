"""Promises: whether a cluster's controllers keep what an object of a model promises, as the object's status shows it.

A route is accepted by its Gateway, KEDA watches a ScaledObject, and an autoscaler has a metric.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from homeport.rollout import Cause, Live

_METRICS = "metrics.k8s.io/v1beta1"
"""The API that autoscalers get cpu and memory from. metrics-server serves it."""

_ANSWER_SECONDS = 180
"""Seconds within which a controller that runs has answered: most do at once, those of a cloud first set up a load balancer."""

_METRIC_SECONDS = 120
"""Seconds within which an autoscaler has its first metric. metrics-server measures every 15 seconds and needs two
measurements, and the autoscaler asks every 15 seconds."""


@dataclass(frozen=True)
class Promise:
    """What an update waits for after it has created or changed an object."""

    keeps: Callable[[Live], Iterator[Cause]]
    """What keeps the object from what it promises; nothing if it has that."""
    what: str
    """What it waits for, in a few words."""
    seconds: int
    """Maximum time."""
    required: bool = True
    """Whether an update fails without it. Otherwise it ends with a warning."""
    api: str | None = None
    """API version without which it cannot be kept, so that no update waits for it."""
    brings: Callable[[Live], int] | None = None
    """How many replicas its controller brings then, if it does."""
    only_new: bool = False
    """Whether only a creation waits for it, because updates interrupt it for a moment."""


def _route(route: Live) -> Iterator[Cause]:
    """https://gateway-api.sigs.k8s.io/reference/spec/#routeconditiontype: Accepted and ResolvedRefs of its Gateway."""
    (parent,) = route["spec"]["parentRefs"]
    gateway = f"Gateway {parent['namespace']}/{parent['name']}"
    answers = [_conditions(each, route) for each in route.get("status", {}).get("parents", ())]
    if any(_is(each, "Accepted", "True") and not _is(each, "ResolvedRefs", "False") for each in answers):
        return
    refused = [each[name] for each in answers for name in ("Accepted", "ResolvedRefs") if _is(each, name, "False")]
    if not refused:
        yield Cause(f"no controller has answered for {gateway}: none runs, or there is no such Gateway")
    for condition in refused:
        reason, message = condition["reason"], condition.get("message", "")
        refusal = _REFUSALS.get(reason)
        if refusal:
            host, namespace = route["spec"]["hostnames"][0], route["metadata"]["namespace"]
            text = refusal.format(gateway=gateway, host=host, namespace=namespace)
        else:
            text = f"{gateway} does not serve the route"
        yield Cause(f"{text}: {reason}: {message}", final=bool(refusal))


_REFUSALS = {
    "NoMatchingListenerHostname": "no listener of {gateway} admits the host {host} (gateway.host)",
    "NotAllowedByListeners": "no listener of {gateway} admits routes from the namespace {namespace} (its allowedRoutes)",
    "NoMatchingParent": "{gateway} has no listener for the route",
}
"""What only a change of the Gateway or of the environment heals, by the reason of the condition Accepted:
https://gateway-api.sigs.k8s.io/reference/spec/#routeconditionreason."""


def _scaled_object(scaled: Live) -> Iterator[Cause]:
    """https://keda.sh/docs/latest/reference/scaledobject-spec/: the condition Ready."""
    ready = _conditions(scaled.get("status", {}), scaled).get("Ready")
    if ready is None or ready["status"] == "Unknown":
        yield Cause("KEDA has not answered: it does not run, or does not watch this namespace")
    elif ready["status"] == "False":
        yield Cause(f"KEDA cannot watch the triggers (keda.triggers): {ready['reason']}: {ready.get('message', '')}")


def _autoscaler(autoscaler: Live) -> Iterator[Cause]:
    """https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/: the condition ScalingActive."""
    spec = autoscaler["spec"]
    if spec["minReplicas"] == spec["maxReplicas"]:
        return
    active = _conditions(autoscaler.get("status", {}), autoscaler).get("ScalingActive")
    if active is None:
        yield Cause("the autoscaler has no metric yet")
    elif active["status"] != "True" and active["reason"] != "ScalingDisabled":
        message = active.get("message", "")
        yield Cause(
            f"the autoscaler has no metric: {message}", final="could not find the requested resource" in message
        )


PROMISES: Mapping[str, Promise] = {
    "HTTPRoute": Promise(_route, "its Gateway accepts its route", _ANSWER_SECONDS),
    "ScaledObject": Promise(
        _scaled_object,
        "KEDA watches its triggers",
        _ANSWER_SECONDS,
        brings=lambda scaled: int(scaled["spec"]["minReplicaCount"]),
    ),
    "HorizontalPodAutoscaler": Promise(
        _autoscaler, "its autoscaler has a metric", _METRIC_SECONDS, required=False, api=_METRICS, only_new=True
    ),
}
"""What objects promise, by their kind."""


def _conditions(status: Live, of: Live) -> dict[str, Mapping[str, Any]]:
    """Conditions by their type, without those that are about an earlier content of the object."""
    generation = of["metadata"].get("generation", 0)
    return {
        each["type"]: each
        for each in status.get("conditions") or ()
        if each.get("observedGeneration", generation) >= generation
    }


def _is(conditions: Mapping[str, Mapping[str, Any]], name: str, status: str) -> bool:
    return name in conditions and conditions[name]["status"] == status
