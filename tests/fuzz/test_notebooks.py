"""Whatever is in a notebook, it becomes a module, or the reason why not is told, in seconds."""

import ast
import time
from pathlib import Path

from homeport.commands.notebook import Served
from homeport.specs.problems import SpecError
from tests.fuzz.fuzzing import fuzzed

MAX_SECONDS = 10
MAX_OUTPUT = 100_000
WORDS = [
    *(
        b'"',
        b"\\n",
        b"\\r",
        b"\\u0000",
        b"\\ud800",
        b"\\u2028",
        b"\\f",
        b"null",
        b"[]",
        b"{}",
        b"3",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b"%pip install 'a",
        b"!ls",
        b"%%time\\n",
        b"?",
        b"(",
        b")",
        b"    ",
        b"lambda: ",
        b"yield ",
        b"return ",
        b"import a\\n",
    ),
    *(
        b'"tags": 3',
        b'"cells": ',
        b'"source": ',
        b"match x:\\n",
        b"f'{",
        b"from __future__ import annotations\\n",
        b"-" * 300,
    ),
]


@fuzzed("notebooks", WORDS, examples=60)
def test_a_strange_notebook_ends_in_a_module_or_a_reason(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "strange.ipynb"
    path.write_bytes(data)
    begun = time.monotonic()
    try:
        served = Served.read(path)
    except SpecError as error:
        told = str(error)
        assert len(told) < MAX_OUTPUT
        assert all(line.isprintable() and line.startswith(str(path)) for line in told.split("\n"))
    else:
        ast.parse(served.text("strange.ipynb", {}).encode())
    assert time.monotonic() - begun < MAX_SECONDS
