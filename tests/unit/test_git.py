"""What git tells of a checkout, and that nothing which a stranger's commit or the checkout's configuration names is run."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from homeport import SpecError, Stack, git
from homeport.cli import app
from homeport.components.model_image import ModelImageArgs
from homeport.components.model_image import _read as read_image
from homeport.provenance import UnknownCommitError, content_at, last_commit, origin, revision, without_credentials

ENVIRONMENT = "cluster: {identifier: prod}\nimages: {registry: registry.example.com/models, bases: {python-3.11: registry.example.com/python:1}}\n"
LIVE = 'models:\n  iris: {spec: ../../model/model.yaml, stable: {version: "1"}}\n'
MODEL = "name: iris\nowner: ds\nbuild: {serve: model:predict}\n"


def do(folder: Path, *arguments: str, **variables: str) -> str:
    """Git as people run it."""
    settings = ("user.name=A", "user.email=a@example.com", "protocol.file.allow=always", "init.defaultBranch=main")
    options = [part for setting in settings for part in ("-c", setting)]
    done = subprocess.run(
        ["git", *options, *arguments],
        cwd=folder,
        env=os.environ | variables,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(folder: Path, seconds: int = 1_800_000_000) -> str:
    do(folder, "add", "--all", "--force")
    do(folder, "commit", "--quiet", "--allow-empty", "--message=x", GIT_COMMITTER_DATE=f"@{seconds} +0000")
    return do(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack with a model that is built, not committed yet; the working folder."""
    files = {
        "stacks/prod/environment.yaml": ENVIRONMENT,
        "stacks/prod/models.yaml": LIVE,
        "model/model.yaml": MODEL,
        "model/model.py": "def predict(x: int): ...\n",
    }
    root = tmp_path / "checkout"
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    do(root, "init", "--quiet")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """What a command touches that must not run."""
    return tmp_path / "ran"


def homeport(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="homeport")


def ask_everything(root: Path) -> None:
    """All that homeport asks git for."""
    homeport("check")
    homeport("render", "--stdout")
    last_commit([root / "model/model.yaml"], (root / "stacks/prod/models.yaml", (1, 2)))
    revision(root / "model", without=["model.yaml", "**/.*"])
    origin(root / "model")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout
    content_at(root / "stacks/prod/models.yaml", head.strip())


def disguise(folder: Path, trap: Path, worktree: str) -> None:
    """What git takes for a repository, all of ordinary files."""
    for name in ("objects", "refs"):
        (folder / name).mkdir()
        (folder / name / ".keep").touch()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(
        f'[core]\nrepositoryformatversion = 0\nbare = false\nworktree = {worktree}\nfsmonitor = "touch {trap}; false"\n'
    )


DISGUISED = {"stacks/prod": "../..", "stacks": "..", "model": ".."}


@pytest.mark.parametrize("place", DISGUISED)
def test_a_folder_that_looks_like_a_repository_is_named_and_runs_nothing(
    place: str, checkout: Path, trap: Path
) -> None:
    disguise(checkout / place, trap, DISGUISED[place])
    commit(checkout)
    if place != "stacks":  # git itself would have run it, so this is the trap that it should be
        subprocess.run(["git", "-C", place, "status"], check=False, capture_output=True)
        assert trap.exists()
        trap.unlink()
    for command in (["check"], ["render", "--stdout"]):
        result = homeport(*command)
        assert result.exit_code == 1
        assert f"{place}: found a folder that git takes for a repository (HEAD, objects, refs)" in result.output
    ask_everything(checkout)
    assert not trap.exists()


def test_the_folder_of_an_image_is_looked_at_too(checkout: Path, trap: Path) -> None:
    disguise(checkout / "model", trap, "..")
    args = ModelImageArgs(
        model={"name": "iris", "owner": "ds", "build": {}},
        environment={
            "cluster": {"identifier": "prod"},
            "images": {
                "registry": "registry.example.com/models",
                "bases": {"python-3.11": "registry.example.com/python:1"},
            },
        },
        folder=str(checkout / "model"),
        version="1",
    )
    with pytest.raises(SpecError, match="found a folder that git takes for a repository"):
        read_image("home", args)
    assert not trap.exists()


