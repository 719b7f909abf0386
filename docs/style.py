"""Check the English of documents, docstrings, comments, help and messages: `python -m docs.style`, a part of `make lint`.

The guide is in CONTRIBUTING.md. A line that has to differ says why: `# style: reason`, in Markdown `<!-- style: reason -->`.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
FILES = (
    *("*.md", "Makefile", "pyproject.toml", ".github/*.yml"),
    *(f"{folder}/*.{kind}" for folder in ("components", "sandbox", "stacks", "examples") for kind in ("py", "yaml")),
    *("docs/*.py", "benchmarks/*.py"),
)

WORDS: dict[str, str] = {
    r"whoever|whomever|whosoever": "anyone who; or the role: the reviewer, the caller",
    r"(?<!\bas )(?<!\ba )nobody": "no one; `nobody` in backticks for the Unix user",
    r"anew": "again",
    r"for ever|forever": "indefinitely, without end",
    r"whence|whither|thence|whereof|wherein|thereof|therein|thereby|hereby|hitherto|henceforth|lest|albeit": "a common word",
    r"shall": "must, will",
    r"mend(?:s|ed|ing)?": "fix",
    r"some(?= \d)": "about",
    r"one's own": "your own, their own",
    r"'s to (?:say|tell|decide|choose|know)": "who decides: the environment decides",
    r"any more(?=[.,;:)]|$)": "no longer",
    r"(?:can|could|to) be had": "is available",
    r"(?:becomes?|became) of": "happens to",
    r"(?:says?|said|knows?|known|tells?|told) (?:nothing|all|little|more|much) of": "about",
    r"tells? of": "says about, shows",
    r"which tests? tells?": "tested by",
    r"told by(?! then)": "identified by, shown by",
    r"at (?:its|their) most": "at its maximum",
    r"of now(?=[.,;:)]|$)": "current",
}
"""Words that stop a reader, and better ones."""

PATTERNS: dict[str, str] = {
    # Word order.
    r"\bof (?:which|whom) (?:it|they|one|we|you|no one|nobody) ": "a sentence of its own for what follows",
    r"\b(?:is|are|was|were|be|been|being) (?:asked|spoken|told|heard|thought|known|looked|waited|cared|dealt|done|gone) "
    r"(?:to|of|for|with|about|at|after|without)(?=[.,;:)]|$)": "the active voice, with who does it",
    r"(?:^|[.;:] )Who (?![^.]*\?)": "the role: a team that, a program that",
    r"(?:^|[.;:] )[Ee]lse ": "otherwise",
    r"(?<!there )(?<!here )\bis no (?!longer|more|one|less|such|other)[\w`]+(?=[.,;:]| of\b| that\b| for\b| to\b| any\b)": (
        "is not a"
    ),
    # 'for' in place of 'because': a clause with its own verb follows.
    r", for (?!example|instance)(?:(?:it|they|he|she|we|you|there|no one|nobody|otherwise|only|then) |"
    r"(?:(?!(?:that|which|who|whose|where|when|what|as|to|with)\b)[^,.;:()])*?"
    r"\b(?:is|are|was|were|has|have|had|does|do|did|can|cannot|could|would|will|must|may|needs|takes|makes|looks?)\b)": (
        "because"
    ),
    # 'found X, accepted: Y' is for values: what is missing or too much has no value.
    r"\bfound (?:none|nothing|no|it)\b[^.]*?\baccepted:": "what to do: X is required, X cannot be combined with Y",
    r"\baccepted: (?:\w+ )?--\w": "what to do: X is required when Y",
    # Statements.
    r"\?(?=[ *_]|$)": "a statement",
    r"(?:^|[.;:] )(?:[^\s.?]+ ){50}": "sentences of fewer than 50 words",
}
"""Turns that stop a reader, and what is written instead."""

RULES = {re.compile(rf"\b(?:{words})\b", re.I): better for words, better in WORDS.items()} | {
    re.compile(pattern): better for pattern, better in PATTERNS.items()
}
EXCUSE = re.compile(r"(?:#|<!--) style: \w+")


class Finding(NamedTuple):
    """Words at a line that the guide does without."""

    line: int
    found: str
    better: str

    def __str__(self) -> str:
        return f"{self.line}: found '{self.found}', better: {self.better}"


class Text(NamedTuple):
    """A paragraph, a cell, a docstring's paragraph, a comment or a message: lines that are read as one."""

    first: int
    lines: Sequence[str]


