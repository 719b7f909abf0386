"""A new homeport restarts no pods of models that did not change, unless CHANGELOG.md says so."""

import re
from importlib import import_module
from typing import Any

import pytest

from tests import upgrade
from tests.support import ROOT

CHANGELOG = ROOT / "CHANGELOG.md"


def test_changelog_says_what_restarts_pods() -> None:
    changes = upgrade.changes()
    said = _said(CHANGELOG.read_text(encoding="utf-8"))
    if unsaid := [change for change in changes if change.field not in said]:
        lines = [f"- `{field}`: why" for field in dict.fromkeys(change.field for change in unsaid)]
        pytest.fail(
            "An update to the homeport of now restarts the pods of models that did not change:\n"
            + "\n".join(map(str, unsaid))
            + "\nIf it must, say so in CHANGELOG.md, in `### Restarts pods` of `## Unreleased`:\n"
            + "\n".join(lines)
            + "\nIf a release was just made, run `make released`.",
            pytrace=False,
        )
    if stale := said - {change.field for change in changes}:
        pytest.fail(
            "CHANGELOG.md says of fields that they restart pods, and they do not. Take them out of `## Unreleased`:\n"
            + "\n".join(sorted(stale)),
            pytrace=False,
        )


def test_field_of_the_pod_is_seen_and_one_beside_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {change.field for change in upgrade.changes()}
    monkeypatch.setattr(import_module("homeport.manifests.pod"), "STARTUP_PERIOD_SECONDS", 3)
    monkeypatch.setattr(import_module("homeport.manifests.deployment"), "MIN_READY_SECONDS", 50)
    probe = "spec.containers[model].startupProbe"
    now = {change.field for change in upgrade.changes()}
    assert now - before == {f"{probe}.periodSeconds", f"{probe}.failureThreshold"}


@pytest.mark.parametrize(
    ("before", "now", "fields"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b"]),
        ({"a": 1}, {"a": 1, "b": {"c": 1}}, ["b"]),
        ({"a": 1, "b": {"c": 1}}, {"a": 1}, ["b"]),
        ({"env": [{"name": "X", "value": "1"}]}, {"env": [{"name": "X", "value": "2"}]}, ["env[X].value"]),
        ({"env": [{"name": "X"}]}, {"env": [{"name": "Y"}]}, ["env[X]", "env[Y]"]),
        ({"env": [{"name": "X"}, {"name": "Y"}]}, {"env": [{"name": "Y"}, {"name": "X"}]}, ["env"]),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "a"}, {"key": "b"}]}, ["tolerations"]),
        ({"args": ["a"]}, {"args": ["b"]}, ["args"]),
        ({"metadata": {}, "spec": {}}, {}, ["metadata", "spec"]),
    ],
)
def test_fields_that_differ(before: Any, now: Any, fields: list[str]) -> None:
    assert [field for field, *_ in upgrade.differences(before, now)] == fields


def test_changelog_is_read_up_to_the_last_release() -> None:
    text = (
        "## Unreleased\n### Restarts pods\n- `spec.a`: why,\n  in two lines\n- `spec.b[x]`: why\n### Added\n- `spec.c`\n"
        "## 0.1.0\n### Restarts pods\n- `spec.d`: why\n"
    )
    assert _said(text) == {"spec.a", "spec.b[x]"}


def _said(changelog: str) -> set[str]:
    """The fields that restart pods, as a changelog has them for the next release."""
    unreleased = changelog.partition("## Unreleased\n")[2].partition("\n## ")[0]
    section = unreleased.partition("### Restarts pods\n")[2].partition("\n### ")[0]
    return set(re.findall(r"^- `([^`]+)`", section, re.MULTILINE))
