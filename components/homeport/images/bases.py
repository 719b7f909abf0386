"""The version of Python of a base image, which its name tells: python-3.11."""

import re

_VERSION = re.compile(r"py(?:thon)?[-_]?3\.(\d{1,3})(?!\d)")


def python_of(base: str | None) -> tuple[int, int] | None:
    """The version in the name of a base image; None if it names none."""
    named = _VERSION.search(base or "")
    return (3, int(named[1])) if named else None
