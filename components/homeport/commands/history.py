"""History of a model: the versions that were live, with time, author and commit, from the stack and the repository.

The stack's own history (`pulumi stack history`) has every update and its commit. The repository has `models.yaml` at that
commit. homeport stores nothing else, so nothing can disagree. The digest of an image that was built is in no file. The
stack's outputs have it for the version that is live.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from homeport.commands import pulumi_command
from homeport.commands.errors import CommandError
from homeport.commands.stacks import stack_folder
from homeport.output.text import Line, for_programs, table
from homeport.provenance import DIRTY, UNKNOWN, UnknownCommitError, content_at, hash_at
from homeport.specs import reading
from homeport.stack import MODELS_FILE

ReadFile = Callable[[str], bytes | None]
"""What `models.yaml` said at a commit, or None if it was not there; raises `UnknownCommitError`."""

HashAt = Callable[[str, Path], str | None]
"""Git's hash of a file or folder, which `models.yaml` names, at a commit; None if it was not there."""


class HistoryError(CommandError):
    """There is none of such a model."""


@dataclass(frozen=True)
class Event:
    """An update after which something else of the model was live than before, or may have been."""

    time: str
    """When the update began, in ISO 8601."""
    version: str | None
    """Stable version; None: the model was no longer live; `unknown`: this clone lacks the commit."""
    digest: str | None
    """Digest of its image, if it was stated; of an image that was built if it is live now."""
    weights: str | None
    """Version of its weights, if they are in an image of their own."""
    canary: str | None
    """Version of the canary."""
    percent: int | None
    """How much of the requests the canary took."""
    commit: str
    """Commit the update was run from; ends in `-dirty` if not all was committed, so that the rest may differ."""
    author: str
    """Author of that commit."""
    result: str
    """Of the stack's update: succeeded, failed or in-progress. If it failed, the model itself may be live nevertheless."""


def history(model: str, stack: str | None, stacks: Path) -> list[Event]:
    """The history of a model in a stack (None: the selected one), the newest event first.

    Raises:
        PulumiError: There is no pulumi, or it knows no such stack.
        HistoryError: The model was never live.
    """
    name = pulumi_command.stack_name(stack)
    folder = stack_folder(name, stacks)
    read = partial(content_at, folder / MODELS_FILE)
    # Many updates may be from one commit.
    found = events(model, updates(name), read, cache(lambda commit, path: hash_at(folder / path, commit)))
    return with_built(model, found, outputs(name))


def updates(stack: str) -> list[Any]:
    """The updates of a stack, the newest first, as Pulumi tells them.

    Raises:
        PulumiError: There is no pulumi, or it knows no such stack.
    """
    told = pulumi_command.ask("stack", "history", "--json", "--page-size=0", f"--stack={stack}").strip()
    found: list[Any] = json.loads(told or "[]")
    return found


def outputs(stack: str) -> dict[str, Any]:
    """The outputs of a stack, without its secrets.

    Raises:
        PulumiError: There is no pulumi, or it knows no such stack.
    """
    found: dict[str, Any] = json.loads(pulumi_command.ask("stack", "output", "--json", f"--stack={stack}"))
    return found


def events(model: str, updates: Sequence[Any], read: ReadFile, hash_at: HashAt) -> list[Event]:
    """The history of a model, the newest event first: updates that changed it, or may have.

    A model changes with its entry in `models.yaml`, its `model.yaml` and, if its image is built, with the model's folder.

    Raises:
        HistoryError: It was never live.
    """
    found: list[Event] = []
    seen: dict[str, dict[str, Any]] = {}
    gone: dict[str, _Unknown] = {}
    possible: list[Any] = [None]  # what may be live: more than one thing after a failed update
    for update in reversed(updates):  # the oldest first
        if update["kind"] not in {"update", "destroy"}:
            continue
        commit = str(update.get("environment", {}).get("git.head", UNKNOWN))
        if not _changed_anything(update) and len(possible) == 1:
            continue
        if commit not in seen:
            try:
                seen[commit] = dict(_entries(read(commit) or b""))
            except UnknownCommitError:
                seen[commit], gone[commit] = {}, _Unknown()
        known = update["kind"] == "destroy" or commit not in gone
        entry = None if update["kind"] == "destroy" else seen[commit].get(model)
        if known:
            state: Any = entry and (entry, _content(entry, partial(hash_at, commit)), _is_dirty(update) and _Unknown())
        else:
            state = gone[commit]
        if any(each != state for each in possible):
            found.append(_event(update, commit, entry or {} if known else _UNKNOWN_ENTRY))
        possible = [state] if known and update["result"] == "succeeded" else [*possible, state]
    if not any(model in entries for entries in seen.values()):
        names = ", ".join(sorted({name for entries in seen.values() for name in entries})) or "none"
        accepted = f'found "{model}", accepted: {names} (models that were live at a commit)'
        raise HistoryError(accepted, *map(_missing, gone))
    return found[::-1]


