"""Scaling: how many replicas run, and how few may run while nodes are drained."""

from collections.abc import Iterator

from homeport.manifests.names import Manifest, manifest, selector
from homeport.manifests.resource import Resource, Stage
from homeport.release import Release
from homeport.specs.environment import Trigger

HPA_ANNOTATION = "validations.keda.sh/hpa-ownership"
"""KEDA's webhook refuses a ScaledObject beside a HorizontalPodAutoscaler that lacks it; for a moment there are both,
when a model goes from one to the other."""

POLLING_SECONDS = 15
"""How often KEDA looks whether a replica is needed when there is none: as often as Kubernetes' own autoscaler looks."""


def scaling(release: Release) -> list[Resource]:
    """The disruption budget of each version and, unless the number of replicas is fixed, its autoscaler."""
    budgets = [Resource(_budget(track), suffix=track.suffix) for track in release.tracks]
    if _fixed(release) or release.triggers:
        return budgets
    return [*budgets, *(Resource(_autoscaler(track), suffix=track.suffix) for track in release.tracks)]


def scaled_objects(release: Release) -> list[Resource]:
    """The autoscaler of each version in an environment with KEDA, where the model states what only that can watch.

    After the Deployment, without which KEDA refuses it; and the first replica has started then, so that a version is
    tried before there may be none.
    """
    if _fixed(release) or not release.triggers:
        return []
    return [Resource(_scaled_object(track), Stage.SERVING, track.suffix) for track in release.tracks]


def _fixed(release: Release) -> bool:
    least, most = release.replicas
    return least == most


def _budget(release: Release) -> Manifest:
    # One at a time, and never in the way of a drain: pods that are not ready anyway may always go.
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
        # The last replica goes by these; the window of the behavior is for those before.
        "cooldownPeriod": release.model.scale.down_seconds,
        "initialCooldownPeriod": release.model.scale.down_seconds,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(release)}},
        "triggers": list(_triggers(release)),
    }
    return manifest(release, "keda.sh/v1alpha1", "ScaledObject", release.instance, spec=spec)


def _deployment(release: Release) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": release.instance}


def _behavior(release: Release) -> Manifest:
    """How fast: up to the double at a time, for the load is there; down to the half, for a model takes long to start."""
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
    # Not str.format: queries have braces of their own.
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
