"""The tables of accelerators.md, from the GPU catalogue."""

import re
from collections.abc import Iterator
from pathlib import Path

from homeport.catalogue.clouds import PLACES, Place
from homeport.catalogue.gpus import MIG_PROFILES, TAINTS, Labels, Taint

PAGE = Path(__file__).with_suffix(".md")


def page() -> str:
    """The page with the catalogue of now."""
    text = PAGE.read_text(encoding="utf-8")
    tables = "\n".join(_tables())
    return re.sub(r"(<!-- places -->\n).*(<!-- end -->)", lambda match: match[1] + tables + match[2], text, flags=re.S)


def _tables() -> Iterator[str]:
    for cloud, place in PLACES.items():
        yield f"\n### {cloud}\n"
        yield from _place(place)
    yield "\n### MIG profiles\n"
    yield "| kind | profiles |\n|---|---|"
    for kind, profiles in MIG_PROFILES.items():
        yield f"| {kind} | {', '.join(profiles)} |"
    yield ""


def _place(place: Place) -> Iterator[str]:
    if not place.rows:
        yield "Nothing is known: the environment's `accelerators` say all."
        return
    yield "| kind | labels | resource |\n|---|---|---|"
    for kind, row in place.rows.items():
        yield f"| {kind} | {_labels(row.labels)} | `{row.resource}` |"
    resources = dict.fromkeys(row.resource for row in place.rows.values())
    taints = [_taint(TAINTS[resource]) for resource in resources] + [_taint(each) for each in place.taints]
    yield f"\n- Tolerated: {', '.join(dict.fromkeys(taints))}."
    if place.whole:
        yield f"- Whole GPUs are not on nodes with {_labels(place.whole)}."
    if place.slice_label:
        yield f"- A MIG slice is on nodes with `{place.slice_label}=<profile>`."
    if place.share_labels:
        yield f"- A share is on nodes with {_labels(place.share_labels)}."
    sources = dict.fromkeys(row.source for row in place.rows.values())
    if place.spot:
        sources[place.spot.source] = None
        taint = f", tolerated: {', '.join(_taint(each) for each in place.spot.taints)}" if place.spot.taints else ""
        yield f"- Spot capacity: {_labels(place.spot.labels)}{taint}."
    yield f"- Sources: {'; '.join(sources)}."


def _labels(labels: Labels) -> str:
    return "; ".join(f"`{key}`" + (f" = {' or '.join(values)}" if values else "") for key, values in labels.items())


def _taint(taint: Taint) -> str:
    return f"`{taint.key}{f'={taint.value}' if taint.value else ''}:{taint.effect}`"