def findings(source: str, suffix: str) -> Iterator[Finding]:
    """What the guide does without in the source of a file: all prose of Python and Markdown, the comments of others."""
    rows = source.splitlines()
    read = {".py": _python, ".md": _markdown}.get(suffix, _hashes)
    for first, lines in read(source):
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        text = " ".join(lines)
        for pattern, better in RULES.items():
            for match in pattern.finditer(text):
                line = first + bisect_right(starts, match.start()) - 1
                if not EXCUSE.search(rows[line - 1]):
                    yield Finding(line, " ".join(match[0].split()[:8]), better)


def _markdown(source: str) -> Iterator[Text]:
    """Paragraphs, items and cells: no code, no names in backticks, no quotations, no tables that are generated."""
    for skipped in (r"^( *)```.*?^\1```", r"^<!-- [\w ]+ -->$.*?^<!-- end -->$", r"<!--.*?-->"):
        source = re.sub(skipped, _blank, source, flags=re.S | re.M)
    yield from _paragraphs(1, _prose(re.sub(r"\]\([^)]*\)", "]", source)).split("\n"))


def _python(source: str) -> Iterator[Text]:
    """Comments, docstrings, and strings of several words: messages, help and descriptions of fields."""
    tree = ast.parse(source)
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in inner:
            text = _prose(_said(node))
            if id(node) in documents:
                yield from _paragraphs(node.lineno, text.split("\n"))
            elif len(re.findall(r"(?:^| )[a-z]+(?= )", text)) > 2:
                # A prompt may ask, and a pattern has question marks too.
                yield Text(node.lineno, [" ".join(text.replace("?", "").split())])
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    yield from _comments((*token.start, token.string) for token in tokens if token.type == tokenize.COMMENT)


def _hashes(source: str) -> Iterator[Text]:
    """Comments of a Makefile, of YAML and of TOML."""
    yield from _comments(
        (number, match.start(), match[0])
        for number, row in enumerate(source.split("\n"), 1)
        if (match := re.search(r"(?:(?<=\s)|^)#+ .*", row))
    )


def _comments(found: Iterable[tuple[int, int, str]]) -> Iterator[Text]:
    """Comments by line and column: those in one column of lines that follow each other are one text."""
    for _, run in groupby(enumerate(found), lambda each: (each[1][0] - each[0], each[1][1])):
        lines = [each for _, each in run]
        yield Text(lines[0][0], _prose("\n".join(line.lstrip("#: ").rstrip() for _, _, line in lines)).split("\n"))


def _said(node: ast.Constant | ast.JoinedStr) -> str:
    """What a string says, values left as `X`."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_said(part) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return node.value if isinstance(node.value, str) else ""


def _prose(text: str) -> str:
    """The text without what it names or quotes."""
    for named in (r"``[^`]*``", r"`[^`]*`", r'"[^"\n]*(?:\n[^"\n]+)?"', r"“[^”]*”"):
        text = re.sub(named, lambda match: "X" + _blank(match), text)
    return text


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def _paragraphs(first: int, lines: Sequence[str]) -> Iterator[Text]:
    """Lines up to an empty one; an item, a heading and a cell of a table by themselves."""
    paragraph: list[str] = []
    for number, line in enumerate([*lines, ""], first):
        own = line.lstrip()
        if paragraph and (not own or re.match(r"[-*|#]|\d+\. ", own)):
            yield Text(number - len(paragraph), paragraph)
            paragraph = []
        if own.startswith("|"):
            yield from (Text(number, [cell.strip()]) for cell in own.strip("|").split("|"))
        elif own:
            paragraph.append(re.sub(r"^(?:[-*]|#+|\d+\.) |\*\*", "", own).rstrip())


def main() -> int:
    """Print what is found in the files that git knows; 1 if there is any."""
    tracked = subprocess.run(["git", "ls-files", *FILES], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = [
        f"{name}:{finding}"
        for name in tracked.splitlines()
        for finding in sorted(findings((ROOT / name).read_text(encoding="utf-8"), Path(name).suffix))
    ]
    print("\n".join(found) or "style: ok")  # noqa: T201
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
