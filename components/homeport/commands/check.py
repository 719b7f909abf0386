"""Checks stacks: everything that people wrote, all at once, and shown for people, for programs or for GitHub."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeport.manifests import manifests
from homeport.specs.problems import Problem, SpecError
from homeport.stack import ENVIRONMENT_FILE, Stack


@dataclass(frozen=True)
class Checked:
    """What was found in one stack."""

    name: str
    problems: tuple[Problem, ...]
    files: tuple[Path, ...] = ()
    """What was read; none if there are problems, which name theirs."""
    models: Mapping[str, str] | None = None
    """The live models with their versions; None if there are problems."""
    objects: int = 0
    """Kubernetes objects that the models are made of."""
    relaxed: Mapping[str, str] | None = None
    """Controls that do not hold in the environment, with the reason given for each; None if there are problems."""
    in_place: Mapping[str, int] | None = None
    """Models whose update stops a replica before it starts a new one, with their fewest replicas; None if there are
    problems."""


def find_stacks(folder: Path) -> list[Path]:
    """The stacks of a folder: every folder in it that has an `environment.yaml`."""
    return sorted(path.parent for path in folder.glob(f"*/{ENVIRONMENT_FILE}"))


def check(folder: Path) -> Checked:
    """Read one stack and make its objects."""
    try:
        stack = Stack.read(folder)
    except SpecError as error:
        return Checked(folder.name, error.problems)
    models = {release.model.name: release.version for release in stack.releases}
    objects = sum(len(manifests(release)) for release in stack.releases)
    in_place = {each.model.name: each.replicas[0] for each in stack.releases if each.updates_in_place}
    return Checked(folder.name, (), stack.files, models, objects, stack.environment.relaxations, in_place)


def by_problem(stacks: Iterable[Checked]) -> dict[Problem, list[str]]:
    """Each problem once, with the stacks that have it: a `model.yaml` may be live in several."""
    found: dict[Problem, list[str]] = {}
    for stack in stacks:
        for problem in stack.problems:
            found.setdefault(problem, []).append(stack.name)
    return found


def summary(stack: Checked) -> str:
    """One line on a stack."""
    if stack.problems:
        return f"{stack.name}: {_count(len(stack.problems), 'problem')}"
    models, files = stack.models or {}, len(stack.files)
    return f"{stack.name}: ok, {_count(len(models), 'model')}, {stack.objects} objects, from {_count(files, 'file')}"


def relaxations(stack: Checked) -> list[str]:
    """One line on each control that does not hold, and on each model whose updates take from what it serves."""
    relaxed = [f"{stack.name}: relaxed {name}: {reason}" for name, reason in (stack.relaxed or {}).items()]
    return relaxed + [f"{stack.name}: {name} {_during_update(least)}" for name, least in (stack.in_place or {}).items()]


def _during_update(least: int) -> str:
    return "is down during each update" if least == 1 else f"serves with {least - 1} of {least} replicas during updates"


def shown(problem: Problem, stacks: Iterable[str]) -> str:
    """One line on a problem and the stacks that have it."""
    return f"{problem} [{', '.join(stacks)}]"


def as_json(stacks: Sequence[Checked]) -> str:
    """For programs."""
    return json.dumps({"ok": not any(stack.problems for stack in stacks), "stacks": [*map(_plain, stacks)]}, indent=2)


def github(stacks: Sequence[Checked]) -> Iterator[str]:
    """For a run of GitHub Actions: each problem as an annotation of its line, then a line on each stack.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message
    """
    for problem, names in by_problem(stacks).items():
        place = {"file": problem.file and _in_workspace(problem.file), "line": problem.line, "title": ", ".join(names)}
        properties = ",".join(f"{key}={_property(str(value))}" for key, value in place.items() if value is not None)
        message = ": ".join(filter(None, [problem.field, problem.message]))
        yield f"::error {properties}::{_escaped(message)}"
    for stack in stacks:
        yield from (f"::notice::{_escaped(line)}" for line in relaxations(stack))
        yield summary(stack)


def _in_workspace(path: Path) -> str:
    """The path from the root of the repository, by which GitHub finds the line."""
    root = os.environ.get("GITHUB_WORKSPACE")
    return os.path.relpath(path.resolve(), root) if root else str(path)


def _property(value: str) -> str:
    return _escaped(value).replace(":", "%3A").replace(",", "%2C")


def _escaped(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _plain(stack: Checked) -> dict[str, Any]:
    return {
        "stack": stack.name,
        "ok": not stack.problems,
        "files": [str(path) for path in stack.files],
        "models": stack.models or {},
        "objects": stack.objects,
        "relaxed": stack.relaxed or {},
        "in_place": stack.in_place or {},
        "problems": [
            {
                "file": str(problem.file) if problem.file else None,
                "line": problem.line,
                "field": problem.field,
                "message": problem.message,
            }
            for problem in stack.problems
        ],
    }


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
