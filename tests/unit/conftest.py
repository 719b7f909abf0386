"""What every unit test stands on: the files alone, whatever the shell of the one who runs it is set up for."""

import os

import pytest

from homeport.specs.overrides import CONTEXT_VARIABLE, REGISTRY_VARIABLE


@pytest.fixture(autouse=True)
def no_place_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (CONTEXT_VARIABLE, REGISTRY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def no_settings_of_the_users_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
