"""Rules about the code that `build.serve` names: it is there, it is Python, and the server can serve it.

Nothing of the code is run. A rule holds only where the text leaves no doubt. What is only likely is a hint.
"""

import sys
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from packaging.utils import canonicalize_name

from homeport.images.bases import python_of
from homeport.images.build_context import FolderError, context, read, required
from homeport.output.text import visible
from homeport.rules.files import Place
from homeport.rules.violation import Violation
from homeport.served.libraries import BRINGS, KNOWN, WITH_THE_SERVER, packages
from homeport.served.module import MAX_BYTES, Import, Module, NotPythonError, UnreadableError
from homeport.served.signature import Entry
from homeport.specs.environment import Images
from homeport.specs.model import Build
from homeport.specs.problems import Problem, few, short

MAX_TOTAL = 2**20
"""Bytes of all modules of a model that are read. Parsing the worst of them takes some seconds."""

_SHOWN = 5
"""Names that a message lists."""


@dataclass
class Found:
    """What is wrong with a model's code, and what may be."""

    problems: list[Problem] = field(default_factory=list)
    hints: list[Problem] = field(default_factory=list)


def served_code(build: Build, folder: Path, place: Place, version: tuple[int, int] | None) -> Found:
    """What the build and the server would refuse of the code that `build.serve` names.

    `version` is that of the Python that serves it, if it is known. Files that a build cannot read are no concern of this
    rule: see `rules/files.py`.
    """
    found = Found()
    if not build.serve or build.dockerfile:
        return found
    try:
        reader = _Reader(build, folder, version, found)
        reader.read(place)
    except (FolderError, OSError):
        return found
    found.problems = list(few(found.problems))
    return found


def python(build: Build, images: Images | None) -> tuple[int, int] | None:
    """The version of Python in the name of the base image that a build takes; None if it is not known."""
    only = next(iter(images.bases)) if images and len(images.bases) == 1 else None
    return python_of(build.base or only)


