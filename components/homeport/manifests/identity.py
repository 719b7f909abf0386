"""Identity: who the model is (nobody to the cluster), and who of its team may look at it."""

from homeport.manifests.names import Manifest, manifest
from homeport.release import Release

READ = ["get", "list", "watch"]


def identity(release: Release) -> list[Manifest]:
    """The model's ServiceAccount, which may do nothing, and a read-only Role for the team if it is known here."""
    name, team = release.model.name, release.environment.teams.get(release.model.owner)
    # No token is mounted and nothing is bound to it: the model cannot speak to the cluster at all.
    account = manifest(release, "v1", "ServiceAccount", name, automountServiceAccountToken=False)
    if team is None:
        return [account]
    rules = [
        {"apiGroups": [""], "resources": ["pods", "pods/log", "events", "services"], "verbs": READ},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": READ},
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": READ},
        {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": READ},
        {"apiGroups": ["metrics.k8s.io"], "resources": ["pods"], "verbs": READ},
    ]
    role = manifest(release, "rbac.authorization.k8s.io/v1", "Role", f"{name}-team", rules=rules)
    binding = manifest(
        release,
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        f"{name}-team",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": f"{name}-team"},
        subjects=[{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": team.group}],
    )
    return [account, role, binding]
