"""The built wheel in an empty environment: an engineer's program outside this repository uses it."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from sandbox.parts import DOCKER_BUILD_PROVIDER_VERSION, KUBERNETES_PROVIDER_VERSION, PULUMI_VERSION
from tests.support import EXAMPLES, ROOT, Cluster, Program


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with nothing but the wheel, what it depends on, and pip."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "build", "--quiet", "--wheel", f"--out-dir={folder}", str(ROOT)], check=True)
    (wheel,) = folder.glob("homeport-*.whl")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    # The versions that the sandbox's engine speaks; newer ones ask for providers that it cannot fetch.
    pinned = [
        f"pulumi=={PULUMI_VERSION}",
        f"pulumi-kubernetes=={KUBERNETES_PROVIDER_VERSION}",
        f"pulumi-docker-build=={DOCKER_BUILD_PROVIDER_VERSION}",
    ]
    subprocess.run([uv, "pip", "install", "--quiet", f"--python={python}", str(wheel), *pinned], check=True)
    return python.parent


def test_program_outside_the_repository_uses_the_wheel(cluster: Cluster, installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(EXAMPLES / "own-program", folder)
    outside = Cluster(cluster.variables)
    path = cluster.variables["PATH"].replace(str(Path(sys.executable).parent), str(installed))
    outside.variables["PATH"] = path
    program = Program(outside, folder, tmp_path / "state", "dev")
    shown = program("preview", "--stack=dev")
    assert "homeport:index:ModelService" in shown
    assert "16 to create" in shown


def test_wheel_tells_type_checkers_that_it_is_typed(installed: Path) -> None:
    (package,) = installed.parent.glob("lib/python3*/site-packages/homeport")
    assert (package / "py.typed").is_file()


def test_wheel_has_all_that_a_new_model_is_made_of(installed: Path, tmp_path: Path) -> None:
    (package,) = installed.parent.glob("lib/python3*/site-packages/homeport")
    found, wanted = (
        sorted(
            path.relative_to(folder)
            for path in (folder / "commands" / "templates").rglob("*.*")
            if path.suffix != ".pyc"
        )
        for folder in (package, ROOT / "components" / "homeport")
    )
    assert found == wanted
    homeport = str(installed / "homeport")
    subprocess.run([homeport, "init", "flowers", "--from", "sklearn"], cwd=tmp_path, check=True)
    assert (tmp_path / "flowers" / ".dockerignore").is_file()
    done = subprocess.run(
        [homeport, "init", "--notebook", "a.ipynb"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        1,
        'a.ipynb: to read a notebook, run: pip install "homeport[notebook]"\n',
    )
