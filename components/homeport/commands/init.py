"""Writes the folder of a new model: a template that runs at once, or a model made from a notebook's tagged cells.

The files come from `templates/`, with the model's name and owner instead of the placeholders. Nothing is overwritten
except a `model.py` that was made from a notebook.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from homeport.commands import beside
from homeport.commands.errors import CommandError, UsageError
from homeport.commands.notebook import Served, copied, is_as_made, unnamed
from homeport.images.bases import python_of
from homeport.images.requirements import Requirement, Requirements
from homeport.output.text import Line
from homeport.specs.documents import Document, parse
from homeport.specs.environment import Environment
from homeport.specs.live_models import LiveModels
from homeport.specs.model import Build, Model
from homeport.specs.problems import Problem, SpecError
from homeport.stack import ENVIRONMENT_FILE, MODELS_FILE

NAME, OWNER, ENTRY, BASE = "my-model", "my-team", "model:predict", "python-3.11"
"""Placeholders in the templates, which run as they are."""

_MODULE = "model.py"
_NAMED = {".md", ".yaml"}
"""Suffixes of the files that contain name and owner."""


class Kind(StrEnum):
    """The template of a new model."""

    FUNCTION = "function"
    SKLEARN = "sklearn"
    ONNX = "onnx"
    DOCKER = "docker"


class InitError(CommandError):
    """The folder cannot be written. The text says why and what to do."""


@dataclass(frozen=True)
class Target:
    """What is to be written."""

    name: str
    owner: str
    folder: Path
    stack: Path | None
    """Folder of the stack in which the model becomes live, or None."""


@dataclass(frozen=True)
class Made:
    """The files that were written, and hints for their author."""

    written: tuple[Path, ...]
    hints: tuple[str, ...] = ()


def target(name: str | None, owner: str, *, folder: Path | None, stack: Path | None, notebook: Path | None) -> Target:
    """What is to be written, from the user's options and, without a name, from the notebook's name.

    Raises:
        UsageError: There is no name, or a `model.yaml` does not accept the name or the owner.
    """
    if not name and not notebook:
        raise UsageError("NAME", "the name of the model is required without --notebook")
    name = name or default_name(notebook or Path())
    for parameter, field, value in (("NAME", "name", name), ("--owner", "owner", owner)):
        content = {"name": "any", "owner": "any", "image": "registry.example.com/any"} | {field: value}
        try:
            parse(Model, content, field)
        except SpecError as error:
            raise UsageError(parameter, error.problems[0].message) from None
    return Target(name, owner, folder or Path(name), stack)


def init(target: Target, kind: Kind, notebook: Path | None, *, entry: str | None, force: bool) -> Iterator[Line]:
    """Write a model's folder, and make it live in the target's stack. Returns lines on what was done and what is next.

    Raises:
        InitError: A file exists already.
        SpecError: The notebook cannot be served, or an existing file is not valid.
    """
    name, folder, stack = target.name, target.folder, target.stack
    live = live_models(name, folder, stack) if stack else None
    made = from_notebook(notebook, target, entry=entry, force=force) if notebook else scaffold(kind, target)
    yield from (Line(f"{path}: written") for path in made.written)
    yield from (Line(hint, "yellow", error=True) for hint in made.hints)
    if stack and live:
        (stack / MODELS_FILE).write_text(live, encoding="utf-8")
        yield Line(f"{stack / MODELS_FILE}: {name} added")
    if notebook or kind is not Kind.DOCKER:
        yield from map(Line, ("", "Serve it here:", f"  homeport run {folder}"))
    if not stack:
        place = Path("stacks", "dev")
        lines = (f"  {line}" for line in live_entry(name, folder, place).splitlines())
        yield from map(Line, ("", f"Make it live, below `models` in {place / MODELS_FILE}:", *lines))


def scaffold(kind: Kind, target: Target) -> Made:
    """Write a model's folder that runs at once.

    Raises:
        InitError: A file exists already. Nothing is written.
    """
    return Made(_write(target.folder, _template("common", target) | _template(kind, target)))


def from_notebook(notebook: Path, target: Target, *, entry: str | None = None, force: bool = False) -> Made:
    """Make a model's folder from a notebook. If there is a `model.yaml` already, only write `model.py` again.

    Files from beside the notebook that the code needs are copied too (`commands/beside.py`).

    Raises:
        InitError: `model.py` was changed since it was made from a notebook, and `force` is false.
        SpecError: The notebook cannot be served, or the existing `model.yaml` serves something else.
    """
    folder = target.folder
    module, spec = folder / _MODULE, folder / "model.yaml"
    there = module.read_text(encoding="utf-8", errors="replace") if module.exists() else None
    if there is not None and not force and not is_as_made(there):
        raise InitError(
            f"{module} was changed since it was made from a notebook, or was never made from one: use --force to "
            "overwrite it"
        )
    served = Served.read(notebook, entry or _entry(spec))
    if place := served.imports.get(module.stem):
        message = (
            f"found `import {module.stem}`, accepted: a module of another name, because this command writes {_MODULE}"
        )
        raise SpecError([Problem(message, notebook, field=place)])
    if spec.exists():
        _check_entry(spec, served.entry)
    needed = beside.needed(served.module, notebook.parent, folder)
    own = {Path(name).parts[0].removesuffix(".py") for name in needed.files if name.endswith(".py")}
    imports = {name: place for name, place in ({**needed.imports, **served.imports}).items() if name not in own}
    requirements = folder / "requirements.txt"
    if spec.exists():
        # `homeport check` reports the lines that are not accepted.
        stated = Requirements.read(requirements.read_bytes()) if requirements.exists() else Requirements()
        wanted = stated.unmet(map(Requirement.parse, served.requirements))
        missing = unnamed(imports, [*stated.packages, *wanted], folder)
        base = _base(folder, Model.load(spec).build, served)
        written: tuple[Path, ...] = ()
        hints = [f"{requirements}: add {each}" for each in wanted]
        hints += _hints(missing, imports, requirements, "add")
    else:
        missing = unnamed(imports, map(Requirement.parse, served.requirements), folder)
        lines = sorted({*served.requirements, *filter(None, missing.values())}, key=str.lower)
        content = _template("common", target) | _template(Kind.FUNCTION, target) | _template("notebook", target)
        name, base = _chosen_base(target, served)
        text = content["model.yaml"].replace(ENTRY.encode(), f"model:{served.entry}".encode())
        # A name such as 3.11 is text only in quotes.
        base_name = name if re.match(r"[A-Za-z]+-", name) else json.dumps(name)
        content["model.yaml"] = text.replace(BASE.encode(), base_name.encode())
        content["requirements.txt"] = "".join(f"{line}\n" for line in lines).encode()
        del content[_MODULE], content["request.json"]
        if served.request:
            content["request.json"] = f"{json.dumps(served.request, indent=2)}\n".encode()
        written = _write(folder, content)
        hints = _hints({each: None for each, line in missing.items() if line is None}, imports, requirements, "name")
    copies = beside.copy(needed.files, notebook.parent, folder, copied(there or ""), force=force)
    relative = Path(os.path.relpath(notebook, folder)).as_posix()
    module.write_bytes(served.text(relative, copies.digests).encode())
    return Made((module, *copies.written, *written), (*hints, *base, *copies.hints, *_unused(served)))


def _unused(served: Served) -> Iterator[str]:
    for name, place in served.left_out.items():
        yield f"{place}: nothing uses `{name}`, so model.py and requirements.txt are without it"
    for name, place in served.unused.items():
        yield f"{place}: nothing uses `{name}`: if no file that the code opens needs it, remove the import"


def _chosen_base(target: Target, served: Served) -> tuple[str, list[str]]:
    """The base image of a new model, and what its author should know of it."""
    version = _version(served)
    own = f"python-{version}"
    if not target.stack:
        hint = f"{target.folder / 'model.yaml'}: base is {own}, as the notebook's Python: `homeport check` knows which bases there are"
        return own, [hint] if own != BASE else []
    environment = target.stack / ENVIRONMENT_FILE
    images = Environment.load(environment).images if environment.exists() else None
    bases = [*images.bases] if images else []
    fitting = [each for each in bases if python_of(each) == python_of(own)]
    name = (fitting or bases or [own])[0]
    if fitting or not bases:
        return name, []
    accepted = f"a notebook in the Python of one of the bases {', '.join(bases)} ({environment}, images.bases)"
    return name, [_differs(target.folder, name, version, accepted)]


def _base(folder: Path, build: Build | None, served: Served) -> list[str]:
    """What the author of a model should know of the base that it states."""
    version, stated = _version(served), build.base if build else None
    if not stated or python_of(stated) in {None, python_of(f"python-{version}")}:
        return []
    return [_differs(folder, stated, version, f"a base with Python {version}, if the environment has one")]


def _differs(folder: Path, base: str, version: str, accepted: str) -> str:
    return (
        f"{folder / 'model.yaml'}: base {base} has another Python than the notebook, {version}, and libraries that are pinned "
        f"for {version} may not exist for it; accepted: {accepted}"
    )


def _version(served: Served) -> str:
    """The version of Python for which a notebook's libraries are installed."""
    major, minor = served.python or sys.version_info[:2]
    return f"{major}.{minor}"


