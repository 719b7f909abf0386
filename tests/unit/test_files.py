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

    def fail(path: Path, _: Path) -> Path:
        assert path.read_bytes() == b"new"
        raise OSError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="no space"):
            replace(file, b"new")
    assert file.read_bytes() == b"old\r\n"
    replace(file, b"new")
    assert file.read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_what_is_written_does_not_go_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, file = tmp_path / "victim", tmp_path / "file"
    victim.write_text("kept")
    file.symlink_to(victim)
    replace(file, "new")
    assert (file.is_symlink(), file.read_text(), victim.read_text()) == (False, "new", "kept")
    # Also where somebody knew the name of the scratch file.
    monkeypatch.setattr("homeport.files.secrets.token_hex", lambda _: "known")
    (tmp_path / ".file.known").symlink_to(victim)
    with pytest.raises(FileExistsError):
        replace(file, "newer")
    assert (file.read_text(), victim.read_text()) == ("new", "kept")


def test_two_writers_of_one_process_do_not_meet(tmp_path: Path) -> None:
    file = tmp_path / "file"
    contents = [bytes([number]) * 100_000 for number in range(8)]
    threads = [Thread(target=replace, args=(file, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_bytes() in contents
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
