"""Writes the folder of a new model: a template that runs at once, or a model made from a notebook's tagged cells.

The files come from `templates/`, with the model's name and owner instead of the placeholders. Nothing is overwritten
except a `model.py` that was made from a notebook.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from homeport.commands.errors import CommandError, UsageError
from homeport.commands.notebook import Served, is_as_made, unnamed
from homeport.images.requirements import Requirement, Requirements
from homeport.output.text import Line
from homeport.specs.documents import Document, parse
from homeport.specs.live_models import LiveModels
from homeport.specs.model import Model
from homeport.specs.problems import SpecError
from homeport.stack import MODELS_FILE

NAME, OWNER, ENTRY = "my-model", "my-team", "model:predict"
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

    Raises:
        InitError: `model.py` was changed since it was made from a notebook, and `force` is false.
        SpecError: The notebook cannot be served, or the existing `model.yaml` serves something else.
    """
    folder = target.folder
    module, spec = folder / _MODULE, folder / "model.yaml"
    if module.exists() and not force and not is_as_made(module.read_text(encoding="utf-8", errors="replace")):
        raise InitError(
            f"{module} was changed since it was made from a notebook, or was never made from one: use --force to "
            "overwrite it"
        )
    served = Served.read(notebook, entry or _entry(spec))
    text = served.text(Path(os.path.relpath(notebook, folder)).as_posix()).encode()
    requirements = folder / "requirements.txt"
    if spec.exists():
        _check_entry(spec, served.entry)
        module.write_bytes(text)
        # `homeport check` reports the lines that are not accepted.
        named = Requirements.read(requirements.read_bytes()) if requirements.exists() else Requirements()
        wanted = named.unmet(map(Requirement.parse, served.requirements))
        missing = unnamed(served.imports, [*named.packages, *wanted], folder)
        hints = [f"{requirements}: add {each}" for each in wanted]
        return Made((module,), (*hints, *_hints(missing, served, requirements, "add")))
    missing = unnamed(served.imports, map(Requirement.parse, served.requirements), folder)
    lines = sorted({*served.requirements, *filter(None, missing.values())}, key=str.lower)
    content = _template("common", target) | _template(Kind.FUNCTION, target) | _template("notebook", target)
    content["model.yaml"] = content["model.yaml"].replace(ENTRY.encode(), f"model:{served.entry}".encode())
    content["requirements.txt"] = "".join(f"{line}\n" for line in lines).encode()
    del content[_MODULE], content["request.json"]
    if served.request:
        content["request.json"] = f"{json.dumps(served.request, indent=2)}\n".encode()
    written = _write(folder, content)
    module.write_bytes(text)
    unknown = {module: None for module, line in missing.items() if line is None}
    return Made((module, *written), tuple(_hints(unknown, served, requirements, "name")))


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


def _hints(missing: Mapping[str, str | None], served: Served, requirements: Path, verb: str) -> Sequence[str]:
    return [
        f"{requirements}: {verb} {line or f'the package of `{module}`, which is not installed beside homeport'} "
        f"({served.imports[module]} imports it)"
        for module, line in missing.items()
    ]
