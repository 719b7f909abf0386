"""A violation: what an environment refuses, and the field that requests it."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from homeport.specs.problems import Location

LISTED = 20
"""Names that a message shows."""


@dataclass(frozen=True)
class Violation:
    """A request that the environment does not allow."""

    field: Location
    message: str
    source: Literal["model", "live", "environment"] = "model"
    """Where the field is: in the model, in its entry of the live models (such as `stable.digest`), or in the environment."""


def listed(names: Iterable[str]) -> str:
    """Names as messages show them: the first ones, and whether there are more."""
    found = list(islice(names, LISTED + 1))
    return ", ".join(found[:LISTED]) + (" and more" if len(found) > LISTED else "") or "none"
