"""Text for people at a terminal: lines with colors, tables, counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Line:
    """One line of output."""

    text: str
    color: Literal["red", "yellow", "green"] | None = None
    error: bool = False
    """Whether it goes to standard error, because it is not a result."""


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table. The first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def count(number: int, thing: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
