"""Cycles: models that call each other in a ring. Each waits for itself, and none can be changed alone."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

Calls = Mapping[str, Sequence[str]]


def cycles(calls: Calls) -> list[tuple[str, ...]]:
    """Rings of calls, one for each group of models that all reach each other; sorted by name.

    It is a shortest ring through the alphabetically first model of its group, in the order of the calls, and ends with
    this model again. The time grows with the number of models and calls.
    """
    graph = {caller: [name for name in callees if name in calls] for caller, callees in calls.items()}
    rings = (_ring(graph, group) for group in _groups(graph))
    return sorted(ring for ring in rings if ring)


def _groups(graph: Calls) -> Iterator[set[str]]:
    """Models that all reach each other: Kosaraju's algorithm (https://en.wikipedia.org/wiki/Kosaraju's_algorithm)."""
    back: dict[str, list[str]] = {name: [] for name in graph}
    for caller, callees in graph.items():
        for name in callees:
            back[name].append(caller)
    seen: set[str] = set()
    finished = [name for start in graph for name in _finished(graph, start, seen)]
    seen = set()
    for start in reversed(finished):
        if group := set(_finished(back, start, seen)):
            yield group


def _finished(graph: Calls, start: str, seen: set[str]) -> Iterator[str]:
    """What is reached from a model and was not seen, each after all that it reaches."""
    if start in seen:
        return
    seen.add(start)
    path = [(start, iter(graph[start]))]
    while path:
        name, rest = path[-1]
        following = next((each for each in rest if each not in seen), None)
        if following is None:
            path.pop()
            yield name
        else:
            seen.add(following)
            path.append((following, iter(graph[following])))


def _ring(graph: Calls, group: set[str]) -> tuple[str, ...]:
    """A shortest ring through the first model of a group; empty if there is none."""
    first = min(group)
    found_by: dict[str, str] = {}
    waiting = deque([first])
    while waiting and first not in found_by:
        caller = waiting.popleft()
        for name in graph[caller]:
            if name in group and name not in found_by:
                found_by[name] = caller
                waiting.append(name)
    if first not in found_by:
        return ()
    ring = [first]
    while (name := found_by[ring[-1]]) != first:
        ring.append(name)
    return (first, *reversed(ring[1:]), first)
