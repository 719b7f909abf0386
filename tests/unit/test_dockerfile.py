"""The Dockerfile of a model, and what pip is told and what it may do in it."""

import os
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pip
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.images import wheels_only
from homeport.images.build_context import prepare
from homeport.images.dockerfile import NEVER_SEEN, dockerfile, ignored
from homeport.images.pip_settings import SettingsError, build_secrets
from homeport.images.requirements import Requirements
from homeport.rules.files import served_otherwise
from homeport.specs.environment import Images
from homeport.specs.model import Build, Model
from tests.wheels import source, wheel

BASE = "registry.example.com/base/python-3.11:1"


def text(required: str = "", pip: tuple[str, ...] = (), **build: object) -> str:
    return dockerfile(
        "iris",
        Build.model_validate(build),
        Requirements.read(required.encode()),
        base=BASE,
        server="1.2",
        pip=pip,  # type: ignore[arg-type]
    )


def written(made: str, path: str) -> str:
    """The content of a file that a Dockerfile writes into the image."""
    return made.split(f"COPY <<'EOF' {path}\n", 1)[1].split("\nEOF\n", 1)[0]


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
        line.endswith(
            "--only-binary=:all: --no-compile --progress-bar=off --disable-pip-version-check homeport-server==1.2"
        )
        for line in lines
    )
    assert "HOMEPORT_SERVE" not in text()


def test_what_changes_least_comes_first() -> None:
    made = text("numpy\n", packages=["libgomp1"], files=["model.onnx", "model.py"])
    order = ["apt-get -q install", "/build/requirements.txt", "pip-runner", "--from=builder", "model.onnx", "model.py"]
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


LOCKED = f"numpy==1 --hash=sha256:{'0' * 64}\n"


def test_pip_reads_what_homeport_understood_and_nothing_of_the_author() -> None:
    made = text(f"# secret words\n{LOCKED}Pandas[b,a] >1\n", requirements="requirements.txt")
    assert written(made, "/build/requirements.txt") == f"numpy==1 \\\n    --hash=sha256:{'0' * 64}\npandas[a,b]>1"
    assert "secret words" not in made
    assert "COPY requirements.txt" not in made


@given(st.text(alphabet="EOFeof=1[]\\\n", max_size=12))
def test_no_requirement_ends_the_file_that_it_is_in(line: str) -> None:
    requirements = Requirements.read(f"EOF\n{line}\n".encode())
    made = text(f"EOF\n{line}\n")
    assert written(made, "/build/requirements.txt") + "\n" == requirements.text


def test_a_change_of_comments_changes_no_layer() -> None:
    assert text("# one\nnumpy\n\n") == text("numpy  # two\n")


def test_with_hashes_nothing_without_one_is_installed() -> None:
    commands = text(LOCKED).splitlines()
    first, second = (line for line in commands if "pip-runner" in line)
    assert first.endswith("--constraint /build/constraints.txt homeport-server==1.2")
    # What the server brought is replaced by what has the hash; and by then nothing of the author's had been installed.
    assert second.endswith("--force-reinstall --require-hashes -r /build/requirements.txt")
    assert written(text(LOCKED), "/build/constraints.txt") == "numpy==1"
    assert "--require-hashes" not in text("numpy\n")


@pytest.mark.parametrize("required", ["", "numpy\n", LOCKED])
def test_the_python_that_packages_are_installed_for_starts_only_before_them(required: str) -> None:
    starts = [line for line in text(required).splitlines() if "/bin/python" in line and not line.startswith("RUN")]
    *installs, compiling = starts
    assert all(line.startswith("/opt/venv/bin/python -I /build/wheels_only.py ") for line in installs)
    assert compiling.startswith("/opt/pip/bin/python -m compileall")
    # With packages of the author's in it, it is not started again.
    assert sum("requirements.txt" in line for line in installs) == ("requirements.txt" in installs[-1])


def test_what_pip_is_told_is_a_file_and_stays_in_no_layer() -> None:
    made = text(pip=("PIP_INDEX_URL", "PIP_CERT"))
    assert "--mount=type=secret,id=pip.conf --mount=type=secret,id=PIP_CERT" in made
    assert "export PIP_CONFIG_FILE=/run/secrets/pip.conf\n" in made
    assert made.count("export") == 1
    assert "PIP_INDEX_URL" not in made
    assert "--mount=type=secret,id=pip.conf <<" in text(pip=("PIP_INDEX_URL",))
    assert "type=secret" not in text()


def settings(**values: str) -> dict[str, dict[str, str]]:
    """What pip reads of the configuration."""
    parser = RawConfigParser()
    parser.read_string(build_secrets(values)["pip.conf"])  # type: ignore[arg-type]
    return {name: dict(parser.items(name)) for name in parser.sections()}


