"""JSON Schemas: they accept what the specs accept."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from typer.testing import CliRunner

from homeport.cli import Kind, app
from homeport.specs.schemas import SPECS, schema

ROOT = Path(__file__).parents[2]
WRITTEN = sorted(
    path
    for folder in ("stacks", "examples")
    for path in (ROOT / folder).rglob("*.yaml")
    if path.stem in SPECS or path.parent.name == "environments"
)


def validator(name: str) -> Draft202012Validator:
    found = json.loads(schema(name))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path)


@pytest.mark.parametrize("name", SPECS)
def test_command_prints_the_schema(name: str) -> None:
    assert CliRunner().invoke(app, ["schema", name]).stdout == schema(name)


def test_every_spec_has_a_schema_to_ask_for() -> None:
    assert [kind.value for kind in Kind] == list(SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_every_field_is_described(name: str) -> None:
    found = json.loads(schema(name))
    assert found["$id"] == f"urn:homeport:schema:{name}"
    assert found["title"] == f"{name}.yaml"
    for part in (found, *found["$defs"].values()):
        assert part["description"]
        for field, content in part["properties"].items():
            # A field of one part is described by that part.
            assert content.get("description") or content.get("$ref"), field


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_written_here_is_accepted(path: Path) -> None:
    kind = path.stem if path.stem in SPECS else "environment"
    assert list(validator(kind).iter_errors(read(path))) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model", {"name": "iris", "owner": "ds", "image": "r.example.com/iris", "namespace": "x"}),
        ("model", {"name": "Iris", "owner": "ds", "image": "r.example.com/iris"}),
        ("model", {"name": "iris", "owner": "ds", "image": "r.example.com/iris:3"}),
        ("model", {"name": "iris", "owner": "ds", "image": "r.example.com/iris", "resources": {"memory": 4}}),
        ("model", {"name": "iris", "owner": "ds", "image": "r.example.com/iris", "env": {"a b": "c"}}),
        ("environment", {"cluster": {}}),
        ("environment", {"cluster": {"identifier": "x"}, "limits": {"total": {"replicas": 3}}}),
        ("models", {"models": {"Iris": {"spec": "a", "stable": {"version": "1"}}}}),
        ("models", {"models": {"iris": {"spec": "a", "stable": {"version": 1.1}}}}),
    ],
)
def test_mistake_is_flagged(name: str, content: dict[str, Any]) -> None:
    assert list(validator(name).iter_errors(content))
