"""Nodes as each place makes them (nodes.yaml), and whether a pod may stand on one: the rules of the scheduler."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

NVIDIA = "nvidia.com/gpu"
UNASKED = {"mps", "shared slice"}
"""Parts of GPUs that no model can ask for."""

Taint = tuple[str, str, str]
"""Key, value and effect."""


@dataclass(frozen=True)
class Node:
    """What the scheduler knows of a node, and what there is in truth."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    resource: str | None
    kind: str | None
    part: str | None
    spot: bool


@dataclass(frozen=True)
class Place:
    """A cluster as one platform engineer set it up."""

    name: str
    environment: Mapping[str, Any]
    family: frozenset[str]
    parts: bool
    """Whether what the environment says is enough to tell slices and shares."""
    nodes: tuple[Node, ...]

    def demands(self) -> list[tuple[str, str | None, bool]]:
        """What models can ask for here: kind, part and, as the environment's choice, spot."""
        asked = {
            (node.kind, node.part, node.spot)
            for node in self.nodes
            if node.kind and (node.part is None or (self.parts and node.part not in UNASKED))
        }
        return sorted(asked, key=str)

    def foreign(self, others: "tuple[Place, ...]") -> list[Node]:
        """Nodes of clouds that this one is not."""
        return [node for other in others if not self.family & other.family for node in other.nodes]


@cache
def places() -> tuple[Place, ...]:
    text = (Path(__file__).parent / "nodes.yaml").read_text(encoding="utf-8")
    return tuple(
        Place(
            each["name"],
            each["environment"],
            frozenset(each["family"]),
            each.get("parts", False),
            tuple(_nodes(each)),
        )
        for each in YAML(typ="safe").load(text)
    )


def place(name: str) -> Place:
    return next(each for each in places() if each.name == name)


def _nodes(content: Mapping[str, Any]) -> Iterator[Node]:
    number = 0
    for entry in content["nodes"]:
        [(key, values)] = entry.get("each", {"kubernetes.io/os": ["linux"]}).items()
        for value in values:
            labels = entry.get("own_labels", content["labels"]) | entry.get("labels", {}) | {key: value}
            taints = entry.get("own_taints", content["taints"]) + entry.get("taints", [])
            number += 1
            yield Node(
                f"{re.sub('[^a-z]+', '-', content['name'].lower())}-{number}",
                labels,
                tuple(_taint(taint) for taint in taints),
                entry.get("resource", NVIDIA),
                entry.get("kind"),
                entry.get("part"),
                entry.get("spot", False),
            )


def _taint(text: str) -> Taint:
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return key, value, effect


def fits(pod: Mapping[str, Any], node: Node) -> bool:
    """Whether the scheduler lets a pod stand on a node.

    Source: https://kubernetes.io/docs/concepts/scheduling-eviction/, affinity, taints and resources.
    """
    requests = pod["containers"][0]["resources"]["requests"]
    extended = [name for name in requests if "/" in name]
    affinity = pod.get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")
    return (
        all(name == node.resource for name in extended)
        and (terms is None or any(_holds(term, node) for term in terms))
        and all(any(_tolerates(each, taint) for each in pod.get("tolerations", [])) for taint in node.taints)
    )


def preference(pod: Mapping[str, Any], node: Node) -> int:
    """Sum of the weights of the preferences that a node meets."""
    affinity = pod.get("affinity", {}).get("nodeAffinity", {})
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution", [])
    return sum(each["weight"] for each in preferred if _holds(each["preference"], node))


def _holds(term: Mapping[str, Any], node: Node) -> bool:
    # A term without expressions matches no node.
    return bool(term["matchExpressions"]) and all(_meets(each, node) for each in term["matchExpressions"])


def _meets(expression: Mapping[str, Any], node: Node) -> bool:
    found = node.labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return found in expression["values"]
        case "NotIn":
            return found not in expression["values"]
        case "DoesNotExist":
            return found is None
        case other:
            raise AssertionError(other)


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    key, value, effect = taint
    same = toleration["operator"] == "Exists" or toleration.get("value", "") == value
    return toleration["key"] == key and toleration.get("effect") in {None, effect} and same
