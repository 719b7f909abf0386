"""Which programs the documented CI job starts in a stranger's checkout, as strace sees it: git, with its flags, and no other."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_git import ENVIRONMENT, LIVE, MODEL, commit, disguise, do, set_traps

STARTED = re.compile(r'execve\("([^"]*)", \[(.*?)\](?:\.\.\.)?, .*\) = 0$', re.MULTILINE)
FLAGS = ("safe.bareRepository=explicit", "core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    return tmp_path / "ran"


@pytest.fixture
def checkout(tmp_path: Path, trap: Path) -> Path:
    """A clone whose configuration and attributes name commands, with a stack in it that looks like a repository."""
    root = tmp_path / "checkout"
    for stack in ("prod", "other"):
        (root / "stacks" / stack).mkdir(parents=True)
        (root / "stacks" / stack / "environment.yaml").write_text(ENVIRONMENT)
        (root / "stacks" / stack / "models.yaml").write_text(LIVE)
    (root / "model").mkdir()
    (root / "model/model.yaml").write_text(MODEL)
    (root / "model/model.py").write_text("def predict(x: int): ...\n")
    do(root, "init", "--quiet")
    disguise(root / "stacks/other", trap, "../..")
    commit(root)
    set_traps(root, trap)
    return root


def started(log: Path) -> list[tuple[str, str]]:
    """Programs with their arguments, in order."""
    return STARTED.findall(log.read_text(encoding="utf-8", errors="replace"))


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace (Debian package strace) is not installed")
@pytest.mark.parametrize(
    ("arguments", "code"), [(["check"], 1), (["check", "prod"], 0), (["render", "prod", "--stdout"], 0)]
)
def test_nothing_is_started_but_git_with_its_flags(
    arguments: list[str], code: int, checkout: Path, trap: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    strace = ["strace", "-f", "-qq", "-s", "4096", "-e", "trace=execve", "-o", str(log)]
    homeport = [sys.executable, "-c", "from homeport.cli import main; main()"]
    done = subprocess.run([*strace, *homeport, *arguments], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    (program, _), *others = started(log)
    assert program == sys.executable
    assert others
    for program, words in others:
        assert program == shutil.which("git"), f"{program} {words} is started"
        assert [flag for flag in FLAGS if f'"{flag}"' not in words] == [], f"{program} {words}"
    assert not trap.exists()
