"""Turns the cells of a notebook that are tagged `serve` into the module that a model's server imports.

It only reads the notebook and runs no cell. `nbformat` and `pyflakes` are installed with `homeport[notebook]`.
"""

import ast
import hashlib
import json
import re
import shlex
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any, Self

from packaging.utils import canonicalize_name

from homeport.images.requirements import ACCEPTED, Requirement, RequirementError
from homeport.output.text import visible
from homeport.served import signature
from homeport.served.module import Module
from homeport.specs.problems import Problem, SpecError, few

TAG = "serve"
"""Tag of the cells that are served, in Jupyter's cell tags (`metadata.tags`)."""

_HOW_TO_TAG = (
    f"in JupyterLab, open the Property Inspector (the gears, top right) and add `{TAG}` to Cell Tags; in VS Code, choose "
    "Add Cell Tag in the cell's menu"
)
_DIGEST = "# sha256:"
_COPIED = "# Copied from beside it: "
MAX_BYTES = 64 * 2**20
"""Of a notebook with its outputs."""
MAX_CELLS = 2**19
"""Characters of a notebook without its outputs."""
MAX_CODE = 2**16
"""Characters of the tagged cells: as many as pyflakes checks in about a second."""
_MAGIC = re.compile(r"\s*(?:[\w.,\s]+=\s*)?[%!?]|.*\?\s*$")
"""A line that only IPython can run: `%magic`, `!command`, `name = !command`, `?help`, `help?`."""
_PIP = re.compile(r"\s*[%!](?:uv )?pip install\s+(?P<arguments>.+)")
_HARMLESS = {"-q", "--quiet", "-U", "--upgrade"}
"""Options of `pip install` that do not decide what is installed."""
_SAMPLES = {"float": ("FP64", 1.0), "int": ("INT64", 1), "bool": ("BOOL", True), "str": ("BYTES", "text")}
"""The protocol's datatype and a sample value for each annotation of a plain value."""
_FOR_PEOPLE = {"IPython", "altair", "bokeh", "ipywidgets", "matplotlib", "plotly", "seaborn", "tqdm"}
"""Libraries for a notebook's reader. Others may be needed although nothing names them, to open a file for example."""


@dataclass(frozen=True)
class Cell:
    """One cell of code."""

    number: int
    """Its position among all cells of the notebook, counted from 1."""
    prompt: int | None
    """The number that Jupyter shows beside it, such as 7 in `In [7]`; None if it has not been run."""
    tagged: bool
    source: str

    def place(self, line: int) -> str:
        """The place of one of its lines, as text for people."""
        prompt = f" (In [{self.prompt}])" if self.prompt else ""
        return f"cell {self.number}{prompt}, line {line}"


