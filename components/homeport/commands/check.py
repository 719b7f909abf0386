"""Checks all files of stacks at once. The result is text for people, JSON for programs or annotations for GitHub."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homeport.commands.stacks import by_problem, described
from homeport.manifests import manifests
from homeport.output import github
from homeport.output.text import Line, count, for_programs
from homeport.pace import Pace, waits
from homeport.rules.several_stacks import clashes
from homeport.specs.overrides import Override
from homeport.specs.problems import Problem, SpecError
from homeport.stack import Stack

SHOWN = 5
"""Models whose updates are shown to people: those that take longest."""


@dataclass(frozen=True)
class Checked:
    """The result for one stack."""

    name: str
    problems: tuple[Problem, ...]
    files: tuple[Path, ...] = ()
    """The files that were read; empty if there are problems, which name their files."""
    models: Mapping[str, str] | None = None
    """Versions of the live models by name; None if there are problems."""
    objects: int = 0
    """Number of Kubernetes objects of all models."""
    relaxed: Mapping[str, str] | None = None
    """Controls that are relaxed in the environment, each with its reason; None if there are problems."""
    in_place: Mapping[str, int] | None = None
    """Models whose update stops a replica before it starts a new one, with their minimum replicas; None if there are
    problems."""
    overrides: tuple[Override, ...] = ()
    """Fields of the environment that come from environment variables, not from its file."""
    commits_unknown: str | None = None
    """Why commits behind the models are unknown, if any are."""
    unused_grants: tuple[str, ...] = ()
    """Fields of the environment that give something to a name that no model here has."""
    hints: tuple[Problem, ...] = ()
    """What may be wrong with the code of models."""
    updates: Mapping[str, Pace] | None = None
    """How long an update of each live model takes; None if there are problems."""
    waits: tuple[str, ...] = ()
    """What updates wait for at the most replicas."""


def check(folders: Sequence[Path], beside: Sequence[Path] = ()) -> list[Checked]:
    """Read stacks, make their objects, and compare them with each other and with the stacks beside them."""
    stacks: dict[str, Stack] = {}
    problems: dict[str, list[Problem]] = {folder.name: [] for folder in folders}
    for folder in dict.fromkeys([*folders, *beside]):
        try:
            stacks[folder.name] = Stack.read(folder)
        except SpecError as error:
            problems[folder.name] = [*error.problems]
    for name, problem in clashes([stack.beside(name) for name, stack in stacks.items()]):
        if name in problems:
            problems[name].append(problem)
    names = [folder.name for folder in folders]
    return [Checked(name, tuple(problems[name])) if problems[name] else _checked(name, stacks[name]) for name in names]


def _checked(name: str, stack: Stack) -> Checked:
    """The result for a stack without problems."""
    return Checked(
        name,
        (),
        tuple(stack.files.paths),
        {release.model.name: release.version for release in stack.releases},
        sum(len(manifests(release)) for release in stack.releases),
        stack.environment.relax.reasons,
        {each.model.name: each.replicas[0] for each in stack.releases if each.updates_in_place},
        stack.overrides,
        stack.commits_unknown,
        tuple(stack.unused_grants),
        tuple(stack.hints),
        {each.model.name: Pace.of(each) for each in stack.releases},
        tuple(waits(stack.releases)),
    )


def summary(stack: Checked) -> str:
    """One line about a stack."""
    if stack.problems:
        return f"{stack.name}: {count(len(stack.problems), 'problem')}"
    models, files = stack.models or {}, len(stack.files)
    return f"{stack.name}: ok, {count(len(models), 'model')}, {stack.objects} objects, from {count(files, 'file')}"


def durations(stack: Checked) -> Iterator[str]:
    """One line about how long updates take, the longest first."""
    if updates := sorted((stack.updates or {}).items(), key=lambda each: each[1].seconds, reverse=True):
        models = "; ".join(f"{name} {pace}" for name, pace in updates[:SHOWN])
        more = f"; {count(len(updates) - SHOWN, 'shorter one')}" if len(updates) > SHOWN else ""
        yield f"{stack.name}: an update takes at most: {models}{more}"


def notices(stack: Checked) -> Iterator[str]:
    """One line for each override, relaxed control, unused grant, hint and slow update, and for commits that are unknown."""
    for override in stack.overrides:
        yield f"{stack.name}: {override.field} is {override.value} ({override.variable})"
    for name, reason in (stack.relaxed or {}).items():
        yield f"{stack.name}: relaxed {name}: {reason}"
    if stack.commits_unknown:
        yield f"{stack.name}: commits are unknown: {stack.commits_unknown}"
    for field in stack.unused_grants:
        yield f"{stack.name}: {field} is for a model that is not live here"
    for hint in stack.hints:
        yield f"{stack.name}: {hint}"
    for name, least in (stack.in_place or {}).items():
        yield f"{stack.name}: {name} {_during_update(least)}"
    for wait in stack.waits:
        yield f"{stack.name}: {wait}"


def _during_update(least: int) -> str:
    return "is down during each update" if least == 1 else f"serves with {least - 1} of {least} replicas during updates"


def as_text(stacks: Sequence[Checked]) -> Iterator[Line]:
    """For people."""
    for problem, names in _by_problem(stacks):
        yield Line(described(problem, names), "red")
    for stack in stacks:
        yield Line(summary(stack), None if stack.problems else "green")
        yield from map(Line, durations(stack))
        yield from (Line(line, "yellow") for line in notices(stack))


def as_github(stacks: Sequence[Checked]) -> Iterator[Line]:
    """For GitHub Actions: each problem as an annotation of its line, then one line about each stack."""
    for problem, names in _by_problem(stacks):
        message = ": ".join(filter(None, [problem.field, problem.message]))
        yield github.error(message, title=", ".join(names), file=problem.file, line=problem.line)
    for stack in stacks:
        yield from map(github.notice, notices(stack))
        yield Line(summary(stack))


def as_json(stacks: Sequence[Checked]) -> Iterator[Line]:
    """For programs."""
    ok = not any(stack.problems for stack in stacks)
    yield for_programs({"ok": ok, "stacks": [*map(_plain, stacks)]})


def _by_problem(stacks: Iterable[Checked]) -> Iterable[tuple[Problem, list[str]]]:
    return by_problem({stack.name: stack.problems for stack in stacks}).items()


def _plain(stack: Checked) -> dict[str, Any]:
    return {
        "stack": stack.name,
        "ok": not stack.problems,
        "files": [str(path) for path in stack.files],
        "models": stack.models or {},
        "objects": stack.objects,
        "overrides": [asdict(override) for override in stack.overrides],
        "relaxed": stack.relaxed or {},
        "in_place": stack.in_place or {},
        "commits_unknown": stack.commits_unknown,
        "unused_grants": [*stack.unused_grants],
        "updates": {name: asdict(pace) | {"seconds": pace.seconds} for name, pace in (stack.updates or {}).items()},
        "waits": [*stack.waits],
        "hints": [*map(_problem, stack.hints)],
        "problems": [*map(_problem, stack.problems)],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "file": str(problem.file) if problem.file else None,
        "line": problem.line,
        "field": problem.field,
        "message": problem.message,
    }
