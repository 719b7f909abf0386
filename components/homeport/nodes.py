"""Nodes: those on which a pod may run in one environment, from the catalogue and the environment's additions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from homeport.catalogue.clouds import CLOUDS, KINDS, Cloud
from homeport.catalogue.gpus import (
    GFD_ROWS,
    MIG_PROFILES,
    NVIDIA,
    PRODUCT,
    SHARED_RESOURCE,
    SHARING,
    Labels,
    Taint,
)
from homeport.specs.environment import Environment, Toleration
from homeport.specs.model import Gpu


@dataclass(frozen=True)
class Nodes:
    """Nodes on which a pod may run, and the resource that it requests there."""

    labels: Labels
    without: Labels
    taints: tuple[Taint, ...]
    resource: str = NVIDIA.name


def offered(environment: Environment, gpu: Gpu | None = None) -> dict[str, Nodes]:
    """The nodes of an environment by kind of GPU, with whole GPUs or, if `gpu` says so, with slices or shares.

    A kind is left out if no label and no resource distinguishes its nodes from others.
    """
    kinds = {kind: _part(environment, kind, nodes, gpu) for kind, nodes in _whole(environment).items()}
    return {kind: nodes for kind, nodes in kinds.items() if nodes}


def capacity(environment: Environment) -> Nodes:
    """Nodes by kind of capacity: only spot capacity or, by default, only other nodes."""
    spot = CLOUDS[environment.cloud].spot
    if spot is None:
        return Nodes({}, {}, ())
    return Nodes(spot.labels, {}, spot.taints) if environment.spot else Nodes({}, spot.labels, ())


def _whole(environment: Environment) -> dict[str, Nodes]:
    cloud, further = CLOUDS[environment.cloud], _taints(environment.gpu.tolerations)
    rows = {**cloud.gpus, **GFD_ROWS} if environment.gpu.discovery else cloud.gpus
    table = {
        kind: Nodes(row.labels, {}, (row.resource.taint, *cloud.taints, *further), row.resource.name)
        for kind, row in rows.items()
    }
    return table | {
        kind: Nodes(row.labels, {}, (*_taints(row.tolerations), *further), row.resource)
        for kind, row in environment.accelerators.items()
    }


def _part(environment: Environment, kind: str, nodes: Nodes, gpu: Gpu | None) -> Nodes | None:
    cloud = CLOUDS[environment.cloud]
    if gpu and (gpu.mig or gpu.shared) and nodes.resource != NVIDIA.name:
        return None
    if gpu and gpu.mig:
        if kind in KINDS and gpu.mig not in MIG_PROFILES.get(kind, ()):
            return None
        if cloud.slice_label:
            return _own_labels(cloud, nodes, {cloud.slice_label: [gpu.mig]})
        if environment.gpu.mig_strategy == "mixed":
            return replace(nodes, resource=f"nvidia.com/mig-{gpu.mig}")
        return _product(nodes, f"-MIG-{gpu.mig}", {})
    if gpu and gpu.shared:
        if cloud.share_labels:
            return _own_labels(cloud, nodes, cloud.share_labels)
        if environment.gpu.rename_shared:
            return replace(nodes, resource=SHARED_RESOURCE)
        return _product(nodes, "-SHARED", {SHARING: ["time-slicing"]})
    return replace(nodes, without=cloud.whole) if nodes.resource == NVIDIA.name else nodes


def _own_labels(cloud: Cloud, nodes: Nodes, labels: Labels) -> Nodes:
    without = {key: values for key, values in cloud.whole.items() if key not in labels}
    return replace(nodes, labels={**nodes.labels, **labels}, without=without)


def _product(nodes: Nodes, suffix: str, labels: Labels) -> Nodes | None:
    """Nodes whose product name has a suffix in GPU Feature Discovery; None if the nodes have no product label."""
    if PRODUCT not in nodes.labels:
        return None
    products = [f"{product}{suffix}" for product in nodes.labels[PRODUCT]]
    return replace(nodes, labels={**nodes.labels, PRODUCT: products, **labels})


def _taints(stated: Sequence[Toleration]) -> list[Taint]:
    return [Taint(each.key, each.value, each.effect) for each in stated]
