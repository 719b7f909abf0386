"""Whatever somebody writes into a spec, `homeport check` ends, tells it of that file, and says what is right of the others."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from homeport.commands.check import as_github, as_json, as_text, check
from homeport.output.text import Line
from tests.fuzz.fuzzing import fuzzed

ENVIRONMENT = "cluster: {identifier: prod}\n"
LIVE = 'models:\n  iris: {spec: ../../model.yaml, stable: {version: "1"}}\n'
MODEL = "name: iris\nowner: ds\nimage: registry.example.com/iris\n"
FILES = {
    "stacks/fine/environment.yaml": "cluster: {identifier: fine}\n",
    "stacks/fine/models.yaml": "models: {}\n",
    "stacks/prod/environment.yaml": ENVIRONMENT,
    "stacks/prod/models.yaml": LIVE,
    "model.yaml": MODEL,
}
STRANGE = ("stacks/prod/environment.yaml", "stacks/prod/models.yaml", "model.yaml")
MAX_SECONDS = 10
MAX_OUTPUT = 100_000
WORDS = [
    *(
        b"&a ",
        b"*a",
        b"<<: *a",
        b"!!binary ",
        b"! ",
        b"%YAML 1.1\n---\n",
        b"--- ",
        b"|\n",
        b">-\n ",
        b"? ",
        b": ",
        b"- ",
    ),
    *(b"{", b"}", b"[", b"]", b'"', b"'", b"#", b"\t", b"\\ud800", b"\\e", b"\\x00", b"##[error]", b"ghp_" + b"a" * 36),
    *(b"2024-02-30", b"null", b"~", b"yes", b"12:30", b"1_000", b"true", b"\\U11111111", b"/etc/passwd", b"a" * 300),
]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    return tmp_path


@contextmanager
def replaced(file: Path, data: bytes) -> Iterator[None]:
    before = file.read_bytes()
    file.write_bytes(data)
    try:
        yield
    finally:
        file.write_bytes(before)


def printed(lines: Iterable[Line]) -> list[str]:
    return [each for line in lines for each in line.printed.split("\n")]


@fuzzed("files", WORDS, examples=30)
def test_a_strange_file_is_a_problem_and_nothing_else(data: bytes, repository: Path) -> None:
    for name in STRANGE:
        begun = time.monotonic()
        with replaced(repository / name, data):
            found = check([Path("stacks", "fine"), Path("stacks", "prod")])
        lines, annotations = printed(as_text(found)), printed(as_github(found))
        stacks = json.loads("\n".join(printed(as_json(found))))["stacks"]
        assert time.monotonic() - begun < MAX_SECONDS
        assert sum(map(len, [*lines, *annotations])) < MAX_OUTPUT
        assert all(line.isprintable() for line in [*lines, *annotations])
        assert "fine: ok, 0 models, 0 objects, from 2 files" in lines
        assert stacks[0]["ok"]
        problems = {problem["file"] for problem in stacks[1]["problems"]}
        assert problems <= {*STRANGE, None}
        # What a line begins with is homeport's own.
        assert all(line.startswith((*STRANGE, "fine: ", "prod: ")) for line in lines), lines
        assert all(line.startswith(("::error ", "::notice::", "fine: ", "prod: ")) for line in annotations), annotations
        assert not any("##[" in line for line in [*lines, *annotations])
        assert ("prod: ok" in "\n".join(line[:8] for line in lines)) == stacks[1]["ok"]
