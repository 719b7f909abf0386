"""Requirements files: whatever is accepted, pip reads in the same way, in the author's words and in homeport's."""

from pathlib import Path

import pytest

from homeport.images.requirements import Requirements
from tests.fuzz.fuzzing import fuzzed
from tests.pip_reading import pip_reads, understood

WORDS = [
    b" ",
    b"\t",
    b"#",
    b" #",
    b"\\",
    b"\\\n",
    b"\n",
    b"\r\n",
    b"\x0b",
    b"\x0c",
    b"\xc2\x85",
    b"\xc2\xa0",
    b"-",
    b" -",
]
WORDS += [
    b"--hash=sha256:" + b"0" * 64,
    b" --hash=",
    b" --no-binary=:all:",
    b"-e ",
    b"-r ",
    b"-c ",
    b" --global-option=x",
]
WORDS += [
    b"--index-url https://a.example.com",
    b"@",
    b" @ ",
    b"://",
    b"/",
    b".",
    b"./",
    b".zip",
    b".whl",
    b".tar.gz",
    b"$",
]
WORDS += [
    b"${PIP_INDEX_URL}",
    b";",
    b" ; ",
    b"'",
    b'"',
    b"os_name",
    b" or ",
    b" in ",
    b"==",
    b"===",
    b"~=",
    b"[",
    b"]",
    b"(",
]
WORDS += [b")", b",", b"*", b"+", b"!", b"a", b"numpy", b"NumPy", b"# coding: utf-7\n", b"# coding=latin-1\n", b"EOF\n"]


@fuzzed("requirements", WORDS, examples=300)
def test_what_is_accepted_is_what_pip_reads(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:hunter2@index.example.com")
    found = Requirements.read(data)
    for mistake in found.mistakes:
        assert str(mistake).isprintable()
        assert 1 <= mistake.line <= data.count(b"\n") + 1
    expected = [understood(each) for each in found.packages]
    # Also what is understood beside mistakes: nothing else would be installed.
    assert pip_reads(found.text.encode("ascii"), tmp_path) == expected
    assert "EOF" not in found.text.splitlines()
    assert Requirements.read(found.text.encode()).text == found.text
    assert not Requirements.read(found.constraints.encode()).hashed
    if not found.mistakes:
        assert pip_reads(data, tmp_path) == expected
