"""Reading the files of an environment."""

import subprocess
import sys
from pathlib import Path

import pytest

from homeport import SpecError, Stack

ENVIRONMENT = "cluster: {identifier: prod}\nrequire: {digest: true}\nlimits: {replicas: 5}\n"
MODEL = "name: {name}\nowner: ds\nimage: registry.example.com/{name}\n"
DIGEST = "sha256:" + "0" * 64
LIVE = f'models:\n  iris:\n    spec: ../iris.yaml\n    stable: {{version: "1", digest: "{DIGEST}"}}\n'


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    folder = tmp_path / "prod"
    folder.mkdir()
    (folder / "environment.yaml").write_text(ENVIRONMENT)
    (folder / "models.yaml").write_text(LIVE)
    (tmp_path / "iris.yaml").write_text(MODEL.format(name="iris"))
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(SpecError) as error:
        Stack.read(folder)
    return [str(problem).replace(f"{folder}/", "").replace(f"{folder.parent}/", "") for problem in error.value.problems]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_live_version_becomes_a_release(stack: Path) -> None:
    (release,) = Stack.read(stack).releases
    assert release.image == f"registry.example.com/iris:1@{DIGEST}"
    assert release.version == "1"
    assert release.commit == "unknown"


def test_missing_environment(stack: Path) -> None:
    (stack / "environment.yaml").unlink()
    assert problems(stack) == ["environment.yaml: no such file (looked in prod)"]


def test_missing_model_file_is_named_where_it_is_asked_for(stack: Path) -> None:
    (stack.parent / "iris.yaml").unlink()
    assert problems(stack) == [
        'models.yaml:3: models.iris.spec: found "../iris.yaml", accepted: path of a model.yaml '
        "(no such file: iris.yaml)"
    ]


def test_two_models_with_one_name(stack: Path) -> None:
    (stack / "models.yaml").write_text(LIVE + LIVE.split("\n", 1)[1])
    assert problems(stack) == ["models.yaml:5: iris: found iris twice, accepted: each name once"]


def test_one_spec_under_two_names(stack: Path) -> None:
    (stack / "models.yaml").write_text(LIVE + LIVE.split("\n", 1)[1].replace("  iris:", "  rose:"))
    assert problems(stack) == [
        'models.yaml:5: models.rose: found "rose", accepted: "iris", the name that ../iris.yaml states'
    ]


def test_image_without_digest_where_one_is_required(stack: Path) -> None:
    (stack / "models.yaml").write_text('models:\n  iris:\n    spec: ../iris.yaml\n    stable: {version: "1"}\n')
    assert problems(stack) == [
        'models.yaml:4: models.iris.stable.digest: found image "registry.example.com/iris:1" without a digest, '
        "accepted: sha256:... of the image (require.digest)"
    ]


def test_ceiling_exceeded_names_the_line_of_the_model(stack: Path) -> None:
    (stack.parent / "iris.yaml").write_text(MODEL.format(name="iris") + "scale:\n  max: 9\n")
    assert problems(stack) == ["iris.yaml:5: scale.max: found 9 replicas, accepted: 5 or fewer (limits.replicas)"]


def test_version_that_yaml_reads_as_a_number(stack: Path) -> None:
    (stack / "models.yaml").write_text(LIVE.replace('"1"', "1.10"))
    assert problems(stack) == [
        'models.yaml:4: models.iris.stable.version: found 1.1, accepted: text in quotes, such as "3" or "1.10" '
        "(without quotes YAML reads 1.10 as the number 1.1)"
    ]


def test_problems_of_all_files_are_reported_at_once(stack: Path) -> None:
    (stack / "environment.yaml").write_text("cluster: {}\n")
    (stack.parent / "iris.yaml").write_text("name: iris\n")
    assert [line.split(":")[0] for line in problems(stack)] == ["environment.yaml", "iris.yaml", "iris.yaml"]


def test_peers_are_the_other_models(stack: Path) -> None:
    (stack.parent / "rose.yaml").write_text(MODEL.format(name="rose") + "calls: [iris]\n")
    (stack / "models.yaml").write_text(LIVE + LIVE.split("\n", 1)[1].replace("iris", "rose"))
    iris, rose = Stack.read(stack).releases
    assert [model.name for model in iris.callers] == ["rose"]
    assert [model.name for model in rose.callees] == ["iris"]


def test_commit_is_of_what_changed_the_release(stack: Path) -> None:
    root = stack.parent
    (root / "rose.yaml").write_text(MODEL.format(name="rose"))
    (stack / "models.yaml").write_text(LIVE + LIVE.split("\n", 1)[1].replace("iris", "rose"))
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    first = git(root, "rev-parse", "HEAD")
    live = (stack / "models.yaml").read_text()
    (stack / "models.yaml").write_text(
        live.replace('rose.yaml\n    stable: {version: "1"', 'rose.yaml\n    stable: {version: "2"')
    )
    assert [release.commit for release in Stack.read(stack).releases] == [first, f"{first}-dirty"]
    # A commit a second later, so that its time tells it from the first.
    git(root, "-c", "core.editor=true", "commit", "-qam", "second", "--date", "2040-01-01T00:00:00")
    second = git(root, "rev-parse", "HEAD")
    assert Stack.read(stack).releases[0].commit == first
    assert Stack.read(stack).releases[1].commit in {first, second}


def test_importing_homeport_does_not_import_pulumi() -> None:
    program = "import sys, homeport; homeport.Stack; homeport.manifests; print('pulumi' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"
