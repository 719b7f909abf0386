"""The fuzzer itself: it tries what is kept, finds what is near, and writes down what failed."""

from pathlib import Path

import pytest

from tests.fuzz import fuzzing


@pytest.fixture(autouse=True)
def own_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "greeting").write_bytes(b"good morning")
    monkeypatch.setattr(fuzzing, "CORPUS", tmp_path)
    monkeypatch.setattr(fuzzing, "FOUND", tmp_path / "found")


def test_a_kept_file_is_tried_as_it_is() -> None:
    tried = []

    @fuzzing.fuzzed("words", examples=20)
    def target(data: bytes) -> None:
        tried.append(data)

    target()
    assert tried[0] == b"good morning"
    assert len(set(tried)) > 10


def test_what_is_near_is_found_and_written_as_short_as_can_be(tmp_path: Path) -> None:
    @fuzzing.fuzzed("words", words=[b"evening"])
    def target(data: bytes) -> None:
        assert b"evening" not in data

    with pytest.raises(AssertionError):
        target()
    found = (tmp_path / "found" / "words").read_bytes()
    assert b"evening" in found
    assert len(found) <= len(b"good morningevening")
