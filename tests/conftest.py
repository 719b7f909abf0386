"""What all lanes share: which tests are on one worker of pytest-xdist and when, and a sign of life without a terminal."""

import os
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.heartbeat import Heartbeat

ENGINE = Path(__file__).parent / "engine"
IMAGES = {f"tests/cluster/test_{name}.py" for name in ("build_secrets", "demo", "images", "iris")}
"""Modules that share a builder and the images that it made, so they run on one worker."""
FIRST = [ENGINE / f"test_{name}.py" for name in ("interruption", "scheduling", "examples", "host_names")]
"""So that three workers end together: each takes a module, and a next one before it has ended."""


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