@dataclass(frozen=True)
class Served:
    """The result of a notebook's tagged cells."""

    code: str
    """The module, without the header that `text` adds."""
    entry: str
    """Name of the function or class that is served."""
    requirements: tuple[str, ...]
    """Requirements that the tagged cells install with `%pip install`."""
    imports: Mapping[str, str]
    """Modules outside Python's standard library, each with the place of its first import."""
    request: Mapping[str, Any] | None
    """A sample request in the Open Inference Protocol; None if a parameter is not a plain value."""
    module: Module
    """The code, parsed."""
    python: tuple[int, int] | None = None
    """The version of Python in which the notebook ran; None if it does not say."""
    unused: Mapping[str, str] = field(default_factory=dict)
    """Modules that are imported and that nothing uses, each with the place of its import."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Those of them whose import is left out of the code."""

    @classmethod
    def read(cls, path: Path, entry: str | None = None) -> Self:
        """Read a notebook; `entry` names the function or class to serve.

        The default is `predict`, or the function or class that is defined last.

        Raises:
            SpecError: It is not a Python notebook, no cell is tagged, or the tagged cells cannot run alone because of
                magics, syntax errors or names that none of them defines. The error has every problem.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the notebook's format and code; they would be printed
            try:
                return cls._read(path, entry)
            except (RecursionError, MemoryError):  # the parsers of Python and JSON, and what walks their results
                raise SpecError([Problem("found code or data that is nested too deeply for Python", path)]) from None

    @classmethod
    def _read(cls, path: Path, entry: str | None) -> Self:
        cells, python = _cells(path)
        tagged = [cell for cell in cells if cell.tagged]
        if not tagged:
            message = f"found no cell tagged `{TAG}`: tag at least one; {_HOW_TO_TAG}"
            raise SpecError([Problem(message, path)])
        size = sum(len(cell.source) for cell in tagged)
        if size > MAX_CODE:
            message = f"found {size:,} characters in the cells tagged `{TAG}`, accepted: at most {MAX_CODE:,}"
            raise SpecError([Problem(f"{message}; move code that does not change into a module", path)])
        required: list[str] = []
        problems: list[Problem] = []
        sources = [_python(path, cell, required, problems) for cell in tagged]
        if problems:
            raise SpecError(few(problems))
        code, lines = _joined(tagged, sources)
        try:
            tree = ast.parse(code)
            compile(tree, str(path), "exec", dont_inherit=True)
        except SyntaxError as error:
            place = lines[min(error.lineno or 1, len(lines)) - 1]
            raise SpecError([Problem(f"not Python: {error.msg}", path, field=place)]) from None
        except ValueError:  # half of a character, which JSON can say
            raise SpecError([Problem("not Python: found text that is not Unicode", path)]) from None
        messages = _messages(tree)
        if problems := list(_undefined(messages, path, lines, cells)):
            raise SpecError(few(problems))
        unused = {name: lines[line - 1] for name, line in _unused(messages, tree).items()}
        shorter, left_out = _without(code, tree, unused.keys() & _FOR_PEOPLE)
        module = Module(ast.parse(shorter))
        name = _entry(path, module, entry)
        if problems := [
            Problem(each.message, path, field=lines[each.line - 1]) for each in signature.Entry(module, name).refused()
        ]:
            raise SpecError(few(problems))
        return cls(
            shorter,
            name,
            tuple(dict.fromkeys(required)),
            _imports(module, lines),
            _request(signature.parameters(module, name)),
            module,
            python,
            {name: place for name, place in unused.items() if name not in left_out},
            {name: place for name, place in unused.items() if name in left_out},
        )

    def text(self, source: str, copied: Mapping[str, str]) -> str:
        """The whole module; `source` is the notebook's path relative to it, `copied` the digests of files from beside it."""
        header = (
            f"# Made from {visible(source)} by `homeport init --notebook`: change its cells tagged `{TAG}`, not this file, and run\n"
            "# that command again. The digest below shows whether this file was changed by hand.\n"
        )
        lines = "".join(f"{_COPIED}{name} {digest}\n" for name, digest in sorted(copied.items()))
        return f"{header}{lines}{_DIGEST}{_digest(self.code)}\n{self.code}"


def copied(text: str) -> dict[str, str]:
    """The files that were copied when a module was made, each with the digest that it had then."""
    header = text.partition(_DIGEST)[0].splitlines()
    stated = (line.removeprefix(_COPIED).rpartition(" ") for line in header if line.startswith(_COPIED))
    return {name: digest for name, _, digest in stated}


def is_as_made(text: str) -> bool:
    """Whether a module is unchanged since `Served.text` made it from this or another notebook."""
    _, mark, rest = text.partition(_DIGEST)
    digest, _, code = rest.partition("\n")
    return bool(mark) and digest == _digest(code)


def unnamed(imports: Iterable[str], stated: Iterable[Requirement], folder: Path) -> dict[str, str | None]:
    """Imported modules that none of the requirements provides, each with the line that would.

    The line is pinned to the version that is installed beside homeport. It is None if no installed package or more than
    one provides the module. Modules in the model's folder need no line.
    """
    named = {each.name for each in stated}
    installed = packages_distributions()
    missing: dict[str, str | None] = {}
    for module in imports:
        found = {canonicalize_name(distribution): distribution for distribution in installed.get(module, ())}
        own = (folder / f"{module}.py").exists() or (folder / module).is_dir()
        if own or named & {canonicalize_name(module), *found}:
            continue
        names = list(found.values())
        # Without the local part, because `2.4.0+cpu` comes from another index than the usual one.
        missing[module] = f"{names[0]}=={version(names[0]).partition('+')[0]}" if len(names) == 1 else None
    return missing


