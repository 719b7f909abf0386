"""What a requirements file asks pip to install: packages of an index, by their names.

The lines have pip's format (https://pip.pypa.io/en/stable/reference/requirements-file-format/), of which only this is
accepted: a name with extras, versions and a marker, as PEP 508 writes them, and hashes. Options, addresses and paths are
not: they can replace the platform's index, run code of a package during the build, or send a variable away. pip never
reads the author's file, but `Requirements.text`, which is made from what was understood.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Named
from packaging.utils import canonicalize_name

from homeport.errors import HomeportError
from homeport.output.text import unseen, visible
from homeport.specs.problems import short

ACCEPTED = "a package by its name, with extras, versions, a marker and hashes, such as pandas[parquet]>=2,<3"

MAX_BYTES = 2**20
"""Size of a file. A lock file of 300 packages with their hashes has half of it."""

_MAX_CHARACTERS = 500
"""Length of a requirement without its hashes."""

_COMMENT = re.compile(r"(^|\s+)#.*$")  # as in pip
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})")
_PLAIN = re.compile(
    # Quoted text is a value of a marker.
    r"""(?:[A-Za-z0-9._\-\[\],=<>!~*+(); ]|'[\w.+ -]*'|"[\w.+ -]*")*""",
    re.ASCII,
)
_SINGLE = re.compile(r"([\w.-]+) *= *([\w.]+)", re.ASCII)
"""A version with one equals sign, as conda writes it."""
_FILE = re.compile(r"\.(whl|zip|tgz|tbz|txz|tlz|tar(\.\w+)?)(\[[^\]]*\])?$", re.IGNORECASE | re.ASCII)
"""The end of what pip takes for the name of a file."""
_CODING = re.compile(r"coding[:=]\s*([-\w.]+)")


class RequirementError(HomeportError):
    """A line is something else than a package by its name. The text says what is accepted."""


@dataclass(frozen=True)
class Requirement:
    """One package."""

    named: Named
    hashes: tuple[str, ...] = ()
    """Each as algorithm:digest; empty if any file of the package is accepted."""

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read one line, without its comment.

        Raises:
            RequirementError: It is something else than a package by its name.
        """
        # As in pip, a word that begins with `-` is an option, in quotes too: https://github.com/pypa/pip/blob/26.0/src/pip/_internal/req/req_file.py, `break_args_options`.
        words = line.strip(" ").split(" ")
        first = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
        stated, options = " ".join(words[:first]).strip(" "), [word for word in words[first:] if word]
        hashes = [found[1] for word in options if (found := _HASH.fullmatch(word))]
        name = stated.partition(";")[0].rstrip(" ")
        if len(hashes) < len(options):
            raise RequirementError(
                f"{ACCEPTED}, without options; the environment's `images.pip` says where packages come from"
            )
        if len(stated) > _MAX_CHARACTERS or not _PLAIN.fullmatch(stated):
            raise RequirementError(f"{ACCEPTED}; publish what has an address or a path to an index")
        if _FILE.search(name):
            raise RequirementError(f"{ACCEPTED}; pip takes this for the name of a file")
        try:
            return cls(Named(stated), tuple(hashes))
        except (InvalidRequirement, RecursionError, ValueError):
            single = _SINGLE.fullmatch(stated)
            raise RequirementError(f"{single[1]}=={single[2]}" if single else ACCEPTED) from None

    @property
    def name(self) -> str:
        """The package's name, as indexes write it."""
        return canonicalize_name(self.named.name)

    @property
    def pin(self) -> str:
        """The name with its versions and marker, which is also how a constraint is written."""
        return f"{self.name}{self.named.specifier}" + (f" ; {self.named.marker}" if self.named.marker else "")

    def __str__(self) -> str:
        extras = f"[{','.join(sorted(self.named.extras))}]" if self.named.extras else ""
        lines = [self.name + extras + self.pin.removeprefix(self.name), *(f"    --hash={each}" for each in self.hashes)]
        return " \\\n".join(lines)


