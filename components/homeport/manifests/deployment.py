"""Deployment: runs the pods of each version, and replaces them without losing a request."""

from homeport.manifests.names import Manifest, manifest, selector
from homeport.manifests.pod import grace_seconds, pod_template
from homeport.manifests.resource import Resource, Stage
from homeport.release import Release

AWAIT, CREATED = "pulumi.com/waitFor", "jsonpath={.metadata.uid}"
"""Annotation that Pulumi waits for no more than the object. homeport waits for the replicas, and tells what keeps them.

`pulumi.com/skipAwait` would also skip the wait for the last pod when the Deployment is deleted.
"""

MIN_READY_SECONDS = 5
"""Seconds that a new pod must stay ready before it counts, so that a crash right after readiness stops the update."""


def deployment(release: Release) -> list[Resource]:
    """The Deployments of the stable version and of its canary."""
    return [
        Resource(_deployment(track), Stage.WORKLOAD, track.suffix, seconds=_progress_seconds(track), replicas=True)
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
    made = manifest(release, "apps/v1", "Deployment", release.instance, spec=spec)
    made["metadata"]["annotations"][AWAIT] = CREATED
    return made


def _pace(release: Release) -> Manifest:
    # If no GPU is spare, a new pod would wait indefinitely for the old one to stop.
    add_first = {"maxSurge": release.environment.max_surge, "maxUnavailable": 0}
    return {"maxSurge": 0, "maxUnavailable": 1} if release.updates_in_place else add_first


def _progress_seconds(release: Release) -> int:
    """Maximum seconds until the next new pod is available: a node and an image, start-up, minReadySeconds."""
    drain = grace_seconds(release) if release.updates_in_place else 0
    return release.environment.provision_seconds + drain + release.model.startup_seconds + MIN_READY_SECONDS
