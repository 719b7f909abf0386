"""What a requirements file tells pip to install.

The lines have pip's format (https://pip.pypa.io/en/stable/reference/requirements-file-format/). `packaging` reads the
requirements in them, which follow PEP 508.
"""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qs, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

_COMMENT = re.compile(r"(^|\s+)#.*")
_CONTINUED = re.compile(r"\\\r?\n")
_EDITABLE = ("-e", "--editable")


def requirement(text: str) -> Requirement | None:
    """A requirement that names its package, such as `pandas[parquet]>=2` or `thing @ git+https://...`; None if it does not."""
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def requirements(text: str) -> Iterator[Requirement]:
    """What the lines of a file install, regardless of their markers.

    A URL or a path counts if it contains the package's name, as a wheel's does. Included files (`-r`) are not read,
    because an image contains only this one file.
    """
    for stated, options in _lines(text):
        found = requirement(stated) or _direct(stated or _editable(options))
        if found:
            yield found


def has_hashes(text: str) -> bool:
    """Whether it is a lock file with hashes, from which pip installs nothing without a hash."""
    return any(option.startswith(("--hash", "--require-hashes")) for _, options in _lines(text) for option in options)


def unmet(wanted: Iterable[str], text: str) -> list[str]:
    """The requirements that no line of a file states or meets with a pinned version."""
    stated = list(requirements(text))
    return [each for each in wanted if not any(_meets(line, Requirement(each)) for line in stated)]


def _meets(stated: Requirement, wanted: Requirement) -> bool:
    if canonicalize_name(stated.name) != canonicalize_name(wanted.name) or stated.url != wanted.url:
        return False
    pins = [each.version for each in stated.specifier if each.operator == "==" and not each.version.endswith(".*")]
    return stated.specifier == wanted.specifier or any(wanted.specifier.contains(pin, prereleases=True) for pin in pins)


def _lines(text: str) -> Iterator[tuple[str, list[str]]]:
    """For each line, what it installs and the options after it."""
    for line in _CONTINUED.sub(" ", text).splitlines():
        words = _COMMENT.sub("", line).split()
        first = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
        yield " ".join(words[:first]), words[first:]


def _editable(options: list[str]) -> str:
    name, _, value = options[0].partition("=") if options else ("", "", "")
    return (value or " ".join(options[1:2])) if name in _EDITABLE else ""


def _direct(stated: str) -> Requirement | None:
    """A URL or a path as a requirement with the name that it contains; None if it contains no name."""
    address = stated.partition(" ")[0]
    parts = urlsplit(address)
    if named := parse_qs(parts.fragment).get("egg"):
        return requirement(f"{named[0]} @ {address}")
    try:
        name, *_ = parse_wheel_filename(parts.path.rpartition("/")[2])
    except InvalidWheelFilename:
        return None
    return requirement(f"{name} @ {address}")
