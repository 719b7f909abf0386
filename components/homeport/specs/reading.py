"""Reads YAML in exactly one way: what a reviewer sees is what is used, and a few bytes never become much work.

The grammar is YAML 1.2's (ruamel.yaml). What a value means is decided here, by a table, because readers of YAML 1.1 and
1.2 disagree: text that either of them takes for something else needs quotes, and a number has one way to be written.
https://yaml.org/spec/1.2.2/#103-core-schema and https://yaml.org/type/
"""

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from homeport.errors import HomeportError
from homeport.output.text import unseen
from homeport.specs.problems import Location, short

MAX_BYTES = 512 * 1024
"""Of a file: `models.yaml` with 3,000 models, which is read in about 5 seconds."""
MAX_DEPTH = 20
"""Of mappings and lists in each other; the deepest field of a spec is at 7."""
MAX_VALUES = 50_000
"""Of keys, values and collections, those that an alias repeats counted each time."""
MAX_DIGITS = 15
"""Of a number: as many as binary floating point keeps exactly (DBL_DIG of IEEE 754)."""
_MAX_MISTAKES = 20

_NOTHING = ("", "~", "null", "Null", "NULL")
_WORDS = dict.fromkeys(_NOTHING) | {
    each: each.lower() == "true" for each in ("true", "True", "TRUE", "false", "False", "FALSE")
}
"""Values without quotes that YAML 1.1 and 1.2 read alike, besides numbers."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?")
"""The one way to write a number, which YAML 1.1 and 1.2 read alike."""

_UNLIKE = re.compile(
    r"""
    = | << | yes | Yes | YES | no | No | NO | on | On | ON | off | Off | OFF
    | [-+]? (?: 0b[01_]+ | 0o[0-7_]+ | 0x[0-9a-fA-F_]+ )
    | [-+]? [0-9][0-9_]* (?: : [0-5]?[0-9] )* (?: \.[0-9_]* )? (?: [eE][-+]?[0-9]+ )?
    | [-+] _ [0-9_]*
    | [-+]? \.[0-9_]+ (?: [eE][-+]?[0-9]+ )?
    | [-+]? \.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN)
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2} (?: [Tt\ \t] .* )?
    """,
    re.VERBOSE | re.DOTALL,
)
"""What YAML 1.1 or 1.2 reads as a boolean, a number or a date, and the other one, or a reviewer, as something else.

`y` and `n` are not among them: their 1.1 type is in no reader of today but in old ones of Go.
"""


class Fields(dict[str, Any]):
    """A mapping that knows the line of each key, counted from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}

    def add(self, others: Self) -> None:
        """What others state and this one does not (a merge)."""
        for key in others.keys() - self.keys():
            self[key], self.lines[key] = others[key], others.lines[key]


