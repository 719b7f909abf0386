"""The provider: the connection to the cluster of an environment."""

import pulumi
from pulumi_kubernetes import Provider

from homeport.components.hooks import hooks_of
from homeport.components.kubectl import Kubectl
from homeport.errors import HomeportError
from homeport.specs.environment import Environment

_ATTRIBUTE = "_homeport_provider"


class SecondClusterError(HomeportError):
    """A program asks for the providers of two clusters. The text says what to do."""


def cluster_provider(environment: Environment) -> Provider:
    """The Kubernetes provider for the environment's cluster: one in a program.

    Raises:
        SecondClusterError: The program has asked for the provider of another cluster.
    """
    root, cluster = pulumi.runtime.get_root_resource(), environment.cluster
    known = getattr(root, _ATTRIBUTE, None)
    if known is None:
        known = cluster, _provider(environment)
        if root:  # there is none where a component is made for a program in another language
            setattr(root, _ATTRIBUTE, known)
    if known[0] != cluster:
        raise SecondClusterError(
            f"found the clusters {known[0].identifier} and {cluster.identifier} in one program; accepted: one cluster, or "
            "a provider of your own for each model of the other: ResourceOptions(providers=[...])"
        )
    provider: Provider = known[1]
    return provider


def provider_of(component: pulumi.ComponentResource, environment: Environment) -> pulumi.ProviderResource:
    """The Kubernetes provider in a component's options or, without one, that of its environment's cluster.

    Pulumi's default provider would be that of the cluster which the shell points at.

    Raises:
        SecondClusterError: The program has asked for the provider of another cluster.
    """
    return component.get_provider("kubernetes:core/v1:Namespace") or cluster_provider(environment)


def _provider(environment: Environment) -> Provider:
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
