"""A violation: what an environment refuses, and which field asks for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from homeport.specs.problems import Location


@dataclass(frozen=True)
class Violation:
    """Something that is asked for and the environment does not allow."""

    field: Location
    message: str
    source: Literal["model", "live", "environment"] = "model"
    """What has the field: the model, its entry among the live models (as `stable.digest`), or the environment."""


def listed(names: Iterable[str]) -> str:
    """Names as a message shows them."""
    return ", ".join(names) or "none"
