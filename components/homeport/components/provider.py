"""The provider: the connection to the cluster of an environment."""

from pulumi_kubernetes import Provider

from homeport.specs.environment import Environment


def cluster_provider(environment: Environment) -> Provider:
    """The Kubernetes provider for the environment's cluster."""
    # Only the identifier decides whether it is another cluster. Without it, a moved kubeconfig would replace everything.
    return Provider(
        "cluster",
        context=environment.cluster.context,
        cluster_identifier=environment.cluster.identifier,
        enable_server_side_apply=True,
        # Otherwise a new value replaces the Secret, and no pod can start while it is missing.
        enable_secret_mutable=True,
    )