@dataclass(frozen=True)
class Mistake:
    """A line that is not accepted."""

    line: int
    """Counted from 1."""
    found: str
    accepted: str

    def __str__(self) -> str:
        return f"found {self.found}, accepted: {self.accepted}"


@dataclass(frozen=True)
class Requirements:
    """What a file asks for, and where it asks for something else."""

    packages: tuple[Requirement, ...] = ()
    mistakes: tuple[Mistake, ...] = ()

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read the content of a file. Nothing in it is an error; `mistakes` has every line that is not accepted."""
        if len(content) > MAX_BYTES:
            return cls(mistakes=(Mistake(1, f"more than {MAX_BYTES} bytes", f"{MAX_BYTES} bytes or less"),))
        try:
            text = content.removeprefix(codecs.BOM_UTF8).decode().replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            where = content.count(b"\n", 0, error.start) + 1
            return cls(mistakes=(Mistake(where, f"the byte 0x{content[error.start]:02x}", "text in UTF-8"),))
        if mistakes := tuple(_unreadable(text)):
            return cls(mistakes=mistakes)
        packages, refused = [], []
        for number, line in _joined(text):
            try:
                packages.append(Requirement.parse(line))
            except RequirementError as error:
                refused.append(Mistake(number, _shown(line), str(error)))
        return cls(tuple(packages), tuple(refused))

    @property
    def hashed(self) -> bool:
        """Whether it is a lock file with hashes, from which pip installs nothing without a hash."""
        return any(each.hashes for each in self.packages)

    @property
    def text(self) -> str:
        """The same packages as a file for pip, in ASCII."""
        return "".join(f"{each}\n" for each in self.packages)

    @property
    def constraints(self) -> str:
        """Their versions as a constraints file for pip, which demands nothing and no hash."""
        return "".join(f"{each.pin}\n" for each in self.packages)

    def unmet(self, wanted: Iterable[Requirement]) -> list[Requirement]:
        """Those of the wanted ones that no line states, or meets with a pinned version."""
        return [each for each in wanted if not any(_meets(line, each) for line in self.packages)]


def _meets(stated: Requirement, wanted: Requirement) -> bool:
    if stated.name != wanted.name:
        return False
    specifier = stated.named.specifier
    pins = [each.version for each in specifier if each.operator == "==" and not each.version.endswith(".*")]
    accepted = wanted.named.specifier
    return specifier == accepted or any(accepted.contains(pin, prereleases=True) for pin in pins)


def _unreadable(text: str) -> Iterator[Mistake]:
    """Lines that people and programs would not read in the same way."""
    for number, line in enumerate(text.split("\n"), 1):
        odd = next((each for each in line if each != "\t" and unseen(each)), None)
        if odd:
            yield Mistake(number, f"the character U+{ord(odd):04X}", "text without invisible characters")
        named = _CODING.search(line) if number <= 2 and line.startswith("#") else None
        if named and named[1].lower() not in {"utf-8", "utf8"}:
            yield Mistake(number, f"the encoding {_shown(named[1])}", "utf-8")


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, each with its number, without comments; several if a backslash joins them.

    As in pip (`join_lines`): a line that is only a comment ends what is before it.
    """
    first, parts = 0, list[str]()
    for number, line in enumerate([*text.split("\n"), ""], 1):
        first = first if parts else number
        comment = _COMMENT.match(line)
        goes_on = line.endswith("\\") and not comment
        parts.append(line.removesuffix("\\") if goes_on else _COMMENT.sub("", line))
        if not goes_on:
            joined, parts = "".join(parts), []
            if joined.strip():
                yield first, joined


def _shown(line: str) -> str:
    """A line as a message may show it: not long, and without anybody's credentials."""
    text = re.sub(r"://[^/\s]*@", "://...@", " ".join(line.split()))
    return f'"{short(visible(text))}"'
