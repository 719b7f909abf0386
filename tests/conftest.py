"""Which tests share a worker of pytest-xdist: with `--dist=loadgroup`, those of a module, or of a group of modules."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module's tests share what is costly to make; a module may name those that it shares with others."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