class _Reader:
    def __init__(self, build: Build, folder: Path, python: tuple[int, int] | None, found: Found) -> None:
        self._build, self._folder, self._python, self._found = build, folder, python, found
        self._serve = build.serve or ""
        entries = list(context(build, folder))
        self._seen = {name for name, entry in entries if entry.is_file()}
        # What is behind links to folders is not followed.
        self._linked = any(entry.is_symlink() and not entry.is_file() for _, entry in entries)
        self._required = required(build, folder)
        self._left = MAX_TOTAL

    def read(self, place: Place) -> None:
        dotted, _, name = self._serve.partition(":")
        file = _file(dotted, self._seen)
        if file is None:
            if accepted := self._instead(dotted, name):
                self._found.problems.append(place(Violation(("build", "serve"), f'found "{self._serve}", {accepted}')))
            return
        module = self._module(file)
        if module is None:
            return
        entry = Entry(module, name)
        if not entry.exists and not self._is_module(f"{dotted}.{name}"):
            accepted = _accepted(name, module, dotted, file)
            self._found.problems.append(
                place(Violation(("build", "serve"), f'found "{self._serve}", accepted: {accepted}'))
            )
        self._found.problems += [
            Problem(f"{each.message} (build.serve)", self._folder / file, each.line) for each in entry.refused()
        ]
        self._imports(file, module)

    def _instead(self, dotted: str, name: str) -> str | None:
        """What is accepted in place of a module that the build does not have; None if a library may have it."""
        top = dotted.partition(".")[0]
        if self._linked or top in sys.stdlib_module_names or self._is_module(dotted):
            return None
        if there := _file(dotted, _files(self._folder, dotted)):
            return f"accepted: a module that the build copies, and {self._why_not(there)}"
        known = sorted(_dotted(each) for each in self._seen if each.endswith(".py") and "/" not in each)
        if near := get_close_matches(dotted, known, n=1):
            return f'accepted: "{near[0]}:{name}"'
        if self._may_bring(top):
            return None
        listed = f": {', '.join(known[:_SHOWN])}" if known else ", which has none"
        return f"accepted: a module of the folder{listed}"

    def _why_not(self, file: str) -> str:
        if self._build.files:
            return f"{file} is not in `build.files`"
        return f"{file} is left out by .dockerignore, or hidden"

    def _may_bring(self, top: str) -> bool:
        """Whether a requirement may bring a module: one of its name, or one of which nothing is known."""
        if packages(top):
            return True
        return any(each.name not in KNOWN for each in self._required.packages)

    def _is_module(self, dotted: str) -> bool:
        """Whether the folder has something that Python may import by this name, other than a source file."""
        path = dotted.replace(".", "/")
        return any(each.startswith((f"{path}/", f"{path}.")) for each in self._seen)

    def _module(self, file: str) -> Module | None:
        """A module of the folder; None, after a problem or a hint, if it cannot be read."""
        content = read(self._folder, file, MAX_BYTES + 1)
        self._left -= len(content)
        if self._left < 0:
            return None
        try:
            return Module.read(content, self._python)
        except NotPythonError as error:
            version = f" {self._python[0]}.{self._python[1]}" if self._python else ""
            problem = Problem(f"not Python{version}: {error}", self._folder / file, error.line)
            if self._python is None or self._python > sys.version_info[:2]:
                own = f"{sys.version_info.major}.{sys.version_info.minor}"
                message = f"not Python {own}, which homeport runs on here: {error}"
                self._found.hints.append(Problem(message, self._folder / file, error.line))
            else:
                self._found.problems.append(problem)
        except UnreadableError as error:
            self._found.hints.append(Problem(str(error), self._folder / file))
        return None

    def _imports(self, first: str, served: Module) -> None:
        """Follow imports that always happen from the served module through the folder."""
        waiting, known = [(first, served)], {first}
        while waiting:
            file, module = waiting.pop()
            for each in module.imports:
                if not each.always:
                    continue
                for other in self._imported(file, each):
                    if other not in known:
                        known.add(other)
                        if inner := self._module(other):
                            waiting.append((other, inner))

    def _imported(self, file: str, each: Import) -> Iterator[str]:
        """The files of the folder that an import reads. Adds what is wrong with it."""
        package = _dotted(file).split(".")
        package = package if file.endswith("/__init__.py") else package[:-1]
        if each.level > len(package):
            written = f"from {'.' * each.level}{each.name} import {', '.join(each.names)}"
            absolute = f"`from {each.name} import ...`" if each.name else "`import ...`"
            why = f"because {file} is in no package"
            self._problem(file, each.line, f"found `{short(visible(written))}`, accepted: {absolute}, {why}")
            return
        dotted = ".".join(
            [*(package[: len(package) - each.level + 1] if each.level else []), *filter(None, [each.name])]
        )
        top = dotted.partition(".")[0]
        if not each.level and (top in sys.stdlib_module_names or top == "homeport_server"):
            return
        there = _files(self._folder, dotted)
        local = [name for prefix in _prefixes(dotted) if (name := _file(prefix, there))]
        local += [name for inner in each.names if (name := _file(f"{dotted}.{inner}", there))]
        if not local and not each.level and not (self._folder / top).exists() and not self._linked:
            self._library(file, each, top)
        for name in local:
            if name in self._seen:
                yield name
            elif not self._linked and not self._names(top):
                message = f"found `import {dotted}`, accepted: modules that the build copies, and {self._why_not(name)}"
                self._problem(file, each.line, message)

    def _library(self, file: str, each: Import, top: str) -> None:
        """Say it if no requirement brings a library that many models use."""
        brought = WITH_THE_SERVER.union(*(BRINGS.get(each.name, ()) for each in self._required.packages))
        if not packages(top) or top in brought or self._names(top):
            return
        where = self._build.requirements or "`build.requirements`, which is not stated"
        message = f"found `import {top}`, accepted: libraries of {where}; `{packages(top)[0]}` brings it"
        # A lock file has everything that is installed. Other files may name a package that brings more.
        if self._required.hashed or not self._required.packages:
            self._problem(file, each.line, message)
        else:
            self._found.hints.append(Problem(f"{message}, unless another one does", self._folder / file, each.line))

    def _names(self, top: str) -> bool:
        """Whether a requirement names the package of a module."""
        brings = {*packages(top), str(canonicalize_name(top))}
        return any(each.name in brings for each in self._required.packages)

    def _problem(self, file: str, line: int, message: str) -> None:
        problem = Problem(message, self._folder / file, line)
        if problem not in self._found.problems:
            self._found.problems.append(problem)


def _file(dotted: str, names: Set[str]) -> str | None:
    """The source of a module, among files by their names in the folder."""
    path = dotted.replace(".", "/")
    return next((name for name in (f"{path}/__init__.py", f"{path}.py") if name in names), None)


def _files(folder: Path, dotted: str) -> set[str]:
    """Files of the folder, seen by the build or not, that a module and what is directly in it may come from."""
    found = set()
    for prefix in _prefixes(dotted):
        path = prefix.replace(".", "/")
        found |= {name for name in (f"{path}.py", f"{path}/__init__.py") if (folder / name).is_file()}
    inner = folder / dotted.replace(".", "/")
    for each in inner.iterdir() if inner.is_dir() else ():
        name = each.relative_to(folder).as_posix()
        found |= {one for one in (name, f"{name}/__init__.py") if one.endswith(".py") and (folder / one).is_file()}
    return found


def _prefixes(dotted: str) -> list[str]:
    """Of `a.b.c`: `a`, `a.b` and `a.b.c`, which Python imports one after the other."""
    parts = dotted.split(".")
    return [".".join(parts[: number + 1]) for number in range(len(parts))]


def _dotted(file: str) -> str:
    """The name of the module in a file."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _accepted(name: str, module: Module, dotted: str, file: str) -> str:
    """What a name that a module does not have may have been meant to be."""
    names = module.definitions
    if near := get_close_matches(name, names, n=1):
        return f'"{dotted}:{visible(near[0])}"'
    listed = ", ".join(short(visible(each)) for each in names[:_SHOWN])
    return f"a function or class of {file}: {listed}" if listed else f"a function or class, of which {file} has none"
