"""How long an update takes, and what it waits for where there is just enough room."""

from typing import Any

import pytest

from homeport import Canary, Environment, Model, Release, manifests
from homeport.pace import Pace, waits

MODEL: dict[str, Any] = {
    "name": "iris",
    "owner": "ds",
    "image": "registry.example.com/iris",
    "scale": {"min": 3, "max": 8},
    "startup_seconds": 20,
    "drain_seconds": 5,
}
CLUSTER: dict[str, Any] = {"cluster": {"identifier": "prod"}}
L4 = {"resources": {"gpu": {"kinds": ["l4"], "count": 2}}}
IN_USE = {"cloud": "gke", "relax": {"gpu_downtime": "all in use"}}


def release(model: Any = (), canary: Any = None, **environment: Any) -> Release:
    made = Model.model_validate(MODEL | dict(model))
    return Release(made, Environment.model_validate(CLUSTER | environment), "1", "image", canary=canary)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (release(), "3 to 8 x (start 20 s + stability 5 s) = 75 to 200 s"),
        (release({"scale": {"min": 3, "max": 3}}), "3 x (start 20 s + stability 5 s) = 75 s"),
        (release(max_surge=4), "1 to 2 x (start 20 s + stability 5 s) = 25 to 50 s"),
        (release(max_surge=9), "1 x (start 20 s + stability 5 s) = 25 s"),
        (release(L4, **IN_USE), "3 to 8 x (stop 20 s + start 20 s + stability 5 s) = 135 to 360 s"),
        (release(L4, **IN_USE, max_surge=4), "3 to 8 x (stop 20 s + start 20 s + stability 5 s) = 135 to 360 s"),
    ],
    ids=["a range", "a fixed number", "faster", "all at once", "no GPU is spare", "no GPU is spare, and faster"],
)
def test_duration_is_that_of_its_steps(found: Release, said: str) -> None:
    assert str(Pace.of(found)) == said


def test_a_model_that_may_have_no_replica_takes_the_time_of_one() -> None:
    trigger = {"type": "x", "metadata": {"query": "{model}", "threshold": "{target}"}, "from_zero": True}
    scale = {"min": 0, "max": 2, "target": {"concurrency": 1}}
    found = release({"scale": scale}, keda={"triggers": {"concurrency": trigger}})
    assert Pace.of(found).steps == (1, 2)


def quota(**environment: Any) -> Any:
    (found,) = (each for each in manifests(release(**environment)) if each["kind"] == "ResourceQuota")
    return found["spec"]["hard"]


def test_a_surge_has_its_room_in_the_quota_and_takes_no_replica_away() -> None:
    assert quota()["pods"] == quota(max_surge=4)["pods"] == quota(max_surge=100)["pods"] == "24"
    assert quota(max_surge=4, limits={"replicas": 10})["pods"] == "30"
    (made,) = (each for each in manifests(release(max_surge=4)) if each["kind"] == "Deployment")
    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 4, "maxUnavailable": 0}


SLOW = {"drain_seconds": 300}
GATEWAY = {"gateway": {"name": "public", "namespace": "gateway", "host": "{model}.example.com"}}
TRIED = Canary("2", "image", 10)


@pytest.mark.parametrize(
    "found",
    [
        release(SLOW),
        release(SLOW, max_surge=4),
        release(SLOW, max_surge=8),
        release(SLOW, limits={"replicas": 20}),
        release(SLOW, **GATEWAY),
        release(SLOW, TRIED, **GATEWAY),
    ],
    ids=["one by one", "faster", "all at once", "room", "room of a canary", "canary"],
)
def test_no_update_waits_for_long_requests(found: Release) -> None:
    (hard,) = (each["spec"]["hard"] for each in manifests(found) if each["kind"] == "ResourceQuota")
    most = found.replicas[1]
    assert int(hard["pods"]) >= (most + most + min(found.environment.max_surge, most)) * len(found.tracks)
    assert list(waits([found])) == []


def other(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "scale": {"min": 1, "max": 2}, "resources": fields}


def test_an_update_that_waits_for_room_in_the_total_is_told() -> None:
    total = {"limits": {"total": {"cpu": "6500m", "memory": "16Gi", "gpus": 4}}, "cloud": "gke"}
    small, large = (release(other(name, cpu=cpu), **total) for name, cpu in (("small", 1), ("large", 2)))
    with_gpu = release(other("llm", cpu="1m", gpu={"kinds": ["l4"], "count": 2}), **total)
    assert list(waits([small])) == []
    assert list(waits([small, with_gpu, large])) == [
        "with all models at their maximum replicas, an update waits for room: large 2, small 1 more, and "
        "limits.total.cpu has 498m left",
        "with all models at their maximum replicas, an update waits for room: llm 2 more, and limits.total.gpus has 0 left",
    ]
    wide = {"limits": {"total": {"cpu": 8}}}
    assert list(waits([release(other("small", cpu=1), **wide), release(other("large", cpu=2), **wide)])) == []
    assert list(waits([release(other("large", cpu=3), **wide, max_surge=2)])) == [
        "with all models at their maximum replicas, an update waits for room: large 6 more, and limits.total.cpu has 2 left"
    ]
    assert list(waits([])) == []
