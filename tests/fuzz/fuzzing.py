"""Inputs that a stranger may bring: files of a kept corpus, and what a few edits make of them.

`make test` tries the kept files and some hundred edits of them, always the same. `make fuzz` tries new ones for as long as
it is told. An input that fails is written to build/fuzz/, as short as hypothesis could make it: give it a name, move it into
the corpus, and it is tried for good.
"""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parents[2] / "build" / "fuzz"

LONG = "HOMEPORT_FUZZ_LONG"
"""If set, a test tries new inputs, and many: for `make fuzz`."""

HARD = [
    b"",
    b"\0",
    b"\r",
    b"\n",
    b"\x1b[2K",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc0\xaf",
    b"9" * 5000,
    b"-1",
    b"1e999",
    b"0x10",
    b"[" * 500,
]
HARD += [
    text.encode()
    for text in ("\u202e", "\u2028", "\u200b", "\u0663", "\U000e0041", "a" * 300, "../" * 20, "${HOME}", "::error::")
]
"""Words that parsers of any kind have stumbled over."""


def kept(kind: str) -> list[Path]:
    """The kept files of a kind, sorted by name."""
    return sorted(path for path in (CORPUS / kind).iterdir() if path.is_file())


@st.composite
def edited(draw: st.DrawFn, kind: str, words: Sequence[bytes]) -> bytes:
    """A kept file after one to four edits: a part cut, repeated, replaced by a word or by a part of another file."""
    files = [path.read_bytes() for path in kept(kind)]
    data = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        part = data[start:end]
        put = draw(
            st.one_of(
                st.sampled_from([*words, *HARD]),
                st.binary(max_size=8),
                st.integers(2, 50).map(part.__mul__),
                st.sampled_from(files).flatmap(_part),
            )
        )
        data = data[:start] + put + data[end:]
    return data


def _part(data: bytes) -> st.SearchStrategy[bytes]:
    starts = st.integers(0, len(data))
    return starts.flatmap(lambda start: st.integers(start, len(data)).map(lambda end: data[start:end]))


def fuzzed(
    kind: str, words: Sequence[bytes] = (), examples: int = 200
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Calls a test with `data`: each kept file of a kind, then edits of them.

    `words` are what the kind's format gives a meaning to. `examples` is the number of edits in `make test`.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def tried(data: bytes, **fixtures: object) -> None:
            try:
                test(data=data, **fixtures)
            except BaseException:
                FOUND.mkdir(parents=True, exist_ok=True)
                (FOUND / kind).write_bytes(data)  # hypothesis ends with the shortest
                raise

        fuzz = given(data=edited(kind, words))(tried)
        for path in kept(kind):
            fuzz = example(data=path.read_bytes()).via(path.name)(fuzz)
        long = LONG in os.environ
        limits = settings(
            max_examples=examples * 10 if long else examples,
            derandomize=not long,
            database=None,
            deadline=None,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.function_scoped_fixture,
            ],
        )
        marked: Callable[..., None] = pytest.mark.fuzz(limits(fuzz))
        return marked

    return decorate
