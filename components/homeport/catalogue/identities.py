"""Identities of models in a cloud: the field for each, its annotation in the cluster, and the source of its token."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class IdentityKind:
    """One kind of identity that a cloud gives to ServiceAccounts."""

    name: str
    """Name of its field in `environment.yaml`."""
    description: str
    source: str
    pattern: str | None = None
    """Pattern of the field's text; None: the field is `true`."""
    accepted: str = "true"
    """What the field accepts, in words."""
    annotation: str | None = None
    """Annotation of the ServiceAccount with the field's text; None: the cluster has no sign of the identity."""
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels with which the cloud's webhook finds the pods."""
    token_addresses: tuple[tuple[str, int], ...] = ()
    """Networks and TCP ports where the node issues tokens; empty: a service of the cloud issues them on port 443."""


ROLE_ARN = IdentityKind(
    name="role_arn",
    description="ARN of the IAM role that the ServiceAccount assumes (IRSA).",
    source="https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html",
    pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$",
    accepted="the ARN of an IAM role, such as arn:aws:iam::111122223333:role/fraud-score",
    annotation="eks.amazonaws.com/role-arn",
)

POD_IDENTITY = IdentityKind(
    name="pod_identity",
    description="true where an EKS Pod Identity association names the ServiceAccount.",
    source="https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html",
    token_addresses=(("169.254.170.23/32", 80),),
)

GOOGLE_SERVICE_ACCOUNT = IdentityKind(
    name="service_account",
    description="email of the Google service account that the ServiceAccount stands for.",
    source="https://docs.cloud.google.com/kubernetes-engine/docs/how-to/workload-identity",
    pattern=r"^[a-z][a-z0-9-]+@[a-z0-9.:-]+\.gserviceaccount\.com$",
    accepted="a Google service account, such as fraud-score@project.iam.gserviceaccount.com",
    annotation="iam.gke.io/gcp-service-account",
    # The second address is for GKE Dataplane V2.
    # https://docs.cloud.google.com/kubernetes-engine/docs/concepts/workload-identity#metadata_server
    token_addresses=(("169.254.169.252/32", 988), ("169.254.169.254/32", 80)),
)

ENTRA_CLIENT = IdentityKind(
    name="client_id",
    description="client ID of the managed identity or application in Microsoft Entra ID.",
    source="https://learn.microsoft.com/azure/aks/workload-identity-overview",
    pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    accepted="a UUID, such as 00000000-0000-0000-0000-000000000000",
    annotation="azure.workload.identity/client-id",
    pod_labels={"azure.workload.identity/use": "true"},
)
