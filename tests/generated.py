"""Every generated file of this repository, and what it says now. `make generate` writes them, a unit test compares them.

Among them `tests/golden/<stack>/rendered/`: what `homeport render` writes for stacks that together state every field, so
that each change of an object is seen in a diff.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import unified_diff
from functools import cache
from pathlib import Path

from docs import accelerators, edits, fields
from examples.portability import compare
from homeport import Stack
from homeport.commands.guard import objects
from homeport.commands.render import render
from homeport.specs.schemas import SPECS, schema
from homeport.stack import ENVIRONMENT_FILE
from tests.support import ROOT

GOLDEN = ROOT / "tests" / "golden"

COMMIT = "0" * 40
"""Stands in golden files for the commit, which no file that is part of it can name."""


def generated() -> dict[Path, str]:
    """Content of every generated file by its path."""
    return {
        **{ROOT / "schemas" / f"{name}.schema.json": schema(name) for name in SPECS},
        **{ROOT / "docs" / name: fields.page(name) for name in fields.PAGES},
        accelerators.PAGE: accelerators.page(),
        edits.PAGE: edits.page(),
        compare.README: compare.readme(),
        **_golden(),
        **_guards(),
    }


@cache
def stacks(folder: Path) -> Mapping[str, Stack]:
    """The stacks in a folder by name, as they are in every checkout."""
    return {
        path.parent.name: _anywhere(Stack.read(path.parent)) for path in sorted(folder.glob(f"*/{ENVIRONMENT_FILE}"))
    }


def differences() -> str:
    """What `make generate` would change; empty where everything is as generated."""
    return "".join(_differences())


def write() -> None:
    """Bring every generated file up to date, and remove those of golden models that are gone."""
    content = generated()
    for path in _rendered() - content.keys():
        path.unlink()
    for path, text in content.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _golden() -> dict[Path, str]:
    return {
        GOLDEN / name / "rendered" / file: text
        for name, stack in stacks(GOLDEN).items()
        for file, text in render(stack).items()
    }


def _guards() -> dict[Path, str]:
    folders = (GOLDEN / name for name, stack in stacks(GOLDEN).items() if stack.environment.deployer)
    return {folder / "guard.yaml": objects(folder) for folder in folders}


def _anywhere(stack: Stack) -> Stack:
    return replace(stack, releases=tuple(replace(release, commit=COMMIT) for release in stack.releases))


def _rendered() -> set[Path]:
    return set(GOLDEN.glob("*/rendered/*"))


def _differences() -> Iterator[str]:
    content = generated()
    for path in sorted(content.keys() | _rendered()):
        committed = path.read_text(encoding="utf-8") if path.exists() else ""
        now = content.get(path, "")
        name = str(path.relative_to(ROOT))
        yield from unified_diff(
            committed.splitlines(True), now.splitlines(True), f"{name} (committed)", f"{name} (now)"
        )


if __name__ == "__main__":
    write()
