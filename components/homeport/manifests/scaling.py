"""Scaling: how many replicas run, and how many must run while nodes are drained.

An autoscaler always owns the number of replicas, a fixed one too. If the Deployment stated it for some models, the API server
would make it 1 at the moment at which it no longer does.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
"""

from collections.abc import Iterator

from homeport.manifests.names import Manifest, manifest, selector
from homeport.manifests.resource import Resource, Stage
from homeport.release import Release
from homeport.specs.environment import Trigger

HPA_ANNOTATION = "validations.keda.sh/hpa-ownership"
"""KEDA's webhook refuses a ScaledObject beside a HorizontalPodAutoscaler without this annotation. Both exist for a moment
when a model changes from one to the other."""

POLLING_SECONDS = 15
"""Seconds between KEDA's checks whether a replica is needed, as for Kubernetes' own autoscaler."""


def scaling(release: Release) -> list[Resource]:
    """The disruption budget of each version and its autoscaler, unless that is KEDA's."""
    budgets = [Resource(_budget(track), suffix=track.suffix) for track in release.tracks]
    if release.triggers:
        return budgets
    return [*budgets, *(Resource(_autoscaler(track), suffix=track.suffix, replicas=True) for track in release.tracks)]


def scaled_objects(release: Release) -> list[Resource]:
    """The ScaledObject of each version, if the model has a target that only KEDA can watch.

    It is created after the Deployment, because KEDA refuses it without one. The first replica has started by then, so a
    version is tested before it may be scaled to zero.
    """
    if not release.triggers:
        return []
    return [Resource(_scaled_object(track), Stage.SERVING, track.suffix, replicas=True) for track in release.tracks]


def _budget(release: Release) -> Manifest:
    # One pod at a time. Pods that are not ready may always be evicted, so that they never block a drain.
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": selector(release)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return manifest(release, "policy/v1", "PodDisruptionBudget", release.instance, spec=spec)


def _autoscaler(release: Release) -> Manifest:
    least, most = release.replicas
    spec: Manifest = {
        "scaleTargetRef": _deployment(release),
        "minReplicas": least,
        "maxReplicas": most,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}},
            }
            for name, percent in release.model.scale.target.resources.items()
        ],
        "behavior": _behavior(release),
    }
    autoscaler = manifest(release, "autoscaling/v2", "HorizontalPodAutoscaler", release.instance, spec=spec)
    if release.environment.keda:
        autoscaler["metadata"]["annotations"][HPA_ANNOTATION] = "false"
    return autoscaler


def _scaled_object(release: Release) -> Manifest:
    least, most = release.replicas
    spec: Manifest = {
        "scaleTargetRef": _deployment(release),
        "minReplicaCount": least,
        "maxReplicaCount": most,
        "pollingInterval": POLLING_SECONDS,
        # These apply to the last replica; the window in `behavior` applies to the others.
        "cooldownPeriod": release.model.scale.down_seconds,
        "initialCooldownPeriod": release.model.scale.down_seconds,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(release)}},
        "triggers": list(_triggers(release)),
    }
    return manifest(release, "keda.sh/v1alpha1", "ScaledObject", release.instance, spec=spec)


def _deployment(release: Release) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": release.instance}


def _behavior(release: Release) -> Manifest:
    """How fast to scale: up to double at a time, because the load is there; down to half, because starting is slow."""
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": release.model.scale.up_seconds,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 15},
                {"type": "Pods", "value": 4, "periodSeconds": 15},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": release.model.scale.down_seconds,
            "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
        },
    }


def _triggers(release: Release) -> Iterator[Manifest]:
    target = release.model.scale.target
    for name, percent in target.resources.items():
        yield {"type": name, "name": name, "metricType": "Utilization", "metadata": {"value": str(percent)}}
    for demand, trigger in release.triggers.items():
        metadata = {key: _filled(value, release, target.demand[demand]) for key, value in trigger.metadata.items()}
        yield {"type": trigger.type, "name": demand, "metadata": metadata, **_authentication(trigger)}


def _filled(setting: str, release: Release, target: int) -> str:
    # Not str.format, because queries contain braces.
    words = {
        "{target}": str(target),
        "{model}": release.model.name,
        "{namespace}": release.namespace,
        "{instance}": release.instance,
    }
    for word, meaning in words.items():
        setting = setting.replace(word, meaning)
    return setting


def _authentication(trigger: Trigger) -> Manifest:
    if trigger.authentication is None:
        return {}
    return {"authenticationRef": {"kind": "ClusterTriggerAuthentication", "name": trigger.authentication}}
