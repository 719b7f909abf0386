"""The pod that serves a model: hardened, and removed without losing a request, for any kind of workload."""

from math import ceil
from typing import Any

from homeport.catalogue.container import DRAIN_VARIABLE, NAME_VARIABLE, UID
from homeport.manifests.identity import identity_annotations, identity_labels
from homeport.manifests.names import Manifest, labels
from homeport.manifests.placement import gpu_requests, placement
from homeport.manifests.secrets import secret_annotations, secret_mounts, secret_variables, secret_volumes
from homeport.manifests.weights import weights_mounts, weights_volumes
from homeport.release import Release
from homeport.specs.environment import Relax
from homeport.specs.quantities import byte_count, memory_quantity

_NOBODY: Manifest = {
    "runAsNonRoot": True,
    "runAsUser": UID,
    "runAsGroup": UID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Stated for the pod and again for its container, because some admission policies only read the container."""

LOG_BYTES = 256 * 2**20
"""Space for a container's log, which counts as ephemeral storage, as /tmp does."""

STARTUP_PERIOD_SECONDS = 2

_SHM: Manifest = {"name": "shm", "mountPath": "/dev/shm"}  # noqa: S108


def pod_template(release: Release) -> Manifest:
    """Metadata and spec of a pod, for the workload that creates it."""
    return {"metadata": _metadata(release), "spec": _spec(release)}


def pod_security(relax: Relax) -> Manifest:
    """The security settings in the spec of every pod of an environment."""
    # On a node with AppArmor, the runtime confines every container anyway. Other nodes refuse pods that request it.
    apparmor = {} if relax.apparmor else {"appArmorProfile": {"type": "RuntimeDefault"}}
    return {"automountServiceAccountToken": False, "securityContext": {**_NOBODY, "fsGroup": UID, **apparmor}}


def container_security(relax: Relax) -> Manifest:
    """The security settings of every container of an environment."""
    return {
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": not relax.writable_root,
            **_NOBODY,
        }
    }


def grace_seconds(release: Release) -> int:
    """Maximum seconds from the removal of a replica's endpoint until it has finished its last request."""
    return release.environment.endpoint_seconds + release.model.drain_seconds + 5


def ephemeral_storage(release: Release) -> str:
    """Disk space that one replica may use: /tmp and its log."""
    return memory_quantity(byte_count(release.model.resources.tmp) + LOG_BYTES)


def _metadata(release: Release) -> Manifest:
    # A change here restarts every pod, so it has only what the pod runs. The Deployment has the rest.
    found: Manifest = {"labels": labels(release) | identity_labels(release)}
    notes = secret_annotations(release) | identity_annotations(release)
    return found | ({"annotations": notes} if notes else {})


def _spec(release: Release) -> Manifest:
    return {
        "serviceAccountName": release.model.name,
        **pod_security(release.relax),
        "enableServiceLinks": False,
        **({"hostUsers": False} if release.own_users else {}),
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": grace_seconds(release),
        "containers": [_container(release)],
        "volumes": [*_volumes(release), *weights_volumes(release), *secret_volumes(release)],
        **placement(release),
    }


def _volumes(release: Release) -> list[Manifest]:
    resources = release.model.resources
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {"sizeLimit": resources.tmp}}]
    if resources.shm:  # counts as memory of the container that writes to it
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": resources.shm}})
    return volumes


def _container(release: Release) -> Manifest:
    model, relax = release.model, release.relax
    ports = [{"name": "http", "containerPort": model.serving_port, "protocol": "TCP"}]
    if model.metrics_endpoint and model.metrics_endpoint.port != model.serving_port:
        ports.append({"name": "metrics", "containerPort": model.metrics_endpoint.port, "protocol": "TCP"})
    named = {NAME_VARIABLE: model.name} if model.as_mlserver else {}
    variables = {DRAIN_VARIABLE: str(model.drain_seconds)} | named | secret_variables(release) | model.env
    return {
        "name": "model",
        "image": release.image,
        **({"args": [*map(_literal, model.args)]} if model.args else {}),
        # The registry checks the pull credentials at each start. Otherwise a node would run an image that it already has
        # for any pod that names it.
        "imagePullPolicy": "IfNotPresent" if relax.image_pull else "Always",
        "ports": ports,
        "resources": _resources(release),
        **container_security(relax),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            *([_SHM] if model.resources.shm else []),
            *weights_mounts(release),
            *secret_mounts(release),
        ],
        # The endpoint is removed while the replica still serves. Only then does it get the signal to stop and drain.
        "lifecycle": {"preStop": {"sleep": {"seconds": release.environment.endpoint_seconds}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "env": [{"name": name, "value": _literal(value)} for name, value in sorted(variables.items())],
        **_probes(release),
    }


def _literal(text: str) -> str:
    """The text such that the container gets just this. Kubernetes takes `$$` for `$`, and `$(NAME)` for a reference.

    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables
    """
    return text.replace("$", "$$")


def _resources(release: Release) -> Manifest:
    size = {"cpu": release.cpu, "memory": release.memory, "ephemeral-storage": ephemeral_storage(release)}
    size |= gpu_requests(release)
    free = {"cpu"} if release.relax.cpu_limits else set()
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
