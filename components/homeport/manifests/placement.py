"""Placement: on which nodes the pods of a model may stand, and how they spread over them."""

from homeport.environment import Toleration
from homeport.manifests.names import Manifest, selector
from homeport.model import Gpu
from homeport.release import Release


def placement(release: Release) -> Manifest:
    """The fields of a pod's spec that decide where it runs."""
    fields: Manifest = {"topologySpreadConstraints": _spread(release)}
    if release.gpu:
        offered = [release.environment.accelerators[kind] for kind in release.gpu.kinds]
        # Terms are alternatives; within one, all expressions must hold.
        terms = [
            {
                "matchExpressions": [
                    {"key": key, "operator": "In", "values": values} for key, values in accelerator.labels.items()
                ]
            }
            for accelerator in offered
        ]
        required = {"nodeSelectorTerms": terms}
        fields["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
        tolerations = dict.fromkeys(taint for accelerator in offered for taint in accelerator.tolerations)
        fields["tolerations"] = [_toleration(taint) for taint in tolerations]
    return fields


def gpu_resource(release: Release, gpu: Gpu) -> str:
    """The extended resource that stands for GPUs of the kinds asked for: one name, as a pod requests just one."""
    return release.environment.accelerators[gpu.kinds[0]].resource


def _spread(release: Release) -> list[Manifest]:
    # Spread as evenly as can be, but rather run unevenly than not at all.
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(release)},
            "matchLabelKeys": ["pod-template-hash"],
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def _toleration(taint: Toleration) -> Manifest:
    match = {"operator": "Exists"} if taint.value is None else {"operator": "Equal", "value": taint.value}
    return {"key": taint.key, "effect": taint.effect, **match}
