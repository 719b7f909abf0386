"""Identities: who a model is to each cloud, how its ServiceAccount tells it, and where a pod gets its token."""

from collections.abc import Mapping, Sequence

IDENTITY_FIELDS: Mapping[str, Sequence[str]] = {
    "eks": ("role_arn", "pod_identity"),
    "gke": ("service_account",),
    "aks": ("client_id",),
}
"""Which identities a cloud knows, by the first part of its name."""

IDENTITY_ANNOTATIONS = {
    # https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html
    "role_arn": "eks.amazonaws.com/role-arn",
    # https://docs.cloud.google.com/kubernetes-engine/docs/how-to/workload-identity
    "service_account": "iam.gke.io/gcp-service-account",
    # https://learn.microsoft.com/azure/aks/workload-identity-overview
    "client_id": "azure.workload.identity/client-id",
}
"""How a ServiceAccount tells each identity. An EKS Pod Identity association names the ServiceAccount instead."""

# As (network, TCP port). Link-local addresses are answered by the node.
POD_IDENTITY_AGENT = [("169.254.170.23/32", 80)]
"""https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html"""
GKE_METADATA_SERVER = [("169.254.169.252/32", 988), ("169.254.169.254/32", 80)]
"""The second on GKE Dataplane V2.
https://docs.cloud.google.com/kubernetes-engine/docs/concepts/workload-identity#metadata_server"""
