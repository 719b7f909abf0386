"""Clouds: the kinds of cluster that an environment can name, and how each tells its GPU nodes and its spot capacity.

Data, each row with its source beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from homeport.catalogue.gpus import (
    AKS_ROWS,
    AMD_ROWS,
    EC2,
    EC2_AUTO,
    EC2_ROWS,
    EKS_AUTO,
    EKS_KARPENTER,
    GFD_ROWS,
    GKE_PARTITION,
    GKE_ROWS,
    GKE_SHARING,
    NAP_ROWS,
    SHARING,
    Labels,
    Row,
    Taint,
    ec2_rows,
)

Cloud = Literal["eks-karpenter", "eks-auto", "eks-managed", "gke", "aks", "aks-nap", "nvidia", "amd", "generic"]


@dataclass(frozen=True)
class Spot:
    """How nodes that the cloud may take back are found."""

    labels: Labels
    source: str
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True)
class Place:
    """How one kind of cluster tells its GPU nodes."""

    rows: Mapping[str, Row]
    taints: tuple[Taint, ...] = ()
    """Taints of GPU nodes besides that of their resource."""
    whole: Labels = field(default_factory=dict)
    """What nodes with whole GPUs do not carry: a label with these values or, if there are none, with any."""
    spot: Spot | None = None
    slice_label: str | None = None
    """Label whose value is the MIG profile, where the place has one; elsewhere NVIDIA's device plugin decides."""
    share_labels: Labels | None = None
    """Labels of time-sliced nodes, where the place has its own."""


# Where GPU Feature Discovery runs it tells nodes whose GPUs are shared or cut into slices; elsewhere these say nothing.
WHOLE = {SHARING: ["time-slicing", "mps"], "nvidia.com/gpu.slices.gi": []}

KARPENTER_SPOT = Spot(
    {"karpenter.sh/capacity-type": ["spot"]},
    "aws/karpenter-provider-aws:website/content/en/preview/concepts/scheduling.md",
)

PLACES: Mapping[Cloud, Place] = {
    "eks-karpenter": Place(ec2_rows(EKS_KARPENTER, EC2), whole=WHOLE, spot=KARPENTER_SPOT),
    "eks-auto": Place(ec2_rows(EKS_AUTO, EC2_AUTO), whole=WHOLE, spot=KARPENTER_SPOT),
    "eks-managed": Place(
        EC2_ROWS,
        whole=WHOLE,
        spot=Spot(
            {"eks.amazonaws.com/capacityType": ["SPOT"]},
            "awsdocs/amazon-eks-user-guide:nodes/managed-node-groups.adoc",
        ),
    ),
    "gke": Place(
        GKE_ROWS,
        whole={GKE_PARTITION: [], GKE_SHARING: []},
        spot=Spot(
            {"cloud.google.com/gke-spot": ["true"]},
            "https://docs.cloud.google.com/kubernetes-engine/docs/concepts/spot-vms",
            (Taint("cloud.google.com/gke-spot", "true"),),
        ),
        slice_label=GKE_PARTITION,
        share_labels={GKE_SHARING: ["time-sharing"]},
    ),
    "aks": Place(
        AKS_ROWS,
        # Chosen when the pool is made; the value that AKS' documentation uses (use-nvidia-gpu.md).
        taints=(Taint("sku", "gpu"),),
        whole=WHOLE,
        spot=Spot(
            {"kubernetes.azure.com/scalesetpriority": ["spot"]},
            "MicrosoftDocs/azure-aks-docs:spot-node-pool.md",
            (Taint("kubernetes.azure.com/scalesetpriority", "spot"),),
        ),
    ),
    "aks-nap": Place(NAP_ROWS, taints=(Taint("sku", "gpu"),), whole=WHOLE, spot=KARPENTER_SPOT),
    "nvidia": Place(GFD_ROWS),
    "amd": Place(AMD_ROWS),
    "generic": Place({}),
}

KINDS = frozenset(kind for place in PLACES.values() for kind in place.rows)
"""Every kind of GPU that some cloud has."""