def live_entry(name: str, folder: Path, stack: Path) -> str:
    """The lines below `models` in a stack's `models.yaml` that make a new model live."""
    return _dumped(_entries(name, folder, stack))


def live_models(name: str, folder: Path, stack: Path) -> str | None:
    """A stack's `models.yaml` with a new model in it, with its comments and layout; None if the model is in it already.

    Raises:
        SpecError: The file is not valid, or has another model with this name.
    """
    path = stack / MODELS_FILE
    document = Document.read(path)
    live = document.validate(LiveModels).models
    entries = _entries(name, folder, stack)
    if name in live:
        if live[name].spec == entries[name]["spec"]:
            return None
        message = f'found "{live[name].spec}", accepted: "{entries[name]["spec"]}", or another name for the new model'
        raise SpecError([document.problem(("models", name, "spec"), message)])
    content = _yaml().load(path.read_text(encoding="utf-8"))
    content["models"] |= entries
    return _dumped(content)


def default_name(notebook: Path) -> str:
    """A model's name made from a notebook's name: `Fraud score.ipynb` becomes fraud-score."""
    return re.sub(r"[^a-z0-9]+", "-", notebook.stem.lower()).strip("-")


def _entries(name: str, folder: Path, stack: Path) -> CommentedMap:
    stable = CommentedMap(version=DoubleQuotedScalarString("1"))
    stable.fa.set_flow_style()
    spec = Path(os.path.relpath(folder / "model.yaml", stack)).as_posix()
    return CommentedMap({name: CommentedMap(spec=spec, stable=stable)})


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    return yaml


