"""Versions of Kubernetes: the oldest that works, and the first that has what only some models use.

An API server leaves out the fields that it does not know, without an error. So a cluster that is too old would run models
without a control that their files promise.
"""

Version = tuple[int, int]

OLDEST: Version = (1, 31)
"""For every model. Needed: `appArmorProfile` (stable in 1.31, https://kep.k8s.io/24), a `sleep` before a container stops
(on since 1.30, https://kep.k8s.io/3960) and `unhealthyPodEvictionPolicy` (stable in 1.31, https://kep.k8s.io/3017)."""

IMAGE_VOLUMES: Version = (1, 35)
"""For weights from an image: on by default since then, https://kep.k8s.io/4639."""

USER_NAMESPACES: Version = (1, 36)
"""From then on, pods have their own user namespace: stable in 1.36, https://kep.k8s.io/127."""


def version(text: str) -> Version:
    """A version as in `1.36`."""
    major, minor = text.split(".")
    return int(major), int(minor)


def text(found: Version) -> str:
    """A version as people write it: `1.36`."""
    return f"{found[0]}.{found[1]}"
