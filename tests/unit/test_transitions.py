"""Every edit of the files of a live model is safe: properties of its objects before and after the edit, for all edits."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.edits import NEEDED
from homeport.specs.quantities import amount
from tests import transitions
from tests.transitions import EDITS, FIELDS, Files, Objects, Refused, Transition, objects, refusal, sizes, stated

IMMUTABLE = {
    "Deployment": ("selector",),
    "PersistentVolumeClaim": ("accessModes", "storageClassName", "volumeName", "resources"),
    "RoleBinding": ("roleRef",),
}
"""Fields that the API server changes in no object, so Pulumi would delete it first. Of the spec, or of the object."""

REFUSED = {
    "environment.namespace: replaced": "another home",
    "environment.namespace: left out": "another home",
    "another namespace beside an edit": "another home",
    "environment.cluster.identifier: replaced": "another cluster",
    "another cluster's name": "another cluster",
    "model and ceiling become smaller": "less room than the pods of before have",
}
"""Edits whose files are right, and that are refused all the same."""


@cache
def accepted() -> list[tuple[Transition, Objects, Objects]]:
    """Every edit that `homeport check` accepts."""
    found = []
    for each in transitions.transitions():
        with suppress(Refused):
            found.append((each, objects(each.before), objects(each.after)))
    return found


def pods_run_what_changes(edit: Transition, old: Objects, new: Objects) -> Iterator[str]:
    if transitions.effect(old, new).restarts != edit.runs:
        yield "restarts pods" if not edit.runs else "restarts no pod"


def no_object_is_replaced(_: Transition, old: Objects, new: Objects) -> Iterator[str]:
    """Pulumi replaces what has another name or another value in a field that cannot change."""
    for key in old.keys() & new.keys():
        before, after = old[key], new[key]
        if before["metadata"]["name"] != after["metadata"]["name"]:
            yield f"another name of {key}"
        for field in IMMUTABLE.get(before["kind"], ()):
            if before.get("spec", before).get(field) != after.get("spec", after).get(field):
                yield f"{field} of {key}"


def what_old_pods_need_stays(_: Transition, old: Objects, new: Objects) -> Iterator[str]:
    """It goes at the end, or it is as it was: never another thing under the same name."""
    for key in old.keys() & new.keys():
        before, after = ({**each, "metadata": None} for each in (old[key], new[key]))
        # The store's value changes in the same file (decision 36). A denial only ever changes with the identity.
        exempt = before["kind"] == "ExternalSecret" or key[1].endswith("deny-metadata")
        if before["kind"] in NEEDED and not exempt and before != after:
            yield f"{key} changes while old pods need it"


def old_and_new_pods_fit_into_the_quota(_: Transition, old: Objects, new: Objects) -> Iterator[str]:
    """All that run, and all that they replace, however long those drain."""
    for (model, key), quota in new.items():
        if key != "resourcequota" or (model, key) not in old:
            continue
        count = {name: amount(used) for name, used in transitions.used(old, new, model)["status"]["used"].items()}
        for (name, each), made in new.items():
            if name == model and made["kind"] == "Deployment":
                replicas = transitions.most(new, name, each)
                for resource, size in {"pods": "1", **sizes(made)}.items():
                    count[resource] = count.get(resource, 0) + replicas * amount(size)
        for resource, hard in quota["spec"]["hard"].items():
            if count.get(resource, 0) > amount(hard):
                yield f"{resource}: {count[resource]} of {hard}"


def an_autoscaler_owns_the_replicas(_: Transition, old: Objects, new: Objects) -> Iterator[str]:
    for found in (old, new):
        for (model, key), each in found.items():
            if each["kind"] != "Deployment":
                continue
            if "replicas" in each["spec"]:
                yield f"{key} states its replicas"
            if not transitions.most(found, model, key):
                yield f"nothing scales {key}"
            pace = each["spec"]["strategy"]["rollingUpdate"]
            relaxed = "gpu_downtime" in each["metadata"]["annotations"].get("homeport/relaxed", "")
            if pace["maxUnavailable"] and not relaxed:
                yield f"{key} takes a replica away first"


def ports_have_names(_: Transition, __: Objects, new: Objects) -> Iterator[str]:
    """The Service finds the port of each pod, whatever its number."""
    for (_model, key), each in new.items():
        if each["kind"] == "Service" and [port["targetPort"] for port in each["spec"]["ports"]] != ["http"]:
            yield f"the target of {key}"
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            if "http" not in {port["name"] for port in container["ports"]}:
                yield f"no port of {key} is called http"


RULES: list[Callable[[Transition, Objects, Objects], Iterator[str]]] = [
    pods_run_what_changes,
    no_object_is_replaced,
    what_old_pods_need_stays,
    old_and_new_pods_fit_into_the_quota,
    an_autoscaler_owns_the_replicas,
    ports_have_names,
]


def test_every_field_of_the_specs_is_in_the_table() -> None:
    missing = transitions.found_in_specs().keys() - FIELDS.keys()
    assert not missing, f"give two values of {', '.join(sorted(missing))} in FIELDS of tests/transitions.py"
    assert FIELDS.keys() <= transitions.found_in_specs().keys()


def test_both_values_of_a_field_are_accepted() -> None:
    for path, found in FIELDS.items():
        for value in (found.one, found.other):
            objects(stated({**found.given, path: value}))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_edit_is_safe(rule: Callable[[Transition, Objects, Objects], Iterator[str]]) -> None:
    found = [
        f"{edit.name}: {problem}"
        for edit, old, new in accepted()
        if edit.name not in REFUSED
        for problem in rule(edit, old, new)
    ]
    assert found == []


VALUES = {path: (transitions.ABSENT, found.one, found.other) for path, found in FIELDS.items() if path != "model.name"}


@st.composite
def files(draw: st.DrawFn) -> Files:
    """Files that state some fields, with all that these need."""
    given: dict[str, Any] = {}
    for path in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=4, unique=True)):
        given |= {**FIELDS[path].given, path: draw(st.sampled_from(VALUES[path]))}
    return stated(given)


@given(files(), files())
@settings(max_examples=150, deadline=None)
def test_edits_of_several_fields_are_safe(before: Files, after: Files) -> None:
    try:
        old, new = objects(before), objects(after)
    except Refused:
        return
    if not refusal(old, new):
        edit = Transition("several fields", before, after, runs=transitions.effect(old, new).restarts)
        assert [problem for rule in RULES for problem in rule(edit, old, new)] == []


def test_what_cannot_be_safe_is_refused() -> None:
    assert {edit.name for edit, old, new in accepted() if refusal(old, new)} == REFUSED.keys()


def test_no_edit_is_forgotten_because_its_files_are_refused() -> None:
    names = {edit.name for edit, _, _ in accepted()}
    assert EDITS.keys() <= names
    # Exactly one of several is stated, so the others are never stated beside it: those edits are in EDITS.
    alone = {"environment.identities.<name>.pod_identity"}
    assert {path for path in FIELDS if not any(name.startswith(f"{path}: ") for name in names)} == alone


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("model.scale.min", ["stated", "raised", "lowered", "left out"]),
        ("model.env", ["stated", "replaced", "left out"]),
        ("model.owner", ["replaced"]),
        ("environment.spot", ["replaced", "left out"]),  # what is stated first is the default
        ("models.canary.percent", ["raised", "lowered"]),
    ],
)
def test_kinds_of_change(path: str, kinds: list[str]) -> None:
    found: list[Any] = list(transitions.kinds(path, FIELDS[path]))
    assert [kind for kind, _, _ in found] == kinds
