"""Totals: whether all models of an environment together, each at its maximum replicas, stay within the limits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from homeport.release import Release
from homeport.rules.violation import Violation
from homeport.specs.environment import TotalLimits
from homeport.specs.problems import Location
from homeport.specs.quantities import byte_count, cpu_quantity, memory_quantity, millicores

SHOWN = 5
"""Number of models that a violation names: those that use most."""


@dataclass(frozen=True)
class Use:
    """How much of one resource a model uses."""

    model: str
    stated: str
    """Size of a replica, as it is stated."""
    each: int
    """Size of a replica."""
    replicas: int
    """Replicas at the maximum, of all versions."""

    def __str__(self) -> str:
        return f"{self.model} {self.stated} for each of {self.replicas} replicas"


@dataclass(frozen=True)
class Total:
    """One resource of which the environment limits the total."""

    name: str
    """Field of `limits.total`."""
    asked: str
    """Field of a model."""
    limit: int
    stated: str
    """The limit, as it is stated."""
    uses: tuple[Use, ...]
    """One for each release."""
    shown: Callable[[int], str]
    """An amount as people write it."""

    @property
    def used(self) -> int:
        """What all models use at their maximum replicas."""
        return sum(use.each * use.replicas for use in self.uses)

    @property
    def spare(self) -> int:
        """What is left then."""
        return self.limit - self.used


def total_violations(limits: TotalLimits, releases: Sequence[Release]) -> list[Violation]:
    """Exceeded totals, each at its field of the environment, because no single model causes the problem."""
    return [_violation(total) for total in totals(limits, releases) if total.spare < 0]


def totals(limits: TotalLimits, releases: Sequence[Release]) -> Iterator[Total]:
    """The resources of which the environment limits the total."""
    if limits.cpu is not None:
        cpus = tuple(_use(each, millicores(each.cpu), each.cpu) for each in releases)
        yield Total("cpu", "resources.cpu", millicores(limits.cpu), limits.cpu, cpus, cpu_quantity)
    if limits.memory is not None:
        memory = tuple(_use(each, byte_count(each.memory), each.memory) for each in releases)
        yield Total("memory", "resources.memory", byte_count(limits.memory), limits.memory, memory, memory_quantity)
    if limits.gpus is not None:
        counts = [each.gpu.count if each.gpu else 0 for each in releases]
        gpus = tuple(_use(each, count, str(count)) for each, count in zip(releases, counts, strict=True))
        yield Total("gpus", "resources.gpu.count", limits.gpus, str(limits.gpus), gpus, str)


def _use(release: Release, each: int, stated: str) -> Use:
    return Use(release.model.name, stated, each, release.replicas[1] * len(release.tracks))


def _violation(total: Total) -> Violation:
    largest = sorted((use for use in total.uses if use.each), key=lambda use: -use.each * use.replicas)
    models = ", ".join(map(str, largest[:SHOWN]))
    rest = f", and {len(largest) - SHOWN} more models" if len(largest) > SHOWN else ""
    place: Location = ("limits", "total", total.name)
    found = f"found {total.shown(total.used)} for all models together ({total.asked}: {models}{rest})"
    return Violation(place, f"{found}, accepted: {total.stated} or less", source="environment")
