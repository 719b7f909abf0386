"""Isolation: the model's own namespace, what may run in it and how much it may use."""

from homeport.manifests.names import CLUSTER, Manifest, manifest
from homeport.manifests.placement import gpu_requests
from homeport.manifests.pod import ephemeral_storage
from homeport.manifests.resource import Resource, Stage
from homeport.release import Release
from homeport.specs.quantities import byte_count, cpu_quantity, memory_quantity, millicores

POD_SECURITY = {
    f"pod-security.kubernetes.io/{mode}{suffix}": value
    for mode in ("enforce", "audit", "warn")
    for suffix, value in (("", "restricted"), ("-version", "latest"))
}
"""Labels of a namespace: the strictest level of https://kubernetes.io/docs/concepts/security/pod-security-standards/."""


def isolation(release: Release) -> list[Resource]:
    """The Namespace, its ResourceQuota and its LimitRange."""
    return [
        Resource(_namespace(release), Stage.NAMESPACE),
        Resource(_quota(release)),
        Resource(_limit_range(release)),
    ]


def surge(release: Release) -> int:
    """Replicas that an update of a version replaces at once."""
    return 1 if release.updates_in_place else min(release.environment.max_surge, release.replicas[1])


def _namespace(release: Release) -> Manifest:
    namespace = manifest(release, "v1", "Namespace", release.namespace)
    namespace["metadata"]["labels"] |= POD_SECURITY
    namespace["metadata"]["annotations"][CLUSTER] = release.environment.cluster.identifier
    return namespace


def _quota(release: Release) -> Manifest:
    """The environment's ceilings, and room for an update at the highest of them.

    Nothing of it is taken from the model's sizes. A quota that became smaller with a model would refuse the very pods that
    need less: those that run still count.
    """
    limits = release.environment.limits
    # The ceilings bound all replicas of a version together. Beside them there is room for all that an update replaced and
    # that drain, which may take an hour, and for as many that start: an update never waits for a drain, and so does not stop
    # half-way with two versions live (Seldon issue 916, Kubernetes issue 98656). If a canary is possible, there is always
    # room for it: while it is promoted, its pods still run.
    room = 3 * (1 if release.environment.host_of(release.model.name) is None else 2)
    hard = {"pods": str((limits.replicas or release.replicas[1]) * room)}
    if limits.cpu:
        hard["requests.cpu"] = cpu_quantity(millicores(limits.cpu) * room)
        if not release.relax.cpu_limits:  # a quota of limits would refuse pods without limits
            hard["limits.cpu"] = hard["requests.cpu"]
    if limits.memory:
        hard["requests.memory"] = hard["limits.memory"] = memory_quantity(byte_count(limits.memory) * room)
    if limits.gpus is not None:
        hard |= {f"requests.{resource}": str(limits.gpus * room) for resource in gpu_requests(release)}
    # A claim that replaces another exists beside it until the last pod with the other has gone.
    claims = 2 if release.claims else 0
    hard |= {"persistentvolumeclaims": str(claims), "services.loadbalancers": "0", "services.nodeports": "0"}
    return manifest(release, "v1", "ResourceQuota", release.model.name, spec={"hard": hard})


def _limit_range(release: Release) -> Manifest:
    """What a container gets that states no size, and the most that one may state: the environment's ceilings."""
    size = {"cpu": release.cpu, "memory": release.memory, "ephemeral-storage": ephemeral_storage(release)}
    limits = release.environment.limits
    most = {"cpu": limits.cpu, "memory": limits.memory}
    # With a default or a maximum for cpu, a pod without a cpu limit would get the default or be refused.
    free = {"cpu"} if release.relax.cpu_limits else set()
    limit: Manifest = {
        "type": "Container",
        "default": {name: value for name, value in size.items() if name not in free},
        "defaultRequest": size,
    }
    if bounds := {name: value for name, value in most.items() if value and name not in free}:
        limit["max"] = bounds
    return manifest(release, "v1", "LimitRange", release.model.name, spec={"limits": [limit]})
