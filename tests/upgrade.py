"""What a release of homeport changes in the pods of models that did not change, which restarts them.

Two versions of homeport over the same files: `tests/released/` has the golden stacks as the last release read them, and in
each of them the pods that it made. `make released` takes the golden stacks of now, when a release is made.
"""

import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from homeport import Stack
from homeport.manifests import manifests
from homeport.output.yaml import dump
from tests.generated import GOLDEN, stacks
from tests.support import ROOT

RELEASED = ROOT / "tests" / "released"
PODS = "pods.yaml"
"""Pod templates by kind and name of the object that makes pods of them."""

ABSENT = "absent"


class Change(NamedTuple):
    """One field that a new homeport changes in the pods of one object."""

    field: str
    """Its path in the pod template; of a list of named parts with the name of the part in brackets."""
    pods: str
    """Stack, kind and name of the object that makes the pods."""
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.field}: {self.before} -> {self.now} ({self.pods})"


def changes() -> list[Change]:
    """What the homeport of now changes in the pods that the released one made."""
    return [
        Change(field, f"{name} {pods}", before, now)
        for name, stack in stacks(RELEASED).items()
        for pods, released in YAML(typ="safe").load(RELEASED / name / PODS).items()
        for field, before, now in differences(released, _pods(stack).get(pods, {}))
    ]


def differences(before: Any, now: Any, field: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The fields that differ, each with what it was and is; a list whose parts have names is looked at part by part."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before | now:
            yield from differences(before.get(key, ABSENT), now.get(key, ABSENT), f"{field}.{key}" if field else key)
    elif (old := _by_name(before)) and (new := _by_name(now)):
        parts = [
            part
            for name in old | new
            for part in differences(old.get(name, ABSENT), new.get(name, ABSENT), f"{field}[{name}]")
        ]
        # Order is a part of the template too.
        yield from parts or ([(field, list(old), list(new))] if before != now else [])
    elif before != now:
        yield field, before, now


def take() -> None:
    """Take the golden stacks of now for those of the release."""
    shutil.rmtree(RELEASED, ignore_errors=True)
    shutil.copytree(GOLDEN, RELEASED, ignore=shutil.ignore_patterns("rendered"))
    for name, stack in stacks(GOLDEN).items():
        (RELEASED / name / PODS).write_text(dump(_pods(stack)), encoding="utf-8")


def _pods(stack: Stack) -> dict[str, Any]:
    made = [each for release in stack.releases for each in manifests(release) if "template" in each.get("spec", {})]
    return {f"{each['kind']} {each['metadata']['name']}": each["spec"]["template"] for each in made}


def _by_name(found: Any) -> dict[str, Any]:
    named = isinstance(found, list) and all(isinstance(each, dict) and "name" in each for each in found)
    return {each["name"]: each for each in found} if named else {}


if __name__ == "__main__":
    take()
