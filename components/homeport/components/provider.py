"""The provider: the connection to the cluster of an environment."""

from pulumi_kubernetes import Provider

from homeport.components.guard import guard_of
from homeport.specs.environment import Environment


def cluster_provider(environment: Environment) -> Provider:
    """The Kubernetes provider for the environment's cluster."""
    # Only the identifier decides whether it is another cluster. Without it, a moved kubeconfig would replace everything.
    provider = Provider(
        "cluster",
        context=environment.cluster.context,
        cluster_identifier=environment.cluster.identifier,
        enable_server_side_apply=True,
        # Otherwise a new value replaces the Secret, and no pod can start while it is missing.
        enable_secret_mutable=True,
    )
    guard_of(provider)  # also if no model is left: the engine needs the hooks to delete the last one
    return provider
