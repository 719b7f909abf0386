"""Placement: on which nodes the pods of a model may run, which they prefer, and how they spread over them."""

from homeport.catalogue.gpus import Labels, Taint
from homeport.manifests.names import Manifest, selector
from homeport.nodes import Nodes, capacity
from homeport.release import Release

NODE_LOSS_SECONDS = 30
"""Seconds that a pod stays on a node that no longer responds, before another is started elsewhere.

Kubernetes' default is 300. The time begins when the node has been silent for 50 seconds: then it counts as lost and its
pods get no requests. So this only leaves time for what recovers by itself: a kubelet or a switch that restarts.
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""


def placement(release: Release) -> Manifest:
    """The fields of a pod's spec that decide where it runs."""
    fields: Manifest = {"topologySpreadConstraints": _spread(release)}
    fields["affinity"] = {"podAntiAffinity": _apart(release)}
    kinds, purchase = list(release.gpu_nodes.values()), capacity(release.environment)
    # Terms are alternatives. Within a term, all expressions must match.
    terms = [_all(_expressions(nodes) + _expressions(purchase)) for nodes in kinds or [Nodes({}, {}, ())]]
    if terms[0]["matchExpressions"]:
        affinity: Manifest = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        if preferred := _preferred(kinds):
            affinity["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
        fields["affinity"]["nodeAffinity"] = affinity
    taints = dict.fromkeys(taint for nodes in [*kinds, purchase] for taint in nodes.taints)
    fields["tolerations"] = [*map(_toleration, taints), *_patience()]
    if release.environment.priority_class:
        fields["priorityClassName"] = release.environment.priority_class
    return fields


def gpu_requests(release: Release, replicas: int = 1) -> dict[str, str]:
    """The extended resource for the GPUs of replicas and its amount: one name for all acceptable kinds."""
    if release.gpu is None:
        return {}
    resource = next(iter(release.gpu_nodes.values())).resource
    return {resource: str(release.gpu.count * replicas)}


def _expressions(nodes: Nodes) -> list[Manifest]:
    return _in(nodes.labels) + [
        {"key": key, "operator": "NotIn", "values": list(values)}
        if values
        else {"key": key, "operator": "DoesNotExist"}
        for key, values in nodes.without.items()
    ]


def _in(labels: Labels) -> list[Manifest]:
    return [{"key": key, "operator": "In", "values": list(values)} for key, values in labels.items()]


def _all(expressions: list[Manifest]) -> Manifest:
    return {"matchExpressions": expressions}


def _preferred(kinds: list[Nodes]) -> list[Manifest]:
    """Preferences for earlier kinds over later ones; the last needs no preference. Weights are 1 to 100."""
    lower = len(kinds) - 1
    return [
        {"weight": max(1, 100 * (lower - index) // lower), "preference": _all(_in(nodes.labels))}
        for index, nodes in enumerate(kinds[:-1])
    ]


def _spread(release: Release) -> list[Manifest]:
    # Spread as evenly as possible, but running unevenly is better than not running.
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(release)},
            "matchLabelKeys": ["pod-template-hash"],
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def _apart(release: Release) -> Manifest:
    # The spread only balances numbers per version. This keeps two pods of any version apart if there are two nodes.
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": selector(release)}}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}


def _patience() -> list[Manifest]:
    stays = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": NODE_LOSS_SECONDS}
    return [{"key": f"node.kubernetes.io/{state}", **stays} for state in ("not-ready", "unreachable")]


def _toleration(taint: Taint) -> Manifest:
    match = {"operator": "Exists"} if taint.value is None else {"operator": "Equal", "value": taint.value}
    return {"key": taint.key, "effect": taint.effect, **match}
