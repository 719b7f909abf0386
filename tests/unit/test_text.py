"""What is printed is seen and never obeyed: one door for every line, and a stranger's text at every command."""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from homeport.cli import app
from homeport.errors import HomeportError
from homeport.output.text import Line, for_programs, table, unseen, visible
from tests.unit.test_layers import MODULES


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("iris: ok, caf\u00e9 \u65e5\u672c", "iris: ok, caf\u00e9 \u65e5\u672c"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\x9b1m\x00", r"\x1b[2J\x9b1m\x00"),
        ("a\u202eb\u200bc\u2028\ufeff", r"a\u202eb\u200bc\u2028\ufeff"),
        ("\ud800\udcff", r"\ud800\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("\u3164", r"\u3164"),
        ("::error::x", r"\x3a:error::x"),
        (" \t::stop-commands::x", r" \t::stop-commands::x"),
        ("  ::stop-commands::x", r"  \x3a:stop-commands::x"),
        ("iris::x", "iris::x"),
        ("a ##[error]b", r"a #\x23[error]b"),
        ("###[group]", r"##\x23[group]"),
        ("##vso[task.setvariable]b", r"#\x23vso[task.setvariable]b"),
        ("##teamcity[x]", r"#\x23teamcity[x]"),
        ("## a heading", "## a heading"),
    ],
)
def test_each_character_is_shown(text: str, seen: str) -> None:
    assert visible(text) == seen


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\n\r\x1b:#[ \u00ad"))))
@settings(max_examples=200, deadline=None)
def test_a_shown_line_is_one_line_that_commands_nothing(text: str) -> None:
    seen = visible(text)
    assert seen.isprintable()
    assert not seen.lstrip().startswith("::")
    assert "##[" not in seen
    assert visible(seen) == seen
    assert json.loads(for_programs(text).printed) == text
    assert "##[" not in for_programs(text).printed


def test_a_table_is_as_wide_as_what_is_shown() -> None:
    assert table([["A", "B"], ["\x1b", "c"]]) == ["A     B", r"\x1b  c"]


def test_an_error_is_made_of_shown_lines() -> None:
    error = HomeportError("a\x1bb", "c\nd")
    assert error.lines == (r"a\x1bb", r"c\nd")
    assert str(error) == "a\\x1bb\nc\\nd"


def test_unicode_knows_what_is_not_seen() -> None:
    assert all(map(unseen, "\x00\x1b\x7f\x85\u00ad\u061c\u200b\u200e\u202a\u2066\u2028\u2029\ufeff\ud800\u115f\u3164"))
    assert not any(map(unseen, "a \u00a0\u00e9\u65e5\u2615\ufe0f"))


def calls(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_nothing_prints_but_one_function() -> None:
    found = {(module, call) for module, source in MODULES.items() for call in calls(source)}
    printing = {each for each in found if each[1].split(".")[-1] in {"print", "echo", "secho", "pprint"}}
    printing |= {each for each in found if each[1].startswith(("sys.stdout.write", "sys.stderr.write", "os.write"))}
    assert printing == {("homeport.cli", "typer.echo")}
    assert MODULES["homeport.cli"].count("typer.echo(") == 1


ENVIRONMENT = "cluster: {identifier: prod}\n"
LIVE = 'models:\n  iris: {spec: ../../iris/model.yaml, stable: {version: "1"}}\n'
MODEL = "name: iris\nowner: ds\nimage: registry.example.com/iris\n"
STRANGE = "::error::forged\nprod: ok\n::error::again\r\x1b[2J\u202e##[error]x"
IN_YAML = json.dumps(STRANGE.replace("\x1b", "").replace("\u202e", "").replace("\r", ""))
PULUMI = """#!/usr/bin/env python3
import json, sys
strange = {strange!r}
if "history" in sys.argv:
    update = {{"kind": "update", "result": strange, "startTime": strange, "environment": {{"git.head": strange, "git.author": strange}}}}
    print(json.dumps([update]))
elif "output" in sys.argv:
    print("{{}}")
else:
    print(strange, file=sys.stderr)
    sys.exit(1)
"""


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout by a stranger: names of files, values and what `pulumi` knows are all the same text."""
    root = tmp_path / "checkout"
    folder = STRANGE.replace("/", "")
    files = {
        "stacks/prod/environment.yaml": ENVIRONMENT,
        "stacks/prod/models.yaml": LIVE + f"  {IN_YAML}: {{spec: {IN_YAML}, stable: {{version: {IN_YAML}}}}}\n",
        "iris/model.yaml": MODEL + f"{IN_YAML}: 1\nargs: {IN_YAML}\nenv: {{{IN_YAML}: {IN_YAML}}}\n",
        f"stacks/{folder}/environment.yaml": f"{ENVIRONMENT}relax: {{cpu_limits: {IN_YAML}}}\n",
        f"stacks/{folder}/models.yaml": "models: {}\n",
        f"{folder}/model.yaml": f"name: {IN_YAML}\n",
        "stacks/said/environment.yaml": "cluster: {identifier: said}\n",
        "stacks/said/models.yaml": 'models: {rose: {spec: ../../rose/model.yaml, stable: {version: "1"}}}\n',
        "rose/model.yaml": MODEL.replace("iris", "rose") + f"args: [a, {IN_YAML}]\nenv: {{A: {IN_YAML}}}\n",
        f"{folder}.ipynb": json.dumps(
            {
                "nbformat": 4,
                "nbformat_minor": 4,
                "metadata": {"kernelspec": {"name": "x", "display_name": "x", "language": STRANGE}},
                "cells": [],
            }
        ),
        "bin/pulumi": PULUMI.format(strange=STRANGE),
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "bin/pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", str(root / "bin"), prepend=":")
    monkeypatch.chdir(root)
    for variable in ("GITHUB_ACTIONS", "GITHUB_WORKSPACE", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    return root


def homeport(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="homeport")


COMMANDS: Mapping[str, list[str]] = {
    "check": ["check"],
    "check json": ["check", "--output", "json"],
    "check one": ["check", STRANGE],
    "check a wrong one": ["check", STRANGE + "x"],
    "render": ["render"],
    "render to": ["render", STRANGE, "--out", f"out{STRANGE}"],
    "render stdout": ["render", STRANGE, "--stdout"],
    "render values stdout": ["render", "said", "--stdout"],
    "history": ["history", "iris", "--stack", "prod"],
    "history json": ["history", "iris", "--stack", "prod", "--output", "json"],
    "history of none": ["history", STRANGE, "--stack", "prod"],
    "recover": ["recover", "--stack", "prod", "--yes"],
    "run": ["run", STRANGE],
    "run without": ["run", f"no{STRANGE}"],
    "init": ["init", "rose", "--folder", f"new{STRANGE}"],
    "init into": ["init", "rose", "--folder", "new", "--stack", "prod"],
    "init from a notebook": ["init", "rose", "--notebook", f"{STRANGE}.ipynb"],
    "init with a wrong name": ["init", STRANGE],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_repeats_what_a_terminal_or_a_log_obeys(command: str) -> None:
    done = homeport(*COMMANDS[command])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.output
    for line in done.output.split("\n"):
        assert line.isprintable(), line
        assert not line.lstrip().startswith("::"), line
        assert "##[" not in line, line
        assert not line.startswith("prod: ok"), line


def test_annotations_are_homeports_own() -> None:
    lines = homeport("check", "--output", "github").output.splitlines()
    assert all(line.isprintable() and "##[" not in line for line in lines)
    commands = [line for line in lines if line.lstrip().startswith("::")]
    assert commands
    assert all(line.startswith(("::error file=", "::error title=", "::notice::")) for line in commands)
    assert not any(line.startswith("prod: ok") for line in lines)


def test_a_made_line_is_as_it_was_made() -> None:
    assert Line("::error::x", made=True).printed == "::error::x"
    assert Line("::error::x").printed == r"\x3a:error::x"
