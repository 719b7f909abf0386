"""A release: one version of a model in one environment, with every default filled in."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from homeport.accelerators import KINDS, Nodes, offered
from homeport.documents import Location
from homeport.environment import Environment, Identity
from homeport.fields import HOST_NAME, byte_count, millicores
from homeport.model import CANARY_SUFFIX, Gpu, Model


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

    @property
    def instance(self) -> str:
        """Name of what runs this version: its Deployment, its Service, its autoscaler."""
        return f"{self.model.name}{self.suffix}"

    @property
    def tracks(self) -> "list[Release]":
        """The versions that run side by side, the stable one first."""
        if self.canary is None:
            return [self]
        version, image = self.canary.version, self.canary.image
        return [self, replace(self, version=version, image=image, canary=None, suffix=CANARY_SUFFIX)]

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
        least = scale.min or min(defaults.min_replicas, scale.max or defaults.min_replicas)
        return least, scale.max or max(defaults.max_replicas, least)

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
            *self._gpus(),
            *self._image(),
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
        registries, image = self.environment.limits.registries, self.model.image
        found: list[Violation] = []
        if registries is not None and not any(image.startswith(f"{registry.rstrip('/')}/") for registry in registries):
            message = f'found "{image}", accepted: an image of {_listed(registries)} (limits.registries)'
            found.append(Violation(("image",), message))
        for track in self.tracks if self.environment.require.digest else ():
            if isinstance(track.image, str) and "@" not in track.image:
                place = "canary" if track.suffix else "stable"
                message = (
                    f'found image "{track.image}" without a digest, accepted: sha256:... of the image (require.digest)'
                )
                found.append(Violation((place, "digest"), message, live=True))
        return found

    def _canary(self) -> list[Violation]:
        found: list[Violation] = []
        if self.canary and self.environment.host_of(self.model.name) is None:
            reason = "a Gateway divides the requests, and the environment names none (gateway.name, gateway.host)"
            message = f'found version "{self.canary.version}", accepted: no canary, for {reason}'
            found.append(Violation(("canary",), message, live=True))
        if self.canary and self.canary.version == self.version:
            message = f'found "{self.version}", accepted: another version than that of `stable`'
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


def _at_most(each: str | int, replicas: int, limit: str | int, name: str) -> str:
    return f"found {each} for each of {replicas} replicas, accepted: {limit} or less in all (limits.{name})"


def _part(gpu: Gpu) -> str:
    return f" in slices of {gpu.mig}" if gpu.mig else " in time-sliced shares" if gpu.shared else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
