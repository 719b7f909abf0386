"""What all lanes share: which tests are on one worker of pytest-xdist, and a sign of life where there is no terminal."""

import os

import pytest

from tests.heartbeat import Heartbeat


def pytest_configure(config: pytest.Config) -> None:
    """Adds the sign of life, but not in workers: what they print is not seen."""
    out = os.dup(1)  # tests' own output is captured, this is not
    if hasattr(config, "workerinput") or os.isatty(out):
        os.close(out)
    else:
        config.pluginmanager.register(Heartbeat(lambda line: os.write(out, line.encode())))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist=loadgroup`, a module's tests are on one worker: they share what is costly to make.

    A module may name a group, with whose other modules it shares more.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
