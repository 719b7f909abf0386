"""The project of a stack, and that nothing outside of it is read for a stack or shown."""

import subprocess
from pathlib import Path

import pytest

from homeport import SpecError, Stack
from homeport.project import is_inside, project

ENVIRONMENT = "cluster: {identifier: prod}\n"
LIVE = 'models:\n  iris: {spec: SPEC, stable: {version: "1"}}\n'
MODEL = "name: iris\nowner: ds\nimage: registry.example.com/iris\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project, and beside it a file with a secret and another project with a stack."""
    for folder in ("mine", "other"):
        stack = tmp_path / folder / "stacks" / "prod"
        stack.mkdir(parents=True)
        (stack / "environment.yaml").write_text(ENVIRONMENT)
        (stack / "models.yaml").write_text(LIVE.replace("SPEC", "../../model.yaml"))
        (tmp_path / folder / "model.yaml").write_text(MODEL)
    (tmp_path / "secret").write_text("s3same\n")
    (tmp_path / "secret.yaml").write_text("password: s3same\n")
    return tmp_path / "mine"


def problems(stack: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        Stack.read(stack)
    assert "s3same" not in str(caught.value)
    return [f"{problem.file and problem.file.name}: {problem.message}" for problem in caught.value.problems]


def test_it_is_the_working_tree_of_git(root: Path) -> None:
    subprocess.run(["git", "init", "-q", str(root.parent)], check=True)
    assert project(root / "stacks/prod") == root.parent


def test_without_git_it_has_the_file_of_pulumi(root: Path) -> None:
    (root / "stacks/Pulumi.yaml").touch()
    assert project(root / "stacks/prod") == root / "stacks"
    (root / "stacks/prod/Pulumi.yaml").touch()
    assert project(root / "stacks/prod") == root / "stacks/prod"


def test_without_both_it_is_around_the_stacks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project(root / "stacks/prod") == root
    monkeypatch.chdir(root)
    assert project(Path("stacks/prod")) == root
    assert project(Path("/")) == Path("/")


@pytest.mark.parametrize(
    "spec",
    [
        "../../../secret",
        "../../../secret.yaml",
        "/etc/passwd",
        "../../link.yaml",
        "../../chain/secret.yaml",
        "/dev/zero",
    ],
)
def test_a_spec_outside_is_not_read(spec: str, root: Path) -> None:
    (root / "link.yaml").symlink_to("../secret.yaml")
    (root / "chain").symlink_to("..")
    (root / "stacks/prod/models.yaml").write_text(LIVE.replace("SPEC", spec))
    assert problems(root / "stacks/prod") == [
        f'models.yaml: found "{spec}", which leads out of the project, accepted: a file in {root}'
    ]


@pytest.mark.parametrize("name", ["environment.yaml", "models.yaml"])
@pytest.mark.parametrize("place", ["../../../secret", "../../../secret.yaml", "/dev/zero"])
def test_a_link_out_of_the_project_is_not_followed(name: str, place: str, root: Path) -> None:
    (root / "stacks/prod" / name).unlink()
    (root / "stacks/prod" / name).symlink_to(place)
    assert (
        problems(root / "stacks/prod")[0]
        == f"{name}: found a link, which leads out of the project, accepted: a file in {root}"
    )


def test_a_link_within_the_project_is_followed(root: Path) -> None:
    (root / "iris.yaml").symlink_to("model.yaml")
    (root / "stacks/prod/models.yaml").write_text(LIVE.replace("SPEC", "../../iris.yaml"))
    assert len(Stack.read(root / "stacks/prod").releases) == 1


@pytest.mark.parametrize("link", ["stacks", "stacks/prod"])
def test_a_link_of_a_commit_makes_no_other_place_the_project(link: str, root: Path) -> None:
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run(["git", "init", "-q", str(root.parent / "other")], check=True)
    (root / link).rename(root / "away")
    (root / link).symlink_to(root.parent / "other" / link)
    assert project(root / "stacks/prod") == root
    assert all("leads out of the project" in problem for problem in problems(root / "stacks/prod"))


def test_a_link_above_the_project_is_nobodys_trick(root: Path, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to(root)
    assert project(tmp_path / "short/stacks/prod") == root
    assert len(Stack.read(tmp_path / "short/stacks/prod").releases) == 1


def test_a_loop_of_links_leads_nowhere(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    assert is_inside(root / "loop", root)
    (root / "stacks/prod/models.yaml").write_text(LIVE.replace("SPEC", "../../loop"))
    assert "no such file" in problems(root / "stacks/prod")[0]


def test_a_name_that_no_file_can_have_is_no_file(root: Path) -> None:
    (root / "stacks/prod/models.yaml").write_text(LIVE.replace("SPEC", "a" * 5000))
    assert "no such file" in problems(root / "stacks/prod")[0]
