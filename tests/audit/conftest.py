"""Builds the auditors where they are missing."""

import pytest

from sandbox import build
from sandbox.progress import Progress
from tests.audit.parts import AUDITORS


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    build.ensure(AUDITORS, Progress())
