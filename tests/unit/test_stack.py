"""Reading the files of an environment."""

import subprocess
import sys
from pathlib import Path

import pytest

from homeport import Model, SpecError, Stack
from homeport.rules.violation import LISTED
from homeport.stack import _peers

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
    assert problems(stack) == ["models.yaml:5: models.iris: found iris twice, accepted: each name once"]


def test_one_spec_under_two_names(stack: Path) -> None:
    (stack / "models.yaml").write_text(LIVE + LIVE.split("\n", 1)[1].replace("  iris:", "  rose:"))
    assert problems(stack) == ['models.yaml:5: models.rose: found "rose", accepted: "iris", the name in ../iris.yaml']


def test_image_without_digest_where_one_is_required(stack: Path) -> None:
    (stack / "models.yaml").write_text('models:\n  iris:\n    spec: ../iris.yaml\n    stable: {version: "1"}\n')
    assert problems(stack) == [
        'models.yaml:4: models.iris.stable.digest: found image "registry.example.com/iris:1" without a digest, '
        "accepted: sha256:... of the image (require.digest)"
    ]


def test_ceiling_exceeded_names_the_line_of_the_model(stack: Path) -> None:
    (stack.parent / "iris.yaml").write_text(MODEL.format(name="iris") + "scale:\n  max: 9\n")
    assert problems(stack) == ["iris.yaml:5: iris.scale.max: found 9 replicas, accepted: 5 or fewer (limits.replicas)"]


def test_totals_name_the_models_the_field_the_value_and_the_ceiling(stack: Path) -> None:
    (stack / "environment.yaml").write_text(
        "cluster: {identifier: prod}\naccelerators: {l4: {labels: {gpu: [l4]}}}\n"
        "defaults: {cpu: 250m, memory: 512Mi, max_replicas: 3}\n"
        "limits:\n  total:\n    cpu: 4\n    memory: 1Gi\n    gpus: 2\n"
    )
    (stack.parent / "rose.yaml").write_text(
        MODEL.format(name="rose") + "scale: {max: 4}\nresources: {cpu: 1, gpu: {kinds: [l4]}}\n"
    )
    (stack / "models.yaml").write_text(LIVE + LIVE.split("\n", 1)[1].replace("iris", "rose"))
    assert problems(stack) == [
        "environment.yaml:6: limits.total.cpu: found 4750m for all models together (resources.cpu: rose 1 for each of "
        "4 replicas, iris 250m for each of 3 replicas), accepted: 4 or less",
        "environment.yaml:7: limits.total.memory: found 3584Mi for all models together (resources.memory: rose 512Mi "
        "for each of 4 replicas, iris 512Mi for each of 3 replicas), accepted: 1Gi or less",
        "environment.yaml:8: limits.total.gpus: found 4 for all models together (resources.gpu.count: rose 1 for each "
        "of 4 replicas), accepted: 2 or less",
    ]


def test_totals_that_are_just_reached(stack: Path) -> None:
    (stack / "environment.yaml").write_text(
        "cluster: {identifier: prod}\ndefaults: {cpu: 1, memory: 1Gi, max_replicas: 3}\n"
        "limits: {total: {cpu: 3, memory: 3Gi, gpus: 0}}\n"
    )
    assert len(Stack.read(stack).releases) == 1


def test_total_names_the_models_that_use_most(stack: Path) -> None:
    (stack / "environment.yaml").write_text("cluster: {identifier: prod}\nlimits: {total: {cpu: 1}}\n")
    names = [f"m{index}" for index in range(7)]
    for name in names:
        (stack.parent / f"{name}.yaml").write_text(MODEL.format(name=name))
    entry = LIVE.split("\n", 1)[1]
    (stack / "models.yaml").write_text("models:\n" + "".join(entry.replace("iris", name) for name in names))
    (problem,) = problems(stack)
    assert problem.endswith("m4 500m for each of 3 replicas, and 2 more models), accepted: 1 or less")


def write_calls(stack: Path, calls: dict[str, str]) -> None:
    entry = LIVE.split("\n", 1)[1]
    (stack / "models.yaml").write_text("models:\n" + "".join(entry.replace("iris", name) for name in calls))
    for name, called in calls.items():
        (stack.parent / f"{name}.yaml").write_text(MODEL.format(name=name) + f"calls: [{called}]\n")


def test_cycle_of_calls_is_named(stack: Path) -> None:
    write_calls(stack, {"rose": "iris", "iris": "lily, daisy", "daisy": "rose", "lily": ""})
    assert problems(stack) == [
        "daisy.yaml:4: daisy.calls[0]: found the cycle daisy -> rose -> iris -> daisy, accepted: calls without a cycle"
    ]


def test_every_cycle_is_named(stack: Path) -> None:
    write_calls(stack, {"a": "b", "b": "a", "c": "d", "d": "c", "e": "a, c"})
    assert [problem.split(": ")[2].split(",")[0] for problem in problems(stack)] == [
        "found the cycle a -> b -> a",
        "found the cycle c -> d -> c",
    ]


def test_diamond_is_no_cycle(stack: Path) -> None:
    write_calls(stack, {"a": "b, c", "b": "d", "c": "d", "d": ""})
    assert len(Stack.read(stack).releases) == 4


def test_call_to_a_model_that_is_not_live_names_those_that_are(stack: Path) -> None:
    write_calls(stack, {"a": "nobody", "b": "", "c": ""})
    assert problems(stack) == ['a.yaml:4: a.calls[0]: found "nobody", which is not live here, accepted: b, c']


def test_many_calls_to_models_that_are_not_live_name_some_that_are(stack: Path) -> None:
    names = [f"m{number:03}" for number in range(60)]
    write_calls(stack, dict.fromkeys(names, ", ".join(f"x{number}" for number in range(70))))
    found = problems(stack)
    assert f"accepted: {', '.join(names[1:21])} and more" in found[0]
    assert len(found) == 60 * 51  # of each file
    assert "20 more mistakes, which are not listed" in found[50]


def test_a_model_calls_no_more_than_a_thousand(stack: Path) -> None:
    write_calls(stack, {"iris": ", ".join(f"x{number}" for number in range(1001))})
    assert problems(stack) == ["iris.yaml:4: calls: found a list of 1001, accepted: at most 1000"]


def test_models_that_name_no_live_one_get_few_peers() -> None:
    models = {
        name: Model.model_validate({"name": name, "owner": "ds", "image": "r.example.com/x", "calls": ["gone"]})
        for name in (f"m{number}" for number in range(100))
    }
    assert max(map(len, _peers(models).values())) <= LISTED + 2


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