def test_a_folder_that_points_to_its_objects_elsewhere_is_one_too(checkout: Path) -> None:
    (checkout / "model/HEAD").write_text("ref: refs/heads/main\n")
    (checkout / "model/commondir").write_text("../elsewhere\n")
    assert "model: found a folder" in homeport("check").output


def test_what_is_no_repository_is_accepted(checkout: Path) -> None:
    for name in ("model/refs", "model/objects", "stacks/objects"):
        (checkout / name).mkdir()
    (checkout / "stacks/HEAD").touch()
    commit(checkout)
    assert homeport("check").exit_code == 0


def hostile_settings(trap: Path) -> dict[str, str]:
    """Every setting that names a command which git might run where it is asked for status, log, blame or content."""
    command = f"touch {trap}"
    return {
        "core.fsmonitor": f"{command}; false",
        "core.hooksPath": str(trap.parent / "hooks"),
        "core.pager": command,
        "pager.log": command,
        "pager.blame": command,
        "core.sshCommand": command,
        "core.askPass": command,
        "core.editor": command,
        "core.alternateRefsCommand": command,
        "credential.helper": f"!{command}",
        "diff.external": command,
        "diff.evil.command": command,
        "diff.evil.textconv": command,
        "filter.evil.clean": command,
        "filter.evil.smudge": command,
        "filter.evil.process": command,
        "merge.evil.driver": command,
        "gpg.program": command,
        "log.showSignature": "true",
        "blame.ignoreRevsFile": ".ignored-revisions",
        "alias.log": f"!{command}",
        "alias.blame": f"!{command}",
        "alias.ls-files": f"!{command}",
        "remote.origin.url": "ext::sh -c touch% " + str(trap),
        "remote.origin.promisor": "true",
        "remote.origin.partialclonefilter": "blob:none",
        "remote.origin.uploadpack": command,
        "protocol.ext.allow": "always",
        "protocol.file.allow": "always",
        "submodule.recurse": "true",
        "status.submoduleSummary": "true",
    }


