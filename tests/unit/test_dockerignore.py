"""Which files a `.dockerignore` leaves out, as BuildKit reads it."""

import time
from pathlib import Path

import pytest

from homeport.images.dockerignore import PatternError, patterns, seen

FILES = [
    "model.py",
    "data/a.csv",
    "data/deep/b.csv",
    "data/deep/.env",
    ".git/config",
    "sub/.git",
    "x[1].txt",
    "#odd",
    "a b",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("lines", "left_out"),
    [
        ([], ""),
        (["data"], "data/a.csv data/deep/b.csv data/deep/.env"),
        (["/data/"], "data/a.csv data/deep/b.csv data/deep/.env"),
        (["./data/../data"], "data/a.csv data/deep/b.csv data/deep/.env"),
        (["deep"], ""),
        (["*/deep"], "data/deep/b.csv data/deep/.env"),
        (["data/*"], "data/a.csv data/deep/b.csv data/deep/.env"),
        (["data/*.csv"], "data/a.csv"),
        (["**/*.csv"], "data/a.csv data/deep/b.csv"),
        (["data/**/*.csv"], "data/a.csv data/deep/b.csv"),
        (["data/**"], "data/a.csv data/deep/b.csv data/deep/.env"),
        (["**/b.csv"], "data/deep/b.csv"),
        (["**/.*"], "data/deep/.env .git/config sub/.git"),
        (["**/.[gG][iI][tT]"], ".git/config sub/.git"),
        (["**"], "model.py data/a.csv data/deep/b.csv data/deep/.env .git/config sub/.git x[1].txt #odd a|b"),
        (["mod?l.py", "data/[a-c].csv"], "model.py data/a.csv"),
        (["data/[^a].csv"], ""),
        (["x\\[1\\].txt", "\\#odd", "  a b  ", "#odd"], "x[1].txt #odd a|b"),
        # The last line that matches counts, of a folder for all that is in it.
        (["data", "!data/deep"], "data/a.csv"),
        (["data", "!data/deep", "**/.env"], "data/a.csv data/deep/.env"),
        (["!data/deep", "data"], "data/a.csv data/deep/b.csv data/deep/.env"),
        (["*", "!model.py", "!data/deep/b.csv"], "data/a.csv data/deep/.env .git/config sub/.git x[1].txt #odd a|b"),
        (["**/.git", "!**/.git"], ""),
        (["!**/.git", "**/.git"], ".git/config sub/.git"),
        (["**/.git", "! .git/config"], "sub/.git"),
        # A line counts for what is in a folder only if it decided about the folder, or names what is in it.
        (["**/.git", "!.git/*", "**/.git"], "sub/.git"),
        (["**/.git", "!.git/*", "**/.git/**"], ".git/config sub/.git"),
        # BuildKit does not look into a folder for a name that is not in it.
        (["data", "!model.py"], "data/a.csv data/deep/b.csv data/deep/.env"),
        (["data/deep/.env", "!data/deep"], "data/deep/.env"),
    ],
)
def test_what_lines_leave_out(lines: list[str], left_out: str, folder: Path) -> None:
    found = {name for name, _ in seen(folder, patterns(lines))}
    assert set(FILES) - found == {name.replace("|", " ") for name in left_out.split()}
    assert found <= set(FILES)


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        ("!", "a pattern after `!`"),
        ("!../../a", "a path in the folder, without .."),
        ("a**b", "`**` between slashes, for any number of folders"),
        ("a/***", "`**` between slashes, for any number of folders"),
        ("[a", "a path with *, ** and ?, or [ and ] around letters and digits"),
        ("[z-a]", "a path with *, ** and ?, or [ and ] around letters and digits"),
        ("[[a]]", "a path with *, ** and ?, or [ and ] around letters and digits"),
        ("[]", "a path with *, ** and ?, or [ and ] around letters and digits"),
        ("\\a", "a path with *, ** and ?, or [ and ] around letters and digits"),
        ("a\\", "a path with *, ** and ?, or [ and ] around letters and digits"),
    ],
)
def test_a_line_that_is_not_accepted_is_told(line: str, accepted: str) -> None:
    with pytest.raises(PatternError) as error:
        patterns(["data", line])
    assert str(error.value) == f'found "{line}" in .dockerignore, accepted: {accepted}'


def test_a_link_is_seen_as_such_and_not_looked_into(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "data")
    found = {name: entry.is_symlink() for name, entry in seen(folder, patterns(["data", ".git", "sub"]))}
    assert found["link"] is True
    assert not any(name.startswith("link/") for name in found)


@pytest.mark.parametrize("line", ["**/a/" * 30 + "b", "a*" * 30 + "b", "?*" * 30 + "b", "[a-c]*" * 30 + "b"])
def test_the_time_for_a_line_does_not_explode(line: str) -> None:
    (pattern,) = patterns([line])
    begun = time.process_time()
    assert not pattern.matches(["a"] * 500)
    assert not pattern.matches(["a" * 250])
    assert time.process_time() - begun < 0.5
