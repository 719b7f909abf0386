"""Generated files are those of now, and the golden stacks leave nothing out that people can write."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from ruamel.yaml import YAML

from homeport.specs.fields import Spec
from homeport.specs.live_models import LiveModels
from homeport.specs.schemas import SPECS
from homeport.stack import MODELS_FILE
from tests import generated


def test_generated_files_are_those_of_now() -> None:
    if found := generated.differences():
        pytest.fail(
            f"{found}\nRun `make generate`, and look at what changed: it is part of your change.", pytrace=False
        )


def test_every_field_is_stated_in_a_golden_stack() -> None:
    """With another value than its default; else no change of what becomes of it would be seen."""
    missing = _fields() - {field for spec in _golden() for field in _stated(spec)}
    assert not missing, f"state {', '.join(sorted(missing))} in a stack of tests/golden/ and run `make generate`"


def _fields() -> set[str]:
    """All that people can write, as the name of a spec and of its field."""
    schemas = [spec.model_json_schema() for spec in SPECS.values()]
    parts = {name: part for found in schemas for name, part in ({found["title"]: found} | found["$defs"]).items()}
    return {f"{name}.{field}" for name, part in parts.items() for field in part.get("properties", ())}


def _golden() -> Iterator[Spec]:
    for name, stack in generated.stacks(generated.GOLDEN).items():
        live: Any = YAML(typ="safe").load(generated.GOLDEN / name / MODELS_FILE)
        yield LiveModels.model_validate(live)
        yield stack.environment
        yield from (release.model for release in stack.releases)


def _stated(found: Any) -> Iterator[str]:
    """The fields of a spec, and of the specs in it, that say something else than their default."""
    if isinstance(found, Spec):
        for name, field in type(found).model_fields.items():
            value = getattr(found, name)
            if field.is_required() or value != field.default:
                yield f"{type(found).__name__}.{name}"
                yield from _stated(value)
    elif isinstance(found, Mapping):
        yield from _stated(list(found.values()))
    elif isinstance(found, Sequence) and not isinstance(found, str):
        for each in found:
            yield from _stated(each)
