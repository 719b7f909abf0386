"""When an object is created, and its name in Pulumi."""

from dataclasses import dataclass
from enum import IntEnum

from homeport.manifests.names import Manifest


class Stage(IntEnum):
    """When an object is created: after all objects of earlier stages."""

    NAMESPACE = 0
    DEPLOYER = 1
    """What lets the deployer create the rest."""
    WALLS = 2
    """What limits, protects and finds the pods. It exists before the pods do."""
    STORAGE = 3
    """What counts against the quota, apart from the pods."""
    WORKLOAD = 4
    """What creates the pods. Versions start side by side."""
    SERVING = 5
    """What is useful only when all versions serve, created one after another: a replica must exist before it is scaled
    or gets requests."""


@dataclass(frozen=True)
class Resource:
    """An object with its place in the order of creation."""

    manifest: Manifest
    stage: Stage = Stage.WALLS
    suffix: str = ""
    """Distinguishes it from others of its kind; begins with `-`. Part of its URN, so it must never change."""
    seconds: int | None = None
    """If it runs pods: maximum seconds until the first or the next one serves."""
    replicas: bool = False
    """Whether it decides what or how many replicas run."""

    @property
    def name(self) -> str:
        """Its name among the objects of the release: its kind and its suffix."""
        return f"{self.manifest['kind'].lower()}{self.suffix}"

    def waits_for(self, earlier: "Resource") -> bool:
        """Whether its creation waits for a resource that is earlier in the order."""
        return earlier.stage < self.stage or self.stage is Stage.SERVING
