"""What the user is told of the time that is left."""

import pytest

from sandbox import estimate, parts
from sandbox.estimate import Work


def test_before_anything_is_measured_a_processor_does_a_second_of_cost_in_a_second() -> None:
    assert estimate.seconds_left([Work(600, 0.0), Work(400, 0.0)], 0.0, 2) == 500


@pytest.mark.parametrize(("speed", "left"), [(1.0, 400), (0.5, 800), (2.0, 200)])
def test_after_a_while_the_speed_of_this_machine_decides(speed: float, left: float) -> None:
    elapsed = 100 / speed
    told = estimate.seconds_left([Work(600, 1 / 3), Work(400, 0.0)], elapsed, 2)
    assert told == pytest.approx(left, rel=0.25)
    much_later = estimate.seconds_left([Work(600, 1.0), Work(400, 0.5)], 400 / speed, 2)
    assert much_later == pytest.approx(100 / speed, rel=0.1)


def test_what_an_interrupted_run_did_is_no_speed_of_this_one() -> None:
    fresh = estimate.seconds_left([Work(1000, 0.6)], 100.0, 2)
    resumed = estimate.seconds_left([Work(1000, 0.6, before=0.5)], 100.0, 2)
    assert fresh is not None
    assert resumed is not None
    assert resumed > 2 * fresh


def test_nothing_is_pretended_of_what_was_never_measured() -> None:
    assert estimate.seconds_left([Work(100, 0.5), Work(None, 0.0)], 10.0, 2) is None
    assert estimate.share([Work(100, 0.5), Work(None, 0.0)]) is None
    assert estimate.share([Work(100, 0.5), Work(None, 1.0)]) == 0.5


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (3, "less than a minute"),
        (59.9, "less than a minute"),
        (61, "about 2 min"),
        (12 * 60, "about 12 min"),
        (21.5 * 60, "about 25 min"),
        (26 * 60, "about 30 min"),
    ],
)
def test_remaining_time_promises_no_more_than_is_known(seconds: float, told: str) -> None:
    assert estimate.roughly(seconds) == told


def test_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "processors", lambda: 2)
    works = [Work(600, 0.5), Work(400, 0.0)]
    told = estimate.sentence(["pulumi", "base image"], works, 150.0)
    assert told == "building pulumi, base image (2m30s): 30% done, about 6 min left"
    assert estimate.sentence(["base image"], [Work(600, 1.0)], 150.0) == "building base image (2m30s)"
    assert estimate.sentence(["base image"], [], 4.0) == "building base image (4.0s)"
    assert estimate.sentence(["keda"], [Work(None, 0.0)], 4.0) == "building keda (4.0s)"


def test_every_part_of_the_first_prediction_has_its_cost() -> None:
    needed = (*parts.ENGINE, *parts.CLUSTER, *parts.BUILDER, parts.METRICS_SERVER, parts.KWOK)
    assert [each.name for each in needed if each.cost is None] == []
