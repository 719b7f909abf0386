"""Text for people at a terminal: lines with their color, tables, numbers of things."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Line:
    """What is told at a time."""

    text: str
    color: Literal["red", "yellow", "green"] | None = None
    error: bool = False
    """It goes to standard error, because it is no result."""


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, of which the first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def count(number: int, thing: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
