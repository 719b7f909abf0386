"""Text for people at a terminal or in a log: lines with colors, tables, counts; and how text of strangers is shown.

Values, names of files and authors come from strangers. A terminal obeys control characters, and the logs of CI obey
words: every printed line goes through `visible`, and so does every line of an error (`HomeportError`).
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

_UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE0E), *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000))))
)
"""Characters that fonts leave blank though they are letters, marks, symbols or none yet: Unicode's
Default_Ignorable_Code_Point (https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt) without the two
that follow emoji, U+FE0E and U+FE0F, and the blank pattern of Braille."""

_COMMAND = re.compile(r"^(?=\s*::)(\s*):|##(?=\[|vso\[|teamcity\[)")
"""What runners take for commands: `::` first in a line and `##[` anywhere
(https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs), `##vso[` anywhere
(https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands), `##teamcity[`
(https://www.jetbrains.com/help/teamcity/service-messages.html)."""


@dataclass(frozen=True)
class Line:
    """One line of output."""

    text: str
    color: Literal["red", "yellow", "green"] | None = None
    error: bool = False
    """Whether it goes to standard error, because it is not a result."""
    made: bool = False
    """Whether a format for programs made it, which has escapes of its own; it may be several lines."""

    @property
    def printed(self) -> str:
        """The text as it may be printed."""
        return self.text if self.made else visible(self.text)


def visible(text: str) -> str:
    r"""The text as one line that shows each character and commands nothing: `\x1b` for an escape, `\n` for a line end."""
    if not text.isprintable() or not _UNSEEN.isdisjoint(text):
        text = "".join(each if each.isprintable() and each not in _UNSEEN else _escaped(each) for each in text)
    return _COMMAND.sub(lambda found: rf"{found[1]}\x3a" if found[1] is not None else r"#\x23", text)


def commands(line: str) -> bool:
    """Whether a runner of CI takes a line for a command."""
    return bool(_COMMAND.search(line))


def unseen(character: str) -> bool:
    """Whether a character changes what people read without being seen, such as one that turns the direction of a line.

    https://trojansource.codes: the categories Cc and Cf of Unicode, Zl and Zp, which are line ends to some, and Cs.
    """
    return character in _UNSEEN or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def for_programs(data: Any) -> Line:
    """Data for programs. Nothing in it is a command to the log that it is printed to."""
    return Line(json.dumps(data, indent=2).replace("##", r"#\u0023"), made=True)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table. The first row is the head."""
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def count(number: int, thing: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _escaped(character: str) -> str:
    if character in "\t\n\r":
        return {"\t": r"\t", "\n": r"\n", "\r": r"\r"}[character]
    return (
        character.encode("ascii", "backslashreplace").decode() if ord(character) > 0x7F else f"\\x{ord(character):02x}"
    )
