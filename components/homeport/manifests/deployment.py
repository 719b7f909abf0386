"""Deployment: runs the pods of each version, and replaces them without losing a request."""

from homeport.manifests.names import Manifest, manifest, selector
from homeport.manifests.pod import grace_seconds, pod_template
from homeport.manifests.resource import Resource, Stage
from homeport.release import Release

MIN_READY_SECONDS = 5
"""Seconds that a new pod must stay ready before it counts, so that a crash right after readiness stops the update."""


def deployment(release: Release) -> list[Resource]:
    """The Deployments of the stable version and of its canary."""
    return [
        Resource(_deployment(track), Stage.WORKLOAD, track.suffix, seconds=_rollout_seconds(track))
        for track in release.tracks
    ]


def _deployment(release: Release) -> Manifest:
    # `replicas` is absent: the autoscaler owns it.
    spec: Manifest = {
        "selector": {"matchLabels": selector(release)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _pace(release)},
        "minReadySeconds": MIN_READY_SECONDS,
        "progressDeadlineSeconds": _progress_seconds(release),
        "revisionHistoryLimit": 3,
        "template": pod_template(release),
    }
    return manifest(release, "apps/v1", "Deployment", release.instance, spec=spec)


def _pace(release: Release) -> Manifest:
    # If no GPU is spare, a new pod would wait indefinitely for the old one to stop.
    add_first, take_first = {"maxSurge": 1, "maxUnavailable": 0}, {"maxSurge": 0, "maxUnavailable": 1}
    return take_first if release.updates_in_place else add_first


def _progress_seconds(release: Release) -> int:
    """Maximum seconds until the next new pod is available: a node and an image, start-up, minReadySeconds."""
    return release.environment.provision_seconds + _replacement_seconds(release)


def _rollout_seconds(release: Release) -> int:
    """Maximum seconds until an update is complete, because pods are replaced one after another."""
    return release.environment.provision_seconds + _replacement_seconds(release) * release.replicas[1]


def _replacement_seconds(release: Release) -> int:
    drain = grace_seconds(release) if release.updates_in_place else 0
    return drain + release.model.startup_seconds + MIN_READY_SECONDS
