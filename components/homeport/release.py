"""A release: one version of a model in one environment, with every default filled in."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from homeport.catalogue.clouds import KINDS
from homeport.nodes import Nodes, offered
from homeport.specs.environment import Claim, Environment, Identity, SecretSource, Trigger
from homeport.specs.fields import HOST_NAME, Demand
from homeport.specs.live_models import LiveWeights
from homeport.specs.model import CANARY_SUFFIX, Gpu, Model
from homeport.specs.problems import Location
from homeport.specs.quantities import byte_count, millicores


@dataclass(frozen=True)
class Violation:
    """Something that a release asks for and the environment does not allow."""

    field: Location
    """Field of the model; of its entry among the live models, such as `stable`, if `live`."""
    message: str
    live: bool = False


@dataclass(frozen=True)
class Canary:
    """Another version of the model, which takes a part of the requests."""

    version: str
    image: Any
    """Full reference of the image: text, or a Pulumi Output of it."""
    weight: int
    """Percent of the requests, 1 to 99."""
    weights: LiveWeights | None = None
    """Version of its weights, if they are in an image of their own."""


@dataclass(frozen=True)
class Release:
    """One version of a model in one environment: all that the manifests are made from."""

    model: Model
    environment: Environment
    version: str
    image: Any
    """Full reference of the image: text, or a Pulumi Output of it."""
    commit: str = "unknown"
    """Git commit that last changed what is said about this release."""
    peers: Sequence[Model] = ()
    """The environment's other models, among them those that call this one and those that it calls."""
    canary: Canary | None = None
    """The version that is tried beside this one."""
    suffix: str = ""
    """What tells the objects of a canary from those of the stable version."""
    weights: LiveWeights | None = None
    """Version of the weights, if they are in an image of their own."""
    secret_values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Values of secrets by name, in base64: Pulumi Outputs. Empty where nobody knows them, as when files are rendered."""

    @property
    def instance(self) -> str:
        """Name of what runs this version: its Deployment, its Service, its autoscaler."""
        return f"{self.model.name}{self.suffix}"

    @property
    def tracks(self) -> "list[Release]":
        """The versions that run side by side, the stable one first."""
        if self.canary is None:
            return [self]
        tried = {name: getattr(self.canary, name) for name in ("version", "image", "weights")}
        return [self, replace(self, **tried, canary=None, suffix=CANARY_SUFFIX)]

    @property
    def built(self) -> "Release | None":
        """The one of the tracks whose image is built from the model's folder: no digest says which one it is."""
        return next((track for track in self.tracks if _is_built(track)), None)

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
        """Who the model is to the environment's cloud."""
        return self.environment.identities.get(self.model.name)

    @property
    def claims(self) -> dict[str, Claim]:
        """Volumes that the model may claim, by name."""
        return self.environment.claims.get(self.model.name, {})

    @property
    def secret_sources(self) -> dict[str, SecretSource]:
        """Where the secrets come from that the model may have, by name."""
        return self.environment.secrets.get(self.model.name, {})

    @property
    def relaxations(self) -> dict[str, str]:
        """The environment's relaxations, but those that do not concern this model."""
        relaxed = self.environment.relaxations
        return relaxed if self.gpu else {name: reason for name, reason in relaxed.items() if name != "gpu_downtime"}

    @property
    def updates_in_place(self) -> bool:
        """Whether an update stops a replica before it starts a new one."""
        return "gpu_downtime" in self.relaxations

    @cached_property
    def replicas(self) -> tuple[int, int]:
        """Fewest and most replicas. A default never contradicts the bound that the model states."""
        scale, defaults = self.model.scale, self.environment.defaults
        default = min(defaults.min_replicas, scale.max or defaults.min_replicas)
        least = default if scale.min is None else scale.min
        return least, scale.max or max(defaults.max_replicas, least)

    @property
    def triggers(self) -> dict[Demand, Trigger]:
        """What counts each target that only KEDA can watch, of those that the environment offers."""
        offered = self.environment.keda.triggers if self.environment.keda else {}
        return {target: offered[target] for target in self.model.scale.target.demand if target in offered}

    @cached_property
    def gpu_nodes(self) -> dict[str, Nodes]:
        """Nodes by kind of GPU, in the model's order: of the kinds that it accepts those that are offered and allowed."""
        if self.gpu is None:
            return {}
        nodes, allowed = offered(self.environment, self.gpu), self.environment.limits.gpu_kinds
        return {kind: nodes[kind] for kind in self.gpu.kinds if kind in nodes and (allowed is None or kind in allowed)}

    @property
    def callees(self) -> list[Model]:
        """The models that this one calls, in its order."""
        called = {peer.name: peer for peer in self.peers if peer.name in self.model.calls}
        return [called[name] for name in self.model.calls if name in called]

    @property
    def callers(self) -> list[Model]:
        """The models that call this one, by name."""
        return sorted((peer for peer in self.peers if self.model.name in peer.calls), key=lambda peer: peer.name)

    def violations(self) -> list[Violation]:
        """What the environment does not allow: bounds exceeded, requirements not met, needs that it cannot serve."""
        return [
            *self._names(),
            *self._ceilings(),
            *self._scale(),
            *self._gpus(),
            *self._image(),
            *self.build_violations(),
            *self._weights(),
            *self._secrets(),
            *self._calls(),
            *self._hosts(),
            *self._canary(),
        ]

    def _names(self) -> list[Violation]:
        length, host = len(self.namespace), self.environment.host_of(self.model.name)
        found: list[Violation] = []
        if length > 63:
            message = (
                f'found "{self.model.name}", accepted: at most 63 characters as namespace {self.namespace} ({length})'
            )
            found.append(Violation(("name",), message))
        if host and (len(host) > 253 or not re.fullmatch(HOST_NAME, host)):
            message = (
                f'found "{self.model.name}", accepted: at most 63 characters in each part of host {host}, 253 in all'
            )
            found.append(Violation(("name",), message))
        return found

    def _ceilings(self) -> list[Violation]:
        limits, (least, most) = self.environment.limits, self.replicas
        required = self.environment.require.min_replicas
        cpu, memory, gpus = self.cpu, self.memory, self.gpu.count if self.gpu else 0
        shm = self.model.resources.shm
        found: list[Violation] = []
        if limits.replicas is not None and most > limits.replicas:
            message = f"found {most} replicas, accepted: {limits.replicas} or fewer (limits.replicas)"
            found.append(Violation(("scale", "max"), message))
        if least < required:
            message = f"found {least} replicas, accepted: {required} or more (require.min_replicas)"
            found.append(Violation(("scale", "min"), message))
        if limits.cpu is not None and millicores(cpu) * most > millicores(limits.cpu):
            found.append(Violation(("resources", "cpu"), _at_most(cpu, most, limits.cpu, "cpu")))
        if limits.memory is not None and byte_count(memory) * most > byte_count(limits.memory):
            found.append(Violation(("resources", "memory"), _at_most(memory, most, limits.memory, "memory")))
        if limits.gpus is not None and gpus * most > limits.gpus:
            found.append(Violation(("resources", "gpu", "count"), _at_most(gpus, most, limits.gpus, "gpus")))
        if shm and byte_count(shm) >= byte_count(memory):
            message = f"found {shm}, accepted: less than the {memory} of memory that it is a part of"
            found.append(Violation(("resources", "shm"), message))
        return found

    def _scale(self) -> list[Violation]:
        offered = self.environment.keda.triggers if self.environment.keda else {}
        hint = " (keda.triggers)" if offered else ": only KEDA can watch others, and the environment names none (keda)"
        found = [
            Violation(
                ("scale", "target", target),
                f"found {number}, accepted: targets {_listed(['cpu', 'memory', *offered])}{hint}",
            )
            for target, number in self.model.scale.target.demand.items()
            if target not in offered
        ]
        if self.replicas[0] == 0 and not found and not any(each.from_zero for each in self.triggers.values()):
            waking = _listed(target for target, each in offered.items() if each.from_zero)
            other = f"0 with a target that is counted while none runs, here {waking} (keda.triggers, from_zero)"
            found.append(Violation(("scale", "min"), f"found 0 replicas, accepted: 1 or more; {other}"))
        return found

    def _gpus(self) -> list[Violation]:
        if self.gpu is None:
            return []
        known = KINDS | set(self.environment.accelerators)
        unknown = [
            Violation(
                ("resources", "gpu", "kinds", index),
                f'found "{kind}", which no cloud and no environment knows, accepted: {_listed(sorted(known))}',
            )
            for index, kind in enumerate(self.gpu.kinds)
            if kind not in known
        ]
        if unknown:
            return unknown
        place: Location = ("resources", "gpu", "kinds")
        found = ", ".join(f'"{kind}"' for kind in self.gpu.kinds)
        nodes, allowed = offered(self.environment, self.gpu), self.environment.limits.gpu_kinds
        if not set(self.gpu.kinds) & set(nodes):
            part = _part(self.gpu)
            hint = f" (as whole GPUs: {_listed(offered(self.environment))})" if part else ""
            message = f"found {found}{part}, which no node here is known to have, accepted: {_listed(nodes)}{hint}"
            return [Violation(place, message)]
        if not self.gpu_nodes:
            return [Violation(place, f"found {found}, accepted: {_listed(allowed or [])} (limits.gpu_kinds)")]
        resources = dict.fromkeys(each.resource for each in self.gpu_nodes.values())
        if len(resources) > 1:
            message = f"found kinds of {_listed(resources)}, accepted: kinds of one of them, as a pod requests just one"
            return [Violation(place, message)]
        return []

    def _image(self) -> list[Violation]:
        found = self._registry(("build" if self.model.build else "image",), repository(self.model, self.environment))
        for track in self.tracks if self.environment.require.digest else ():
            if isinstance(track.image, str) and "@" not in track.image and not _is_built(track):
                message = (
                    f'found image "{track.image}" without a digest, accepted: sha256:... of the image (require.digest)'
                )
                found.append(Violation((_entry(track), "digest"), message, live=True))
        return found

    def build_violations(self) -> list[Violation]:
        """What the environment does not allow of building the image from the model's folder."""
        build, images, built = self.model.build, self.environment.images, self.built
        if build is None:
            return []
        if images is None:
            message = "found it, accepted: `image`, for the environment builds no images and keeps none (images)"
            return [Violation(("build",), message)]
        if built is None:
            return []
        found: list[Violation] = []
        if self.canary and all(map(_is_built, self.tracks)):
            message = (
                f'found "{self.version}" without a digest beside canary "{self.canary.version}", accepted: sha256:... '
                "of its image, for the model's folder has one content, and the canary is it"
            )
            found.append(Violation(("stable", "digest"), message, live=True))
        if not images.bases:
            message = (
                f'found "{built.version}" without a digest, accepted: sha256:... of an image, for none is built here '
                "(images.bases)"
            )
            return [*found, Violation((_entry(built), "digest"), message, live=True)]
        if not build.dockerfile and images.base(build.base) is None:
            asked = f'"{build.base}"' if build.base else "none"
            message = f"found {asked}, accepted: {_listed(images.bases)} (images.bases)"
            found.append(Violation(("build", "base"), message))
        for index, package in enumerate(build.packages):
            if package not in images.packages:
                message = f'found "{package}", accepted: {_listed(images.packages)} (images.packages)'
                found.append(Violation(("build", "packages", index), message))
        return found

    def _registry(self, place: Location, repository: str) -> list[Violation]:
        registries = self.environment.limits.registries
        if registries is None or any(repository.startswith(f"{registry.rstrip('/')}/") for registry in registries):
            return []
        message = f'found "{repository}", accepted: an image of {_listed(registries)} (limits.registries)'
        return [Violation(place, message)]

    def _weights(self) -> list[Violation]:
        weights = self.model.weights
        image, claim = (weights.image, weights.claim) if weights else (None, None)
        found = self._registry(("weights", "image"), image) if image else []
        if claim and claim not in self.claims:
            accepted = f"{_listed(self.claims)} (claims.{self.model.name} of the environment)"
            found.append(Violation(("weights", "claim"), f'found "{claim}", accepted: {accepted}'))
        for track in self.tracks:
            place: Location = ("canary" if track.suffix else "stable", "weights")
            if image and track.weights is None:
                message = f"found nothing, accepted: the version of {image}, which the model takes its weights from"
                found.append(Violation(place, message, live=True))
            elif track.weights and not image:
                message = (
                    f'found version "{track.weights.version}", accepted: none, for the model has no `weights.image`'
                )
                found.append(Violation(place, message, live=True))
            elif track.weights and self.environment.require.digest and not track.weights.digest:
                message = f'found version "{track.weights.version}" without a digest, accepted: sha256:... of the image'
                found.append(Violation((*place, "digest"), f"{message} (require.digest)", live=True))
        return found

    def _secrets(self) -> list[Violation]:
        accepted = f"{_listed(self.secret_sources)} (secrets.{self.model.name} of the environment)"
        return [
            Violation(("secrets", index, "name"), f'found "{secret.name}", accepted: {accepted}')
            for index, secret in enumerate(self.model.secrets)
            if secret.name not in self.secret_sources
        ]

    def _canary(self) -> list[Violation]:
        found: list[Violation] = []
        if self.canary and self.environment.host_of(self.model.name) is None:
            reason = "a Gateway divides the requests, and the environment names none (gateway.name, gateway.host)"
            message = f'found version "{self.canary.version}", accepted: no canary, for {reason}'
            found.append(Violation(("canary",), message, live=True))
        if self.canary and (self.canary.version, self.canary.weights) == (self.version, self.weights):
            message = f'found "{self.version}", accepted: another version than that of `stable`'
            message += " or of its weights" if self.weights else ""
            found.append(Violation(("canary", "version"), message, live=True))
        return found

    def _calls(self) -> list[Violation]:
        if not self.model.calls:
            return []
        known = sorted(peer.name for peer in self.peers)
        return [
            Violation(("calls", index), f'found "{name}", which is not live here, accepted: {_listed(known)}')
            for index, name in enumerate(self.model.calls)
            if name not in known
        ]

    def _hosts(self) -> list[Violation]:
        if self.environment.network.plugin:
            return []
        reason = (
            "a `cidr`: NetworkPolicy knows no names, only a plugin that the environment names (network.plugin) does"
        )
        return [
            Violation(("egress", index, "host"), f'found "{egress.host}", accepted: {reason}')
            for index, egress in enumerate(self.model.egress)
            if egress.host
        ]


def repository(model: Model, environment: Environment) -> str:
    """Repository of a model's image: its own, or the one in which the environment keeps what is built of its folder."""
    folder = f"{environment.images.location}/" if environment.images else ""
    return model.image or f"{folder}{model.name}"


def _is_built(track: Release) -> bool:
    return track.model.build is not None and isinstance(track.image, str) and "@" not in track.image


def _entry(track: Release) -> str:
    return "canary" if track.suffix else "stable"


def _at_most(each: str | int, replicas: int, limit: str | int, name: str) -> str:
    return f"found {each} for each of {replicas} replicas, accepted: {limit} or less in all (limits.{name})"


def _part(gpu: Gpu) -> str:
    return f" in slices of {gpu.mig}" if gpu.mig else " in time-sliced shares" if gpu.shared else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
