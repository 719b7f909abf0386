"""Which files of a folder a build sees: those that a `.dockerignore` leaves, as BuildKit reads it.

The rules are https://docs.docker.com/build/concepts/context/#dockerignore-files, and where that is silent those of
moby/patternmatcher and tonistiigi/fsutil. Lines that BuildKit understands differently on other systems are not accepted.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from homeport.errors import HomeportError
from homeport.output.text import visible
from homeport.specs.problems import short

_ANY_FOLDERS = "**"
_PART = re.compile(r"([^\[\]\\]|\\[^\w\x80-\U0010ffff]|\[\^?([\w.](-[\w.])?)+\])*", re.ASCII)
"""What is accepted between slashes: characters, stars, question marks, escapes of marks, and classes of ordinary characters."""


class PatternError(HomeportError):
    """A line is not accepted. The text says what is."""


@dataclass(frozen=True)
class Pattern:
    """One line."""

    parts: tuple[str, ...]
    """Between slashes; `**` stands for any number of folders."""
    exception: bool
    """Whether it brings back what lines before it leave out."""

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """Read a line; None if it has no pattern.

        Raises:
            PatternError: It is not a pattern, or not one that is accepted here. The text says what is accepted.
        """
        text = "" if line.startswith("#") else line.strip()
        exception = text.startswith("!")
        text = text.removeprefix("!").strip()
        if not text:
            if exception:
                raise PatternError("a pattern after `!`")
            return None
        parts = posixpath.normpath(text).lstrip("/").split("/")
        if parts[0] == "..":
            raise PatternError("a path in the folder, without ..")
        if any(_ANY_FOLDERS in part and part != _ANY_FOLDERS for part in parts):
            raise PatternError("`**` between slashes, for any number of folders")
        try:
            fit = all(_PART.fullmatch(part) and (_expression(part) or True) for part in parts)
        except re.error:  # a range that runs back
            fit = False
        if not fit:
            raise PatternError("a path with *, ** and ?, or [ and ] around letters and digits")
        return cls(tuple(parts), exception)

    def matches(self, path: Sequence[str]) -> bool:
        """Whether it is a pattern of this path itself, not only of a folder around it."""
        here = there = 0
        retry: tuple[int, int] | None = None
        while there < len(path):
            if here < len(self.parts) and self.parts[here] == _ANY_FOLDERS:
                if here == len(self.parts) - 1:
                    return True
                here, retry = here + 1, (here + 1, there)
            elif here < len(self.parts) and _part_matches(self.parts[here], path[there]):
                here, there = here + 1, there + 1
            elif retry:
                retry = retry[0], retry[1] + 1
                here, there = retry
            else:
                return False
        return here == len(self.parts)

    def may_match_below(self, path: Sequence[str]) -> bool:
        """Whether BuildKit looks into a folder, which other lines leave out, for what this line brings back."""
        fixed = self.parts
        for star in ("**", "*"):
            fixed = fixed[:-1] if len(fixed) > 1 and fixed[-1] == star else fixed
        return any(set(part) & set("*[]?^\\") for part in fixed) or list(fixed[: len(path)]) == list(path)


def patterns(lines: Iterable[str]) -> list[Pattern]:
    """The patterns of the lines of a file.

    Raises:
        PatternError: A line is not accepted. The text is that of a problem.
    """
    found = []
    for line in lines:
        try:
            found.append(Pattern.parse(line))
        except PatternError as error:
            raise PatternError(f'found "{short(visible(line.strip()))}" in .dockerignore, accepted: {error}') from None
    return [each for each in found if each]


def seen(folder: Path, stated: Sequence[Pattern]) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """What a build sees of a folder and the folders in it, by its path in the folder: files, links, and all but folders.

    Raises:
        OSError: A folder cannot be read.
    """
    exceptions = [each for each in stated if each.exception]
    # For each pattern, whether a folder around matched it, which counts as a match.
    folders: list[tuple[tuple[str, ...], list[bool]]] = [((), [False] * len(stated))]
    while folders:
        place, around = folders.pop()
        with os.scandir(folder.joinpath(*place)) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = (*place, entry.name)
            left_out, matched = _left_out(path, stated, around)
            if not entry.is_dir(follow_symlinks=False):
                if not left_out:
                    yield "/".join(path), entry
            elif not left_out or any(each.may_match_below(path) for each in exceptions):
                folders.append((path, matched))


def _left_out(path: Sequence[str], stated: Sequence[Pattern], around: Sequence[bool]) -> tuple[bool, list[bool]]:
    """Whether the last pattern that counts leaves a path out, and which patterns match it."""
    left_out, matched = False, list(around)
    for index, pattern in enumerate(stated):
        if not matched[index] and pattern.exception == left_out:
            matched[index] = pattern.matches(path)
        if matched[index]:
            left_out = not pattern.exception
    return left_out, matched


def _part_matches(pattern: str, name: str) -> bool:
    expression = _expression(pattern)
    return name == pattern if expression is None else bool(expression.fullmatch(name))


@cache
def _expression(part: str) -> "re.Pattern[str] | None":
    """A part of a pattern as a regular expression; None if it is just a name.

    What is between two stars is matched where it comes first, once and for all: the time is that of the length of the name.
    """
    pieces, escaped, special = [""], False, False
    for character in part:
        if escaped:
            pieces[-1] += re.escape(character)
        elif character == "*":
            pieces.append("")
        elif character in "[]?^-":
            pieces[-1] += "." if character == "?" else character
        elif character != "\\":
            pieces[-1] += re.escape(character)
        special = special or character in "*?[]\\"
        escaped = character == "\\" and not escaped
    first, *middle, last = pieces if len(pieces) > 1 else [*pieces, ""]
    stars = "".join(f"(?>.*?{piece})" for piece in middle)
    ending = f".*{last}" if len(pieces) > 1 else ""
    return re.compile(f"{first}{stars}{ending}", re.DOTALL) if special else None
