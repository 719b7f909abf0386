"""Stacks of one cluster: none takes a namespace, a host or an image of another one, and `check` tells of both."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.commands.check import Checked, check

GATEWAY = "gateway: {{name: {}, namespace: edge, host: '{}'}}\n"
IMAGES = "images: {registry: registry.example.com/models, bases: {python: 'registry.example.com/base:1'}}\n"


def write(root: Path, stack: str, *models: str, more: str = "", cluster: str = "one", build: bool = False) -> Path:
    """A stack with models; where they are built, each stack has folders of its own."""
    folder = root / "stacks" / stack
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "environment.yaml").write_text(f"cluster: {{identifier: {cluster}}}\n{more}")
    entries = []
    for name in models:
        spec = root / (stack if build else "models") / name / "model.yaml"
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text(
            f"name: {name}\nowner: ds\n" + ("build: {}\n" if build else f"image: registry.example.com/{name}\n")
        )
        entries.append(f'  {name}:\n    spec: {spec}\n    stable: {{version: "1"}}\n')
    (folder / "models.yaml").write_text("models:\n" + "".join(entries) if entries else "models: {}\n")
    return folder


def told(root: Path, *folders: Path) -> dict[str, list[str]]:
    return {each.name: lines(root, each) for each in check(folders)}


def lines(root: Path, checked: Checked) -> list[str]:
    return [str(problem).replace(f"{root}/", "") for problem in checked.problems]


def test_one_namespace_of_two_stacks(tmp_path: Path) -> None:
    prod, trial = write(tmp_path, "prod", "tide"), write(tmp_path, "trial", "tide")
    message = (
        "stacks/{}/models.yaml:2: models.tide: found the namespace tide on the cluster one, which tide of {} has, "
        "accepted: another `namespace` or `cluster.identifier` in one of the environments"
    )
    assert told(tmp_path, prod, trial) == {
        "prod": [message.format("prod", "trial")],
        "trial": [message.format("trial", "prod")],
    }


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ({}, {"cluster": "two"}, False),
        ({}, {"more": "namespace: trial-{model}\n"}, False),
        ({"more": "namespace: a-{model}\n"}, {"more": "namespace: b-{model}\n"}, False),
        ({"more": "namespace: a-{model}\n"}, {"more": "namespace: a-{model}\n"}, True),
        # A context is a name of this machine's; only the identifier tells that a cluster is another.
        ({"cluster": "one, context: a"}, {"cluster": "one, context: b"}, True),
        ({"cluster": "one, context: a"}, {"cluster": "two, context: a"}, False),
    ],
)
def test_clusters_and_templates_tell_stacks_apart(
    tmp_path: Path, one: dict[str, str], other: dict[str, str], clash: bool
) -> None:
    found = told(tmp_path, write(tmp_path, "prod", "tide", **one), write(tmp_path, "trial", "tide", **other))  # type: ignore[arg-type]
    assert [bool(problems) for problems in found.values()] == [clash, clash]


def test_templates_that_meet(tmp_path: Path) -> None:
    prod = write(tmp_path, "prod", "test-victim", "other")
    test = write(tmp_path, "test", "victim", "third", more="namespace: 'test-{model}'\n")
    found = told(tmp_path, prod, test)
    assert [line.split(", accepted")[0] for line in found["prod"]] == [
        "stacks/prod/models.yaml:2: models.test-victim: found the namespace test-victim on the cluster one, which victim of "
        "test has"
    ]
    assert [line.split(", accepted")[0] for line in found["test"]] == [
        "stacks/test/models.yaml:2: models.victim: found the namespace test-victim on the cluster one, which test-victim of "
        "prod has"
    ]


def test_the_namespace_that_another_environment_names(tmp_path: Path) -> None:
    prod = write(tmp_path, "prod", "other", more="gateway: {namespace: edge}\n")
    trial = write(tmp_path, "trial", "edge")
    assert told(tmp_path, prod, trial) == {
        "prod": [],
        "trial": [
            "stacks/trial/models.yaml:2: models.edge: found the namespace edge on the cluster one, which gateway.namespace "
            "of prod has, accepted: another `namespace` or `cluster.identifier` in one of the environments"
        ],
    }


@pytest.mark.parametrize(
    ("gateway", "host", "cluster", "clash"),
    [
        ("public", "{model}.example.com", "one", True),
        ("private", "{model}.example.com", "one", False),
        ("public", "{model}.trial.example.com", "one", False),
        ("public", "{model}.example.com", "two", False),
    ],
)
def test_one_host_of_two_stacks(tmp_path: Path, gateway: str, host: str, cluster: str, clash: bool) -> None:
    prod = write(tmp_path, "prod", "tide", more=GATEWAY.format("public", "{model}.example.com"))
    more = GATEWAY.format(gateway, host) + "namespace: trial-{model}\n"
    found = told(tmp_path, prod, write(tmp_path, "trial", "tide", more=more, cluster=cluster))
    message = (
        "stacks/prod/models.yaml:2: models.tide: found the host tide.example.com of the gateway edge/public on the cluster "
        "one, which tide of trial has, accepted: another `gateway.host` in one of the environments"
    )
    assert found["prod"] == ([message] if clash else [])
    assert bool(found["trial"]) == clash


def test_one_host_in_one_namespace_is_told_once(tmp_path: Path) -> None:
    more = GATEWAY.format("public", "{model}.example.com")
    found = told(tmp_path, write(tmp_path, "prod", "tide", more=more), write(tmp_path, "trial", "tide", more=more))
    assert [len(problems) for problems in found.values()] == [1, 1]


def test_one_image_built_from_two_folders(tmp_path: Path) -> None:
    prod = write(tmp_path, "prod", "tide", more=IMAGES, cluster="a", build=True)
    trial = write(tmp_path, "trial", "tide", more=IMAGES, cluster="b", build=True)
    assert told(tmp_path, prod, trial)["trial"] == [
        "stacks/trial/models.yaml:2: models.tide: found the image registry.example.com/models/tide, which tide of prod has, "
        "accepted: another `images.registry` in one of the environments"
    ]
    (trial / "models.yaml").write_text((prod / "models.yaml").read_text())
    assert told(tmp_path, prod, trial) == {"prod": [], "trial": []}


def test_an_image_that_is_a_base_image_elsewhere(tmp_path: Path) -> None:
    prod = write(tmp_path, "prod", more=IMAGES.replace("models,", "x,").replace("/base:1", "/models/tide:1"))
    trial = write(tmp_path, "trial", "tide", more=IMAGES, build=True)
    (found,) = told(tmp_path, prod, trial)["trial"]
    assert "found the image registry.example.com/models/tide, which images.bases of prod has" in found


@pytest.mark.parametrize(
    ("owner", "entry", "clash"),
    [
        ("other", 'image: {}, stable: {{version: "1"}}', True),
        ("ds", 'image: {}, stable: {{version: "1"}}', False),
        ("other", 'image: {}, stable: {{version: "1", digest: "sha256:' + "a" * 64 + '"}}', False),
        ("other", 'image: {}/x, stable: {{version: "1"}}', False),
        ("other", 'weights: {{image: {}}}, stable: {{version: "1", weights: {{version: "1"}}}}', True),
        (
            "other",
            'weights: {{image: {}}}, stable: {{version: "1", weights: {{version: "1", digest: "sha256:'
            + "a" * 64
            + '"}}}}',
            False,
        ),
    ],
)
def test_an_image_that_another_owners_model_runs_by_its_tag(
    tmp_path: Path, owner: str, entry: str, clash: bool
) -> None:
    prod = write(tmp_path, "prod", "tide", more="namespace: 'prod-{model}'\n")
    trial = write(tmp_path, "trial", "surge", more=IMAGES, build=True)
    stated, stable = entry.format("registry.example.com/models/surge").split(", ", 1)
    image = "" if "weights" not in stated else "image: registry.example.com/tide\n"
    (tmp_path / "models/tide/model.yaml").write_text(f"name: tide\nowner: {owner}\n{image}{stated}\n")
    (prod / "models.yaml").write_text(f"models:\n  tide: {{spec: ../../models/tide/model.yaml, {stable}}}\n")
    found = told(tmp_path, prod, trial)
    message = (
        "stacks/{}/models.yaml:2: models.{}: found the image registry.example.com/models/surge, which {} has, accepted: "
        "{}another `images.registry` in one of the environments"
    )
    digests = "digests in the entry of tide, or "
    assert found["prod"] == ([message.format("prod", "tide", "surge of trial", digests)] if clash else [])
    assert found["trial"] == ([message.format("trial", "surge", "tide of prod", "")] if clash else [])


def test_two_stacks_run_one_image(tmp_path: Path) -> None:
    folders = [write(tmp_path, stack, "tide", cluster=stack) for stack in ("prod", "trial")]
    trial = tmp_path / "trial/model.yaml"
    trial.parent.mkdir()
    trial.write_text("name: tide\nowner: other\nimage: registry.example.com/tide\n")
    (folders[1] / "models.yaml").write_text(f'models: {{tide: {{spec: {trial}, stable: {{version: "1"}}}}}}\n')
    assert told(tmp_path, *folders) == {"prod": [], "trial": []}


@pytest.mark.parametrize(
    ("volume", "cluster", "clash"), [("pv", "one", True), ("pv", "two", False), ("w", "one", False)]
)
def test_one_volume_of_two_stacks(tmp_path: Path, volume: str, cluster: str, clash: bool) -> None:
    more = "namespace: '{}-{{model}}'\nclaims: {{tide: {{weights: {{volume: {}}}}}}}\n"
    prod = write(tmp_path, "prod", "tide", more=more.format("prod", "pv"))
    trial = write(tmp_path, "trial", more=more.format("trial", volume), cluster=cluster)
    message = (
        "stacks/prod/environment.yaml:3: claims.tide.weights.volume: found the volume pv on the cluster one, which "
        "claims.tide.weights of trial has, accepted: another volume, because it is bound to one claim"
    )
    found = told(tmp_path, prod, trial)
    assert found["prod"] == ([message] if clash else [])
    assert bool(found["trial"]) == clash


def test_a_stack_is_compared_with_those_that_are_not_checked(tmp_path: Path) -> None:
    prod, trial = write(tmp_path, "prod", "tide"), write(tmp_path, "trial", "tide")
    (only,) = check([prod], beside=[prod, trial])
    assert len(only.problems) == 1
    (trial / "models.yaml").write_text("models: 3\n")
    (only,) = check([prod], beside=[prod, trial])
    assert only.problems == ()


def test_a_cluster_of_the_shell_makes_no_stacks_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = IMAGES.replace("/models", "/{}")
    prod = write(tmp_path, "prod", "tide", more=more.replace("{}", "a"), cluster="a", build=True)
    trial = write(tmp_path, "trial", "tide", more=more.replace("{}", "b"), cluster="b", build=True)
    monkeypatch.setenv("HOMEPORT_CONTEXT", "kind")
    monkeypatch.setenv("HOMEPORT_REGISTRY", "localhost:5001")
    assert told(tmp_path, prod, trial) == {"prod": [], "trial": []}


templates = st.sampled_from(["{model}", "a-{model}", "{model}-a", "a-{model}-a", "{model}{model}"])
names = st.lists(st.sampled_from(["a", "a-a", "a-a-a", "aa", "b", "a-b", "aaaa"]), min_size=1, max_size=3, unique=True)
stacks = st.tuples(templates, names, st.sampled_from(["one", "two"]))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stacks, stacks)
def test_whatever_the_templates_are_no_namespace_is_shared(
    tmp_path: Path, one: tuple[str, list[str], str], other: tuple[str, list[str], str]
) -> None:
    folders = [
        write(tmp_path, stack, *models, more=f"namespace: '{template}'\n", cluster=cluster)
        for stack, (template, models, cluster) in (("prod", one), ("trial", other))
    ]
    shared = [
        {(cluster, template.replace("{model}", name)) for name in models} for template, models, cluster in (one, other)
    ]
    found = told(tmp_path, *folders)
    assert [len(found[stack]) for stack in ("prod", "trial")] == [len(shared[0] & shared[1])] * 2
