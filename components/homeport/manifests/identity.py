"""Identity: the model has no rights in the cluster and one identity in the cloud; its team may read its objects."""

from homeport.manifests.names import Manifest, manifest
from homeport.manifests.resource import Resource
from homeport.release import Release
from homeport.specs.environment import Environment

READ = ["get", "list", "watch"]


def identity(release: Release) -> list[Resource]:
    """The model's ServiceAccount without rights, and a read-only Role for its team if the environment has the team."""
    name, team = release.model.name, release.environment.teams.get(release.model.owner)
    # No token is mounted and no role is bound, so the model cannot use the Kubernetes API.
    # The clouds' webhooks mount their own token for the cloud, regardless of automountServiceAccountToken.
    account = manifest(release, "v1", "ServiceAccount", name, automountServiceAccountToken=False)
    account["metadata"]["annotations"] |= _cloud_annotations(release)
    if team is None:
        return [Resource(account)]
    rules = team_rules(release.environment)
    role = manifest(release, "rbac.authorization.k8s.io/v1", "Role", f"{name}-team", rules=rules)
    binding = manifest(
        release,
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        f"{name}-team",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": f"{name}-team"},
        subjects=[{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": team.group}],
    )
    return [Resource(account), Resource(role), Resource(binding)]


def team_rules(environment: Environment) -> list[Manifest]:
    """What a team may do in the namespaces of its models: read objects, but no secrets."""
    rules = [
        {"apiGroups": [""], "resources": ["pods", "pods/log", "events", "services"], "verbs": READ},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": READ},
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": READ},
        {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": READ},
        {"apiGroups": ["metrics.k8s.io"], "resources": ["pods"], "verbs": READ},
    ]
    if environment.keda:
        rules.append({"apiGroups": ["keda.sh"], "resources": ["scaledobjects"], "verbs": READ})
    return rules


def identity_labels(release: Release) -> dict[str, str]:
    """Labels with which the cloud's webhook finds a pod."""
    return {**release.identity.kind.pod_labels} if release.identity else {}


def identity_annotations(release: Release) -> dict[str, str]:
    """Annotation of a pod that changes with its identity, which a pod is given when it starts."""
    identity = release.identity
    return {"homeport/identity": f"{identity.kind.name}: {identity.value}"} if identity else {}


def _cloud_annotations(release: Release) -> dict[str, str]:
    identity = release.identity
    return {identity.kind.annotation: identity.value} if identity and identity.kind.annotation else {}
