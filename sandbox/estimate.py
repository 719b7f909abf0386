"""Estimates the remaining time from the known costs of the parts and the speed of this machine."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.progress import duration

_TRUST = 0.05
"""Share of the whole time after which the speed measured here weighs as much as the known cost."""
_FINE_MINUTES = 20


@dataclass(frozen=True)
class Work:
    """One thing to build."""

    cost: float | None
    """Its total processor seconds; None if they are not measured."""
    done: float
    """The share of it that is done, 0 to 1."""
    before: float = 0.0
    """The share that was done when this run began."""


def share(works: Sequence[Work]) -> float | None:
    """The share of all work that is done, 0 to 1; None if it is not known."""
    known = _known(works)
    if not known:
        return None
    return sum(cost * work.done for cost, work in known) / sum(cost for cost, _ in known)


def seconds_left(works: Sequence[Work], elapsed: float, workers: int) -> float | None:
    """The remaining seconds; None if they are not known.

    Args:
        works: All work, including what is done.
        elapsed: Seconds since this run began.
        workers: Number of processors. At first, each is assumed to do one second of known cost per second.
    """
    known = _known(works)
    if not known:
        return None
    trusted = _TRUST * sum(cost for cost, _ in known)
    left = sum(cost * (1.0 - work.done) for cost, work in known)
    gained = sum(cost * (work.done - work.before) for cost, work in known)
    return left * (elapsed + trusted / workers) / (gained + trusted)


def _known(works: Sequence[Work]) -> list[tuple[float, Work]]:
    """Each work with its cost; empty while work with an unknown cost is not done."""
    if any(work.cost is None and work.done < 1.0 for work in works):
        return []
    return [(work.cost, work) for work in works if work.cost is not None]


def processors() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def sentence(doing: Sequence[str], works: Sequence[Work], elapsed: float) -> str:
    """A line about the current work for the waiting user."""
    text = f"building {', '.join(doing)} ({duration(elapsed)})"
    done, left = share(works), seconds_left(works, elapsed, processors())
    return f"{text}: {done:.0%} done, {roughly(left)} left" if done and left else text


def roughly(seconds: float) -> str:
    """A rough duration, such as `less than a minute` or `about 12 min`, because the estimate is not exact."""
    if seconds < 60:
        return "less than a minute"
    minutes = math.ceil(seconds / 60)
    return f"about {minutes if minutes < _FINE_MINUTES else 5 * math.ceil(minutes / 5)} min"
