"""Files that several processes share."""

import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import pytest

from homeport.files import cache, replace
from homeport.lock import locked

HOLDER = """\
import sys, time
from pathlib import Path
from homeport.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE", "own")
    assert cache() == Path("own").absolute()
    monkeypatch.delenv("HOMEPORT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert cache() == Path("/var/cache/me/homeport")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache() == Path.home() / ".cache" / "homeport"


def test_threads_pass_one_at_a_time(tmp_path: Path) -> None:
    file, waiting, passed = tmp_path / "new" / "lock", Event(), Event()

    def second() -> None:
        with locked(file, waiting.set):
            passed.set()

    thread = Thread(target=second)
    with locked(file):
        thread.start()
        assert waiting.wait(10)
        assert not passed.is_set()
    thread.join(10)
    assert passed.is_set()


def test_processes_pass_one_at_a_time_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    file, ended = tmp_path / "lock", []
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(file)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"

        def end() -> None:
            holder.kill()
            ended.append(holder.wait())

        with locked(file, end):
            assert ended


def test_a_file_is_replaced_or_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    replace(file, "old\r\n")
    assert file.read_bytes() == b"old\r\n"

    def half(path: Path, content: bytes) -> int:
        with path.open("wb") as handle:
            handle.write(content[:1])
        raise OSError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError, match="no space"):
            replace(file, b"new")
    assert file.read_bytes() == b"old\r\n"
    replace(file, b"new")
    assert file.read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