def set_traps(checkout: Path, trap: Path) -> None:
    """Attributes that choose the commands, files that differ from what is committed, and an object that is to be fetched."""
    (checkout / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (checkout / ".ignored-revisions").touch()
    commit(checkout)
    hooks = trap.parent / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {trap}\n")
        (hooks / name).chmod(0o755)
    for name, value in hostile_settings(trap).items():
        do(checkout, "config", name, value)
    for name in ("model/model.py", "stacks/prod/models.yaml", "model/model.yaml"):
        file = checkout / name
        file.write_text(file.read_text() + "\n")
        os.utime(file, (1, 1))


@pytest.mark.parametrize(
    "command",
    [["status"], ["blame", "stacks/prod/models.yaml"], ["diff"], ["log", "-p"], ["fetch"]],
)
def test_the_traps_are_such(command: list[str], checkout: Path, trap: Path) -> None:
    set_traps(checkout, trap)
    subprocess.run(["git", *command], cwd=checkout, check=False, capture_output=True)
    assert trap.exists()


def test_no_command_of_the_configuration_runs(checkout: Path, trap: Path) -> None:
    set_traps(checkout, trap)
    ask_everything(checkout)
    assert not trap.exists()


def test_an_object_that_is_not_there_is_not_fetched(checkout: Path, trap: Path) -> None:
    commit(checkout)
    blob = do(checkout, "rev-parse", "HEAD:stacks/prod/models.yaml")
    (checkout / ".git/objects" / blob[:2] / blob[2:]).unlink()
    set_config = {"extensions.partialClone": "origin", "core.repositoryFormatVersion": "1"}
    for name, value in (hostile_settings(trap) | set_config).items():
        do(checkout, "config", name, value)
    subprocess.run(["git", "cat-file", "blob", blob], cwd=checkout, check=False, capture_output=True)
    assert trap.exists()  # git as it is fetches
    trap.unlink()
    ask_everything(checkout)
    assert not trap.exists()


def test_no_variable_of_git_and_no_git_of_the_checkout_is_used(
    checkout: Path, trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = commit(checkout)
    other = trap.parent / "other"
    other.mkdir()
    do(other, "init", "--quiet")
    (checkout / "git").write_text(f"#!/bin/sh\ntouch {trap}\n")
    (checkout / "git").chmod(0o755)
    for name, value in {
        "PATH": os.pathsep.join([".", "", os.environ["PATH"]]),
        "GIT_DIR": str(other / ".git"),
        "GIT_INDEX_FILE": str(other / "index"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": f"touch {trap}; false",
        "GIT_EXTERNAL_DIFF": f"touch {trap}",
        "GIT_TRACE": str(trap),
        "GIT_PAGER": f"touch {trap}",
    }.items():
        monkeypatch.setenv(name, value)
    assert last_commit([checkout / "model/model.yaml"]) == head
    assert revision(checkout / "model") == head
    assert not trap.exists()


def test_the_users_configuration_does_not_matter(checkout: Path, trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = commit(checkout)
    settings = trap.parent / "settings"
    for name, value in hostile_settings(trap).items():
        do(checkout, "config", "--file", str(settings), name, value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("HOME", str(trap.parent))
    shutil.copy(settings, trap.parent / ".gitconfig")
    assert Stack.read("stacks/prod").releases[0].commit == head
    assert not trap.exists()


def test_a_checkout_of_another_user_is_told(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = commit(checkout)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    refused = subprocess.run(["git", "log"], cwd=checkout, check=False, capture_output=True, text=True)
    assert "dubious ownership" in refused.stderr
    assert Stack.read("stacks/prod").releases[0].commit == head


def test_revisions_that_a_file_of_the_checkout_names_are_not_passed_over(checkout: Path) -> None:
    commit(checkout)
    models = checkout / "stacks/prod/models.yaml"
    models.write_text(LIVE.replace('"1"', '"2"'))
    second = commit(checkout, 1_800_000_060)
    do(checkout, "config", "blame.ignoreRevsFile", ".ignored-revisions")
    assert Stack.read("stacks/prod").releases[0].commit == second  # the file is not there
    (checkout / ".ignored-revisions").write_text(f"{second}\n")
    assert Stack.read("stacks/prod").releases[0].commit == second


# What is told


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda root: (root / "model/model.py").write_text("changed"),
    "edited, of the same size and time": lambda root: in_place(root / "model/model.py"),
    "deleted": lambda root: (root / "model/model.py").unlink(),
    "added": lambda root: (root / "model/other.py").touch(),
    "staged": lambda root: (shutil.copy(root / "model/model.py", root / "model/other.py"), do(root, "add", ".")),
    "staged as deleted": lambda root: do(root, "rm", "--cached", "--quiet", "model/model.py"),
    "made executable": lambda root: (root / "model/model.py").chmod(0o755),
    "made a link": lambda root: link(root / "model/model.py"),
}


def in_place(file: Path) -> None:
    status = file.stat()
    file.write_bytes(file.read_bytes().swapcase())
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def link(file: Path) -> None:
    file.unlink()
    file.symlink_to("model.yaml")


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_committed_is_told(change: str, checkout: Path) -> None:
    head = commit(checkout)
    assert revision(checkout / "model") == head
    CHANGES[change](checkout)
    assert revision(checkout / "model") == f"{head}-dirty"
    assert last_commit([checkout / "model/model.yaml"]) == head


def test_what_git_ignores_is_told_of_what_is_named_only(checkout: Path) -> None:
    (checkout / ".gitignore").write_text("*.skops\n")
    head = commit(checkout)
    (checkout / "model/model.skops").touch()
    assert revision(checkout / "model") == head
    assert revision(checkout / "model", ["model.py", "model.skops"]) == f"{head}-dirty"


def test_names_are_no_patterns(checkout: Path) -> None:
    folder = checkout / "mod[e]l*"
    folder.mkdir()
    for name in ("a[b].py", "model.yaml", ".hidden"):
        (folder / name).touch()
    head = commit(checkout)
    (checkout / "model/model.py").write_text("changed")
    (folder / ".hidden").write_text("changed")
    (folder / "model.yaml").write_text("changed")
    assert revision(folder, without=["model.yaml", "**/.*"]) == head
    assert revision(folder, ["a[b].py"]) == head
    (folder / "a[b].py").write_text("changed")
    assert revision(folder, without=["model.yaml", "**/.*"]) == f"{head}-dirty"


def test_other_line_ends_are_no_change(checkout: Path) -> None:
    head = commit(checkout)
    (checkout / "model/model.py").write_bytes(b"def predict(x: int): ...\r\n")
    assert revision(checkout / "model") == head


def test_a_file_that_git_lfs_keeps_is_compared_with_its_pointer(checkout: Path) -> None:
    weights = checkout / "model/weights.bin"
    digest = hashlib.sha256(b"weights").hexdigest()
    weights.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 7\n")
    head = commit(checkout)
    weights.write_bytes(b"weights")
    assert revision(checkout / "model") == head
    weights.write_bytes(b"weighty")
    assert revision(checkout / "model") == f"{head}-dirty"


def test_a_submodule_has_its_own_commits(checkout: Path, tmp_path: Path) -> None:
    sub = tmp_path / "sub"
    shutil.move(checkout / "model", sub)
    do(sub, "init", "--quiet")
    commit(sub)
    do(checkout, "submodule", "--quiet", "add", str(sub), "model")
    commit(checkout, 1_800_000_060)
    model = checkout / "model"
    (model / "model.yaml").write_text(MODEL + "drain_seconds: 5\n")
    assert Stack.read("stacks/prod").releases[0].commit.endswith("-dirty")
    assert revision(checkout).endswith("-dirty")
    inner = commit(model, 1_800_000_120)
    assert Stack.read("stacks/prod").releases[0].commit == inner
    assert revision(checkout).endswith("-dirty")  # the pointer is not committed
    assert revision(checkout) != commit(checkout, 1_800_000_180) == revision(checkout)
    do(checkout, "submodule", "--quiet", "deinit", "--force", "model")
    assert not revision(checkout).endswith("-dirty")


def test_gitmodules_cannot_hide_a_submodule(checkout: Path, tmp_path: Path) -> None:
    sub = tmp_path / "sub"
    sub.mkdir()
    do(sub, "init", "--quiet")
    commit(sub)
    do(checkout, "submodule", "--quiet", "add", str(sub), "model/vendored")
    do(checkout, "config", "--file", ".gitmodules", "submodule.model/vendored.ignore", "all")
    commit(checkout, 1_800_000_060)
    commit(checkout / "model/vendored", 1_800_000_120)
    do(checkout, "add", "--force", "model/vendored")
    assert revision(checkout / "model").endswith("-dirty")


def test_a_linked_working_tree_is_one(checkout: Path, tmp_path: Path) -> None:
    head = commit(checkout)
    do(checkout, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    assert Stack.read(tmp_path / "linked/stacks/prod").releases[0].commit == head


def test_hashes_of_the_longer_kind(tmp_path: Path) -> None:
    do(tmp_path, "init", "--quiet", "--object-format=sha256")
    file = tmp_path / "a"
    file.write_text("a\nb\n")
    head = commit(tmp_path)
    assert len(head) == 64
    assert last_commit([file], (file, (1, 2))) == head
    file.write_text("a\nc\n")
    assert last_commit([file], (file, (1, 1))) == f"{head}-dirty"


def test_a_shallow_clone_does_not_tell_its_oldest_commit(checkout: Path, tmp_path: Path) -> None:
    commit(checkout)
    (checkout / "notes.txt").touch()
    commit(checkout, 1_800_000_060)
    clone = tmp_path / "clone"
    do(tmp_path, "clone", "--quiet", "--depth=1", f"file://{checkout}", str(clone))
    assert Stack.read(clone / "stacks/prod").releases[0].commit == "unknown"
    assert revision(clone / "model") == "unknown"
    assert (
        "prod: commits are unknown: this clone is shallow"
        in homeport("check", "--stacks", str(clone / "stacks")).output
    )
    (clone / "model/model.yaml").write_text(MODEL + "drain_seconds: 5\n")
    newer = commit(clone, 1_800_000_120)
    assert Stack.read(clone / "stacks/prod").releases[0].commit == newer
    assert "unknown" not in homeport("check", "--stacks", str(clone / "stacks")).output


@pytest.mark.usefixtures("checkout")
def test_why_git_does_not_tell_is_told() -> None:
    assert "prod: commits are unknown: git: fatal: " in homeport("check").output  # no commit yet


def test_each_line_has_its_commit(tmp_path: Path) -> None:
    do(tmp_path, "init", "--quiet")
    file = tmp_path / "models.yaml"
    file.write_text("a\nb\nc\n")
    first = commit(tmp_path)
    file.write_text("a\nB\nc\n")
    second = commit(tmp_path, 1_800_000_060)
    file.write_text("new\na\nB\nc, changed\n")
    found = [each.name if each else None for each in git.blame(tmp_path, file)]
    assert found == [None, first, second, None]


@pytest.mark.parametrize("recorded", ["HEAD", "--output=/tmp/x", "", "a" * 39, "a" * 40])
def test_what_is_recorded_as_a_commit_must_be_one_that_is_here(recorded: str, checkout: Path) -> None:
    commit(checkout)
    with pytest.raises(UnknownCommitError):
        content_at(checkout / "stacks/prod/models.yaml", recorded)


def test_content_at_a_commit(checkout: Path) -> None:
    before = commit(checkout)
    (checkout / "stacks/prod/models.yaml").write_text("models: {}\n")
    after = commit(checkout)
    file = checkout / "stacks/prod/models.yaml"
    assert content_at(file, before) == LIVE.encode()
    assert content_at(file, after) == b"models: {}\n"
    assert content_at(checkout / "other", after) is None


def test_a_commit_of_the_future_does_not_stay(checkout: Path) -> None:
    model, live = checkout / "model/model.yaml", checkout / "stacks/prod/models.yaml"
    commit(checkout, 4_070_908_800)  # 2099
    (checkout / "stacks/prod/environment.yaml").write_text(ENVIRONMENT + "# changed\n")
    environment = commit(checkout, 1_800_000_000)
    files = [model, checkout / "stacks/prod/environment.yaml"]
    assert last_commit(files) == environment
    live.write_text(LIVE + "# changed\n")
    entry = commit(checkout, 1_700_000_000)
    assert last_commit(files, (live, (1, 3))) == entry
    assert last_commit([model, live]) == entry


def test_the_last_commit_of_two_branches_is_the_one_that_joined_last(checkout: Path) -> None:
    model, environment = checkout / "model/model.yaml", checkout / "stacks/prod/environment.yaml"
    commit(checkout)
    do(checkout, "checkout", "--quiet", "-b", "side")
    model.write_text(MODEL + "# side\n")
    side = commit(checkout, 4_070_908_800)
    do(checkout, "checkout", "--quiet", "main")
    environment.write_text(ENVIRONMENT + "# main\n")
    main = commit(checkout)
    do(checkout, "merge", "--quiet", "--no-edit", "side")
    assert last_commit([model, environment]) in {main, side}
    environment.write_text(ENVIRONMENT + "# after\n")
    after = commit(checkout)
    assert last_commit([model, environment]) == after


REMOTES = {
    "https://git.example.com/ml/iris.git": "https://git.example.com/ml/iris.git",
    "https://token@git.example.com/ml/iris": "https://git.example.com/ml/iris",
    "https://user:hunter2@git.example.com/ml/iris": "https://git.example.com/ml/iris",
    "https://user:hunt@er2@git.example.com/ml/iris": "https://git.example.com/ml/iris",
    "git+https://user:hunter2@git.example.com/ml/iris": "git+https://git.example.com/ml/iris",
    "https://git.example.com/ml/iris?access_token=hunter2#hunter2": "https://git.example.com/ml/iris",
    "https://user:hunter2@git.example.com": "https://git.example.com",
    "ssh://git:hunter2@git.example.com:22/ml/iris": "ssh://git.example.com:22/ml/iris",
    "git@git.example.com:ml/iris.git": "git@git.example.com:ml/iris.git",
    "git:hunter2@git.example.com:ml/iris.git": "git.example.com:ml/iris.git",
    "hunter2@git.example.com:ml/iris.git": "git.example.com:ml/iris.git",
    "https://[2001:db8::1]/ml/iris": "https://[2001:db8::1]/ml/iris",
    "/srv/git/iris": "/srv/git/iris",
    # In no form that git documents, or with what may be a part of a password.
    "https://user:hunt/er2@git.example.com/ml/iris": None,
    "//user:hunter2@git.example.com/ml": None,
    "https:\\user:hunter2@git.example.com/ml": None,
    "ext::sh -c hunter2": None,
    "https://git.example.com/" + "ghp_" + "a" * 36 + "/iris": None,
    "https://git.example.com/ml\nhunter2": None,
}


@pytest.mark.parametrize("remote", REMOTES)
def test_an_address_has_nobodys_credentials(remote: str) -> None:
    found = without_credentials(remote)
    assert found == REMOTES[remote]
    assert "hunter2" not in str(found)
