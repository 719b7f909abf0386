"""The tables of accelerators.md, from the GPU catalogue."""

import re
from collections.abc import Iterator
from pathlib import Path

from homeport.catalogue.clouds import CLOUDS, Cloud
from homeport.catalogue.gpus import MIG_PROFILES, Labels, Taint

PAGE = Path(__file__).with_suffix(".md")


def page() -> str:
    """The page with the current catalogue."""
    text = PAGE.read_text(encoding="utf-8")
    tables = "\n".join(_tables())
    return re.sub(r"(<!-- places -->\n).*(<!-- end -->)", lambda match: match[1] + tables + match[2], text, flags=re.S)


def _tables() -> Iterator[str]:
    for name, cloud in CLOUDS.items():
        yield f"\n### {name}\n"
        yield from _cloud(cloud)
    yield "\n### MIG profiles\n"
    yield "| kind | profiles |\n|---|---|"
    for kind, profiles in MIG_PROFILES.items():
        yield f"| {kind} | {', '.join(profiles)} |"
    yield ""


def _cloud(cloud: Cloud) -> Iterator[str]:
    if not cloud.gpus:
        yield "No known kinds: the environment's `accelerators` define all of them."
        return
    yield "| kind | labels | resource |\n|---|---|---|"
    for kind, row in cloud.gpus.items():
        yield f"| {kind} | {_labels(row.labels)} | `{row.resource.name}` |"
    resources = dict.fromkeys(row.resource for row in cloud.gpus.values())
    taints = [_taint(resource.taint) for resource in resources] + [_taint(each) for each in cloud.taints]
    yield f"\n- Tolerated: {', '.join(dict.fromkeys(taints))}."
    if cloud.whole:
        yield f"- Whole GPUs are not on nodes with {_labels(cloud.whole)}."
    if cloud.slice_label:
        yield f"- A MIG slice is on nodes with `{cloud.slice_label}=<profile>`."
    if cloud.share_labels:
        yield f"- A share is on nodes with {_labels(cloud.share_labels)}."
    sources = dict.fromkeys(row.source for row in cloud.gpus.values())
    if cloud.spot:
        sources[cloud.spot.source] = None
        taint = f", tolerated: {', '.join(_taint(each) for each in cloud.spot.taints)}" if cloud.spot.taints else ""
        yield f"- Spot capacity: {_labels(cloud.spot.labels)}{taint}."
    yield f"- Sources: {'; '.join(sources)}."


def _labels(labels: Labels) -> str:
    return "; ".join(f"`{key}`" + (f" = {' or '.join(values)}" if values else "") for key, values in labels.items())


def _taint(taint: Taint) -> str:
    return f"`{taint.key}{f'={taint.value}' if taint.value else ''}:{taint.effect}`"
