"""Isolation: the model's own namespace, what may run in it and how much it may use."""

from homeport.manifests.names import Manifest, manifest
from homeport.manifests.placement import gpu_requests
from homeport.manifests.pod import ephemeral_storage
from homeport.manifests.resource import Resource, Stage
from homeport.manifests.weights import weights
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


def _namespace(release: Release) -> Manifest:
    namespace = manifest(release, "v1", "Namespace", release.namespace)
    namespace["metadata"]["labels"] |= POD_SECURITY
    return namespace


def _quota(release: Release) -> Manifest:
    # A rolling update at full scale runs one extra pod while the replaced pod still drains and still counts. Without room
    # for both, the update stops half-way with two versions live (Seldon's users saw this, issue 916). An update in place
    # runs no pod beyond the one that drains.
    # If a canary is possible, the quota always has room for it. A canary then need not wait for a larger quota, and
    # while it is promoted its pods still run as the stable ones are replaced.
    most = release.replicas[1] + (1 if release.updates_in_place else 2)
    pods = most * (1 if release.environment.host_of(release.model.name) is None else 2)
    cpu = cpu_quantity(millicores(release.cpu) * pods)
    memory = memory_quantity(byte_count(release.memory) * pods)
    storage = memory_quantity(byte_count(ephemeral_storage(release)) * pods)
    hard = {
        "pods": str(pods),
        "requests.cpu": cpu,
        "limits.cpu": cpu,
        "requests.memory": memory,
        "limits.memory": memory,
        "requests.ephemeral-storage": storage,
        "limits.ephemeral-storage": storage,
        "persistentvolumeclaims": str(len(weights(release))),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    if release.relax.cpu_limits:
        del hard["limits.cpu"]  # a quota of limits would refuse pods without limits
    hard |= {f"requests.{resource}": count for resource, count in gpu_requests(release, pods).items()}
    return manifest(release, "v1", "ResourceQuota", release.model.name, spec={"hard": hard})


def _limit_range(release: Release) -> Manifest:
    size = {"cpu": release.cpu, "memory": release.memory, "ephemeral-storage": ephemeral_storage(release)}
    # With a default or a maximum for cpu, a pod without a cpu limit would get the default or be refused.
    bounded = [name for name in size if name != "cpu" or not release.relax.cpu_limits]
    most = {name: size[name] for name in bounded}
    limit = {"type": "Container", "default": most, "defaultRequest": size, "max": most}
    return manifest(release, "v1", "LimitRange", release.model.name, spec={"limits": [limit]})
