"""Rings of calls: one for each group of models that reach each other, found in one pass."""

import random
import time
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.rules.cycles import cycles


@pytest.mark.parametrize(
    ("calls", "rings"),
    [
        ({}, []),
        ({"a": ["b"], "b": []}, []),
        ({"a": ["x"]}, []),
        ({"a": ["a"]}, [("a", "a")]),
        ({"b": ["a"], "a": ["b"]}, [("a", "b", "a")]),
        ({"d": ["c"], "c": ["d"], "b": ["a"], "a": ["b", "c"]}, [("a", "b", "a"), ("c", "d", "c")]),
        ({"a": ["b"], "b": ["c"], "c": ["a", "b"]}, [("a", "b", "c", "a")]),
        ({"a": ["c", "b"], "b": ["a"], "c": ["b"]}, [("a", "b", "a")]),
    ],
)
def test_each_group_has_one_ring(calls: dict[str, list[str]], rings: list[tuple[str, ...]]) -> None:
    assert cycles(calls) == rings


@given(st.dictionaries(st.sampled_from("abcdefg"), st.lists(st.sampled_from("abcdefg"), max_size=4)))
@settings(max_examples=300, deadline=None)
def test_rings_are_rings_and_are_found_where_there_are_some(calls: dict[str, list[str]]) -> None:
    known = {caller: [name for name in callees if name in calls] for caller, callees in calls.items()}
    try:
        TopologicalSorter(known).prepare()
        ringed = False
    except CycleError:
        ringed = True
    rings = cycles(calls)
    assert bool(rings) == ringed
    for ring in rings:
        assert ring[0] == ring[-1] == min(ring)
        assert all(called in known[caller] for caller, called in pairwise(ring))
    names = [name for ring in rings for name in ring[:-1]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("calls_of_each", [1, 3, 100])
def test_a_thousand_models_are_looked_at_once(calls_of_each: int) -> None:
    draw = random.Random(0)  # noqa: S311  # the same models every time
    names = [f"model-{number}" for number in range(1000)]
    calls = {name: draw.sample(names, calls_of_each) for name in names}
    begun = time.monotonic()
    assert cycles(calls)
    assert time.monotonic() - begun < 5  # one ring after the other took minutes
