"""How long the rest takes: from what the parts are known to take, and what this machine does."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.progress import duration

_TRUST = 0.05
"""For which share of the whole time the known cost weighs as much as what is measured here."""
_FINE_MINUTES = 20


@dataclass(frozen=True)
class Work:
    """One thing to build."""

    cost: float | None
    """Processor seconds that it is known to take in all; None: nobody has measured it."""
    done: float
    """Which share of it is done, 0 to 1."""
    before: float = 0.0
    """Which share was done when this run began."""


def share(works: Sequence[Work]) -> float | None:
    """Which share of all is done, 0 to 1; None where that is not known."""
    known = _known(works)
    if not known:
        return None
    return sum(cost * work.done for cost, work in known) / sum(cost for cost, _ in known)


def seconds_left(works: Sequence[Work], elapsed: float, workers: int) -> float | None:
    """How long the rest takes; None where that is not known.

    Args:
        works: All there is to do, also what is done.
        elapsed: Seconds since this run began.
        workers: Processors. Until more is known each is taken to do in a second what costs a second.
    """
    known = _known(works)
    if not known:
        return None
    trusted = _TRUST * sum(cost for cost, _ in known)
    left = sum(cost * (1.0 - work.done) for cost, work in known)
    gained = sum(cost * (work.done - work.before) for cost, work in known)
    return left * (elapsed + trusted / workers) / (gained + trusted)


def _known(works: Sequence[Work]) -> list[tuple[float, Work]]:
    """Each with its cost; none at all while one is not done of which it is not known."""
    if any(work.cost is None and work.done < 1.0 for work in works):
        return []
    return [(work.cost, work) for work in works if work.cost is not None]


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def sentence(doing: Sequence[str], works: Sequence[Work], elapsed: float) -> str:
    """What the user who waits is told of what is under way."""
    text = f"building {', '.join(doing)} ({duration(elapsed)})"
    done, left = share(works), seconds_left(works, elapsed, processors())
    return f"{text}: {done:.0%} done, {roughly(left)} left" if done and left else text


def roughly(seconds: float) -> str:
    """`less than a minute`, `about 12 min`: in words that promise no more than is known."""
    if seconds < 60:
        return "less than a minute"
    minutes = math.ceil(seconds / 60)
    return f"about {minutes if minutes < _FINE_MINUTES else 5 * math.ceil(minutes / 5)} min"
