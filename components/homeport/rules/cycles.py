"""Cycles: models that call each other in a ring. Each waits for itself, and none can be changed alone."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter


def cycles(calls: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Rings of calls, each once. The names are in the order of the calls, from the alphabetically first and back to it.

    Rings that share a call may be found only once, because breaking that call breaks them all.
    """
    graph = {caller: [name for name in callees if name in calls] for caller, callees in calls.items()}
    found: list[tuple[str, ...]] = []
    while ring := _ring(graph):
        found.append(ring)
        graph[ring[0]].remove(ring[1])
    return found


def _ring(graph: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # The error has the names from callee to caller, and the first again at the end.
        ring = [str(name) for name in reversed(error.args[1][1:])]
        first = ring.index(min(ring))
        return (*ring[first:], *ring[:first], ring[first])
    return ()
