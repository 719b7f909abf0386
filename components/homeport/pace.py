"""Pace: how long an update takes, and what it waits for where there is just enough room, from the files alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Self

from homeport.manifests.deployment import MIN_READY_SECONDS
from homeport.manifests.isolation import surge
from homeport.manifests.pod import grace_seconds
from homeport.release import Release
from homeport.rules.totals import SHOWN, totals


@dataclass(frozen=True)
class Pace:
    """How long an update of a version takes, when images and nodes are there."""

    steps: tuple[int, int]
    """Groups of replicas that are replaced one after the other: at the fewest and at the most replicas."""
    start_seconds: int
    """Maximum seconds until a new replica is ready: `startup_seconds`."""
    stability_seconds: int = MIN_READY_SECONDS
    """Seconds that it must stay ready."""
    drain_seconds: int = 0
    """Maximum seconds until an old replica has stopped, where a new one waits for that."""

    @classmethod
    def of(cls, release: Release) -> Self:
        """The pace of a release. It is the same for its canary."""
        fewest, most = (ceil(max(number, 1) / surge(release)) for number in release.replicas)
        drain = grace_seconds(release) if release.updates_in_place else 0
        return cls((fewest, most), release.model.startup_seconds, drain_seconds=drain)

    @property
    def seconds(self) -> tuple[int, int]:
        """Maximum seconds of an update, at the fewest and at the most replicas."""
        step = self.drain_seconds + self.start_seconds + self.stability_seconds
        return self.steps[0] * step, self.steps[1] * step

    def __str__(self) -> str:
        drain = f"stop {self.drain_seconds} s + " if self.drain_seconds else ""
        step = f"({drain}start {self.start_seconds} s + stability {self.stability_seconds} s)"
        return f"{_range(self.steps)} x {step} = {_range(self.seconds)} s"


def waits(releases: Sequence[Release]) -> Iterator[str]:
    """What updates wait for at the most replicas: possible, but slow.

    `limits.total` may have no room for the replicas that updates add. A model's quota always has.
    """
    if not releases:
        return
    for total in totals(releases[0].environment.limits.total, releases):
        added = [
            (use.each * surge(release), release.model.name)
            for release, use in zip(releases, total.uses, strict=True)
            if not release.updates_in_place
        ]
        short = sorted(((amount, name) for amount, name in added if amount > total.spare), key=lambda each: -each[0])
        if short:
            models = ", ".join(f"{name} {total.shown(amount)}" for amount, name in short[:SHOWN])
            rest = f" (and {len(short) - SHOWN} models)" if len(short) > SHOWN else ""
            yield (
                f"with all models at their maximum replicas, an update waits for room: {models}{rest} more, and "
                f"limits.total.{total.name} has {total.shown(total.spare)} left"
            )


def _range(numbers: tuple[int, int]) -> str:
    return str(numbers[0]) if numbers[0] == numbers[1] else f"{numbers[0]} to {numbers[1]}"