def test_variables_of_the_machine_become_a_configuration_file() -> None:
    assert settings(PIP_INDEX_URL="https://me:a%40b@example.com/simple", PIP_EXTRA_INDEX_URL="", PIP_CERT="PEM") == {
        "install": {"index-url": "https://me:a%40b@example.com/simple", "cert": "/run/secrets/PIP_CERT"}
    }
    assert build_secrets({"PIP_CERT": "PEM"})["PIP_CERT"] == "PEM"
    assert build_secrets({"PIP_INDEX_URL": ""}) == {"pip.conf": ""}
    assert build_secrets({}) == {}


def test_variables_go_before_the_configuration_of_the_machine() -> None:
    file = "[global]\nindex-url = https://a.example.com\ntimeout = 60\n[install]\nindex_url = https://b.example.com\n"
    assert settings(PIP_CONFIG_FILE=file, PIP_INDEX_URL="https://c.example.com") == {
        "global": {"index-url": "https://a.example.com", "timeout": "60"},
        "install": {"index_url": "https://b.example.com", "index-url": "https://c.example.com"},
    }


def test_a_configuration_of_the_machine_that_is_none_is_told_without_its_content() -> None:
    with pytest.raises(SettingsError) as error:
        build_secrets({"PIP_CONFIG_FILE": "hunter2\n"})
    assert str(error.value) == "found what is no configuration file (MissingSectionHeaderError), accepted: pip's"


# Pip itself, told what a build tells it


def install(folder: Path, *wanted: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Into a folder, so that no environment has to be made."""
    runner = Path(pip.__file__).parent / "__pip-runner__.py"
    options = ["--only-binary=:all:", "--no-index", f"--find-links={folder}", "--disable-pip-version-check"]
    command = [sys.executable, "-I", wheels_only.__file__, str(runner), "install", f"--target={folder / 'installed'}"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [*command, *options, *wanted], env=kept | variables, capture_output=True, text=True, check=False
    )


def test_pip_installs_wheels(tmp_path: Path) -> None:
    wheel(tmp_path, "good", **{"good.py": ""})
    done = install(tmp_path, "good")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed/good.py").exists()


def test_the_configuration_of_the_build_goes_before_variables_of_the_base_image(tmp_path: Path) -> None:
    wheel(tmp_path, "good", **{"good.py": ""})
    (tmp_path / "pip.conf").write_text("[install]\nfind-links = /srv/of-the-build\nindex_url = https://a.example.com\n")
    base = {"PIP_FIND_LINKS": "/srv/of-the-base", "PIP_INDEX_URL": "x", "PIP_TIMEOUT": "7"}
    settings = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    code = (
        f"import os, runpy; runpy.run_path({wheels_only.__file__!r})['_forget_variables'](); print(sorted(os.environ))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=base | settings, capture_output=True, text=True, check=True)
    assert "'PIP_CONFIG_FILE', 'PIP_TIMEOUT'" in done.stdout
    assert "FIND_LINKS" not in done.stdout + "INDEX_URL"


def test_pip_runs_no_source_that_a_wheel_depends_on(tmp_path: Path) -> None:
    evil = source(tmp_path, "evil", f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    wheel(tmp_path, "bad", requires=f"evil @ {evil.as_uri()}")
    done = install(tmp_path, "bad")
    assert done.returncode != 0
    assert "pip would run code of a package, accepted: wheels only" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_of_stated_files_the_build_sees_no_others() -> None:
    build = Build(files=["model.py"], requirements="requirements.txt")
    assert ignored(build, ["model.py"]) == ["*", "!model.py", *NEVER_SEEN]


def test_of_a_whole_folder_the_build_does_not_see_what_is_hidden_or_named() -> None:
    lines = ignored(Build(), ["data"])
    assert lines == ["data", "**/.*", "model.yaml", *NEVER_SEEN]


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
    violations = {each.field: each.message for each in served_otherwise(Build.model_validate(build), tmp_path)}
    message = (
        f'found "model:predict" beside {tmp_path / file}, which says what is served too, accepted: `serve` or '
        "model-settings.json, not both"
    )
    assert violations == ({("build", "serve"): message} if found else {})


@pytest.mark.parametrize("files", [[], ["data"]])
def test_no_image_that_states_serve_has_another_answer_in_it(files: list[str]) -> None:
    stated = Build.model_validate({"serve": "model:predict", "files": files})
    # The last pattern that matches a file decides.
    assert ignored(stated, ["!model-settings.json"])[-1] == "**/model-settings.json"
    assert "**/model-settings.json" not in ignored(Build.model_validate({"files": files}), [])


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_revision_is_the_commit_that_changed_what_is_built(tmp_path: Path) -> None:
    files = {"model.py": "a", "model.yaml": "a", "requirements.txt": LOCKED}
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


@pytest.mark.parametrize("name", [None, "python-3.11"])
def test_the_only_base_need_not_be_named(name: str | None) -> None:
    found = images(bases={"python-3.11": "{registry}/base/python-3.11:1"})
    assert found.base(name) == "registry.example.com/base/python-3.11:1"


def test_of_several_bases_one_must_be_named() -> None:
    found = images(bases={"python-3.11": BASE, "python-3.12": BASE})
    assert found.base(None) is None
    assert found.base("python-3.10") is None
    assert found.base("python-3.12") == BASE
