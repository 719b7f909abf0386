"""The table of edits in edits.md, generated from the edits that the tests try."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests import transitions
from tests.transitions import EDITS, FIELDS, Effect, Files, Refused

PAGE = Path(__file__).parent / "edits.md"

FILES = {"model": "model.yaml", "environment": "environment.yaml", "models": "An entry of models.yaml"}
"""Headings of the tables, by the beginning of the paths of their fields."""


def page() -> str:
    """The page with the current table."""
    text = PAGE.read_text(encoding="utf-8")
    table = "\n".join(_tables())
    return re.sub(
        r"(<!-- edits -->\n).*?(<!-- end -->)", lambda match: f"{match[1]}{table}\n{match[2]}", text, flags=re.S
    )


def _tables() -> Iterator[str]:
    for file, heading in FILES.items():
        yield from ("", f"### {heading}", "| field | edit | objects | pods |", "|---|---|---|---|")
        for path, field in FIELDS.items():
            if path.startswith(f"{file}."):
                yield from _rows(path.partition(".")[2], list(transitions.kinds(path, field)))
    yield from ("", "### More than one field", "| edit | objects | pods |", "|---|---|---|")
    for name, (before, after, _) in EDITS.items():
        objects, pods = _outcome(transitions.stated(before), transitions.stated(after)) or ("", "")
        yield f"| {name} | {objects} | {pods} |"


def _rows(field: str, kinds: Sequence[tuple[str, Files, Files]]) -> Iterator[str]:
    """The kinds of change of a field; those with one outcome in one row."""
    found = [(kind, outcome) for kind, before, after in kinds if (outcome := _outcome(before, after))]
    for (objects, pods), same in groupby(found, key=lambda each: each[1]):
        yield f"| `{field}` | {', '.join(kind for kind, _ in same)} | {objects} | {pods} |"


def _outcome(before: Files, after: Files) -> tuple[str, str] | None:
    """What happens to objects and pods; None if there is nothing before, because the files were refused."""
    try:
        old = transitions.objects(before)
    except Refused:
        return None
    try:
        new = transitions.objects(after)
    except Refused as refused:
        return f"refused by `homeport check`: {_shown(refused)}", "stay"
    if why := transitions.refusal(old, new):
        return f"refused by `pulumi up`: {_shown(why)}", "stay"
    found = transitions.effect(old, new)
    return "; ".join(_words(found)) or "nothing", "replaced" if found.restarts else "stay"


def _shown(text: object) -> str:
    return str(text).replace("|", "\\|").replace("<", "&lt;")


def _words(found: Effect) -> Iterator[str]:
    for verb, kinds in (
        ("new: ", found.created),
        ("changed: ", found.changed),
        ("another: ", found.exchanged),
        ("deleted: ", found.deleted),
    ):
        if kinds:
            yield verb + ", ".join(kinds)
    if found.noted:
        yield "labels or annotations"
