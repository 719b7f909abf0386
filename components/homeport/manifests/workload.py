"""Workload: the Deployment whose pods serve the model, hardened, and replaced without losing a request."""

from math import ceil
from typing import Any

from homeport.catalogue.container import DRAIN_VARIABLE, NAME_VARIABLE, UID
from homeport.manifests.identity import identity_labels
from homeport.manifests.names import Manifest, annotations, labels, manifest, selector
from homeport.manifests.placement import gpu_requests, placement
from homeport.manifests.secrets import secret_annotations, secret_mounts, secret_variables, secret_volumes
from homeport.manifests.weights import weights_mounts, weights_volumes
from homeport.release import Release
from homeport.specs.quantities import byte_count, memory_quantity

_NOBODY: Manifest = {
    "runAsNonRoot": True,
    "runAsUser": UID,
    "runAsGroup": UID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Stated for the pod and again for its container, where some admission policies look and a pod's words do not count."""

LOG_BYTES = 256 * 2**20
"""Room for a container's log, which counts as ephemeral storage like /tmp does."""

MIN_READY_SECONDS = 5
"""How long a new pod must stay ready before it counts, so that a crash right after readiness stops the update."""

STARTUP_PERIOD_SECONDS = 2

_SHM: Manifest = {"name": "shm", "mountPath": "/dev/shm"}  # noqa: S108


def workload(release: Release) -> list[Manifest]:
    """The Deployments of the stable version and of its canary."""
    return [_deployment(track) for track in release.tracks]


def _deployment(release: Release) -> Manifest:
    least, most = release.replicas
    spec: Manifest = {
        "selector": {"matchLabels": selector(release)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _pace(release)},
        "minReadySeconds": MIN_READY_SECONDS,
        "progressDeadlineSeconds": progress_seconds(release),
        "revisionHistoryLimit": 3,
        "template": {"metadata": _pod_metadata(release), "spec": _pod(release)},
    }
    if least == most:  # otherwise the autoscaler owns the number: stating it here would reset it at every update
        spec["replicas"] = least
    return manifest(release, "apps/v1", "Deployment", release.instance, spec=spec)


def _pace(release: Release) -> Manifest:
    # Where no GPU is spare a new pod would wait for ever for the old one to go.
    add_first, take_first = {"maxSurge": 1, "maxUnavailable": 0}, {"maxSurge": 0, "maxUnavailable": 1}
    return take_first if release.updates_in_place else add_first


def progress_seconds(release: Release) -> int:
    """Most seconds until the next new pod is available: a node and an image, start-up, proof of stability."""
    return release.environment.provision_seconds + _replacement_seconds(release)


def rollout_seconds(release: Release) -> int:
    """Most seconds until an update is complete: its pods are replaced one after another."""
    return release.environment.provision_seconds + _replacement_seconds(release) * release.replicas[1]


def _replacement_seconds(release: Release) -> int:
    drain = grace_seconds(release) if release.updates_in_place else 0
    return drain + release.model.startup_seconds + MIN_READY_SECONDS


def grace_seconds(release: Release) -> int:
    """Most seconds from the withdrawal of a replica until it has finished its last request."""
    return release.environment.endpoint_seconds + release.model.drain_seconds + 5


def ephemeral_storage(release: Release) -> str:
    """Disk that one replica may fill: /tmp and its log."""
    return memory_quantity(byte_count(release.model.resources.tmp) + LOG_BYTES)


def _pod_metadata(release: Release) -> Manifest:
    # Whatever stands here restarts every pod when it changes: the commit, which changes without the model, stays out.
    audit = {key: value for key, value in annotations(release).items() if key != "homeport/git-commit"}
    return {"labels": labels(release) | identity_labels(release), "annotations": audit | secret_annotations(release)}


def _pod(release: Release) -> Manifest:
    model, environment = release.model, release.environment
    # Where a node has AppArmor the runtime confines every container anyway; asking for it makes other nodes refuse them.
    apparmor = {} if "apparmor" in environment.relaxations else {"appArmorProfile": {"type": "RuntimeDefault"}}
    return {
        "serviceAccountName": model.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": grace_seconds(release),
        "securityContext": {
            **_NOBODY,
            "fsGroup": UID,
            **apparmor,
        },
        "containers": [_container(release)],
        "volumes": [*_volumes(release), *weights_volumes(release), *secret_volumes(release)],
        **placement(release),
    }


def _volumes(release: Release) -> list[Manifest]:
    resources = release.model.resources
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {"sizeLimit": resources.tmp}}]
    if resources.shm:  # counts as memory of whoever writes to it
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": resources.shm}})
    return volumes


def _container(release: Release) -> Manifest:
    model, relaxed = release.model, release.environment.relaxations
    ports = [{"name": "http", "containerPort": model.serving_port, "protocol": "TCP"}]
    if model.metrics_endpoint and model.metrics_endpoint.port != model.serving_port:
        ports.append({"name": "metrics", "containerPort": model.metrics_endpoint.port, "protocol": "TCP"})
    named = {NAME_VARIABLE: model.name} if model.as_mlserver else {}
    variables = {DRAIN_VARIABLE: str(model.drain_seconds)} | named | secret_variables(release) | model.env
    return {
        "name": "model",
        "image": release.image,
        **({"args": model.args} if model.args else {}),
        # Whoever starts the image proves that it may: a node that has it would else give it to anyone who names it.
        "imagePullPolicy": "IfNotPresent" if "image_pull" in relaxed else "Always",
        "ports": ports,
        "resources": _resources(release),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": "writable_root" not in relaxed,
            **_NOBODY,
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            *([_SHM] if model.resources.shm else []),
            *weights_mounts(release),
            *secret_mounts(release),
        ],
        # Endpoints are withdrawn while the replica still serves; only then is it asked to stop and drain.
        "lifecycle": {"preStop": {"sleep": {"seconds": release.environment.endpoint_seconds}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "env": [{"name": name, "value": value} for name, value in sorted(variables.items())],
        **_probes(release),
    }


def _resources(release: Release) -> Manifest:
    size = {"cpu": release.cpu, "memory": release.memory, "ephemeral-storage": ephemeral_storage(release)}
    size |= gpu_requests(release)
    free = {"cpu"} if "cpu_limits" in release.environment.relaxations else set()
    return {"requests": size, "limits": {name: most for name, most in size.items() if name not in free}}


def _probes(release: Release) -> Manifest:
    paths = release.model.health_paths

    def probe(path: str, period: int, failures: int, timeout: int) -> dict[str, Any]:
        http = {"path": path, "port": "http", "scheme": "HTTP"}
        return {"httpGet": http, "periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": timeout}

    failures = ceil(release.model.startup_seconds / STARTUP_PERIOD_SECONDS)
    return {
        "startupProbe": probe(paths.ready, STARTUP_PERIOD_SECONDS, failures, 2),
        "readinessProbe": probe(paths.ready, 5, 2, 3),
        "livenessProbe": probe(paths.live, 10, 3, 5),
    }
