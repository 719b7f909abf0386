"""Which version is built from a model's folder, and what an environment allows of it."""

from pathlib import Path

import pytest

from homeport import ModelImage, ModelImageArgs, SpecError, Stack, manifests
from homeport.commands.check import check, notices
from homeport.provenance import origin
from tests.unit.test_dockerfile import git

DIGEST = "sha256:" + "0" * 64
MODEL = "name: iris\nowner: ds\nbuild:\n  base: python-3.11\n  packages: [libgomp1]\n"
IMAGES = (
    "images:\n  registry: registry.example.com/models\n  bases: {python-3.11: 'registry.example.com/base:1'}\n"
    "  packages: [libgomp1]\n"
)
GATEWAY = "gateway: {namespace: gateway, name: public, host: '{model}.example.com'}\n"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    (tmp_path / "iris").mkdir()
    write(tmp_path)
    return tmp_path


def write(
    folder: Path, model: str = MODEL, environment: str = IMAGES, live: str = 'stable: {version: "1"}', **more: str
) -> None:
    (folder / "iris" / "model.yaml").write_text(model)
    (folder / "dev" / "environment.yaml").write_text("cluster: {identifier: dev}\n" + environment)
    entry = "".join(f"    {line}\n" for line in ["spec: ../iris/model.yaml", live, *more.values()])
    (folder / "dev" / "models.yaml").write_text(f"models:\n  iris:\n{entry}")


def problems(folder: Path) -> list[str]:
    with pytest.raises(SpecError) as error:
        Stack.read(folder / "dev")
    return [str(problem).replace(f"{folder}/", "") for problem in error.value.problems]


def images(folder: Path) -> list[str]:
    (release,) = Stack.read(folder / "dev").releases
    deployments = [each for each in manifests(release) if each["kind"] == "Deployment"]
    return [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in deployments]


def test_a_version_that_is_to_be_built_is_shown_by_its_tag(stack: Path) -> None:
    (release,) = Stack.read(stack / "dev").releases
    assert release.built == release
    assert images(stack) == ["registry.example.com/models/iris:1"]