def _cells(path: Path) -> tuple[list[Cell], tuple[int, int] | None]:
    """The cells of code, and the version of Python that ran them."""
    try:
        # Only users who convert notebooks have it installed.
        import nbformat  # noqa: PLC0415
    except ImportError:
        raise SpecError([Problem('to read a notebook, run: pip install "homeport[notebook]"', path)]) from None
    invalid: dict[str, Exception] = {}
    try:
        text = _without_outputs(path)
        # Older formats are converted to version 4, in which cells have tags.
        notebook = nbformat.reads(text, as_version=4, capture_validation_error=invalid)
    except FileNotFoundError:
        raise SpecError([Problem(f"no such file (looked in {path.parent.resolve()})", path)]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Problem(f"cannot be read as UTF-8 text: {error}", path)]) from None
    except (RecursionError, SpecError):
        raise
    except Exception as error:  # its readers raise many kinds of errors, including KeyError
        raise SpecError([Problem(f"not a notebook: {type(error).__name__}: {error}"[:300], path)]) from None
    if invalid:
        reason = str(invalid["ValidationError"]).partition("\n")[0]
        raise SpecError([Problem(f"not a valid notebook: {reason}", path)])
    metadata = notebook.metadata
    kernel, about = metadata.get("kernelspec", {}), metadata.get("language_info", {})
    language = str(kernel.get("language") or about.get("name", "python"))
    if language.lower() not in {"python", "ipython"}:
        raise SpecError([Problem(f'found a notebook of "{language}", accepted: a Python notebook', path)])
    ran = re.match(r"3\.(\d{1,3})(?!\d)", str(about.get("version", "")))
    return [
        Cell(number, cell.get("execution_count"), TAG in cell.metadata.get("tags", ()), _unix(cell.source))
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code"
    ], (3, int(ran[1])) if ran else None


def _without_outputs(path: Path) -> str:
    """The notebook's JSON without what its cells have put out, which is most of it and is not looked at.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not JSON in UTF-8.
        SpecError: It is too large.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise SpecError([Problem(f"found more than {MAX_BYTES >> 20} MiB, accepted: at most that", path)])
    found = json.loads(content.decode("utf-8"))
    if isinstance(found, dict) and isinstance(cells := found.get("cells"), list):
        for cell in cells:
            if isinstance(cell, dict) and isinstance(cell.get("outputs"), list):
                cell["outputs"] = []
    text = json.dumps(found)
    if len(text) > MAX_CELLS:
        message = f"found {len(text):,} characters besides outputs, accepted: at most {MAX_CELLS:,}"
        raise SpecError([Problem(message, path)])
    return text


def _unix(source: str) -> str:
    """The source with the line ends that all of Python's tools count alike."""
    return source.replace("\r\n", "\n").replace("\r", "\n")


def _python(path: Path, cell: Cell, required: list[str], problems: list[Problem]) -> str:
    """The cell as plain Python with the same number of lines. Requirements and problems are added to the lists."""
    if _parsed(cell.source):
        return cell.source
    lines = cell.source.split("\n")
    for index, line in enumerate(lines):
        if match := _PIP.fullmatch(line):
            try:
                arguments = [part for part in shlex.split(match["arguments"], comments=True) if part not in _HARMLESS]
            except ValueError as error:
                problems.append(
                    Problem(f"found a line that no shell reads: {error}", path, field=cell.place(index + 1))
                )
                continue
            if odd := next((part for part in arguments if not _is_accepted(part)), None):
                message = f"found `{odd}`, accepted: {ACCEPTED}"
                problems.append(Problem(message, path, field=cell.place(index + 1)))
            required += arguments
            lines[index] = f"# {line.strip()}: see requirements.txt"
    if not _parsed("\n".join(lines)):
        problems += [
            Problem(
                f"found `{line.strip()}`, which only a notebook can run, accepted: Python and `%pip install`; move it to "
                f"a cell that is not tagged `{TAG}`",
                path,
                field=cell.place(index + 1),
            )
            for index, line in enumerate(lines)
            if _MAGIC.match(line.strip()) and not line.lstrip().startswith("#")
        ]
    return "\n".join(lines)


def _is_accepted(argument: str) -> bool:
    try:
        Requirement.parse(argument)
    except RequirementError:
        return False
    return True


