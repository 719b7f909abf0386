"""What differs between the manifests of one model in several places; `make generate` writes it into the README."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from homeport import Environment, Model, Release, violations
from homeport.manifests import manifests

HERE = Path(__file__).parent
README = HERE / "README.md"
PLACES = ("eks", "gke", "aks", "on-prem")

CONCERNS = {
    "Namespace metadata.annotations.homeport/cluster": "the cluster's name",
    "Deployment spec.template.spec.affinity.": "placement",
    "Deployment spec.template.spec.tolerations": "placement",
    "Deployment spec.template.metadata.labels.azure.workload.identity/use": "identity",
    "Deployment spec.template.metadata.annotations": "identity",
    "ServiceAccount metadata.annotations.eks.amazonaws.com/role-arn": "identity",
    "ServiceAccount metadata.annotations.iam.gke.io/gcp-service-account": "identity",
    "ServiceAccount metadata.annotations.azure.workload.identity/client-id": "identity",
    "NetworkPolicy summarizer-egress metadata.name": "identity",
    "NetworkPolicy summarizer-egress spec.egress": "identity",
    "NetworkPolicy summarizer-ingress metadata.name": "routing",
    "NetworkPolicy summarizer-ingress spec.ingress": "routing",
    "ScaledObject spec.triggers": "scaling",
}
"""Fields that may differ, with their concern. A NetworkPolicy is named, because there are several; its own name ends with a
digest of its rules."""

MISSING = object()


def objects(place: str) -> dict[str, Any]:
    """The manifests of the model in one place."""
    release = Release(
        model=Model.load(HERE / "model.yaml"),
        environment=Environment.load(HERE / "environments" / f"{place}.yaml"),
        version="1",
        image=f"registry.example.com/language/summarizer:1@sha256:{'0' * 64}",
    )
    if refused := violations(release):
        raise ValueError(refused)
    return {_title(each): each for each in manifests(release)}


def differences() -> dict[str, dict[str, Any]]:
    """Fields that differ, with the value of each place. A list is shown without the items that all places have."""
    places = {place: objects(place) for place in PLACES}
    return {path.strip("."): found for path, found in _differences(places, "")}


def concern(field: str) -> str:
    """Why a field may differ.

    Raises:
        LookupError: It may not.
    """
    for prefix, name in CONCERNS.items():
        if field.startswith(prefix):
            return name
    raise LookupError(field)


def report() -> str:
    """The differences as Markdown."""
    found = differences()
    lines = ["| object and field | concern | " + " | ".join(PLACES) + " |", "|---|---|" + "---|" * len(PLACES)]
    for field, values in found.items():
        cells = ["own" if place in values else "-" for place in PLACES]
        lines.append(f"| `{field}` | {concern(field)} | " + " | ".join(cells) + " |")
    for field, values in found.items():
        lines += ["", f"`{field}`", "", "```yaml"]
        for place, value in values.items():
            shown = value if isinstance(value, list) else [value]
            lines += [f"{place}:", *(f"  - {json.dumps(each)}" for each in shown)]
        lines.append("```")
    return "\n".join(lines) + "\n"


def readme() -> str:
    """The README with the current differences."""
    text = README.read_text(encoding="utf-8")
    return re.sub(
        r"(<!-- differences -->\n).*(<!-- end -->)", lambda match: match[1] + report() + match[2], text, flags=re.S
    )


def _title(manifest: Mapping[str, Any]) -> str:
    # Its last part is a digest of its rules.
    name = f" {manifest['metadata']['name'].rpartition('-')[0]}" if manifest["kind"] == "NetworkPolicy" else ""
    return f"{manifest['kind']}{name} "


def _differences(places: Mapping[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    values = list(places.values())
    if all(isinstance(value, dict) for value in values):
        for key in dict.fromkeys(key for value in values for key in value):
            yield from _differences(
                {place: value.get(key, MISSING) for place, value in places.items()},
                path + key + ("" if key.endswith(" ") else "."),
            )
    elif all(isinstance(value, list) for value in values):
        common = [each for each in values[0] if all(each in value for value in values)]
        found = {place: [each for each in value if each not in common] for place, value in places.items()}
        if any(found.values()):
            yield path, {place: value for place, value in found.items() if value}
    elif any(value != values[0] for value in values):
        yield path, {place: value for place, value in places.items() if value is not MISSING}