class _Unknown:
    """What is like nothing else, not even like another unknown thing."""


def _content(entry: dict[str, Any], hash_at: Callable[[Path], str | None]) -> str | None:
    """What of the model's files is live: without a stated digest its image is built from the folder."""
    spec = Path(str(entry.get("spec")))
    return hash_at(spec if _part(entry, "stable").get("digest") else spec.parent)


def _changed_anything(update: Any) -> bool:
    changes = update.get("resourceChanges")
    return changes is None or not {"same", "read"}.issuperset(changes)


def _is_dirty(update: Any) -> bool:
    return bool(update.get("environment", {}).get("git.dirty") == "true")


def with_built(model: str, found: Sequence[Event], outputs: Mapping[str, Any]) -> list[Event]:
    """The events. The newest has the digest of an image that was built, which only the stack's outputs have."""
    newest, live = found[0], outputs.get(model)
    if newest.digest or newest.result != "succeeded" or not isinstance(live, Mapping):
        return [*found]
    digest = str(live.get("image")).partition("@")[2] if live.get("version") == newest.version else ""
    return [replace(newest, digest=digest or None), *found[1:]]


def as_json(found: Sequence[Event]) -> Line:
    """For programs."""
    return for_programs([asdict(event) for event in found])


def text(found: Sequence[Event]) -> list[str]:
    """Lines of a table for people."""
    head = ("TIME", "VERSION", "CANARY", "UPDATE", "COMMIT", "AUTHOR", "DIGEST")
    gone = dict.fromkeys(event.commit.removesuffix(DIRTY) for event in found if event.version == UNKNOWN)
    return [*table([head, *map(_row, found)]), *map(_missing, gone)]


def _missing(commit: str) -> str:
    fetch = f"git fetch --unshallow, or git fetch origin {commit}"
    return f"commit {commit} is not in this clone, so the versions that were live since then are unknown: run {fetch}"


def _row(event: Event) -> tuple[str, ...]:
    commit = event.commit.removesuffix(DIRTY)
    short = commit[:12] + event.commit[len(commit) :]
    canary = f"{event.canary} ({event.percent}%)" if event.canary else "-"
    version = f"{event.version} (weights {event.weights})" if event.weights else event.version or "-"
    return event.time, version, canary, event.result, short, event.author, event.digest or "-"


_UNKNOWN_ENTRY = {"stable": {"version": UNKNOWN}}


def _event(update: Any, commit: str, entry: dict[str, Any]) -> Event:
    source = update.get("environment", {})  # as Pulumi calls what it knows of git
    dirty = DIRTY if _is_dirty(update) else ""
    stable, canary = _part(entry, "stable"), _part(entry, "canary")
    return Event(
        time=str(update["startTime"]).replace(".000Z", "Z"),
        version=_optional(stable.get("version")),
        digest=_optional(stable.get("digest")),
        weights=_optional(_part(stable, "weights").get("version")),
        canary=_optional(canary.get("version")),
        percent=canary.get("percent"),
        commit=commit + dirty,
        author=str(source.get("git.author", UNKNOWN)),
        result=str(update["result"]),
    )


def _entries(content: bytes) -> Iterator[tuple[str, Any]]:
    """Live models by name. What was committed once need not be as the specs say today."""
    try:
        found = reading.read(content)
    except reading.MisreadError as error:
        found = error.content
    yield from ((name, entry) for name, entry in _part(found, "models").items() if isinstance(entry, dict))


def _part(whole: Any, name: str) -> dict[str, Any]:
    """A mapping in another one; empty where there is none."""
    found = whole.get(name) if isinstance(whole, dict) else None
    return found if isinstance(found, dict) else {}


def _optional(value: Any) -> str | None:
    return None if value is None else str(value)
