"""The provider: the cluster to which the resources of an environment go."""

import os

from pulumi_kubernetes import Provider

from homeport.specs.environment import CONTEXT_VARIABLE, Environment


def context(environment: Environment) -> str | None:
    """Context of the kubeconfig that leads to an environment's cluster; None: its current one.

    The variable HOMEPORT_CONTEXT names another one, for a cluster of one's own.
    """
    return os.environ.get(CONTEXT_VARIABLE) or environment.cluster.context


def cluster_provider(environment: Environment) -> Provider:
    """The Kubernetes provider for the cluster that an environment, or the variable HOMEPORT_CONTEXT, names."""
    override = os.environ.get(CONTEXT_VARIABLE)
    # The identifier alone tells whether it is another cluster: without it a moved kubeconfig would replace everything.
    return Provider(
        "cluster",
        context=context(environment),
        cluster_identifier=override or environment.cluster.identifier,
        enable_server_side_apply=True,
        # Otherwise a new value means that the Secret is gone for a moment, in which no pod could start.
        enable_secret_mutable=True,
    )
