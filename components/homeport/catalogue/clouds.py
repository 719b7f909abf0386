"""Clouds: the kinds of cluster that an environment can name, each with its GPU nodes, spot capacity and identities.

This is data; each row has its source. An environment accepts these rows as `cloud` and in `identities`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
from homeport.catalogue.identities import (
    ENTRA_CLIENT,
    GOOGLE_SERVICE_ACCOUNT,
    POD_IDENTITY,
    ROLE_ARN,
    IdentityKind,
)


@dataclass(frozen=True)
class Spot:
    """How to find nodes that the cloud may take back."""

    labels: Labels
    source: str
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True)
class Cloud:
    """One kind of cluster: everything that models get because they run there."""

    gpus: Mapping[str, Row]
    """Nodes by kind of GPU."""
    taints: tuple[Taint, ...] = ()
    """Taints of GPU nodes in addition to the taint of their resource."""
    whole: Labels = field(default_factory=dict)
    """Labels that nodes with whole GPUs do not have: with these values or, if there are none, with any value."""
    slice_label: str | None = None
    """Label whose value is the MIG profile, if the cloud has one; otherwise NVIDIA's device plugin decides."""
    share_labels: Labels | None = None
    """Labels of time-sliced nodes, if the cloud has its own."""
    own_labels: bool = False
    """Whether its own labels identify all of its GPUs, so that the setup of NVIDIA's software (`gpu`) does not matter."""
    spot: Spot | None = None
    """None: its nodes have no label for spot capacity."""
    identities: tuple[IdentityKind, ...] = ()
    """Kinds of identity that a model may have in it."""


# GPU Feature Discovery labels nodes whose GPUs are shared or sliced. Without it, nodes have none of these labels.
WHOLE = {SHARING: ["time-slicing", "mps"], "nvidia.com/gpu.slices.gi": []}

KARPENTER_SPOT = Spot(
    {"karpenter.sh/capacity-type": ["spot"]},
    "aws/karpenter-provider-aws:website/content/en/preview/concepts/scheduling.md",
)

EKS_IDENTITIES = (ROLE_ARN, POD_IDENTITY)

CLOUDS: Mapping[str, Cloud] = {
    "eks-karpenter": Cloud(ec2_rows(EKS_KARPENTER, EC2), whole=WHOLE, spot=KARPENTER_SPOT, identities=EKS_IDENTITIES),
    "eks-auto": Cloud(ec2_rows(EKS_AUTO, EC2_AUTO), whole=WHOLE, spot=KARPENTER_SPOT, identities=EKS_IDENTITIES),
    "eks-managed": Cloud(
        EC2_ROWS,
        whole=WHOLE,
        spot=Spot(
            {"eks.amazonaws.com/capacityType": ["SPOT"]},
            "awsdocs/amazon-eks-user-guide:nodes/managed-node-groups.adoc",
        ),
        identities=EKS_IDENTITIES,
    ),
    "gke": Cloud(
        GKE_ROWS,
        whole={GKE_PARTITION: [], GKE_SHARING: []},
        spot=Spot(
            {"cloud.google.com/gke-spot": ["true"]},
            "https://docs.cloud.google.com/kubernetes-engine/docs/concepts/spot-vms",
            (Taint("cloud.google.com/gke-spot", "true"),),
        ),
        slice_label=GKE_PARTITION,
        share_labels={GKE_SHARING: ["time-sharing"]},
        own_labels=True,
        identities=(GOOGLE_SERVICE_ACCOUNT,),
    ),
    "aks": Cloud(
        AKS_ROWS,
        # Chosen when the node pool is created; AKS' documentation uses this value (use-nvidia-gpu.md).
        taints=(Taint("sku", "gpu"),),
        whole=WHOLE,
        spot=Spot(
            {"kubernetes.azure.com/scalesetpriority": ["spot"]},
            "MicrosoftDocs/azure-aks-docs:spot-node-pool.md",
            (Taint("kubernetes.azure.com/scalesetpriority", "spot"),),
        ),
        identities=(ENTRA_CLIENT,),
    ),
    "aks-nap": Cloud(
        NAP_ROWS, taints=(Taint("sku", "gpu"),), whole=WHOLE, spot=KARPENTER_SPOT, identities=(ENTRA_CLIENT,)
    ),
    "nvidia": Cloud(GFD_ROWS),
    "amd": Cloud(AMD_ROWS, own_labels=True),
    "generic": Cloud({}),
}
"""Every cloud that an environment can name. One row is the complete description."""

KINDS = frozenset(kind for cloud in CLOUDS.values() for kind in cloud.gpus)
"""Every kind of GPU that at least one cloud has."""

IDENTITIES: Mapping[str, IdentityKind] = {kind.name: kind for cloud in CLOUDS.values() for kind in cloud.identities}
"""Every kind of identity that at least one cloud has, by its field."""
