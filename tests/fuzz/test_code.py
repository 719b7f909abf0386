"""Whatever is in a file of Python, `homeport check` says what it says of it, and runs none of it."""

from pathlib import Path

from homeport.rules.served_code import served_code
from homeport.served.module import Module, NotPythonError, UnreadableError
from homeport.served.signature import Entry
from homeport.specs.model import Build
from homeport.specs.problems import Problem
from tests.fuzz.fuzzing import fuzzed

WORDS = [
    *(b"f", b"model", b"def ", b"class ", b"async ", b"lambda: ", b"import ", b"from . ", b"from model import f\n"),
    *(b": float", b": list[", b"Annotated[", b" | None", b"'f'", b"*", b"**", b"/", b"@f\n", b"global f\n", b"del f\n"),
    *(
        b"# coding: utf-16\n",
        b"# coding: rot13\n",
        b"\x0c",
        b"\\\n",
        b"    ",
        b"-" * 300,
        b"f'{",
        b"match f:\n",
        b"f = f\n",
    ),
]


@fuzzed("code", WORDS, examples=60)
def test_strange_code_ends_in_an_answer(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_bytes(data)
    found = served_code(
        Build(serve="model:f"), tmp_path, lambda violation: Problem(violation.message, tmp_path), (3, 11)
    )
    for each in [*found.problems, *found.hints]:
        assert str(each).isprintable()
        assert len(str(each)) < 1000
        assert each.line is None or 1 <= each.line <= data.count(b"\n") + data.count(b"\r") + data.count(b"\x0c") + 2
    try:
        module = Module.read(data)
    except (NotPythonError, UnreadableError):
        return
    for name in module.bindings:
        list(Entry(module, name).refused())
