"""What lies beside a notebook that its code needs: modules that it imports, and files that it reads.

They are copied into the model's folder. A copy that homeport made is replaced when the original has changed, as after a
training. One that someone else made, or changed, stays, and the author is told that the two differ.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeport.files import replace
from homeport.output.text import visible
from homeport.served.module import MAX_BYTES, Module, NotPythonError, UnreadableError

MAX_COPY = 2**30
"""Bytes of a file that is copied. Larger ones belong in an image or on a volume of their own (docs/weights.md)."""
MAX_FILES = 200

_LONGEST = 255
"""Characters of a file's name, in code."""
_NAME = re.compile(r"[\w./ -]+")
"""Names that `model.py` can state in a line."""
_RESERVED = {"model.py", "model.yaml", "requirements.txt", "request.json", "readme.md", "dockerfile"}
"""Files of the model's folder that have a meaning of their own."""
_WRITES = re.compile(r"(to|save|dump|write)(_|$)")
"""Functions that do not read the file that they are given."""


@dataclass(frozen=True)
class Copies:
    """What happened to the files beside the notebook."""

    written: tuple[Path, ...]
    digests: Mapping[str, str]
    """Of the files that homeport has copied, by their names in the folder."""
    hints: tuple[str, ...]


@dataclass(frozen=True)
class Needed:
    """What the code of a notebook needs of the folder that the notebook is in."""

    files: tuple[str, ...]
    """Names in that folder, sorted."""
    imports: Mapping[str, str]
    """Modules that these files import and that are not among them, each with the place of an import."""


def needed(module: Module, here: Path, folder: Path) -> Needed:
    """Files below a notebook's folder that its code needs. The model's own folder is not among them."""
    found: dict[str, None] = {}
    imports: dict[str, str] = {}
    waiting = [module]
    while waiting and len(found) < MAX_FILES:
        module = waiting.pop()
        for name in [*_modules(module, here), *_constants(module)]:
            if name in found or not _is_there(name, here, folder):
                continue
            found[name] = None
            if name.endswith(".py") and (inner := _read(here / name)):
                waiting.append(inner)
                for each in inner.imports:
                    if not each.level:
                        imports.setdefault(each.name.partition(".")[0], f"{name}, line {each.line}")
    own = {name.partition("/")[0].removesuffix(".py") for name in found if name.endswith(".py")}
    outer = {name: place for name, place in imports.items() if name not in own | sys.stdlib_module_names}
    return Needed(tuple(sorted(found)), outer)


def _read(path: Path) -> Module | None:
    """A module; None if it cannot be read, for which `homeport check` gives the reason."""
    try:
        with path.open("rb") as stream:
            return Module.read(stream.read(MAX_BYTES + 1))
    except (NotPythonError, UnreadableError, OSError):
        return None


def copy(names: Sequence[str], here: Path, folder: Path, before: Mapping[str, str], *, force: bool) -> Copies:
    """Copy files into the model's folder. `before` has the digests of the copies that homeport made before."""
    written: list[Path] = []
    digests: dict[str, str] = {}
    hints: list[str] = []
    for name in names:
        source, target = here / name, folder / name
        if source.stat().st_size > MAX_COPY or not _NAME.fullmatch(name):
            hints.append(
                f"{visible(str(source))}: the code reads it: copy it to {visible(str(target))}, or see docs/weights.md"
            )
            continue
        wanted = _digest(source)
        outside = not target.resolve().is_relative_to(folder.resolve())
        found = _digest(target) if target.is_file() and not outside else None
        own = found is not None and found == before.get(name) and not target.is_symlink()
        if found == wanted:
            digests |= {} if target.is_symlink() else {name: wanted}
        elif not outside and (own or (found is None and not target.exists()) or (force and target.is_file())):
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as content:  # in one step, so that a server that starts never reads a part
                replace(target, content)
            written.append(target)
            digests[name] = wanted
        else:
            newer = "newer" if not target.exists() or source.stat().st_mtime > target.stat().st_mtime else "older"
            hints.append(
                f"{target}: differs from {source}, which is {newer}, and was not copied by homeport: copy it yourself, or use "
                "--force"
            )
    return Copies(tuple(written), digests, tuple(hints))


def _is_there(name: str, here: Path, folder: Path) -> bool:
    """Whether it is a file for the model's folder: below the notebook's, not hidden, and not in the model's folder."""
    path = Path(name)
    parts = path.parts
    if path.is_absolute() or not parts or any(part.startswith(".") for part in parts) or path.suffix == ".ipynb":
        return False
    if name.lower() in _RESERVED:
        return False
    try:
        target = (here / path).resolve()
        inside = target.is_relative_to(here.resolve()) and not target.is_relative_to(folder.resolve())
        return inside and target.is_file()
    except (OSError, ValueError, RuntimeError):  # a path that no file can have, or links in a circle
        return False


def _modules(module: Module, here: Path) -> Iterator[str]:
    """Sources beside the notebook that an import may read."""
    for each in module.imports:
        top = each.name.partition(".")[0]
        if each.level or not top or top in sys.stdlib_module_names:
            continue
        yield f"{top}.py"
        package = here / top
        if package.is_dir() and not package.is_symlink():
            for path in sorted(package.rglob("*.py")):
                yield path.relative_to(here).as_posix()


def _constants(module: Module) -> Iterator[str]:
    """Texts in the code that may name files, without documentation and what is only written."""
    skipped: set[int] = set()
    for node in ast.walk(module.tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                skipped.add(id(node.value))
            case ast.Call(func=called, args=[ast.Constant() as first, *rest]):
                name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
                mode = rest[0].value if rest and isinstance(rest[0], ast.Constant) else ""
                writes = name == "open" and isinstance(mode, str) and mode[:1] in {"w", "a", "x"}
                skipped |= {id(first)} if writes or _WRITES.match(str(name)) else set()
            case ast.BinOp(op=ast.Div(), left=left, right=ast.Constant(value=str(last))):
                parent = _path(left)
                if parent:
                    yield _plain(f"{parent}/{last}")
            case ast.Constant(value=str(text)) if id(node) not in skipped and len(text) < _LONGEST:
                yield _plain(text)


def _path(expression: ast.expr) -> str | None:
    """The text of `Path("data")`, or of a constant."""
    match expression:
        case ast.Call(args=[ast.Constant(value=str(text))]) | ast.Constant(value=str(text)):
            return text
    return None


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
