"""Reads a YAML file into a spec. Each problem names the file, line, field, what was found and what is accepted."""

import difflib
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from homeport.catalogue.credentials import credential
from homeport.specs.fields import PATTERNS, UNSHOWN, AlsoCalled
from homeport.specs.problems import MAX_PROBLEMS, Location, Problem, SpecError, dotted, few
from homeport.specs.reading import MAX_BYTES, MisreadError, read

S = TypeVar("S", bound=BaseModel)

_EMPTY = {"dict_type": "{}", "list_type": "[]"}

_ACCEPTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "greater_than_equal": "{ge} or more",
    "int_type": "a whole number",
    "less_than_equal": "{le} or less",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_type": "a mapping of fields",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} character",
    "string_type": "text",
    "too_short": "at least {min_length}",
}
"""What is accepted, by pydantic's type of error
(https://docs.pydantic.dev/latest/errors/validation_errors/)."""


@dataclass(frozen=True)
class Document:
    """A YAML file that remembers the line of every field."""

    path: Path
    content: Any
    """A mapping (`Fields`), or None if nothing is written."""
    length: int
    """How many lines it has."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a YAML file, as `reading.read` does.

        Raises:
            SpecError: The file is missing, or cannot be read in exactly one way; the error has every reason.
        """
        try:
            content = _content(path)
            return cls(path, read(content), len(content.splitlines()))
        except FileNotFoundError:
            raise SpecError([Problem(f"no such file (looked in {path.parent.resolve()})", path)]) from None
        except OSError as error:
            raise SpecError([Problem(f"cannot be read: {error.strerror}", path)]) from None
        except MisreadError as error:
            raise SpecError(
                Problem(each.message, path, each.line, dotted(each.location)) for each in error.mistakes
            ) from None

    def validate(self, spec: type[S]) -> S:
        """Turn the document into a spec.

        Raises:
            SpecError: The document is not valid; the error has every problem.
        """
        try:
            return spec.model_validate(self.content)
        except ValidationError as error:
            raise SpecError(self._problems(spec, error)) from None

    def problem(self, location: Location, message: str) -> Problem:
        """A problem at a location in this document."""
        return Problem(message, self.path, self.line(location), dotted(location))

    def line(self, location: Location) -> int | None:
        """The line of a field, counted from 1. If the field is missing, the line of the nearest field around it.

        Of the whole document, its first field's; None if nothing is written in it.
        """
        node: Any = self.content
        line: int | None = min(node.lines.values(), default=None) if node else None
        for step in location:
            try:
                node, line = node[step], node.lines[step]
            except (AttributeError, KeyError, IndexError, TypeError):
                break
        return line

    def lines(self, location: Location) -> tuple[int, int] | None:
        """First and last line of a field, up to the next field or the end of the file."""
        first = self.line(location)
        if first is None:
            return None
        siblings = self.content
        for step in location[:-1]:
            siblings = siblings[step]
        keys = list(siblings)
        lines = (self.line((*location[:-1], key)) for key in keys[keys.index(location[-1]) + 1 :])
        following = next((line for line in lines if line and line > first), None)
        return first, following - 1 if following else self.length

    def _problems(self, spec: type[BaseModel], error: ValidationError) -> Iterable[Problem]:
        details = error.errors(include_url=False)
        places = [(_place(detail["loc"]), detail) for detail in details[:MAX_PROBLEMS]]
        found = [self.problem(location, _message(spec, location, detail)) for location, detail in places]
        return few(found, len(details))


def parse(spec: type[S], content: object, name: str) -> S:
    """Validate plain data that has no file, such as arguments of a program. `name` is the prefix of every field.

    Raises:
        SpecError: The data is not valid; the error has every problem.
    """
    try:
        return spec.model_validate(content)
    except ValidationError as error:
        raise SpecError(
            Problem(_message(spec, detail["loc"], detail), field=dotted((name, *detail["loc"])))
            for detail in error.errors()
        ) from None


def _content(path: Path) -> bytes:
    """The bytes of a file, one more at most than `read` takes."""
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe never ends
        raise SpecError([Problem("this is not an ordinary file", path)])
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _place(location: Location) -> Location:
    """The location without pydantic's mark for the key of a mapping."""
    return tuple(step for step in location if step != "[key]")


def _message(spec: type[BaseModel], location: Location, detail: Any) -> str:
    match detail["type"]:
        case "extra_forbidden":
            fields = _fields(spec, location[:-1])
            near = _near(str(location[-1]), fields)
            meant = f", perhaps `{near}` is meant" if near else ""
            return f"unknown field{meant}, accepted: {', '.join(fields)}"
        case "missing":
            return f"missing, required: {_fields(spec, location[:-1])[str(location[-1])].description}"
        case type_ if type_ == UNSHOWN:
            return str(detail["msg"])
        case "value_error":
            accepted = str(detail["ctx"]["error"])
        case "string_pattern_mismatch":
            pattern = detail["ctx"]["pattern"]
            accepted = PATTERNS.get(pattern, f"text that matches {pattern}")
        case type_ if type_ in _ACCEPTED:
            accepted = _ACCEPTED[type_].format(**detail.get("ctx", {}))
            if detail["input"] is None and type_ in _EMPTY:
                accepted += f", without entries {_EMPTY[type_]}"
        case _:
            accepted = detail["msg"].removeprefix("Input should be ")
    return f"found {_shown(detail['input'])}, accepted: {accepted}"


def _near(word: str, fields: Mapping[str, FieldInfo]) -> str | None:
    """The field that an author probably meant by another word."""
    called = (name for name, field in fields.items() if AlsoCalled(word) in field.metadata)
    longer = (name for name in fields if name.startswith(f"{word}_"))
    return (
        next(called, None)
        or next(longer, None)
        or next(iter(difflib.get_close_matches(word, fields, 1, cutoff=0.75)), None)
    )


def _shown(found: Any) -> str:
    match found:
        case None:
            return "nothing"
        case bool():
            return str(found).lower()
        case str() if form := credential(found):
            return form
        case str():
            return f'"{found}"' if len(found) <= 80 else f'"{found[:77]}..." ({len(found)} characters)'
        case int() | float():
            return str(found)
        case Mapping():
            return "a mapping"
        case list():
            flat = len(found) <= 8 and not any(isinstance(each, list) for each in found)
            return f"[{', '.join(map(_shown, found))}]" if flat else f"a list of {len(found)}"
        case _:
            return type(found).__name__


def _fields(spec: type[BaseModel], location: Location) -> dict[str, FieldInfo]:
    """The fields that are accepted at a location, found by following the annotations."""
    here: Any = spec
    for step in location:
        here = here.model_fields[step].annotation if _is_spec(here) else get_args(here)[-1]
        if get_origin(here) is UnionType:  # `Spec | None`
            here = get_args(here)[0]
    return dict(here.model_fields)


def _is_spec(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
