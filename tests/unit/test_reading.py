"""A spec is read in exactly one way: what readers of YAML or people would take for something else is refused with its line."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from homeport import Model
from homeport.specs.documents import Document
from homeport.specs.problems import MAX_PROBLEMS, SpecError
from homeport.specs.reading import MAX_BYTES, MAX_DEPTH, MisreadError, read

INVISIBLE = ", accepted: text that a reviewer sees"
UNLIKE = (
    " without quotes, which readers of YAML take for different values, accepted: text in quotes; true or false; a number "
    "such as 15 or 0.5"
)


def mistakes(content: str | bytes) -> list[str]:
    """Line, place and message of each."""
    with pytest.raises(MisreadError) as caught:
        read(content if isinstance(content, bytes) else content.encode())
    return [f"{each.line} {'.'.join(map(str, each.location))}: {each.message}" for each in caught.value.mistakes]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("-12", -12),
        ("0.50", 0.5),
        ("123456789012345", 123456789012345),
        ("1.10.2", "1.10.2"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("12a", "12a"),
        ("v1", "v1"),
        ("nothing", "nothing"),
        ("onnx", "onnx"),
        ("y", "y"),
        ("\u0663", "\u0663"),
        ('"yes"', "yes"),
        ("'0x10'", "0x10"),
        ('"a\\tb\\nc"', "a\tb\nc"),
        ("|\n  two\n  lines", "two\nlines\n"),
        ("[1, [a], {b: c}]", [1, ["a"], {"b": "c"}]),
        ("caf\u00e9 \u2615 \u65e5\u672c", "caf\u00e9 \u2615 \u65e5\u672c"),
    ],
)
def test_what_a_value_means(text: str, value: Any) -> None:
    found = read(f"a: {text}\n".encode())
    assert found == {"a": value}
    assert type(found["a"]) is type(value) or isinstance(value, list)


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "No", "ON", "off", "=", "<<"),
        *("0x10", "0o17", "017", "0b1", "1_000", "+1", "0787849", "00"),
        *("1e3", "12e4567", "1e400", ".5", "5.", "1.5e3", ".inf", "-.INF", ".nan", "1_0.5"),
        *("1:30", "12:30:45", "190:20:30.15"),
        *("2024-01-15", "2024-02-30", "2024-01-15 10:00:00", "2024-01-15T10:00:00Z"),
    ],
)
def test_what_others_read_otherwise_is_refused(text: str) -> None:
    assert mistakes(f"b: 1\na: {text}\n") == [f"2 a: found {text}{UNLIKE}"]
    assert read(f'a: "{text}"\n'.encode()) == {"a": text}


@given(st.text(alphabet="0123456789abefinxoyYNOsST~<=+-_.:", min_size=1, max_size=7))
@example("0.1")
@example("1.e1")
@settings(max_examples=200, deadline=None)
def test_what_is_accepted_is_read_alike_by_all(text: str) -> None:
    content = f"a: {text}\n"
    try:
        found = read(content.encode())
    except MisreadError:
        return
    assert found == yaml.safe_load(content)
    assert found == YAML(typ="safe", pure=True).load(content)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: !!binary aGk=\n", "1 a: found a tag (!), accepted: values without tags"),
        ("a: !!python/object/apply:os.system [id]\n", "1 a: found a tag (!), accepted: values without tags"),
        ("a: ! 3\n", "1 a: found a tag (!), accepted: values without tags"),
        ("b:\n- a: !!bool maybe\n", "2 b.0.a: found a tag (!), accepted: values without tags"),
        (f"a: {'9' * 5000}\n", "1 a: found a number of 5000 digits, accepted: at most 15, or text in quotes"),
        ("a: 1\nb:\n  c: 2\n  c: 3\n", "4 b.c: found c twice, accepted: each name once"),
        ("1: a\n", "1 : found the key 1, accepted: text, with quotes if need be"),
        ("a: {true: b}\n", "1 a: found the key true, accepted: text, with quotes if need be"),
        ("? [a]\n: b\n", "1 : found a key that is not text, accepted: text"),
        ("a: &a b\n*a : c\n", "2 : found a key that is not text, accepted: text"),
        ("a: *b\n", "1 a: found the alias *b of no value before it, accepted: an anchor that is complete"),
        ("a: &a [*a]\n", "1 a.0: found the alias *a of no value before it, accepted: an anchor that is complete"),
        ("a: {<<: b}\n", "1 a.<<: found a merge (<<) of other values, accepted: an alias of a mapping"),
        ("%YAML 1.1\n---\na: b\n", "2 : found %YAML 1.1, accepted: YAML 1.2, which needs no such line"),
        ("%YAML 1.3\n---\na: b\n", "1 : found a %YAML line, accepted: YAML 1.2, which needs no such line"),
        ("%YAML 3.0\n---\na: b\n", "1 : not YAML"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n", "4 b: found << twice, accepted: one, with a list of mappings"),
        ("a: &x 1\nb: &x 2\n", "2 b: found the anchor &x twice, accepted: each name once"),
        ("a: b\ufe00\n", f"1 : found the invisible character U+FE00{INVISIBLE}"),
        ("a: b\U000e0101\n", f"1 : found the invisible character U+E0101{INVISIBLE}"),
        ("a: b\n---\nc: d\n", "2 : found a second document, accepted: one in a file"),
        ("a: {b\n", "2 a: not YAML: expected ',' or '}', but got '<stream end>'"),
        ('a: "\\U11111111"\n', "1 a: not YAML: found what no value has"),
        ('a: "\\ud800"\n', f"1 a: found the invisible character U+D800{INVISIBLE}"),
        ('a: "\\0"\n', f"1 a: found the invisible character U+0000{INVISIBLE}"),
        ('a: "\\e[2J"\n', f"1 a: found the invisible character U+001B{INVISIBLE}"),
        ('a: "\\u202e"\n', f"1 a: found the invisible character U+202E{INVISIBLE}"),
        ("a: b\nc: \x00\n", f"2 : found the invisible character U+0000{INVISIBLE}"),
        ("a: b # \u202e d\n", f"1 : found the invisible character U+202E{INVISIBLE}"),
        ("a: b\u200bc\n", f"1 : found the invisible character U+200B{INVISIBLE}"),
        ("a: b\U000e0041\n", f"1 : found the invisible character U+E0041{INVISIBLE}"),
        ("a: \u3164\n", f"1 : found the invisible character U+3164{INVISIBLE}"),
        ("a: b # c\rd: e\n", f"1 : found the invisible character U+000D{INVISIBLE}"),
        ("a: b\u2028c\n", f"1 : found the invisible character U+2028{INVISIBLE}"),
        ("a: b\u0085c: d\n", f"1 : found the invisible character U+0085{INVISIBLE}"),
        ("a: b".encode("utf-16"), "1 : found bytes that are not UTF-8, accepted: UTF-8 text"),
        (b"a: b\nc: \xff\n", "2 : found bytes that are not UTF-8, accepted: UTF-8 text"),
        (
            f"a: {'[' * 100}",
            f"1 a{'.0' * (MAX_DEPTH - 1)}: found mappings and lists that are nested deeper than 20, accepted: at most that",
        ),
        ("#" * (MAX_BYTES + 1), "None : found more than 512 KiB, accepted: at most that"),
    ],
)
def test_each_mistake_has_its_line(content: str | bytes, told: str) -> None:
    assert mistakes(content) == [told]


def test_aliases_that_repeat_each_other_are_counted() -> None:
    rows = [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    (told,) = mistakes("\n".join(["a: &a [x, x]", *rows]))
    assert told.startswith("6 f.")
    assert "found more than 50,000 values, those that aliases repeat included" in told


def test_all_mistakes_are_told_at_once_and_what_is_written_is_kept() -> None:
    with pytest.raises(MisreadError) as caught:
        read(b"a: 0x10\nb: !!str 3\nc: good\n")
    assert [each.line for each in caught.value.mistakes] == [1, 2]
    assert caught.value.content == {"a": "0x10", "b": 3, "c": "good"}


def test_merges_and_anchors_are_what_they_say() -> None:
    found = read(b"a: &a {b: 1, c: 2}\nd:\n  <<: [*a, {b: 3, e: 4}]\n  c: 5\nf: *a\n")
    assert found == {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 5, "e": 4}, "f": {"b": 1, "c": 2}}
    assert found["d"].lines == {"c": 4, "b": 1, "e": 3}


@pytest.mark.parametrize("content", [b"", b"\n", b"# only a comment\n", b"---\n", b"null\n", b"\xef\xbb\xbf"])
def test_nothing_is_nothing(content: bytes) -> None:
    assert read(content) is None


@pytest.mark.parametrize(
    "content",
    [
        "s3same",
        "*s3same",
        "!s3same",
        "- s3same",
        "'s3same",
        "&s3same",
        "s3same\n: [",
        "[s3same",
        "0x53same",
        "2024-02-30",
        "%s3same",
        "@s3same",
        "|s3same",
        "--- s3same\n--- b",
    ],
)
def test_a_file_that_is_no_mapping_is_not_shown(content: str) -> None:
    (told,) = mistakes(content)
    assert told.split(": ", 1)[1] in {"this is not a mapping; write fields, such as `name: value`", "not YAML"}


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake() -> None:
    found = read(b"\xef\xbb\xbfa: b\r\nc: d\r\n")
    assert found == {"a": "b", "c": "d"}
    assert found.lines == {"a": 1, "c": 2}


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="this is not an ordinary file"):
        Document.read(tmp_path)
    with pytest.raises(SpecError, match="this is not an ordinary file"):
        Document.read(Path("/dev/zero"))


def test_of_a_thousand_mistakes_some_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text("".join(f"field-{number}: {{}}\n" for number in range(1000)))
    with pytest.raises(SpecError) as caught:
        Model.load(file)
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert "more mistakes, which are not listed" in str(caught.value.problems[-1])
