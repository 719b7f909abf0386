"""Overrides: fields of an environment that variables of the process set in place of its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from homeport.specs.documents import parse
from homeport.specs.fields import Spec
from homeport.specs.problems import Problem, SpecError

S = TypeVar("S", bound=Spec)

CONTEXT_VARIABLE = "HOMEPORT_CONTEXT"
"""Variable that names another cluster than the file does: its context in the kubeconfig."""

REGISTRY_VARIABLE = "HOMEPORT_REGISTRY"
"""Variable that names another registry for built images than the file does."""

_FIELDS: Sequence[tuple[str, str, str]] = (
    (CONTEXT_VARIABLE, "cluster", "context"),
    # Another cluster, so that Pulumi must not take its objects for those of the first one.
    (CONTEXT_VARIABLE, "cluster", "identifier"),
    (REGISTRY_VARIABLE, "images", "registry"),
)
"""Variables, each with a part of the environment and the field there."""


@dataclass(frozen=True)
class Override:
    """A field that a variable has set."""

    variable: str
    field: str
    """Such as `images.registry`."""
    value: str


def overridden(environment: S, variables: Mapping[str, str]) -> tuple[S, tuple[Override, ...]]:
    """The environment with the fields that the variables set, and which these are.

    An empty variable sets nothing, nor does one whose part the environment does not have: without `images` no registry.

    Raises:
        SpecError: A field does not accept the value of its variable, which is named.
    """
    made: list[Override] = []
    problems: list[Problem] = []
    for variable, name, field in _FIELDS:
        part, value = getattr(environment, name), variables.get(variable)
        if part is None or not value:
            continue
        try:
            changed = parse(type(part), part.model_dump(exclude_unset=True) | {field: value}, name)
        except SpecError as error:
            problems += [Problem(each.message, field=variable) for each in error.problems]
            continue
        environment = environment.model_copy(update={name: changed})
        made.append(Override(variable, f"{name}.{field}", value))
    if problems:
        raise SpecError(problems)
    return environment, tuple(made)
