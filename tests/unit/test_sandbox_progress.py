"""What the user sees of work that goes on: a line that changes on a terminal, a line now and then in a log."""

import io
import re
import time

import pytest
from rich.console import Console

from sandbox import progress
from sandbox.progress import Progress


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0.1)
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_log_has_whole_lines_and_none_while_others_come() -> None:
    said = io.StringIO()
    told = Progress(Console(file=said))
    with told.live(lambda: "building pulumi: 30% done"):
        for _ in range(6):
            time.sleep(0.05)
            told.say("built etcd")
        assert "30%" not in said.getvalue()
        time.sleep(0.35)
    lines = said.getvalue().splitlines()
    assert 2 <= lines.count("building pulumi: 30% done") <= 4
    assert "\x1b" not in said.getvalue()


def test_a_log_hears_of_a_long_step_before_it_ends() -> None:
    said = io.StringIO()
    with Progress(Console(file=said)).step("installing runc"):
        time.sleep(0.25)
        assert "installing runc: 0s\n" in said.getvalue()
    assert said.getvalue().splitlines()[-1].split() == ["installing", "runc", "0.3s"]


def test_a_terminal_has_one_line_that_changes_and_is_not_wider_than_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    said = io.StringIO()
    shares = iter(range(1000))
    with Progress(Console(file=said, force_terminal=True, width=30)).live(
        lambda: f"building {next(shares)} of a thousand things"
    ):
        time.sleep(0.3)
    shown = said.getvalue()
    assert len(set(re.findall(r"building \d+ of a thousand", shown))) > 1
    assert "things" not in shown
    assert shown.count("\n") == 1  # at the end
    assert "\x1b[3" not in shown  # no colour


def test_a_terminal_that_cannot_move_its_cursor_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    said = io.StringIO()
    with Progress(Console(file=said, force_terminal=True)).live(lambda: "building"):
        time.sleep(0.25)
    assert set(said.getvalue().splitlines()) == {"building"}


def test_the_work_s_own_failure_comes_through() -> None:
    with pytest.raises(ZeroDivisionError), Progress(Console(file=io.StringIO())).step("dividing"):
        raise ZeroDivisionError
