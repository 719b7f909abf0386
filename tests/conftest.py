"""What all lanes share: which tests are on one worker of pytest-xdist and when, and a sign of life without a terminal."""

import os
from pathlib import Path

import pytest

from tests.heartbeat import Heartbeat

ENGINE = Path(__file__).parent / "engine"
FIRST = [ENGINE / f"test_{name}.py" for name in ("interruption", "scheduling", "examples", "host_names")]
"""So that three workers end together: each takes a module, and a next one before it has ended."""


def pytest_configure(config: pytest.Config) -> None:
    """Adds the sign of life, but not in workers: what they print is not seen."""
    out = os.dup(1)  # tests' own output is captured, this is not
    if hasattr(config, "workerinput") or os.isatty(out):
        os.close(out)
    else:
        config.pluginmanager.register(Heartbeat(lambda line: os.write(out, line.encode())))


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist=loadgroup`, a module's tests are on one worker: they share what is costly to make.

    A module may name a group, with whose other modules it shares more.
    """
    items.sort(key=lambda item: FIRST.index(item.path) if item.path in FIRST else len(FIRST))
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
