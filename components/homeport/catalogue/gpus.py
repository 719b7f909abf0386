"""Kinds of GPU: the node labels that identify them in each cloud. Each row has its source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Labels = Mapping[str, Sequence[str]]
"""Node labels, each with its accepted values."""

SHARED_RESOURCE = "nvidia.com/gpu.shared"
PRODUCT = "nvidia.com/gpu.product"
SHARING = "nvidia.com/gpu.sharing-strategy"
EKS_KARPENTER = "karpenter.k8s.aws"
EKS_AUTO = "eks.amazonaws.com"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
GKE_ACCELERATOR = "cloud.google.com/gke-accelerator"
GKE_PARTITION = "cloud.google.com/gke-gpu-partition-size"
GKE_SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
AKS_ACCELERATOR = "kubernetes.azure.com/accelerator"
NAP_GPU = "karpenter.azure.com/sku-gpu-name"
NAP_SKU = "karpenter.azure.com/sku-name"

# Sources of the rows. Files in repositories are written owner/name:path.
EC2 = "aws/karpenter-provider-aws:website/content/en/preview/reference/instance-types.md"
EC2_AUTO = f"keys: awsdocs/amazon-eks-user-guide:automode/create-node-pool.adoc; values as in {EC2}"
EC2_TYPES = f"Kubernetes' well-known label; types: {EC2}"
GKE_LABEL = "kubernetes/autoscaler:cluster-autoscaler/cloudprovider/gce/gce_cloud_provider.go"
GKE_MIG = "GoogleCloudPlatform/container-engine-accelerators:partition_gpu/partition_gpu.go"
AKS_LABEL = "MicrosoftDocs/azure-aks-docs:use-labels.md"
AZURE_SIZES = "Azure/karpenter-provider-azure:pkg/utils/supported-gpus.yaml"
AKS = f"{AKS_LABEL}; sizes: {AZURE_SIZES}"
NAP = f"Azure/karpenter-provider-azure:pkg/providers/instancetype/instancetype.go; sizes: {AZURE_SIZES}"
GFD = "NVIDIA/k8s-device-plugin:docs/gpu-feature-discovery/README.md"
GFD_SEEN = f"{GFD}; value as nodes in the field carry it"
AMD_LABELLER = "ROCm/gpu-operator:docs (node labels of an MI300X); product names: libdrm:data/amdgpu.ids"


@dataclass(frozen=True)
class Taint:
    """A taint of nodes that a pod must tolerate."""

    key: str
    value: str | None = None
    """None: any."""
    effect: Literal["NoSchedule", "NoExecute", "PreferNoSchedule"] = "NoSchedule"


@dataclass(frozen=True)
class ExtendedResource:
    """The resource that a pod requests for a GPU, and the taint of the nodes that offer it."""

    name: str
    taint: Taint


# Any value, because GKE taints GPU nodes with nvidia.com/gpu=present and AWS' samples with =true. Tolerated explicitly,
# because the admission plugin that adds the toleration looks for the requested resource, which differs for MIG.
# https://docs.cloud.google.com/kubernetes-engine/docs/how-to/gpus
NVIDIA = ExtendedResource("nvidia.com/gpu", Taint("nvidia.com/gpu"))
# The convention of AMD's GPU operator. No source states it as a default.
AMD = ExtendedResource("amd.com/gpu", Taint("amd.com/gpu"))


@dataclass(frozen=True)
class Row:
    """How to find nodes with one kind of GPU in one cloud."""

    labels: Labels
    source: str
    resource: ExtendedResource = NVIDIA


def ec2_rows(prefix: str, source: str) -> dict[str, Row]:
    """Rows of clouds whose node labels below `prefix` have name and memory of a GPU, as in Karpenter."""
    name, memory, count = (f"{prefix}/instance-gpu-{suffix}" for suffix in ("name", "memory", "count"))
    return {
        "t4": Row({name: ["t4"]}, source),
        # g6f instances have a fraction of an L4 and the same name, but a count of 0.
        "l4": Row({name: ["l4"], count: ["1", "4", "8"]}, source),
        "a10g": Row({name: ["a10g"]}, source),
        "l40s": Row({name: ["l40s"]}, source),
        "a100-40gb": Row({name: ["a100"], memory: ["40960"]}, source),
        "a100-80gb": Row({name: ["a100"], memory: ["81920"]}, source),
        "h100": Row({name: ["h100"]}, source),
        "h200": Row({name: ["h200"]}, source),
        "b200": Row({name: ["b200"]}, source),
    }


def _sizes(family: str, *sizes: str) -> list[str]:
    return [f"{family}.{size}" for size in sizes]


EC2_SIZES = ("xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge")
G4DN_SIZES = ("xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "metal")

EC2_ROWS = {
    "t4": Row({INSTANCE_TYPE: _sizes("g4dn", *G4DN_SIZES)}, EC2_TYPES),
    "l4": Row({INSTANCE_TYPE: [*_sizes("g6", *EC2_SIZES), *_sizes("gr6", "4xlarge", "8xlarge")]}, EC2_TYPES),
    "a10g": Row({INSTANCE_TYPE: _sizes("g5", *EC2_SIZES)}, EC2_TYPES),
    "l40s": Row({INSTANCE_TYPE: _sizes("g6e", *EC2_SIZES)}, EC2_TYPES),
    "a100-40gb": Row({INSTANCE_TYPE: ["p4d.24xlarge"]}, EC2_TYPES),
    "a100-80gb": Row({INSTANCE_TYPE: ["p4de.24xlarge"]}, EC2_TYPES),
    "h100": Row({INSTANCE_TYPE: ["p5.4xlarge", "p5.48xlarge"]}, EC2_TYPES),
    "h200": Row({INSTANCE_TYPE: ["p5e.48xlarge", "p5en.48xlarge"]}, EC2_TYPES),
    "b200": Row({INSTANCE_TYPE: ["p6-b200.48xlarge"]}, EC2_TYPES),
}

GKE_ROWS = {
    "t4": Row({GKE_ACCELERATOR: ["nvidia-tesla-t4"]}, GKE_LABEL),
    "l4": Row({GKE_ACCELERATOR: ["nvidia-l4"]}, GKE_LABEL),
    "a100-40gb": Row({GKE_ACCELERATOR: ["nvidia-tesla-a100"]}, GKE_MIG),
    "a100-80gb": Row({GKE_ACCELERATOR: ["nvidia-a100-80gb"]}, GKE_MIG),
    "h100": Row({GKE_ACCELERATOR: ["nvidia-h100-80gb", "nvidia-h100-mega-80gb"]}, GKE_MIG),
    "h200": Row({GKE_ACCELERATOR: ["nvidia-h200-141gb"]}, GKE_MIG),
    "b200": Row({GKE_ACCELERATOR: ["nvidia-b200"]}, GKE_MIG),
}


def _aks(*sizes: str) -> Row:
    # The accelerator label says that the node is set up for NVIDIA's GPUs. The size says which GPU it is.
    return Row({AKS_ACCELERATOR: ["nvidia"], INSTANCE_TYPE: [f"Standard_{size}" for size in sizes]}, AKS)


AKS_ROWS = {
    "t4": _aks("NC4as_T4_v3", "NC8as_T4_v3", "NC16as_T4_v3", "NC64as_T4_v3"),
    "a100-40gb": _aks("ND96asr_v4"),
    "a100-80gb": _aks("NC24ads_A100_v4", "NC48ads_A100_v4", "NC96ads_A100_v4", "ND96amsr_A100_v4"),
    "h100": _aks("NC40ads_H100_v5", "NC80adis_H100_v5", "ND96isr_H100_v5"),
    "h200": _aks("ND96isr_H200_v5"),
    # The accelerator label of AMD's nodes is not documented, so only the size counts.
    "mi300x": Row({INSTANCE_TYPE: ["Standard_ND96isr_MI300X_v5", "Standard_ND96is_MI300X_v5"]}, AZURE_SIZES, AMD),
}

NAP_ROWS = {
    # The name is the GPU's part of the size. For an A100, it is missing or does not include the memory.
    "t4": Row({NAP_GPU: ["T4"]}, NAP),
    "a100-40gb": Row({NAP_SKU: AKS_ROWS["a100-40gb"].labels[INSTANCE_TYPE]}, NAP),
    "a100-80gb": Row({NAP_SKU: AKS_ROWS["a100-80gb"].labels[INSTANCE_TYPE]}, NAP),
    "h100": Row({NAP_GPU: ["H100"]}, NAP),
    "h200": Row({NAP_GPU: ["H200"]}, NAP),
    "mi300x": Row({NAP_GPU: ["MI300X"]}, NAP, AMD),
}

GFD_ROWS = {
    # The names that nvidia-smi prints, with dashes instead of spaces. Drivers before 470 omit NVIDIA.
    "t4": Row({PRODUCT: ["Tesla-T4"]}, GFD_SEEN),
    "l4": Row({PRODUCT: ["NVIDIA-L4"]}, GFD_SEEN),
    "a10g": Row({PRODUCT: ["NVIDIA-A10G"]}, GFD_SEEN),
    "l40s": Row({PRODUCT: ["NVIDIA-L40S"]}, GFD_SEEN),
    "a100-40gb": Row({PRODUCT: ["NVIDIA-A100-SXM4-40GB", "NVIDIA-A100-PCIE-40GB", "A100-SXM4-40GB"]}, GFD),
    "a100-80gb": Row({PRODUCT: ["NVIDIA-A100-SXM4-80GB", "NVIDIA-A100-80GB-PCIe"]}, GFD_SEEN),
    "h100": Row({PRODUCT: ["NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-PCIe", "NVIDIA-H100-NVL"]}, GFD_SEEN),
    "h200": Row({PRODUCT: ["NVIDIA-H200", "NVIDIA-H200-NVL"]}, GFD_SEEN),
    "b200": Row({PRODUCT: ["NVIDIA-B200"]}, GFD_SEEN),
}

AMD_PRODUCT = "amd.com/gpu.product-name"
AMD_ROWS = {
    # VF: the virtual function that a virtual machine sees.
    "mi300x": Row({AMD_PRODUCT: ["AMD_Instinct_MI300X_OAM", "AMD_Instinct_MI300X_VF"]}, AMD_LABELLER, AMD),
}

MIG_PROFILES = {
    # https://docs.nvidia.com/datacenter/tesla/mig-user-guide/supported-mig-profiles.html. partition_gpu.go has the same
    # sizes, without the 1g profile with double memory on A100s.
    "a100-40gb": ("1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"),
    "a100-80gb": ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    "h100": ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    "h200": ("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"),
    "b200": ("1g.23gb", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb"),
}
"""MIG profiles by kind of GPU. The other kinds in the tables do not support MIG."""
