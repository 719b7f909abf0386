"""The stacks that a command works on: their folders, their content, and the problems of all of them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from homeport.commands.errors import CommandError, UsageError
from homeport.specs.problems import Problem, SpecError
from homeport.stack import ENVIRONMENT_FILE, Stack


def stack_folder(stack: str, stacks: Path) -> Path:
    """The folder of a stack. Its name is the last part of Pulumi's name, which may be ORGANIZATION/PROJECT/STACK."""
    return stacks / stack.rpartition("/")[2]


def chosen(names: Sequence[str] | None, stacks: Path) -> list[Path]:
    """The folders of the stacks with these names, or of all stacks. A stack is a folder with an `environment.yaml`.

    Raises:
        UsageError: There are no stacks, or none with one of the names.
    """
    found = [path.parent for path in sorted(stacks.glob(f"*/{ENVIRONMENT_FILE}"))]
    if not found:
        raise UsageError(
            "--stacks", f"found no {stacks}/*/{ENVIRONMENT_FILE}: name the folder that contains the stacks"
        )
    for name in names or ():
        if stack_folder(name, stacks) not in found:
            accepted = ", ".join(folder.name for folder in found)
            raise UsageError("STACK", f'found "{name}", accepted: {accepted} (in {stacks})')
    return list(dict.fromkeys(stack_folder(name, stacks) for name in names)) if names else found


def read(folders: Iterable[Path]) -> dict[str, Stack]:
    """The stacks by name.

    Raises:
        CommandError: Files are not valid; the error has all problems of all stacks.
    """
    stacks: dict[str, Stack] = {}
    failed: dict[str, Sequence[Problem]] = {}
    for folder in folders:
        try:
            stacks[folder.name] = Stack.read(folder)
        except SpecError as error:
            failed[folder.name] = error.problems
    if failed:
        raise CommandError(*(described(problem, names) for problem, names in by_problem(failed).items()))
    return stacks


def by_problem(problems: Mapping[str, Iterable[Problem]]) -> dict[Problem, list[str]]:
    """Each problem once, with the stacks that have it, because a `model.yaml` may be live in several stacks."""
    found: dict[Problem, list[str]] = {}
    for name, of_stack in problems.items():
        for problem in of_stack:
            found.setdefault(problem, []).append(name)
    return found


def described(problem: Problem, names: Iterable[str]) -> str:
    """One line about a problem and the stacks that have it."""
    return f"{problem} [{', '.join(names)}]"