def test_what_a_build_needs_of_the_machine_and_does_not_find(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (release,) = Stack.read(stack / "dev").releases
    images = {"registry": "registry.example.com", "bases": {"python-3.11": "registry.example.com/base:1"}}
    environment = {"cluster": {"identifier": "dev"}, "images": images | {"pip": ["PIP_CERT"], "packages": ["libgomp1"]}}
    args = ModelImageArgs(model=release.model, environment=environment, folder=f"{stack}/rose", version="1")
    monkeypatch.setenv("PIP_CERT", "/absent.pem")
    with pytest.raises(SpecError) as error:
        ModelImage("rose", args)
    assert [str(problem) for problem in error.value.problems] == [
        f'rose.folder: found "{stack}/rose", accepted: the folder of the model (no such folder: {stack}/rose)',
        'PIP_CERT: found "/absent.pem", accepted: path of a file (no such file)',
    ]


@pytest.mark.parametrize(
    ("model", "images", "field"),
    [
        ({"image": "registry.example.com/iris"}, {}, "model.build"),
        ({"build": {"base": "python-2"}}, {}, "model.build.base"),
        ({"build": {"files": ["absent.py"]}}, {}, "model.build.files[0]"),
        ({"build": {}}, {"bases": {}}, "version"),
        ({"build": {}}, {"registry": "!"}, "environment.images.registry"),
    ],
)
def test_mistake_in_the_arguments_of_an_image_is_named(
    tmp_path: Path, model: dict[str, object], images: dict[str, object], field: str
) -> None:
    images = {"registry": "registry.example.com", "bases": {"python-3.11": "registry.example.com/base:1"}} | images
    environment = {"cluster": {"identifier": "dev"}, "images": images}
    spec = {"name": "iris", "owner": "ds"} | model
    with pytest.raises(SpecError) as error:
        ModelImage("rose", ModelImageArgs(model=spec, environment=environment, folder=str(tmp_path), version="1"))
    assert [problem.field for problem in error.value.problems] == [f"rose.{field}"]


def test_a_version_with_a_digest_is_used_as_it_is(stack: Path) -> None:
    # Also where nothing is built, so that what a build would need does not matter.
    environment = "images: {registry: registry.example.com/models}\nrequire: {digest: true}\n"
    write(stack, environment=environment, live=f'stable: {{version: "1", digest: "{DIGEST}"}}')
    (release,) = Stack.read(stack / "dev").releases
    assert release.built is None
    assert images(stack) == [f"registry.example.com/models/iris:1@{DIGEST}"]


def test_the_variable_names_another_registry(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_REGISTRY", "localhost:5001")
    assert images(stack) == ["localhost:5001/iris:1"]


@pytest.mark.parametrize(
    ("base", "taken"),
    [
        ("'{registry}/iris:1'", True),
        ("'registry.example.com/models/iris:1'", True),
        (f"'{{registry}}/iris@{DIGEST}'", True),
        (f"'{{registry}}/iris:2@{DIGEST}'", True),
        ("'{registry}/base/iris:1'", False),
        ("'{registry}/iris-base:1'", False),
        ("'registry.example.com/iris:1'", False),
    ],
)
def test_no_image_takes_the_place_of_a_base_image(stack: Path, base: str, taken: bool) -> None:
    images = IMAGES.replace("bases: {", f"bases: {{python-3.10: {base}, ")
    write(stack, environment=images)
    if not taken:
        Stack.read(stack / "dev")
        return
    assert problems(stack) == [
        'iris/model.yaml:1: iris.name: found "iris", whose image registry.example.com/models/iris is a base image '
        "(images.bases), accepted: another name"
    ]


def test_no_version_takes_the_place_of_the_layers(stack: Path) -> None:
    live = 'stable: {version: "cache"}'
    write(stack, live=live)
    Stack.read(stack / "dev")
    write(stack, live=live, environment=IMAGES + "  cache: true\n")
    assert problems(stack) == [
        'dev/models.yaml:4: models.iris.stable.version: found "cache", accepted: another version, because it is the tag of '
        "the layers (images.cache)"
    ]


@pytest.mark.parametrize(
    ("spec", "live", "taken"),
    [
        ("owner: other\nimage: registry.example.com/models/iris\n", 'stable: {version: "1"}', True),
        ("owner: ds\nimage: registry.example.com/models/iris\n", 'stable: {version: "1"}', False),
        ("owner: other\nimage: registry.example.com/models/rose\n", 'stable: {version: "1"}', False),
        (
            "owner: other\nimage: registry.example.com/models/iris\n",
            f'stable: {{version: "1", digest: "{DIGEST}"}}',
            False,
        ),
        (
            "owner: other\nimage: registry.example.com/a\nweights: {image: registry.example.com/models/iris}\n",
            'stable: {version: "1", weights: {version: "1"}}',
            True,
        ),
        (
            "owner: other\nimage: registry.example.com/a\nweights: {image: registry.example.com/models/iris}\n",
            f'stable: {{version: "1", weights: {{version: "1", digest: "{DIGEST}"}}}}',
            False,
        ),
    ],
)
def test_no_built_image_takes_the_place_of_one_that_another_owner_runs(
    stack: Path, spec: str, live: str, taken: bool
) -> None:
    (stack / "rose").mkdir()
    (stack / "rose" / "model.yaml").write_text(f"name: rose\n{spec}")
    with (stack / "dev" / "models.yaml").open("a") as file:
        file.write(f"  rose:\n    spec: ../rose/model.yaml\n    {live}\n")
    if not taken:
        Stack.read(stack / "dev")
        return
    assert problems(stack) == [
        'iris/model.yaml:1: iris.name: found "iris", whose image registry.example.com/models/iris rose of other runs without '
        "a digest, accepted: another name, or digests in the entry of rose"
    ]


def test_a_dockerfile_of_its_own_needs_no_base(stack: Path) -> None:
    (stack / "iris" / "Dockerfile").touch()
    model = "name: iris\nowner: ds\nbuild: {dockerfile: Dockerfile}\n"
    write(stack, model=model, environment="images: {registry: registry.example.com}\n")
    (release,) = Stack.read(stack / "dev").releases
    assert release.built


def test_a_built_image_always_has_a_digest(stack: Path) -> None:
    write(stack, environment=IMAGES + "require: {digest: true}\n")
    Stack.read(stack / "dev")


def test_of_stable_and_canary_one_is_built(stack: Path) -> None:
    canary = 'canary: {version: "2", percent: 10}'
    write(stack, environment=IMAGES + GATEWAY, live=f'stable: {{version: "1", digest: "{DIGEST}"}}', canary=canary)
    (release,) = Stack.read(stack / "dev").releases
    assert release.built
    assert release.built.version == "2"
    assert images(stack) == [f"registry.example.com/models/iris:1@{DIGEST}", "registry.example.com/models/iris:2"]

    write(stack, environment=IMAGES + GATEWAY, canary=canary)
    assert problems(stack) == [
        'dev/models.yaml:4: models.iris.stable.digest: found "1" without a digest beside canary "2", accepted: '
        "sha256:... of its image, because only the canary is built from the model's folder"
    ]


@pytest.mark.parametrize(
    ("model", "environment", "message"),
    [
        (
            MODEL,
            "",
            "iris/model.yaml:3: iris.build: needs `images` in the environment, which has none: add it there, or use "
            "`image` instead of `build`",
        ),
        (
            MODEL,
            "images: {registry: registry.example.com}\n",
            'dev/models.yaml:4: models.iris.stable.digest: found "1" without a digest, accepted: sha256:... of an image, '
            "because this environment builds none (images.bases)",
        ),
        (
            MODEL.replace("3.11", "3.9"),
            IMAGES,
            'iris/model.yaml:4: iris.build.base: found "python-3.9", accepted: python-3.11 (images.bases)',
        ),
        (
            MODEL.replace("libgomp1", "gcc"),
            IMAGES,
            'iris/model.yaml:5: iris.build.packages[0]: found "gcc", accepted: libgomp1 (images.packages)',
        ),
        (
            MODEL,
            IMAGES + "limits: {registries: [other.example.com]}\n",
            'iris/model.yaml:3: iris.build: found "registry.example.com/models/iris", accepted: an image of '
            "other.example.com (limits.registries)",
        ),
        (
            MODEL + "  files: [model.onnx]\n",
            IMAGES,
            'iris/model.yaml:6: iris.build.files[0]: found "model.onnx", accepted: path of a file in iris (no such file)',
        ),
    ],
)
def test_what_the_environment_does_not_allow_is_named(stack: Path, model: str, environment: str, message: str) -> None:
    write(stack, model, environment)
    assert problems(stack) == [message]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "build: {}\nimage: registry.example.com/iris\n",
            "found a mapping, accepted: exactly one of `image` (an existing one) and `build` (from the model's folder)",
        ),
        (
            "build: {dockerfile: Dockerfile, base: python-3.11}\n",
            "build: found a mapping, accepted: `dockerfile` without other fields, because it "
            "decides them itself (found `base`, `dockerfile`)",
        ),
        (
            "build: {serve: model.predict}\n",
            'build.serve: found "model.predict", accepted: module:Class or module:function, such as model:predict',
        ),
        (
            "build: {files: [../secret]}\n",
            'build.files[0]: found "../secret", accepted: the path of a file or folder in the model\'s folder, such as '
            "model.py, without .. or spaces",
        ),
    ],
)
def test_what_a_build_cannot_say(stack: Path, text: str, message: str) -> None:
    write(stack, "name: iris\nowner: ds\n" + text)
    assert any(problem.endswith(message) for problem in problems(stack)), problems(stack)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:token@git.example.com/team/models.git", "https://git.example.com/team/models.git"),
        ("git@git.example.com:team/models.git", "git@git.example.com:team/models.git"),
    ],
)
def test_the_source_names_nobodys_credentials(tmp_path: Path, address: str, shown: str) -> None:
    git(tmp_path, "init", "-q")
    assert origin(tmp_path) is None
    git(tmp_path, "remote", "add", "origin", address)
    assert origin(tmp_path) == shown


