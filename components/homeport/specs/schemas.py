"""JSON Schemas of the spec files, with which editors complete fields and mark mistakes.

A schema covers fields, types and bounds. Only `homeport check` covers rules about several fields or several files.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from homeport.specs.environment import Environment
from homeport.specs.live_models import LiveModels
from homeport.specs.model import Model

SPECS: Mapping[str, type[BaseModel]] = {"model": Model, "environment": Environment, "models": LiveModels}
"""The kinds of files, by the name before `.yaml`."""


def schema(name: str) -> str:
    """The schema of one kind of file, as JSON text."""
    found = _closed(SPECS[name].model_json_schema())
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        # A name, not an address: it cannot be downloaded.
        "$id": f"urn:homeport:schema:{name}",
        "title": f"{name}.yaml",
    }
    return json.dumps(head | {key: value for key, value in found.items() if key != "title"}, indent=2) + "\n"


def _closed(node: Any) -> Any:
    """The schema with closed mappings by name: keys that do not match the pattern of names are mistakes."""
    if isinstance(node, dict):
        closed = {"additionalProperties": False} if "patternProperties" in node else {}
        return {key: _closed(value) for key, value in node.items()} | closed
    return [_closed(each) for each in node] if isinstance(node, list) else node
