"""What a build sees of a model's folder, and what is refused there: links, special files, what git keeps and ignores."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.images.build_context import GENERATED, FolderError, context, prepare
from homeport.images.dockerfile import NEVER_SEEN
from homeport.rules.files import missing_files, seen_files, stated_files
from homeport.specs.model import Build, Model
from homeport.specs.problems import Problem
from tests.unit.test_dockerfile import git, images

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 132735021\n"
FIFO: Callable[[Path], None] = os.mkfifo


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of the machine."""
    file = tmp_path / "outside/token"
    file.parent.mkdir()
    file.write_text("hunter2\n")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.py").write_text("def predict(): ...\n")
    return tmp_path / "model"


def refused(folder: Path, **build: object) -> list[str]:
    """Messages about what `build` names and what the build sees."""
    parsed = Build.model_validate(build)
    stated = [str(each) for each in stated_files(parsed, folder, lambda violation: Problem(violation.message))]
    return [*stated, *(each.message for each in seen_files(parsed, folder))]


def built(folder: Path, **build: object) -> Path:
    """The folder of what is generated for a build."""
    model = Model.model_validate({"name": "iris", "owner": "team", "build": build})
    assert model.build
    made = prepare(model, model.build, images(), folder)
    assert made.dockerfile == folder / GENERATED / "Dockerfile"
    return folder / GENERATED


def sees(folder: Path, **build: object) -> set[str]:
    return {name for name, _ in context(Build.model_validate(build), folder)}


# Links


@pytest.mark.parametrize(
    ("target", "fit"),
    [
        ("model.py", True),
        ("./data/../data/a.csv", True),
        ("data", True),
        ("../outside/token", False),
        ("../outside", False),
        ("data/../../outside/token", False),
        ("/etc/hostname", False),
        ("/dev/zero", False),
        ("absent", False),
        ("link", False),  # to itself
        ("..", False),
        (".git/config", False),
        (".GIT/config", False),
        ("sub/.git/config", False),
    ],
)
def test_links_may_lead_only_to_what_is_in_the_folder(target: str, fit: bool, folder: Path, outside: Path) -> None:
    assert outside.exists()
    for name in ("data/a.csv", ".git/config", ".GIT/config", "sub/.git/config"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "link").symlink_to(target)
    accepted = "accepted: links to files that the build sees, by paths inside of the folder"
    message = f"found link: a link that leads out, or to nothing, {accepted}"
    assert refused(folder) == ([] if fit else [message])
    # What the build does not see may be as it wants: an environment of Python, for one, is full of such links.
    (folder / ".venv").mkdir()
    (folder / ".venv/python").symlink_to("/usr/bin/python3")
    (folder / ".dockerignore").write_text("link\n")
    assert refused(folder) == []


@pytest.mark.parametrize("field", ["requirements", "dockerfile", "files"])
@pytest.mark.parametrize("through", ["named", "sub/token"])
def test_no_file_that_is_named_is_read_through_a_link(field: str, through: str, folder: Path, outside: Path) -> None:
    (folder / "named").symlink_to(outside)
    (folder / "sub").symlink_to(outside.parent)
    build = {field: [through] if field == "files" else through}
    found = refused(folder, **build)
    assert (
        found[0]
        == f'found "{through}", accepted: path of a file in {folder} (a link leads out of it, or to what no build sees)'
    )
    assert "hunter2" not in "".join(found)
    if field != "files":
        with pytest.raises(FolderError, match="a link leads out of it"):
            built(folder, **build)


@pytest.mark.parametrize("field", ["requirements", "dockerfile"])
def test_what_git_keeps_is_not_shown_as_a_mistake(field: str, folder: Path) -> None:
    git(folder, "init", "-q")
    (folder / "named").symlink_to(".git/config")
    assert "repositoryformatversion" not in "".join(refused(folder, **{field: "named"}))


