"""Problems: what is wrong in a file or an argument, and where."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeport.errors import HomeportError

Location = tuple[str | int, ...]
"""A place in a document: keys of mappings and indexes of lists."""


MAX_PROBLEMS = 50
"""Problems of one file that are listed. A file with more is not what it should be, and who fixes it checks it again."""


@dataclass(frozen=True)
class Problem:
    """One mistake in one place."""

    message: str
    file: Path | None = None
    line: int | None = None
    """Counted from 1; None if the file itself is the problem."""
    field: str = ""

    def __str__(self) -> str:
        """`file:line: field: message`, without the parts that are unknown."""
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return ": ".join(part for part in (place, self.field, self.message) if part)


class SpecError(HomeportError):
    """Files or arguments are not valid. `problems` has every problem, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(*map(str, self.problems))


def few(problems: Sequence[Problem], total: int = 0) -> Iterator[Problem]:
    """At most MAX_PROBLEMS of the problems of one file, and how many more there are of `total` (all, by default)."""
    yield from problems[:MAX_PROBLEMS]
    if (more := max(total, len(problems)) - MAX_PROBLEMS) > 0:
        yield Problem(f"{more} more mistakes, which are not listed", problems[0].file)


def dotted(location: Location) -> str:
    """A place as people write it: `scale.max`, `egress[0].port`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{short(step)}" for step in location).removeprefix(".")


def short(text: str) -> str:
    """A word of someone else's in a message. Names that are accepted are not shortened."""
    return text if len(text) <= 80 else f"{text[:77]}..."