class Items(list[Any]):
    """A list that knows the line of each item, counted from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


@dataclass(frozen=True)
class Mistake:
    """What cannot be read, and where."""

    message: str
    line: int | None
    location: Location = ()


class MisreadError(HomeportError):
    """A text cannot be read, for these reasons. They quote nothing of a text that is not a mapping."""

    def __init__(self, *mistakes: Mistake, content: Fields | None = None) -> None:
        super().__init__(*(each.message for each in mistakes))
        self.mistakes = mistakes
        self.content = content
        """What is written there nevertheless, with values as they are written; None where nothing can be told."""


def read(content: bytes) -> Fields | None:
    """The mapping that is written in YAML; None if nothing is written.

    Raises:
        MisreadError: It cannot be read, or not in exactly one way.
    """
    if len(content) > MAX_BYTES:
        raise MisreadError(Mistake(f"found more than {MAX_BYTES // 1024} KiB, accepted: at most that", None))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MisreadError(Mistake("found bytes that are not UTF-8, accepted: UTF-8 text", line)) from None
    if found := _hidden(text):
        line = text.count("\n", 0, found.start()) + 1
        raise MisreadError(Mistake(_named(found[0]), line))
    return _Reader().read(text)


_SUSPECT = re.compile(r"[^\n\t -~]")


def _hidden(text: str) -> re.Match[str] | None:
    r"""The first character that a reviewer cannot see. A line ends in `\n` or `\r\n`: `\r` alone hides what is before it."""
    return next(
        (each for each in _SUSPECT.finditer(text) if unseen(each[0]) and text[each.start() :][:2] != "\r\n"), None
    )


def _named(character: str) -> str:
    return f"found the invisible character U+{ord(character):04X}, accepted: text that a reviewer sees"


@dataclass
class _Open:
    """A mapping or list that is being read."""

    node: Fields | Items
    anchor: str | None
    before: int
    """Values that were read before it."""
    key: str | None = None
    merges: bool = False
    """Whether the next value is merged into the mapping (`<<`)."""
    merged: list[Fields] = field(default_factory=list)

    @property
    def step(self) -> str | int | None:
        """Where its next value goes; None where a key is next."""
        return len(self.node) if isinstance(self.node, Items) else "<<" if self.merges else self.key


class _Reader:
    """Builds plain data from the events of a parser. It does not recurse, so no nesting ends it."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._root: Fields | None = None
        self._documents = 0
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._mistakes: list[Mistake] = []
        self._values = 0
        self._line = 1

    def read(self, text: str) -> Fields | None:
        try:
            for event in YAML(typ="safe", pure=True).parse(text):
                self._line = event.start_mark.line + 1
                self._take(event)
        except MarkedYAMLError as error:
            self._line = error.problem_mark.line + 1 if error.problem_mark else self._line
            self._not_yaml(error.problem)
        except AssertionError:  # the parser's, of a version that it does not know
            self._stop("found a %YAML line, accepted: YAML 1.2, which needs no such line")
        except (YAMLError, ValueError, LookupError, ArithmeticError):  # a number that is not a character, for one
            self._not_yaml("found what no value has")
        if self._mistakes:
            raise MisreadError(*self._mistakes, content=self._root)
        return self._root

    def _not_yaml(self, problem: object) -> NoReturn:
        # Before a mapping begins, the parser would quote what may be anything.
        self._stop(f"not YAML: {problem}" if self._open or self._root is not None else "not YAML")

    def _take(self, event: Event) -> None:
        match event:
            case DocumentStartEvent(version=version):
                self._documents += 1
                if self._documents > 1:
                    self._stop("found a second document, accepted: one in a file")
                if version not in {None, (1, 2)}:
                    self._mistake(
                        f"found %YAML {version[0]}.{version[1]}, accepted: YAML 1.2, which needs no such line"
                    )
            case MappingEndEvent() | SequenceEndEvent():
                self._close()
            case NodeEvent() if not self._open:
                self._begin(event)
            case NodeEvent() if self._open[-1].step is None:
                self._key(event)
            case AliasEvent(anchor=anchor):
                if anchor not in self._anchors:
                    self._stop(
                        f"found the alias *{short(anchor)} of no value before it, accepted: an anchor that is complete"
                    )
                node, size = self._anchors[anchor]
                self._add(node, size)
            case ScalarEvent():
                value = self._scalar(event)
                self._keep(event.anchor, value, 1)
                self._add(value)
            case MappingStartEvent() | SequenceStartEvent():
                self._nest(event)

    def _begin(self, event: NodeEvent) -> None:
        """Begin with a mapping. Of anything else nothing is told, because the file may not be one of homeport's."""
        if isinstance(event, MappingStartEvent):
            self._nest(event)
        elif (
            not isinstance(event, ScalarEvent)
            or event.tag
            or event.anchor
            or event.style
            or event.value not in _NOTHING
        ):
            self._stop("this is not a mapping; write fields, such as `name: value`")

    def _nest(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        self._tagged(event.tag)
        if len(self._open) == MAX_DEPTH:
            self._stop(f"found mappings and lists that are nested deeper than {MAX_DEPTH}, accepted: at most that")
        node = Fields() if isinstance(event, MappingStartEvent) else Items()
        self._open.append(_Open(node, event.anchor, self._values))

    def _close(self) -> None:
        done = self._open.pop()
        if isinstance(done.node, Fields):
            for merged in done.merged:
                done.node.add(merged)
        self._keep(done.anchor, done.node, self._values - done.before + 1)
        if self._open:
            self._add(done.node)
        elif isinstance(done.node, Fields):
            self._root = done.node

    def _keep(self, anchor: str | None, node: Any, size: int) -> None:
        """Keep what aliases may repeat."""
        if anchor in self._anchors:
            self._mistake(f"found the anchor &{short(anchor)} twice, accepted: each name once")
        if anchor:
            self._anchors[anchor] = (node, size)

    def _key(self, event: NodeEvent) -> None:
        here = self._open[-1]
        if not isinstance(event, ScalarEvent) or not isinstance(here.node, Fields):
            self._stop("found a key that is not text, accepted: text")
        key = event.value
        if key == "<<" and not event.style:
            if here.merged:
                self._mistake("found << twice, accepted: one, with a list of mappings")
            here.merges = True
            return
        if not isinstance(self._scalar(event), str):
            self._mistake(f"found the key {short(key)}, accepted: text, with quotes if need be")
        if key in here.node:
            self._mistake(f"found {short(key)} twice, accepted: each name once", key)
        here.key, here.node.lines[key] = key, self._line
        self._count(1)

    def _add(self, value: Any, size: int = 1) -> None:
        self._count(size)
        here = self._open[-1]
        if isinstance(here.node, Items):
            here.node.append(value)
            here.node.lines.append(self._line)
        elif here.merges:
            merged = value if isinstance(value, Items) else [value]
            if not all(isinstance(each, Fields) for each in merged):
                self._stop("found a merge (<<) of other values, accepted: an alias of a mapping")
            here.merged += merged
        elif here.key is not None:
            here.node[here.key] = value
        here.key, here.merges = None, False

    def _scalar(self, event: ScalarEvent) -> Any:
        text: str = event.value
        self._tagged(event.tag)
        if event.style:
            if found := next((each for each in text if unseen(each) and each not in "\t\n\r"), None):
                self._mistake(_named(found))
            return text
        if text in _WORDS:
            return _WORDS[text]
        if number := _NUMBER.fullmatch(text):
            digits = sum(each.isdigit() for each in text)
            if digits > MAX_DIGITS:
                self._mistake(f"found a number of {digits} digits, accepted: at most {MAX_DIGITS}, or text in quotes")
                return text
            return float(text) if number[1] else int(text)
        if _UNLIKE.fullmatch(text):
            self._mistake(
                f"found {short(text)} without quotes, which readers of YAML take for different values, accepted: text in "
                "quotes; true or false; a number such as 15 or 0.5"
            )
        return text

    def _tagged(self, tag: str | None) -> None:
        if tag is not None:
            self._mistake("found a tag (!), accepted: values without tags")

    def _count(self, size: int) -> None:
        self._values += size
        if self._values > MAX_VALUES:
            self._stop(
                f"found more than {MAX_VALUES:,} values, those that aliases repeat included, accepted: at most that"
            )

    def _location(self) -> Location:
        return tuple(each.step for each in self._open if each.step is not None)

    def _mistake(self, message: str, *at: str) -> None:
        self._mistakes.append(Mistake(message, self._line, (*self._location(), *at)))
        if len(self._mistakes) >= _MAX_MISTAKES:
            raise MisreadError(*self._mistakes)

    def _stop(self, message: str) -> NoReturn:
        raise MisreadError(*self._mistakes, Mistake(message, self._line, self._location()))
