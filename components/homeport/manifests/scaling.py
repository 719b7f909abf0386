"""Scaling: how many replicas run, and how few may run while nodes are drained."""

from homeport.manifests.names import Manifest, manifest, selector
from homeport.release import Release


def scaling(release: Release) -> list[Manifest]:
    """The autoscaler, unless the number of replicas is fixed, and the disruption budget, of each version."""
    least, most = release.replicas
    return [
        each
        for track in release.tracks
        for each in ([_budget(track)] if least == most else [_budget(track), _autoscaler(track, least, most)])
    ]


def _budget(release: Release) -> Manifest:
    # One at a time, and never in the way of a drain: pods that are not ready anyway may always go.
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": selector(release)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return manifest(release, "policy/v1", "PodDisruptionBudget", release.instance, spec=spec)


def _autoscaler(release: Release, least: int, most: int) -> Manifest:
    target = release.model.scale.target
    watched = {"cpu": target.cpu, "memory": target.memory}
    spec: Manifest = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": release.instance},
        "minReplicas": least,
        "maxReplicas": most,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}},
            }
            for name, percent in watched.items()
            if percent is not None
        ],
        # Up at once, for the load is there; down slowly, for a model takes long to start again.
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Max",
                "policies": [
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                ],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": 300,
                "selectPolicy": "Max",
                "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
            },
        },
    }
    return manifest(release, "autoscaling/v2", "HorizontalPodAutoscaler", release.instance, spec=spec)
