"""A violation: what an environment refuses, and the field that requests it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from homeport.specs.problems import Location


@dataclass(frozen=True)
class Violation:
    """A request that the environment does not allow."""

    field: Location
    message: str
    source: Literal["model", "live", "environment"] = "model"
    """Where the field is: in the model, in its entry of the live models (such as `stable.digest`), or in the environment."""


def listed(names: Iterable[str]) -> str:
    """Names as messages show them."""
    return ", ".join(names) or "none"
