"""A violation: what an environment refuses, and which field asks for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from homeport.specs.problems import Location


@dataclass(frozen=True)
class Violation:
    """Something that is asked for and the environment does not allow."""

    field: Location
    """Field of the model; of its entry among the live models, such as `stable`, if `live`."""
    message: str
    live: bool = False


def listed(names: Iterable[str]) -> str:
    """Names as a message shows them."""
    return ", ".join(names) or "none"
