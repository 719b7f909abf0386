"""History: which version was live when, from the stack's updates and what was committed."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from homeport.cli import app
from homeport.commands.history import HistoryError, events, text, with_built
from homeport.provenance import UnknownCommitError

DIGEST = "sha256:" + "5" * 64
BUILT = "sha256:" + "6" * 64


GIT = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com"]


def update(commit: str, hour: int, result: str = "succeeded", kind: str = "update", dirty: str = "false") -> Any:
    environment = {"git.head": commit, "git.author": "Ada", "git.dirty": dirty}
    time = f"2026-11-22T{hour:02}:00:00.000Z"
    return {"kind": kind, "startTime": time, "environment": environment, "result": result}


def live(version: str, canary: str = "") -> str:
    return (
        f'models:\n  iris:\n    spec: iris.yaml\n    stable: {{version: "{version}", digest: "{DIGEST}"}}\n{canary}'
        '  rose: {spec: rose.yaml, stable: {version: "1"}}\n'
    )


CANARY = '    canary: {version: "2", percent: 10}\n'
COMMITS = {"a": live("1"), "b": live("1", CANARY), "c": live("2"), "d": live("2"), "e": "models: {}\n", "f": "{ no"}


def reading(commits: Mapping[str, str]) -> Callable[[str], bytes | None]:
    return lambda commit: commits[commit].encode() if commit in commits else None


def same(_: str, __: Path) -> str:
    """Nothing but `models.yaml` ever changes."""
    return "same"


def told(*updates: Any, model: str = "iris") -> list[tuple[str | None, str | None, str, str]]:
    found = events(model, updates[::-1], reading(COMMITS), same)
    return [(each.version, each.canary, each.commit, each.result) for each in found]


def test_update_that_changes_the_model_is_listed_the_newest_first() -> None:
    found = told(update("a", 1), update("b", 2), update("c", 3), update("d", 4), update("a", 5))
    assert found == [
        ("1", None, "a", "succeeded"),  # the rollback; d changed something else
        ("2", None, "c", "succeeded"),
        ("1", "2", "b", "succeeded"),
        ("1", None, "a", "succeeded"),
    ]


def test_failed_update_is_listed_and_the_one_that_repairs_it() -> None:
    assert told(update("a", 1), update("c", 2, "failed"), update("a", 3), update("a", 4)) == [
        ("1", None, "a", "succeeded"),
        ("2", None, "c", "failed"),
        ("1", None, "a", "succeeded"),
    ]


def test_update_that_succeeds_at_the_second_try_is_listed_twice() -> None:
    found = told(update("a", 1), update("c", 2, "failed"), update("c", 3), update("c", 4))
    assert [(version, result) for version, _, _, result in found] == [
        ("2", "succeeded"),
        ("2", "failed"),
        ("1", "succeeded"),
    ]


def test_model_that_is_taken_away_or_destroyed_has_no_version() -> None:
    found = told(update("a", 1), update("e", 2), update("a", 3), update("a", 4, kind="destroy"))
    assert [version for version, *_ in found] == [None, "1", None, "1"]


def test_refresh_and_other_models_are_not_its_history() -> None:
    assert len(told(update("a", 1), update("a", 2, kind="refresh"), update("b", 3), model="rose")) == 1


def test_an_update_that_fails_because_of_another_model_is_not_its_history() -> None:
    assert len(told(update("a", 1), update("b", 2, "failed"), model="rose")) == 1
    assert told(update("e", 1, "failed"), update("a", 2), update("a", 3, "failed")) == [("1", None, "a", "succeeded")]


def test_nothing_is_told_of_the_time_before_the_model() -> None:
    commits = {"a": live("1"), "b": live("1") + '  lily: {spec: lily.yaml, stable: {version: "7"}}\n'}
    updates = [update("a", 1, "failed"), update("a", 2), update("b", 3)]
    assert [each.version for each in events("lily", updates[::-1], reading(commits), same)] == ["7"]


def test_versions_that_only_the_files_tell_apart() -> None:
    built = live("1").replace(f', digest: "{DIGEST}"', "")
    commits = dict.fromkeys("123", built)
    hashes = {"1": "a", "2": "a", "3": "b"}
    asked = []

    def hash_at(commit: str, path: Path) -> str:
        asked.append(path)
        return hashes[commit]

    found = events("iris", [update(each, int(each)) for each in "321"], reading(commits), hash_at)
    assert [each.commit for each in found] == ["3", "1"]
    assert set(asked) == {Path()}  # the folder of iris.yaml: the image is made from it
    asked.clear()
    commits["1"] = live("1")
    events("iris", [update("1", 1)], reading(commits), hash_at)
    assert asked == [Path("iris.yaml")]  # the image is stated, so the rest of the folder is not in it


def test_every_update_from_what_is_not_committed_that_changed_something_is_told() -> None:
    changes, none = {"resourceChanges": {"same": 3, "update": 1}}, {"resourceChanges": {"same": 4}}
    dirty = [update("a", hour, dirty="true") for hour in range(4)]
    found = told(dirty[0] | changes, dirty[1] | changes, dirty[2] | none, update("a", 5))
    assert [commit for _, _, commit, _ in found] == ["a", "a-dirty", "a-dirty"]


def test_commit_says_when_not_all_was_committed() -> None:
    assert told(update("a", 1, dirty="true"))[0][2] == "a-dirty"


def test_what_cannot_be_read_at_a_commit_was_not_live() -> None:
    assert [version for version, *_ in told(update("a", 1), update("f", 2), update("x", 3))] == [None, "1"]


def test_update_outside_a_repository_has_no_commit() -> None:
    bare = {"kind": "update", "startTime": "2026-11-22T01:00:00.000Z", "result": "succeeded"}
    (event, *_) = events("iris", [update("a", 2), bare], reading(COMMITS), same)
    assert (event.time, event.author, event.digest, event.percent) == ("2026-11-22T02:00:00Z", "Ada", DIGEST, None)


def test_other_weights_of_the_same_version_are_told_beside_it() -> None:
    commits = {each: live("1").replace('"1",', f'"1", weights: {{version: "{each}"}},') for each in "78"}
    found = events("iris", [update("8", 2), update("7", 1)], reading(commits), same)
    assert [(each.version, each.weights) for each in found] == [("1", "8"), ("1", "7")]
    assert "  1 (weights 8)  " in text(found)[1]


def gone(commit: str) -> bytes:
    """A clone that lacks the commits of which nothing is known here."""
    if commit not in COMMITS:
        raise UnknownCommitError(commit)
    return COMMITS[commit].encode()


def test_what_was_live_from_a_commit_that_is_not_here_is_unknown_and_never_gone() -> None:
    found = events("iris", [update("a", 1), update("0ff", 2, dirty="true"), update("a", 3)][::-1], gone, same)
    assert [(each.version, each.commit) for each in found] == [("1", "a"), ("unknown", "0ff-dirty"), ("1", "a")]
    *_, hint = text(found)
    assert hint == (
        "commit 0ff is not in this clone, so the versions that were live since then are unknown: "
        "run git fetch --unshallow, or git fetch origin 0ff"
    )


def test_a_destroyed_stack_has_nothing_live_whatever_its_commit() -> None:
    found = events("iris", [update("a", 1), update("0ff", 2, kind="destroy")][::-1], gone, same)
    assert [each.version for each in found] == [None, "1"]


def test_a_model_of_no_commit_that_is_here_is_not_told_as_unknown() -> None:
    with pytest.raises(HistoryError, match=r"accepted: iris, rose .*\ncommit 0ff is not in this clone"):
        events("lily", [update("a", 1), update("0ff", 2)][::-1], gone, same)


def test_model_that_was_never_live_names_those_that_were() -> None:
    with pytest.raises(HistoryError) as error:
        told(update("a", 1), model="lily")
    assert str(error.value) == 'found "lily", accepted: iris, rose (models that were live at a commit)'


# The command, with a pulumi that says what it is told to say.


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Any]], str]:
    """A repository with a commit of stack prod, and a pulumi that tells updates of the last one."""
    folder = tmp_path / "stacks" / "prod"
    folder.mkdir(parents=True)
    (folder / "models.yaml").write_text(live("1", CANARY))
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*GIT, *arguments], cwd=tmp_path, check=True)

    def tell(updates: list[Any]) -> str:
        commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tmp_path, text=True).strip()
        for each in updates:
            each["environment"]["git.head"] = commit
        (tmp_path / "told.json").write_text(json.dumps(updates))
        (tmp_path / "outputs.json").write_text(json.dumps({"iris": {"version": "1", "image": f"r/iris@{BUILT}"}}))
        program = tmp_path / "pulumi"
        program.write_text(
            f'#!/bin/sh\ncase "$*" in\n*show-name*) echo org/homeport/prod;;\n*stack=nowhere*) echo no stack >&2; exit 1;;\n'
            f"*history*) cat {tmp_path}/told.json;;\n*output*) cat {tmp_path}/outputs.json;;\nesac\n"
        )
        program.chmod(0o755)
        return commit

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tell


def homeport(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["history", *arguments], prog_name="homeport")


def test_table_of_the_selected_stack(repository: Callable[[list[Any]], str]) -> None:
    commit = repository([update("", 1, dirty="true")])
    result = homeport("iris")
    assert result.stdout == (
        "TIME                  VERSION  CANARY   UPDATE     COMMIT              AUTHOR  DIGEST\n"
        f"2026-11-22T01:00:00Z  1        2 (10%)  succeeded  {commit[:12]}-dirty  Ada     {DIGEST}\n"
    )


def test_digest_of_a_built_image_is_told_of_the_live_version(
    repository: Callable[[list[Any]], str], tmp_path: Path
) -> None:
    models = tmp_path / "stacks" / "prod" / "models.yaml"
    models.write_text(models.read_text().replace(f', digest: "{DIGEST}"', ""))
    subprocess.run([*GIT, "commit", "-qam", "b"], cwd=tmp_path, check=True)
    repository([update("", 1)])
    assert homeport("iris").stdout.splitlines()[1].endswith(BUILT)


def test_digest_is_told_of_what_is_live_only() -> None:
    bare = {"a": live("1").replace(DIGEST, "").replace(', digest: ""', ""), "b": live("2")}
    found = events("iris", [update("a", 3), update("b", 2), update("a", 1)], reading(bare), same)
    told = [each.digest for each in with_built("iris", found, {"iris": {"version": "1", "image": f"r/iris@{BUILT}"}})]
    assert told == [BUILT, DIGEST, None]
    for outputs in (
        {"iris": {"version": "2", "image": f"r/iris@{BUILT}"}},
        {"iris": {"version": "1", "image": "r/iris:1"}},
        {"iris": "https://iris"},
        {},
    ):
        assert with_built("iris", found, outputs) == found
    failed = events("iris", [update("a", 2, "failed"), update("b", 1)], reading(bare), same)
    assert with_built("iris", failed, {"iris": {"version": "1", "image": f"r/iris@{BUILT}"}}) == failed


def test_json_for_programs(repository: Callable[[list[Any]], str]) -> None:
    commit = repository([update("", 1)])
    assert json.loads(homeport("iris", "--stack", "prod", "--output", "json").stdout) == [
        {
            "time": "2026-11-22T01:00:00Z",
            "version": "1",
            "digest": DIGEST,
            "weights": None,
            "canary": "2",
            "percent": 10,
            "commit": commit,
            "author": "Ada",
            "result": "succeeded",
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lily"], 'found "lily", accepted: iris, rose (models that were live at a commit)\n'),
        (["iris", "--stack", "nowhere"], "pulumi stack history --json --page-size=0 --stack=nowhere: no stack\n"),
    ],
)
def test_what_cannot_be_listed_is_said(
    repository: Callable[[list[Any]], str], arguments: list[str], message: str
) -> None:
    repository([update("", 1)])
    result = homeport(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)


def test_pulumi_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = homeport("iris")
    assert result.exit_code == 1
    assert result.stderr == "found no pulumi on PATH: install the version that deploys the stack\n"
