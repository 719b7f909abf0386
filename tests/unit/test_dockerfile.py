"""The Dockerfile of a model, and what of its folder a build sees."""

import subprocess
from pathlib import Path

import pytest

from homeport.images.build_context import GENERATED, prepare
from homeport.images.dockerfile import dockerfile, ignored
from homeport.rules.files import file_violations
from homeport.specs.environment import Images
from homeport.specs.model import Build, Model

BASE = "registry.example.com/base/python-3.11:1"


def text(hashed: bool = False, pip: tuple[str, ...] = (), **build: object) -> str:
    return dockerfile(
        "iris",
        Build.model_validate(build),
        base=BASE,
        server="1.2",
        hashed=hashed,
        pip=pip,  # type: ignore[arg-type]
    )


def model(**build: object) -> Model:
    return Model.model_validate({"name": "iris", "owner": "team", "build": build})


def images(**fields: object) -> Images:
    return Images.model_validate({"registry": "registry.example.com", "bases": {"python-3.11": BASE}} | fields)


def test_the_least_that_can_be_said_gives_an_image_with_the_server_and_the_folder() -> None:
    lines = text().splitlines()
    assert lines[0] == f"FROM {BASE} AS system"
    assert "COPY --link --chmod=u=rwX,go=rX . /model/" in lines
    assert lines[-3:] == ["USER 65532:65532", "EXPOSE 8080 8082", 'CMD ["homeport-server", "/model"]']
    assert any(
        line.endswith("install --only-binary=:all: --no-compile --progress-bar=off homeport-server==1.2")
        for line in lines
    )
    assert "HOMEPORT_SERVE" not in text()


def test_what_changes_least_comes_first() -> None:
    made = text(requirements="requirements.txt", packages=["libgomp1"], files=["model.onnx", "model.py"])
    order = ["apt-get -q install", "COPY requirements.txt", "pip --python", "--from=builder", "model.onnx", "model.py"]
    places = [made.index(part) for part in order]
    assert places == sorted(places)


def test_files_have_a_layer_each_and_keep_their_places() -> None:
    made = text(files=["weights/model.onnx", "model.py"])
    assert " weights/model.onnx /model/weights/model.onnx\n" in made
    assert " model.py /model/model.py\n" in made
    assert " . /model" not in made


def test_the_entry_point_and_the_name_are_told_to_the_server() -> None:
    assert "HOMEPORT_SERVE=model:predict" in text(serve="model:predict")
    assert "MLSERVER_MODEL_NAME=iris" in text()


def test_packages_are_installed_in_one_order() -> None:
    assert text(packages=["libgomp1", "ffmpeg"]) == text(packages=["ffmpeg", "libgomp1"])


def test_with_hashes_nothing_without_one_is_installed() -> None:
    hashed = text(hashed=True, requirements="requirements.txt")
    assert "--require-hashes -r /build/requirements.txt\n" in hashed
    assert "--constraint /build/installed homeport-server==1.2\n" in hashed
    assert "--require-hashes" not in text(requirements="requirements.txt")


def test_what_pip_is_told_stays_in_no_layer() -> None:
    made = text(pip=("PIP_INDEX_URL", "PIP_CERT"))
    assert "--mount=type=secret,id=PIP_INDEX_URL --mount=type=secret,id=PIP_CERT" in made
    assert '[ ! -s /run/secrets/PIP_INDEX_URL ] || export PIP_INDEX_URL="$(cat /run/secrets/PIP_INDEX_URL)"' in made
    assert "[ ! -s /run/secrets/PIP_CERT ] || export PIP_CERT=/run/secrets/PIP_CERT" in made
    assert "secret" not in text()


def test_of_stated_files_the_build_sees_no_others() -> None:
    build = Build(files=["model.py"], requirements="requirements.txt")
    assert ignored(build, ["model.py"]).splitlines() == ["*", "!model.py", "!requirements.txt", "**/__pycache__"]


