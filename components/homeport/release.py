"""A release: one version of a model in one environment, with every default filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from homeport.catalogue.kubernetes import USER_NAMESPACES
from homeport.nodes import Nodes, offered
from homeport.provenance import UNKNOWN
from homeport.specs.environment import Claim, Environment, Identity, Relax, SecretSource, Trigger
from homeport.specs.fields import Demand
from homeport.specs.live_models import CanaryVersion, LiveVersion, LiveWeights
from homeport.specs.model import CANARY_SUFFIX, Gpu, Model


@dataclass(frozen=True)
class Canary:
    """Another version of the model, which takes part of the requests."""

    version: str
    image: Any
    """Full reference of the image: text, or a Pulumi Output of it."""
    percent: int
    """Share of the requests that it takes, 1 to 99 percent."""
    weights: LiveWeights | None = None
    """Version of its weights, if they are in their own image."""


@dataclass(frozen=True)
class Release:
    """One version of a model in one environment: everything that the manifests are made from."""

    model: Model
    environment: Environment
    version: str
    image: Any
    """Full reference of the image: text, or a Pulumi Output of it."""
    commit: str = UNKNOWN
    """Git commit that last changed this release in the spec files."""
    peers: Sequence[Model] = ()
    """Other models of the environment, including those that call this one and those that it calls."""
    canary: Canary | None = None
    """The version that takes part of the requests beside this one."""
    suffix: str = ""
    """Suffix that distinguishes the objects of a canary from those of the stable version."""
    weights: LiveWeights | None = None
    """Version of the weights, if they are in their own image."""
    deployed_by: str | None = None
    """The Pulumi stack that deploys it, as `PROJECT/STACK`; None if it is not known, as for files outside a project."""
    secret_values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Values of secrets by name, in base64, as Pulumi Outputs. Empty if they are not known, as when files are rendered."""

    @classmethod
    def of(
        cls, model: Model, environment: Environment, stable: LiveVersion, canary: CanaryVersion | None = None
    ) -> Self:
        """The release of a live model, with images from the model's repository."""
        image, tried = image_reference(model, environment, stable), None
        if canary:
            reference = image_reference(model, environment, canary)
            tried = Canary(canary.version, reference, canary.percent, canary.weights)
        return cls(model, environment, stable.version, image, canary=tried, weights=stable.weights)

    def with_image(self, image: Any, *, canary: bool = False) -> Self:
        """The same release with another image. With `canary`, the image is the canary's."""
        if canary and self.canary:
            return replace(self, canary=replace(self.canary, image=image))
        return replace(self, image=image)

    @property
    def instance(self) -> str:
        """Name of this version's Deployment, Service and autoscaler."""
        return f"{self.model.name}{self.suffix}"

    @property
    def tracks(self) -> "list[Release]":
        """The versions that run side by side, stable first."""
        if self.canary is None:
            return [self]
        tried = {name: getattr(self.canary, name) for name in ("version", "image", "weights")}
        return [self, replace(self, **tried, canary=None, suffix=CANARY_SUFFIX)]

    @property
    def built(self) -> "Release | None":
        """The track whose image is built from the model's folder, because it has no digest."""
        return next((track for track in self.tracks if is_built(track)), None)

    @property
    def namespace(self) -> str:
        """Name of the model's namespace."""
        return self.environment.namespace_of(self.model.name)

    @property
    def cpu(self) -> str:
        """Cores per replica."""
        return self.model.resources.cpu or self.environment.defaults.cpu

    @property
    def memory(self) -> str:
        """Memory per replica."""
        return self.model.resources.memory or self.environment.defaults.memory

    @property
    def gpu(self) -> Gpu | None:
        """GPUs per replica."""
        return self.model.resources.gpu

    @property
    def identity(self) -> Identity | None:
        """The model's identity in the environment's cloud."""
        return self.environment.identities.get(self.model.name)

    @property
    def claims(self) -> dict[str, Claim]:
        """Volumes that the model may claim, by name."""
        return self.environment.claims.get(self.model.name, {})

    @property
    def secret_sources(self) -> dict[str, SecretSource]:
        """The sources of the secrets that the model may read, by name."""
        return self.environment.secrets.get(self.model.name, {})

    @cached_property
    def relax(self) -> Relax:
        """The controls that are relaxed for this model."""
        return self.environment.relax if self.gpu else self.environment.relax.without_gpus

    @property
    def own_users(self) -> bool:
        """Whether a pod has its own user namespace: the node does not know the users in it.

        Models with GPUs have it by choice, because device plugins must support it. Models with a volume do not, because
        network file systems cannot map users: https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/
        """
        here, weights = self.environment, self.model.weights
        volume = weights is not None and weights.claim is not None
        possible = not volume and (self.gpu is None or here.gpu.user_namespaces)
        return possible and bool(here.cluster.has(USER_NAMESPACES)) and not self.relax.user_namespaces

    @property
    def updates_in_place(self) -> bool:
        """Whether an update stops a replica before it starts a new one."""
        return self.relax.gpu_downtime is not None

    @cached_property
    def replicas(self) -> tuple[int, int]:
        """Minimum and maximum replicas. A default never contradicts the limit that the model states."""
        scale, defaults = self.model.scale, self.environment.defaults
        default = min(defaults.min_replicas, scale.max or defaults.min_replicas)
        least = default if scale.min is None else scale.min
        return least, scale.max or max(defaults.max_replicas, least)

    @property
    def triggers(self) -> dict[Demand, Trigger]:
        """The environment's trigger for each target of the model that only KEDA can watch."""
        offered = self.environment.keda.triggers if self.environment.keda else {}
        return {target: offered[target] for target in self.model.scale.target.demand if target in offered}

    @cached_property
    def gpu_nodes(self) -> dict[str, Nodes]:
        """Nodes by kind of GPU, in the model's order: the kinds that it accepts and the environment offers and allows."""
        if self.gpu is None:
            return {}
        nodes, allowed = offered(self.environment, self.gpu), self.environment.limits.gpu_kinds
        return {kind: nodes[kind] for kind in self.gpu.kinds if kind in nodes and (allowed is None or kind in allowed)}

    @property
    def callees(self) -> list[Model]:
        """The models that this one calls and that let it in, in the order that it states."""
        called = {peer.name: peer for peer in self.peers if peer.name in self.model.calls and peer.lets_in(self.model)}
        return [called[name] for name in self.model.calls if name in called]

    @property
    def callers(self) -> list[Model]:
        """The models that call this one and that it lets in, sorted by name."""
        calling = (peer for peer in self.peers if self.model.name in peer.calls and self.model.lets_in(peer))
        return sorted(calling, key=lambda peer: peer.name)


def repository(model: Model, environment: Environment) -> str:
    """Repository of a model's image: the one that it states, or the one for images built from its folder."""
    return model.image or f"{built_folder(environment)}{model.name}"


def built_folder(environment: Environment) -> str:
    """What the name of a model follows in the repository of its image, if it is built from the model's folder."""
    return f"{environment.images.registry}/" if environment.images else ""


def image_reference(model: Model, environment: Environment, live: LiveVersion) -> str:
    """Image of a version: its tag for people and, if known, its digest, which decides."""
    return f"{repository(model, environment)}:{live.version}" + (f"@{live.digest}" if live.digest else "")


def is_built(track: Release) -> bool:
    """Whether the image of a version is built from the model's folder, because it has no digest."""
    return track.model.build is not None and isinstance(track.image, str) and "@" not in track.image
