"""What an update without changes says of a model that is not as an earlier one left it."""

import asyncio
from typing import Any, cast

import pulumi
import pytest

from homeport.components.rollouts import RolloutError, Rollouts
from homeport.rollout import WAIT_VARIABLE


class NothingThere:
    """Hooks of a stack whose Deployments someone has deleted."""

    async def standing(self) -> list[Any]:
        return []


def test_a_deployment_that_someone_deleted_is_told_with_the_command_that_makes_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, _: warned.append(text))
    rollouts = Rollouts(cast("Any", None), cast("Any", NothingThere()), None)
    found = rollouts._unfinished({"metadata": {"name": "iris", "namespace": "home"}}, 1)
    with pytest.raises(RolloutError) as told:
        asyncio.run(found)
    assert str(told.value).splitlines() == [
        "Deployment.apps/home/iris does not exist, although this stack has made it: someone deleted it, or its namespace",
        "to make it again, run: homeport recover --stack=prod",
    ]
    monkeypatch.setenv(WAIT_VARIABLE, "false")  # as for a destruction
    assert not asyncio.run(rollouts._unfinished({"metadata": {"name": "iris", "namespace": "home"}}, 1))
    assert len(warned) == 1