def _dumped(content: CommentedMap) -> str:
    text = StringIO()
    _yaml().dump(content, text)
    return text.getvalue()


def _template(template: str, target: Target) -> dict[str, bytes]:
    entries = (files("homeport.commands") / "templates" / template).iterdir()
    content = {each.name: each.read_bytes() for each in entries if each.is_file()}  # pip adds a `__pycache__`
    for file, text in content.items():
        if Path(file).suffix in _NAMED:
            content[file] = text.replace(NAME.encode(), target.name.encode()).replace(
                OWNER.encode(), target.owner.encode()
            )
    return content


def _write(folder: Path, content: Mapping[str, bytes]) -> tuple[Path, ...]:
    paths = {folder / file: text for file, text in sorted(content.items())}
    if there := [str(path) for path in paths if path.exists()]:
        raise InitError(
            f"{', '.join(there)}: already there; choose another --folder, or move it away; nothing was written"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in paths.items():
        path.write_bytes(text)
    return tuple(paths)


def _entry(spec: Path) -> str | None:
    """The function or class of model.py that the existing `model.yaml` serves."""
    if not spec.exists():
        return None
    build = Model.load(spec).build
    module, _, name = (build.serve if build and build.serve else "").partition(":")
    return name if module == Path(_MODULE).stem else None


def _check_entry(spec: Path, entry: str) -> None:
    document = Document.read(spec)
    build = document.validate(Model).build
    found, accepted = build.serve if build else None, f"model:{entry}"
    if found != accepted:
        shown = f'"{found}"' if found else "nothing"
        raise SpecError([document.problem(("build", "serve"), f'found {shown}, accepted: "{accepted}"')])


def _hints(missing: Mapping[str, str | None], imports: Mapping[str, str], requirements: Path, verb: str) -> list[str]:
    return [
        f"{requirements}: {verb} {line or f'the package of `{module}`, which is not installed beside homeport'} "
        f"({imports[module]} imports it)"
        for module, line in missing.items()
    ]