def test_a_dockerignore_is_not_read_through_a_link(folder: Path, outside: Path) -> None:
    (folder / ".dockerignore").symlink_to(outside)
    (message,) = refused(folder)
    assert message == (
        f'found ".dockerignore", accepted: path of a file in {folder} (a link leads out of it, or to what no build sees)'
    )
    with pytest.raises(FolderError, match="a link leads out of it"):
        built(folder)
    assert not (folder / GENERATED).exists()


def test_what_is_generated_is_written_into_no_other_folder(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "Dockerfile").write_text("FROM scratch\n")
    (folder / GENERATED).symlink_to(victim)
    assert refused(folder) == ["found .homeport, accepted: a folder, which homeport makes, or nothing"]
    with pytest.raises(FolderError, match="accepted: a folder of homeport's own"):
        built(folder)
    assert [file.name for file in victim.iterdir()] == ["Dockerfile"]
    assert (victim / "Dockerfile").read_text() == "FROM scratch\n"


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.dockerignore", ".gitignore"])
def test_what_is_generated_is_written_through_no_link(name: str, folder: Path, outside: Path) -> None:
    (folder / GENERATED).mkdir()
    (folder / GENERATED / name).symlink_to(outside)
    assert refused(folder) == ["found a link in .homeport, accepted: nothing but what homeport writes there"]
    assert not (built(folder) / name).is_symlink()
    assert outside.read_text() == "hunter2\n"


def test_a_file_in_place_of_the_generated_folder_is_told(folder: Path) -> None:
    (folder / GENERATED).touch()
    assert refused(folder) == ["found .homeport, accepted: a folder, which homeport makes, or nothing"]
    with pytest.raises(FolderError):
        built(folder)


# Special files: none of them is opened, because some never end and some wait for ever


