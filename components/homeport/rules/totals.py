"""Totals: whether all models of an environment together, each at its maximum replicas, stay within the limits."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from homeport.release import Release
from homeport.rules.violation import Violation
from homeport.specs.environment import TotalLimits
from homeport.specs.problems import Location
from homeport.specs.quantities import byte_count, cpu_quantity, memory_quantity, millicores

SHOWN = 5
"""Number of models that a violation names: those that use most."""


class Use(NamedTuple):
    """How much of one resource a model uses at its maximum replicas."""

    amount: int
    shown: str


def total_violations(limits: TotalLimits, releases: Sequence[Release]) -> list[Violation]:
    """Exceeded totals, each at its field of the environment, because no single model causes the problem."""
    return list(_violations(limits, releases))


def _violations(limits: TotalLimits, releases: Sequence[Release]) -> Iterator[Violation]:
    if limits.cpu is not None:
        cpus = [_use(each, millicores(each.cpu), each.cpu) for each in releases]
        if (found := _sum(cpus)) > millicores(limits.cpu):
            yield _violation("cpu", "resources.cpu", cpu_quantity(found), limits.cpu, cpus)
    if limits.memory is not None:
        memory = [_use(each, byte_count(each.memory), each.memory) for each in releases]
        if (found := _sum(memory)) > byte_count(limits.memory):
            yield _violation("memory", "resources.memory", memory_quantity(found), limits.memory, memory)
    if limits.gpus is not None:
        gpus = [_use(each, each.gpu.count, str(each.gpu.count)) for each in releases if each.gpu]
        if (found := _sum(gpus)) > limits.gpus:
            yield _violation("gpus", "resources.gpu.count", str(found), str(limits.gpus), gpus)


def _use(release: Release, each: int, shown: str) -> Use:
    most = release.replicas[1] * len(release.tracks)
    return Use(each * most, f"{release.model.name} {shown} for each of {most} replicas")


def _sum(uses: Sequence[Use]) -> int:
    return sum(use.amount for use in uses)


def _violation(name: str, asked: str, found: str, limit: str, uses: Sequence[Use]) -> Violation:
    largest = sorted(uses, key=lambda use: -use.amount)
    models = ", ".join(use.shown for use in largest[:SHOWN])
    rest = f", and {len(largest) - SHOWN} more models" if len(largest) > SHOWN else ""
    place: Location = ("limits", "total", name)
    message = f"found {found} for all models together ({asked}: {models}{rest}), accepted: {limit} or less"
    return Violation(place, message, source="environment")
