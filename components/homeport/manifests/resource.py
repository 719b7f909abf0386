"""When an object is created, and under which name: what is to be known of it besides itself."""

from dataclasses import dataclass
from enum import IntEnum

from homeport.manifests.names import Manifest


class Stage(IntEnum):
    """When an object is created: after all objects of the stages before its own."""

    NAMESPACE = 0
    WALLS = 1
    """What bounds, guards and finds the pods: it stands before anyone moves in."""
    WORKLOAD = 2
    """What makes the pods. Versions come up side by side."""
    SERVING = 3
    """What is of use once all versions serve, one after another: a replica that is not there is not scaled, and gets
    no requests."""


@dataclass(frozen=True)
class Resource:
    """An object with its place among the objects of a release."""

    manifest: Manifest
    stage: Stage = Stage.WALLS
    suffix: str = ""
    """What tells it from others of its kind: it begins with `-`. Part of its URN, so it never changes."""
    seconds: int | None = None
    """Most seconds until it is as it should be, where that is known."""

    @property
    def name(self) -> str:
        """Its name among the objects of the release: its kind, and what tells it from others."""
        return f"{self.manifest['kind'].lower()}{self.suffix}"

    def waits_for(self, earlier: "Resource") -> bool:
        """Whether it is created after one that stands before it in the order of creation."""
        return earlier.stage < self.stage or self.stage is Stage.SERVING
