"""The kinds of objects that homeport makes: where the API server serves each, and which environments have it.

The manifests, and the permissions of who deploys them, are made from this one table.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from homeport.specs.environment import Environment, SecretSource


@dataclass(frozen=True)
class Kind:
    """A kind of object."""

    api_version: str
    name: str
    resource: str
    """Its name in the API server's paths and in roles: lower case, plural."""
    made: Callable[[Environment], bool] = lambda _: True
    """Whether models of an environment may have such objects."""
    namespaced: bool = True

    @property
    def group(self) -> str:
        """Its API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]


_KINDS = (
    Kind("v1", "Namespace", "namespaces", namespaced=False),
    Kind("v1", "ResourceQuota", "resourcequotas"),
    Kind("v1", "LimitRange", "limitranges"),
    Kind("v1", "ServiceAccount", "serviceaccounts"),
    Kind("v1", "Service", "services"),
    Kind("v1", "Secret", "secrets", lambda here: any(source.config for source in _secrets(here))),
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", lambda here: bool(here.claims)),
    Kind("rbac.authorization.k8s.io/v1", "Role", "roles", lambda here: bool(here.teams)),
    Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", lambda here: bool(here.teams or here.deployer)),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Kind("cilium.io/v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies", lambda here: here.network.plugin == "cilium"),
    Kind("apps/v1", "Deployment", "deployments"),
    Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects", lambda here: here.keda is not None),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind(
        "gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", lambda here: bool(here.gateway and here.gateway.name)
    ),
    Kind(
        "external-secrets.io/v1",
        "ExternalSecret",
        "externalsecrets",
        lambda here: any(source.external for source in _secrets(here)),
    ),
)

KINDS = {(kind.api_version, kind.name): kind for kind in _KINDS}
"""Each kind by its API version and its name."""


def kinds(environment: Environment) -> list[Kind]:
    """The kinds of the objects that models of an environment may have."""
    return [kind for kind in _KINDS if kind.made(environment)]


def _secrets(environment: Environment) -> Iterator[SecretSource]:
    return (source for sources in environment.secrets.values() for source in sources.values())
