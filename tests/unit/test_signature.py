"""What the server refuses is told from the source alone; of what the source does not show, nothing is said."""

import pytest

from homeport.served.module import MAX_BYTES, Module, NotPythonError, UnreadableError
from homeport.served.signature import Entry
from tests.signatures import ACCEPTED, PREFIX, REFUSED

FUTURE = "from __future__ import annotations\n"


def refused(code: str) -> list[str]:
    return [each.found for each in Entry(Module.read(code), "f").refused()]


@pytest.mark.parametrize("code", ACCEPTED)
def test_what_the_server_accepts(code: str) -> None:
    assert refused(PREFIX + code) == []
    assert refused(FUTURE + PREFIX + code) == []


@pytest.mark.parametrize("code", REFUSED)
def test_what_the_server_refuses(code: str) -> None:
    assert refused(PREFIX + code) == [REFUSED[code]]
    assert refused(FUTURE + PREFIX + code) == [REFUSED[code]]


@pytest.mark.parametrize(
    "code",
    [
        "from helpers import *\ndef f(a: list): ...",
        "from helpers import f",
        "from helpers import Table\ndef f(a: Table): ...",
        "try:\n    import numpy as np\nexcept ImportError:\n    from fake import np\ndef f(a: np.ndarray): ...",
        "def f(a): ...\ndel f\nfrom helpers import f",
        "def f(a): ...\ndef other():\n    global f\n    f = score",
        "def f(a): ...\nsetattr(f, '__signature__', other)",
        "def f(a): ...\nf = wrapped(f)",
        "def f(a): ...\nfor f in (f,): ...",
        "def f(a): ...\nwith x as f: ...",
        "def f(a): ...\nif (f := given()): ...",
        "def f(a): ...\nmatch x:\n    case f: ...",
        "import library\nclass f(library.Model): ...",
        "class f(metaclass=M): ...",
        "class f:\n    def __getattr__(self, name): ...",
        "class f:\n    def __call__(self, a: float): ...",
        "class f:\n    predict = score",
        "class f:\n    Inner = float\n    def predict(self, a: Inner): ...",
        "class f:\n    from scoring import predict",
        "from pydantic import WithJsonSchema\nfrom typing import Annotated\n"
        "def f(a: Annotated[list, WithJsonSchema({'type': 'string'})]): ...",
        "class T:\n    @classmethod\n    def __get_pydantic_core_schema__(cls, *a): ...\ndef f(a: T): ...",
        "exec(text)\ndef f(a: Absent): ...",
        "def f(a: Literal['" + "x" * 300 + "']): ...\nfrom typing import Literal",
    ],
)
def test_what_the_source_does_not_show_is_accepted(code: str) -> None:
    assert refused(code) == []


@pytest.mark.parametrize(
    ("code", "name", "there"),
    [
        ("def f(): ...", "f", True),
        ("def f(): ...", "g", False),
        ("if x:\n    g = 1", "g", True),
        ("try:\n    import g\nexcept ImportError: ...", "g", True),
        ("if __name__ == '__main__':\n    g = 1", "g", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import g", "g", False),
        ("def f():\n    g = 1", "g", False),
        ("def f():\n    global g\n    g = 1", "g", True),
        ("from a import *", "g", True),
        ("from a import b as g", "g", True),
        ("import g.h", "g", True),
        ("def __getattr__(name): ...", "g", True),
        ("globals().update(g=1)", "g", True),
        ("sys.modules[__name__] = x", "g", True),
        ("(g := 1)", "g", True),
        ("class A:\n    def __init__(self, **k):\n        for n in k: setattr(self, n, 1)", "g", False),
    ],
)
def test_names_that_a_module_has(code: str, name: str, there: bool) -> None:
    assert Entry(Module.read(code), name).exists == there


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"x = 1\ndef f(:\n", 2, "invalid syntax"),
        (b"x = (\n", 1, "'(' was never closed"),
        (b"x = 1\n\nreturn x\n", 3, "'return' outside function"),
        (b"# coding: latin-9000\n", 1, "unknown encoding: latin-9000"),
        (b"x = '\xff'\n", 1, ""),
        (b"x = '\0'\n", 1, ""),
    ],
)
def test_what_is_not_python(content: bytes, line: int, reason: str) -> None:
    with pytest.raises(NotPythonError) as caught:
        Module.read(content)
    assert caught.value.line == line
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("content", [b"#" * (MAX_BYTES + 1), b"x = " + b"-" * 50_000 + b"1", b"a." * 20_000 + b"b"])
def test_what_is_too_large_or_deep_is_not_read(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        Module.read(content)


def test_encodings_and_marks_are_those_of_python() -> None:
    assert Module.read("\ufeffdef é(): ...".encode()).definitions == ["é"]
    assert Module.read("# coding: latin-1\ndef é(): ...".encode("latin-1")).definitions == ["é"]


def test_syntax_of_a_newer_python_is_a_mistake_for_an_older_one() -> None:
    code = "match x:\n    case 1: ...\n"
    Module.read(code, (3, 11))
    with pytest.raises(NotPythonError):
        Module.read(code, (3, 9))
