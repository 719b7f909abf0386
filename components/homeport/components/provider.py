"""The provider: the connection to the cluster of an environment."""

from pulumi_kubernetes import Provider

from homeport.components.hooks import hooks_of
from homeport.components.kubectl import Kubectl
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
    # Also if no model is left, because the engine needs the hooks to delete the last one.
    hooks_of(provider, Kubectl(context=environment.cluster.context))
    return provider
