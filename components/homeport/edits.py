"""Edits: what a change of an object in place would take from the pods that run, as the cluster shows them.

Everything is judged from the objects of one namespace. What an edit may not take is refused before anything changes.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from homeport.manifests.names import CLUSTER
from homeport.manifests.network import NAMESPACE_LABEL
from homeport.ownership import Live
from homeport.specs.quantities import amount

NEEDED = frozenset({"NetworkPolicy", "CiliumNetworkPolicy", "Secret", "ExternalSecret", "PersistentVolumeClaim"})
"""Kinds of objects that a pod needs until it has drained."""


def shortages(quota: Mapping[str, Any], hard: Mapping[str, str]) -> list[str]:
    """What the pods of a namespace use more of than its quota would allow. Until they had gone, no new pod would be admitted.

    A number of pods that is too high is none: the autoscaler removes those that are too many.

    Args:
        quota: The ResourceQuota as the cluster shows it.
        hard: What it would allow.
    """
    used = quota.get("status", {}).get("used", {})
    sizes = (name for name in hard if name.startswith(("requests.", "limits.")) and name in used)
    return [
        f"{name}: {used[name]} used, {hard[name]} allowed" for name in sizes if amount(used[name]) > amount(hard[name])
    ]


def oversized(pods: Iterable[Mapping[str, Any]], most: Mapping[str, str]) -> list[str]:
    """What containers have more of than one would be allowed. A pod that is lost could not start again.

    Pods that are being deleted do not start again anyway.
    """
    stay = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    limits = [each.get("resources", {}).get("limits", {}) for pod in stay for each in pod["spec"]["containers"]]
    found = (
        f"{name}: {limit[name]} in a container, {allowed} allowed"
        for name, allowed in most.items()
        for limit in limits
        if name in limit and amount(limit[name]) > amount(allowed)
    )
    return list(dict.fromkeys(found))


def homes(found: Iterable[Live], namespace: Mapping[str, Any], mark: str) -> list[str]:
    """Why the namespace of a model cannot be created: the model has a home already, which would go.

    Args:
        found: Namespaces of models with its name.
        namespace: The one that is to be created.
        mark: The mark of the model.
    """
    return list(_homes(found, namespace["metadata"], mark))


def _homes(found: Iterable[Live], wanted: Mapping[str, Any], mark: str) -> Iterator[str]:
    cluster = wanted["annotations"].get(CLUSTER)
    for live in found:
        if live.mark != mark or live.leaving:
            continue
        before = live.metadata["annotations"].get(CLUSTER, cluster)
        if live.name.name != wanted["name"]:
            yield (
                f'found the namespace "{wanted["name"]}" for a model that lives in "{live.name.name}", accepted: that one. A '
                "namespace cannot be renamed, and requests to the old one would fail. To move the model, take it out of "
                "models.yaml and run `pulumi up`, or add it under another name and take the old one out when no one calls it"
            )
        elif before != cluster:
            yield (
                f'found the cluster "{cluster}" for a model that lives here in "{before}", accepted: that one '
                "(cluster.identifier). Pulumi would create every object once more, and then delete it. For another cluster, use "
                "another stack"
            )


def draining(pods: Iterable[Mapping[str, Any]]) -> int:
    """Maximum seconds until the pods that are being deleted have ended; 0 if there are none."""
    leaving = [pod["metadata"] for pod in pods if "deletionTimestamp" in pod["metadata"]]
    return max((int(each.get("deletionGracePeriodSeconds") or 1) for each in leaving), default=0)


def namespaces_in(policy: Any) -> Iterator[str]:
    """Names of the namespaces that a policy lets in or out."""
    if isinstance(policy, Mapping):
        if name := policy.get(NAMESPACE_LABEL):
            yield str(name)
        policy = list(policy.values())
    if isinstance(policy, list):
        for each in policy:
            yield from namespaces_in(each)
