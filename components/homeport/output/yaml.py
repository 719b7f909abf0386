r"""Writes plain data as YAML that people read: block style, and quotes only where text would not be read as text.

homeport has its own emitter for two reasons. It writes the objects of a thousand models in 0.3 seconds; PyYAML takes 11
and ruamel.yaml 26. And every reader must read text as text: YAML 1.1 (PyYAML, kubectl) and 1.2 (ruamel) disagree about
`yes`, `012`, `1e3` and `12:30`, so text that either of them reads as something else is quoted. A few lines are enough
because the data is what JSON can express: no anchors, no tags, no flow style.
https://yaml.org/type/ and https://yaml.org/spec/1.2.2/#103-core-schema
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from homeport.output.text import commands

UNKNOWN = "<known only to Pulumi>"
"""Placeholder for a leaf that is not plain data: a Pulumi Output, which may be a secret and has no value here."""

_PLAIN = re.compile(
    # The first character is not an indicator. `\w` adds the letters of all languages, which are not special in YAML.
    r"(?:[\w$()+./;<=^~\\]|-(?=\w)|-(?=-\w))"
    # A colon before a space ends a key; a hash after a space begins a comment.
    r"(?:[\w!\"$-9;-~]|:(?=\S)|(?<=\S)#| +(?=[^\s#]))*"
)
_NOT_TEXT = re.compile(
    r"""
    | ~ | null | Null | NULL | = | << | \.\.\. (?:\ .*)?
    | y | Y | yes | Yes | YES | n | N | no | No | NO | on | On | ON | off | Off | OFF
    | true | True | TRUE | false | False | FALSE
    | [-+]? (?: 0b[01_]+ | 0o?[0-7_]+ | 0x[0-9a-fA-F_]+ )
    | [-+]? [0-9][0-9_]* (?: : [0-5]?[0-9] )* (?: \.[0-9_.]* )? (?: [eE][-+]?[0-9]+ )?
    | [-+] _ [0-9_]*
    | [-+]? \.[0-9_.]+ (?: [eE][-+]?[0-9]+ )?
    | [-+]? \.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN)
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2} (?: [Tt\ ] .* )?
    """,
    re.VERBOSE,
)
"""Text that YAML 1.1 or 1.2 reads as null, boolean, number, date, merge key or end of a document."""

_SPECIAL = re.compile("[^ -~\u00a1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LINE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
"""A line that a literal block can contain unchanged: printable, without a space at either end."""


def dump(data: Any) -> str:
    """One document. Keys keep their order and must be text of at most 1,000 characters."""
    written: list[str] = []
    _node(data, "", "", written.append)
    return "".join(written)


def dump_all(documents: Iterable[Any]) -> str:
    """Several documents, with a line of dashes between them."""
    return "---\n".join(map(dump, documents))


def _node(node: Any, lead: str, pad: str, write: Callable[[str], object]) -> None:
    """Write a node that begins after `lead` and continues in lines that begin with `pad`."""
    if isinstance(node, Mapping) and node:
        deeper = pad + "  "
        for key, value in node.items():
            _entry(f"{lead}{text(key)}:", value, deeper, pad, write)
            lead = pad
    elif isinstance(node, list | tuple) and node:
        deeper = pad + "  "
        for value in node:
            # A mapping or list begins on the line of its dash.
            _node(value, f"{lead}- ", deeper, write)
            lead = pad
    else:
        write(f"{lead}{_leaf(node, pad)}\n")


def _entry(lead: str, value: Any, deeper: str, pad: str, write: Callable[[str], object]) -> None:
    if type(value) is str and "\n" not in value:  # the most frequent case
        write(f"{lead} {text(value)}\n")
    elif isinstance(value, Mapping) and value:
        write(f"{lead}\n")
        _node(value, deeper, deeper, write)
    elif isinstance(value, list | tuple) and value:
        # Like kubectl, with the dashes below the key.
        write(f"{lead}\n")
        _node(value, pad, pad, write)
    else:
        write(f"{lead} {_leaf(value, deeper)}\n")


def _leaf(value: Any, pad: str) -> str:
    match value:
        case str():
            return (_block(value, pad) if "\n" in value else None) or text(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _float(value)
        case Mapping():
            return "{}"
        case list() | tuple():
            return "[]"
        case _:
            return text(UNKNOWN)


@lru_cache(maxsize=8192)
def text(value: str) -> str:
    """A scalar that every reader reads as this text."""
    if _PLAIN.fullmatch(value) and not _NOT_TEXT.fullmatch(value) and "##" not in value:
        return value
    # JSON's escapes are valid in YAML. Characters that YAML does not allow, or reads as line breaks, are escaped too.
    quoted = _SPECIAL.sub(_escape, json.dumps(value, ensure_ascii=False))
    return quoted.replace("##", r"#\u0023") if commands(value) else quoted


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _block(value: str, pad: str) -> str | None:
    """A literal block, or None if a line has spaces at its ends, which no one sees, or is a command to the log of CI."""
    lines = value.split("\n")
    ended = lines[-1] == ""
    if ended:
        lines.pop()
    if not pad or not lines[0] or not lines[-1] or not all(map(_LINE.fullmatch, lines)) or any(map(commands, lines)):
        return None
    return ("|" if ended else "|-") + "".join(f"\n{pad}{line}" if line else "\n" for line in lines)


def _float(value: float) -> str:
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    if math.isnan(value):
        return ".nan"
    mantissa, exponent, power = repr(value).partition("e")
    # Without a point, YAML 1.1 reads it as text.
    return mantissa + (".0" if exponent and "." not in mantissa else "") + exponent + power
