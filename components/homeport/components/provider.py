"""The provider: the cluster to which the resources of an environment go."""

from pulumi_kubernetes import Provider

from homeport.specs.environment import Environment


def cluster_provider(environment: Environment) -> Provider:
    """The Kubernetes provider for the cluster that an environment names."""
    # The identifier alone tells whether it is another cluster: without it a moved kubeconfig would replace everything.
    return Provider(
        "cluster",
        context=environment.cluster.context,
        cluster_identifier=environment.cluster.identifier,
        enable_server_side_apply=True,
        # Otherwise a new value means that the Secret is gone for a moment, in which no pod could start.
        enable_secret_mutable=True,
    )
