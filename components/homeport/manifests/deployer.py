"""The deployer: who runs `pulumi up` for a stack, and the permissions that this takes.

In the whole cluster it may only make namespaces, and bind one role to itself in them. Everything else it may do in the
namespaces where that role is bound (docs/decisions/0043-the-deployer-binds-one-role.md). RBAC cannot say that a role
may be bound only in the namespaces of a stack. The rule `deployer` of the guard says that.
"""

import re
from collections.abc import Iterable

from homeport.manifests.identity import READ, team_rules
from homeport.manifests.kinds import KINDS, kinds
from homeport.manifests.names import FIELD_MANAGER, MANAGED, Manifest, manifest
from homeport.manifests.resource import Resource, Stage
from homeport.release import Release
from homeport.specs.environment import Deployer, Environment

RBAC = "rbac.authorization.k8s.io"

BINDING = "homeport-deployer"
"""Name of the RoleBinding in every namespace of a stack. It is the same everywhere, so that a role can name it."""

NO_DEPLOYER = "missing: who runs `pulumi up`, such as {group: oidc:deployers}"
"""What is wrong with an environment whose guard is wanted."""

_OWN = [*READ, "create", "patch", "delete"]
"""What Pulumi's provider does with an object of its own. It waits for a deletion with a list and a watch."""

_WATCHED = (("", "events"), ("", "pods"), ("", "persistentvolumeclaims"), ("apps", "replicasets"))
"""What Pulumi's provider watches to tell how a rollout gets on, by API group and resource."""


def access(release: Release) -> list[Resource]:
    """The binding that lets the deployer work in the namespace of a model."""
    deployer, stack = release.environment.deployer, release.deployed_by
    if deployer is None or stack is None:
        return []
    binding = manifest(
        release,
        f"{RBAC}/v1",
        "RoleBinding",
        BINDING,
        roleRef=_reference("ClusterRole", platform_name(stack, "model")),
        subjects=[subject(deployer)],
    )
    return [Resource(binding, Stage.DEPLOYER, "-deployer")]


def deployer_roles(environment: Environment, deployer: Deployer, stack: str) -> list[Manifest]:
    """What an administrator gives to the deployer of a stack: a role in the cluster, and one for namespaces.

    `stack` is `PROJECT/STACK`.
    """
    everywhere, inside = platform_name(stack, "deployer"), platform_name(stack, "model")
    reference = _reference("ClusterRole", everywhere)
    return [
        platform_object(f"{RBAC}/v1", "ClusterRole", inside, rules=_inside(environment)),
        platform_object(f"{RBAC}/v1", "ClusterRole", everywhere, rules=_everywhere(inside)),
        platform_object(
            f"{RBAC}/v1", "ClusterRoleBinding", everywhere, roleRef=reference, subjects=[subject(deployer)]
        ),
    ]


def subject(deployer: Deployer) -> Manifest:
    """The deployer in a binding."""
    if deployer.service_account:
        namespace, account = deployer.service_account.split("/")
        return {"kind": "ServiceAccount", "namespace": namespace, "name": account}
    kind, name = ("User", deployer.user) if deployer.user else ("Group", deployer.group)
    return {"apiGroup": RBAC, "kind": kind, "name": name}


def platform_name(stack: str, part: str) -> str:
    """Name of an object of the whole cluster for `PROJECT/STACK`."""
    return re.sub("[^a-z0-9.-]", "-", f"homeport.{stack.replace('/', '.')}.{part}".lower())


def platform_object(api_version: str, kind: str, name: str, **content: object) -> Manifest:
    """An object of the whole cluster, which an administrator installs."""
    metadata = {"name": name, "labels": {**MANAGED}, "annotations": {**FIELD_MANAGER}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _inside(environment: Environment) -> list[Manifest]:
    """What the deployer may do in a model's namespace."""
    grants = [(kind.group, kind.resource, _OWN) for kind in kinds(environment) if kind.namespaced]
    grants += [(group, resource, ["list", "watch"]) for group, resource in _WATCHED]
    # The API server lets no one give permissions that they lack.
    for rule in team_rules(environment) if environment.teams else []:
        grants += [(group, name, rule["verbs"]) for group in rule["apiGroups"] for name in rule["resources"]]
    # Before a namespace is deleted, homeport looks for objects of others in it, of any kind.
    return [*_rules(grants), {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list"]}]


def _everywhere(inside: str) -> list[Manifest]:
    """What the deployer may do in the whole cluster: what it needs before a binding exists."""
    namespace, binding = KINDS["v1", "Namespace"], KINDS[f"{RBAC}/v1", "RoleBinding"]
    return [
        *_rules([(namespace.group, namespace.resource, _OWN)]),
        {"apiGroups": [RBAC], "resources": [binding.resource], "verbs": ["create"]},
        {"apiGroups": [RBAC], "resources": [binding.resource], "resourceNames": [BINDING], "verbs": ["get", "patch"]},
        {"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": [inside], "verbs": ["bind"]},
    ]


def _rules(grants: Iterable[tuple[str, str, Iterable[str]]]) -> list[Manifest]:
    """Rules of a role from permissions by API group and resource, each stated once."""
    verbs: dict[tuple[str, str], dict[str, None]] = {}
    for group, resource, granted in grants:
        verbs.setdefault((group, resource), {}).update(dict.fromkeys(granted))
    resources: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), granted in verbs.items():
        resources.setdefault((group, tuple(granted)), []).append(resource)
    return [
        {"apiGroups": [group], "resources": names, "verbs": list(granted)}
        for (group, granted), names in resources.items()
    ]


def _reference(kind: str, name: str) -> Manifest:
    return {"apiGroup": RBAC, "kind": kind, "name": name}