def _parsed(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _joined(cells: Sequence[Cell], sources: Sequence[str]) -> tuple[str, list[str]]:
    """The cells as one module, and the place from which each line comes."""
    rows: list[tuple[str, str]] = []
    for cell, source in zip(cells, sources, strict=True):
        gap = ["", ""] if rows else []
        rows += [(row, cell.place(1)) for row in [*gap, f"# cell {cell.number}"]]
        rows += [(row.rstrip("\r"), cell.place(line)) for line, row in enumerate(source.rstrip("\n").split("\n"), 1)]
    return "".join(f"{row}\n" for row, _ in rows), [place for _, place in rows]


def _messages(tree: ast.Module) -> list[Any]:
    """What pyflakes says of the code, by line."""
    from pyflakes.checker import Checker  # noqa: PLC0415  # see nbformat

    return sorted(Checker(tree).messages, key=lambda message: int(message.lineno))


def _undefined(messages: Iterable[Any], path: Path, lines: Sequence[str], cells: Sequence[Cell]) -> Iterator[Problem]:
    from pyflakes.messages import UndefinedName  # noqa: PLC0415  # see nbformat

    seen: set[str] = set()
    homes: dict[str, Cell] = {}
    for found in messages:
        name = str(found.message_args[0]) if isinstance(found, UndefinedName) else ""
        if not name or name in seen:
            continue
        seen.add(name)
        homes = homes or {name: cell for cell in reversed(cells) if not cell.tagged for name in _bound(cell.source)}
        home = homes.get(name)
        advice = f"; cell {home.number} defines it: tag it too, or move the definition" if home else ""
        message = f"found `{name}`, accepted: names that a cell tagged `{TAG}` defines or imports{advice}"
        yield Problem(message, path, field=lines[found.lineno - 1])


def _unused(messages: Iterable[Any], tree: ast.Module) -> dict[str, int]:
    """Modules none of whose imports is used, by their names at the top, each with the line of its first import."""
    from pyflakes.messages import UnusedImport  # noqa: PLC0415  # see nbformat

    counts = Counter(int(found.lineno) for found in messages if isinstance(found, UnusedImport))
    first: dict[str, int] = {}
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for top in _tops(node):
                if counts[node.lineno] < len(node.names):
                    used.add(top)
                else:
                    first.setdefault(top, node.lineno)
    return {name: line for name, line in first.items() if name not in {*used, *sys.stdlib_module_names}}


def _tops(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules of an import, by their names at the top."""
    if isinstance(node, ast.ImportFrom):
        return [node.module.partition(".")[0]] if node.module and not node.level else []
    return [each.name.partition(".")[0] for each in node.names]


def _without(code: str, tree: ast.Module, names: Set[str]) -> tuple[str, set[str]]:
    """The code without the imports of some modules, with the same lines, and the modules that it no longer imports."""
    rows = code.split("\n")
    imports = [(node, _tops(node)) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    kept: set[str] = set()
    for node, tops in imports:
        alone = node in tree.body and not any(";" in row for row in rows[node.lineno - 1 : node.end_lineno])
        if not alone or not names >= {*tops}:
            kept.update(tops)
    removed: set[str] = set()
    for node, tops in imports:
        if tops and kept.isdisjoint(tops):
            removed.update(tops)
            for line in range(node.lineno - 1, node.end_lineno or node.lineno):
                rows[line] = f"# {rows[line]}"
    return "\n".join(rows), removed


def _bound(source: str) -> set[str]:
    """Names that a cell defines at its top level, as far as it is valid Python."""
    names: set[str] = set()
    plain = "\n".join("" if _MAGIC.match(line.strip()) else line for line in source.split("\n"))
    for node in ast.walk(ast.parse(plain)) if _parsed(plain) else ():
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
            case ast.alias():
                names.add(node.asname or node.name.partition(".")[0])
    return names


def _entry(path: Path, module: Module, wanted: str | None) -> str:
    names = module.definitions
    name = signature.entry(module, wanted)
    if name is not None and (name in names or isinstance(module.resolve(name), ast.FunctionDef | ast.ClassDef)):
        return name
    found = f'"{wanted}"' if wanted else "no function or class to serve"
    accepted = ", ".join(names) if names else f"a function or class in the cells tagged `{TAG}`"
    raise SpecError([Problem(f"found {found}, accepted: {accepted}", path, field=TAG)])


def _request(parameters: Sequence[ast.arg]) -> dict[str, Any] | None:
    samples = [_SAMPLES.get(ast.unparse(each.annotation) if each.annotation else "") for each in parameters]
    inputs = [
        {"name": each.arg, "datatype": sample[0], "shape": [1], "data": [sample[1]]}
        for each, sample in zip(parameters, samples, strict=True)
        if sample
    ]
    return {"inputs": inputs} if inputs and all(samples) else None


def _imports(module: Module, lines: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in module.imports:
        name = each.name.partition(".")[0]
        if not each.level and name not in sys.stdlib_module_names and name != "homeport_server":
            found.setdefault(name, lines[each.line - 1])
    return found


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