def test_the_code_that_is_served_is_read(stack: Path) -> None:
    write(stack, MODEL + "  serve: model:predikt\n")
    (stack / "iris" / "model.py").write_text("def predict(amount: float, **more): ...\n")
    assert problems(stack) == ['iris/model.yaml:6: iris.build.serve: found "model:predikt", accepted: "model:predict"']
    write(stack, MODEL + "  serve: model:predict\n")
    assert problems(stack) == [
        "iris/model.py:1: found `**more` of `predict`, which has no name that a request can use, accepted: parameters by "
        "name, such as `more: float` (build.serve)"
    ]
    # The image of a digest has been built, so the folder does not matter.
    write(stack, MODEL + "  serve: model:predict\n", live=f'stable: {{version: "1", digest: "{DIGEST}"}}')
    assert Stack.read(stack / "dev").hints == []


def test_a_doubt_about_the_code_is_a_hint(stack: Path) -> None:
    write(stack, MODEL + "  serve: model:predict\n  requirements: requirements.txt\n")
    (stack / "iris" / "requirements.txt").write_text("our-library\n")
    (stack / "iris" / "model.py").write_text("import sklearn\ndef predict(amount: float): ...\n")
    (hint,) = Stack.read(stack / "dev").hints
    assert hint.line == 1
    (checked,) = check([stack / "dev"])
    assert f"dev: {hint}" in notices(checked)
