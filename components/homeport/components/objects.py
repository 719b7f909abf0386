"""Objects: each manifest becomes the typed Pulumi resource of its kind."""

import re
from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import (
    admissionregistration,
    apiextensions,
    apps,
    autoscaling,
    core,
    networking,
    policy,
    rbac,
)

from homeport.manifests import Manifest
from homeport.manifests.guard import ADMISSION

RESOURCES: Mapping[tuple[str, str], type[pulumi.CustomResource]] = {
    ("v1", "Namespace"): core.v1.Namespace,
    ("v1", "ResourceQuota"): core.v1.ResourceQuota,
    ("v1", "LimitRange"): core.v1.LimitRange,
    ("v1", "ServiceAccount"): core.v1.ServiceAccount,
    ("v1", "Service"): core.v1.Service,
    ("v1", "Secret"): core.v1.Secret,
    ("v1", "PersistentVolumeClaim"): core.v1.PersistentVolumeClaim,
    ("rbac.authorization.k8s.io/v1", "Role"): rbac.v1.Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): rbac.v1.RoleBinding,
    ("networking.k8s.io/v1", "NetworkPolicy"): networking.v1.NetworkPolicy,
    ("apps/v1", "Deployment"): apps.v1.Deployment,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): autoscaling.v2.HorizontalPodAutoscaler,
    ("policy/v1", "PodDisruptionBudget"): policy.v1.PodDisruptionBudget,
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): rbac.v1.ClusterRole,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): rbac.v1.ClusterRoleBinding,
    (ADMISSION, "ValidatingAdmissionPolicy"): admissionregistration.v1.ValidatingAdmissionPolicy,
    (ADMISSION, "ValidatingAdmissionPolicyBinding"): admissionregistration.v1.ValidatingAdmissionPolicyBinding,
}


def typed(name: str, manifest: Manifest, options: pulumi.ResourceOptions) -> pulumi.CustomResource:
    """The resource of an object. Kinds that Pulumi does not know become custom resources."""
    content = {_snake_case(key): value for key, value in manifest.items()}
    if resource := RESOURCES.get((manifest["apiVersion"], manifest["kind"])):
        del content["api_version"], content["kind"]
        return resource(name, **content, opts=options)
    return apiextensions.CustomResource(name, **content, opts=options)


def _snake_case(text: str) -> str:
    return re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", text)