def test_of_a_whole_folder_the_build_does_not_see_what_is_hidden_or_named() -> None:
    lines = ignored(Build(), ["data"]).splitlines()
    assert lines == ["data", "**/.*", "**/__pycache__", "model.yaml"]


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.py").touch()
    build = Build(requirements="requirements.txt", files=["model.py", "model.onnx"])
    assert {each.field: each.message for each in file_violations(build, tmp_path)} == {
        ("build", "requirements"): f'found "requirements.txt", accepted: path of a file in {tmp_path} (no such file)',
        ("build", "files", 1): f'found "model.onnx", accepted: path of a file in {tmp_path} (no such file)',
    }


@pytest.mark.parametrize(
    ("file", "build", "found"),
    [
        ("model-settings.json", {"serve": "model:predict"}, True),
        ("data/deep/model-settings.json", {"serve": "model:predict"}, True),
        ("data/model-settings.json", {"serve": "model:predict", "files": ["data"]}, True),
        ("model-settings.json", {"serve": "model:predict", "files": ["model-settings.json"]}, True),
        ("other/model-settings.json", {"serve": "model:predict", "files": ["data"]}, False),
        (".venv/model-settings.json", {"serve": "model:predict"}, False),
        ("model-settings.json.txt", {"serve": "model:predict"}, False),
        ("model-settings.json", {}, False),
        ("model-settings.json", {"dockerfile": "Dockerfile"}, False),
    ],
)
def test_no_file_replaces_the_stated_serve(tmp_path: Path, file: str, build: dict[str, object], found: bool) -> None:
    for each in ("data/model.py", "Dockerfile", file):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).touch()
    violations = {each.field: each.message for each in file_violations(Build.model_validate(build), tmp_path)}
    message = (
        f'found "model:predict" beside {tmp_path / file}, which says what is served too, accepted: `serve` or '
        "model-settings.json, not both"
    )
    assert violations == ({("build", "serve"): message} if found else {})


@pytest.mark.parametrize("files", [[], ["data"]])
def test_no_image_that_states_serve_has_another_answer_in_it(files: list[str]) -> None:
    stated = Build.model_validate({"serve": "model:predict", "files": files})
    # The last pattern that matches a file decides.
    assert ignored(stated, ["!model-settings.json"]).splitlines()[-1] == "**/model-settings.json"
    assert "model-settings.json" not in ignored(Build.model_validate({"files": files}), [])


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_revision_is_the_commit_that_changed_what_is_built(tmp_path: Path) -> None:
    files = {"model.py": "a", "model.yaml": "a", "requirements.txt": "a --hash=sha256:b"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    first = git(tmp_path, "rev-parse", "HEAD")
    described = model(requirements="requirements.txt")
    assert described.build
    context = prepare(described, described.build, images(), tmp_path)
    assert "--require-hashes" in context.dockerfile.read_text()
    assert context.revision == first
    assert git(tmp_path, "status", "--porcelain") == ""  # what is generated is nobody's change

    (tmp_path / "model.yaml").write_text("b")
    git(tmp_path, "commit", "-qam", "two")
    assert prepare(described, described.build, images(), tmp_path).revision == first
    (tmp_path / "model.py").write_text("b")
    assert prepare(described, described.build, images(), tmp_path).revision == f"{first}-dirty"
    git(tmp_path, "commit", "-qam", "three")
    assert prepare(described, described.build, images(), tmp_path).revision == git(tmp_path, "rev-parse", "HEAD")


def test_a_dockerfile_of_ones_own_is_built_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    described = model(dockerfile="Dockerfile")
    assert described.build
    context = prepare(described, described.build, images(), tmp_path)
    assert context.dockerfile == tmp_path / "Dockerfile"
    assert not (tmp_path / GENERATED).exists()


def test_what_is_unchanged_is_not_written_again(tmp_path: Path) -> None:
    described = model()
    assert described.build
    file = prepare(described, described.build, images(), tmp_path).dockerfile
    before = file.stat().st_mtime_ns
    prepare(described, described.build, images(), tmp_path)
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("name", [None, "python-3.11"])
def test_the_only_base_need_not_be_named(name: str | None) -> None:
    found = images(bases={"python-3.11": "{registry}/base/python-3.11:1"})
    assert found.base(name) == "registry.example.com/base/python-3.11:1"


def test_of_several_bases_one_must_be_named() -> None:
    found = images(bases={"python-3.11": BASE, "python-3.12": BASE})
    assert found.base(None) is None
    assert found.base("python-3.10") is None
    assert found.base("python-3.12") == BASE