def test_special_files_are_told_and_not_read(folder: Path) -> None:
    FIFO(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        assert refused(folder) == ["found fifo, socket: neither a file nor a folder, accepted: regular files"]


@pytest.mark.parametrize("field", ["requirements", "dockerfile"])
def test_a_special_file_that_is_named_is_told_and_not_read(field: str, folder: Path) -> None:
    FIFO(folder / "named")
    assert refused(folder, **{field: "named"})[0] == (
        f'found "named", accepted: path of a file in {folder} (not a regular file)'
    )
    with pytest.raises(FolderError):
        built(folder, **{field: "named"})


def test_special_files_in_homeports_own_folder_are_replaced(folder: Path) -> None:
    (folder / GENERATED).mkdir()
    FIFO(folder / GENERATED / "Dockerfile")
    assert (built(folder) / "Dockerfile").is_file()


def test_folders_in_place_of_files_are_told(folder: Path) -> None:
    (folder / "requirements.txt").mkdir()
    (folder / ".dockerignore").mkdir()
    assert refused(folder, requirements="requirements.txt") == [
        f'found "requirements.txt", accepted: path of a file in {folder} (not a regular file)',
        f'found ".dockerignore", accepted: path of a file in {folder} (not a regular file)',
    ]


# What git keeps


@pytest.mark.parametrize(
    "build", [{}, {"files": ["sub"]}, {"dockerfile": "Dockerfile"}, {"dockerfile": "docker/own.Dockerfile"}]
)
@pytest.mark.parametrize("ignore", ["", "!**/.git\n!.git/config\n!sub/.git\n!**\n", "**/.git\n!.git/*\n"])
def test_no_build_sees_what_git_keeps(build: dict[str, object], ignore: str, folder: Path) -> None:
    hidden = [".git/config", "sub/.git", "sub/deep/.GIT/HEAD", ".homeport/x", "__pycache__/a.pyc"]
    for name in [*hidden, "Dockerfile", "docker/own.Dockerfile", "sub/a.csv", ".gitignore", ".github/a"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("FROM scratch\n")
    (folder / ".dockerignore").write_text(ignore)
    assert "sub/a.csv" in sees(folder, **build)
    assert sees(folder, **build).isdisjoint(hidden)
    # The builder is told the same, in a file that it prefers to any of the author's.
    lines = (built(folder, **build) / "Dockerfile.dockerignore").read_text().splitlines()
    assert tuple(lines[-len(NEVER_SEEN) :]) == NEVER_SEEN


@pytest.mark.parametrize("field", ["files", "requirements", "dockerfile"])
@pytest.mark.parametrize("path", [".git/config", ".git", "sub/.GIT/config", ".homeport/Dockerfile", "a/.Homeport"])
def test_what_no_build_sees_cannot_be_named(field: str, path: str) -> None:
    with pytest.raises(ValueError, match=r"because nothing in .* can be part of an image"):
        Build.model_validate({field: [path] if field == "files" else path})


def test_names_that_only_begin_like_it_can_be_named() -> None:
    assert Build(files=[".gitignore", ".github/a", "a.git", ".homeport.txt"]).files


# What git ignores


@pytest.fixture
def repository(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    git(folder.parent, "init", "-q")
    files = [".gitignore", "credentials.json", "data/a.csv", "data/deep/b.csv", "out/log.txt", ".env", "new.txt"]
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("credentials.json\n*.csv\nout/\n.env\n" if name == ".gitignore" else "a")
    return folder


IGNORED = "ignored by git, accepted: files that git has; to build others, name them in `build.files`, or leave them out by .dockerignore"


@pytest.mark.parametrize(
    ("build", "ignore", "found"),
    [
        ({}, "", "credentials.json, data, out"),
        ({}, "**/*.csv\nout\n", "credentials.json"),
        ({}, "*\n!model.py\n", ""),
        ({"files": ["model.py"]}, "", ""),
        ({"files": ["credentials.json", "data/a.csv", "out"]}, "", ""),
        ({"files": ["out/log.txt", "data"]}, "", ""),
        ({"files": ["mixed"]}, "", "mixed/secret.csv"),
        ({"dockerfile": "model.py"}, "", ".env, credentials.json, data, out"),
        ({"dockerfile": "model.py"}, ".*\n*\n", ""),
    ],
)
def test_what_git_ignores_is_built_only_if_it_is_named(
    build: dict[str, object], ignore: str, found: str, repository: Path
) -> None:
    if "mixed" in build.get("files", ()):  # type: ignore[operator]
        (repository / "mixed").mkdir()
        for name in ("secret.csv", "model.py"):
            (repository / "mixed" / name).touch()
    (repository / ".dockerignore").write_text(ignore)
    assert refused(repository, **build) == ([f"found {found}: {IGNORED}"] if found else [])


def test_what_git_has_in_spite_of_what_it_is_told_to_ignore_is_built(repository: Path) -> None:
    git(repository, "add", "--force", "credentials.json", "data", "out")
    assert refused(repository) == []


def test_a_submodule_says_itself_what_is_ignored(repository: Path) -> None:
    git(repository, "add", "--force", "credentials.json", "data", "out")
    (repository / "module").mkdir()
    git(repository / "module", "init", "-q")
    (repository / "module/.gitignore").write_text("secret\n")
    (repository / "module/secret").touch()
    assert refused(repository) == [f"found module/secret: {IGNORED}"]


def test_without_git_nothing_is_known_to_be_ignored(folder: Path) -> None:
    (folder / ".gitignore").write_text("*\n")
    assert refused(folder) == []


def test_many_files_make_one_line(repository: Path) -> None:
    for number in range(9):
        (repository / f"{number}.csv").touch()
    (message,) = refused(repository)
    assert message == f"found 0.csv, 1.csv, 2.csv, 3.csv, 4.csv and 7 more: {IGNORED}"


# Git LFS


@pytest.mark.parametrize(
    ("content", "fit"),
    [
        (POINTER, False),
        (POINTER.replace("oid", "ext-0-foo sha256:" + "1" * 64 + "\noid"), False),
        (POINTER.replace("v1", "v9"), True),
        ("a model\n" + POINTER, True),
        (POINTER + " " * 1024, True),
        ("", True),
    ],
)
@pytest.mark.parametrize("build", [{}, {"files": ["data"]}, {"dockerfile": "model.py"}])
def test_a_pointer_of_git_lfs_is_not_built_as_the_model(
    content: str, fit: bool, build: dict[str, object], folder: Path
) -> None:
    (folder / "data").mkdir()
    (folder / "data/model.skops").write_text(content)
    assert refused(folder, **build) == (
        []
        if fit
        else [
            "found data/model.skops: a Git LFS pointer, accepted: the file itself (git lfs pull; in GitHub Actions lfs: "
            "true for actions/checkout)"
        ]
    )
    assert refused(folder, files=["model.py"]) == []


# The Dockerfile of the author's own


@pytest.mark.parametrize("first", ["", "# syntax=evil.example.com/frontend\n", "\ufeff# syntax = evil\n# escape=`\n"])
def test_a_dockerfile_of_ones_own_is_copied_and_names_no_other_frontend(first: str, folder: Path) -> None:
    (folder / "Dockerfile").write_text(f"{first}FROM scratch\n")
    head, rest = (built(folder, dockerfile="Dockerfile") / "Dockerfile").read_text().split("\n", 1)
    # A comment that is no directive ends the search for them; and it is not said in other ways, in `//` or JSON.
    assert head.startswith("# Copied by homeport, ")
    assert "=" not in head
    assert rest == first.removeprefix("\ufeff") + "FROM scratch\n"


def test_a_dockerfile_of_ones_own_has_its_own_dockerignore(folder: Path) -> None:
    (folder / "docker").mkdir()
    (folder / "docker/Dockerfile").write_text("FROM scratch\n")
    (folder / ".dockerignore").write_text("for-all\n")
    file = built(folder, dockerfile="docker/Dockerfile") / "Dockerfile.dockerignore"
    assert file.read_text().startswith("for-all\n")
    (folder / "docker/Dockerfile.dockerignore").write_text("\ufefffor-one\r\n")
    built(folder, dockerfile="docker/Dockerfile")
    assert file.read_text().startswith("for-one")


# Requirements


def test_mistakes_of_requirements_are_told_with_their_lines(folder: Path) -> None:
    (folder / "requirements.txt").write_text("numpy\n--pre\n\nx @ https://example.com/x.whl\n")
    found = list(stated_files(Build(requirements="requirements.txt"), folder, lambda _: Problem("")))
    assert [(each.file, each.line) for each in found] == [(folder / "requirements.txt", line) for line in (2, 4)]
    with pytest.raises(FolderError, match=r'requirements.txt:2: found "--pre", accepted: '):
        built(folder, requirements="requirements.txt")


def test_files_that_are_not_there_are_named(folder: Path) -> None:
    build = Build(requirements="requirements.txt", files=["model.py", "model.onnx"])
    assert {each.field: each.message for each in missing_files(build, folder)} == {
        ("build", "requirements"): f'found "requirements.txt", accepted: path of a file in {folder} (no such file)',
        ("build", "files", 1): f'found "model.onnx", accepted: path of a file in {folder} (no such file)',
    }


def test_a_line_of_a_dockerignore_that_is_not_accepted_is_told(folder: Path) -> None:
    (folder / ".dockerignore").write_text("[\n")
    assert refused(folder)[0].startswith('found "[" in .dockerignore, accepted: a path with')
    (folder / ".dockerignore").write_bytes(b"\xff\n")
    assert refused(folder) == ['found ".dockerignore", accepted: text in UTF-8']


def test_names_of_files_are_shown_without_control_characters(folder: Path) -> None:
    (folder / "\x1b[2J\u202e").symlink_to("/etc")
    (message,) = refused(folder)
    assert message.isprintable()


def test_what_is_unchanged_is_not_written_again(folder: Path) -> None:
    file = built(folder) / "Dockerfile"
    before = file.stat().st_mtime_ns
    built(folder)
    assert file.stat().st_mtime_ns == before
