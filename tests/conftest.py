"""What all lanes share: which tests are on one worker of pytest-xdist and when, and a sign of life without a terminal."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from sandbox.parts import DOCKER_BUILD_PROVIDER_VERSION, KUBERNETES_PROVIDER_VERSION, PULUMI_VERSION
from tests.heartbeat import Heartbeat
from tests.support import ROOT

ENGINE = Path(__file__).parent / "engine"
IMAGES = {f"tests/cluster/test_{name}.py" for name in ("build_secrets", "demo", "images", "iris")}
"""Modules that share a builder and the images that it made, so they run on one worker."""
FIRST = [ENGINE / f"test_{name}.py" for name in ("interruption", "scheduling", "examples", "host_names")]
"""So that three workers end together: each takes a module, and a next one before it has ended."""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment as a user has it: the wheel, compiled, what it depends on, and pip."""
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
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", f"--python={python}"]
    subprocess.run([*install, f"homeport[notebook] @ {wheel.as_uri()}", *pinned], check=True)
    return python.parent


def pytest_configure(config: pytest.Config) -> None:
    """Adds the sign of life, but not in workers: what they print is not seen."""
    out = os.dup(1)  # tests' own output is captured, this is not
    if hasattr(config, "workerinput") or os.isatty(out):
        os.close(out)
    else:
        config.pluginmanager.register(Heartbeat(lambda line: os.write(out, line.encode())))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest modules come first."""
    items.sort(key=lambda item: FIRST.index(item.path) if item.path in FIRST else len(FIRST))


class ByModule(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """The tests of a module run on one worker, because they share fixtures that are slow to make."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return "images" if module in IMAGES else module


# Not pytest-xdist's own `loadgroup`: 3.8 adds the group to an attribute that pytest 9.2 does not read.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByModule:
    """The scheduler of every run with several workers."""
    return ByModule(config, log)
