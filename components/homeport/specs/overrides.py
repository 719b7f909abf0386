"""Overrides: fields of an environment that environment variables set instead of its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from homeport.specs.documents import parse
from homeport.specs.fields import Spec
from homeport.specs.problems import Problem, SpecError

S = TypeVar("S", bound=Spec)

CONTEXT_VARIABLE = "HOMEPORT_CONTEXT"
"""Variable that overrides the file's cluster: a context in the kubeconfig."""

REGISTRY_VARIABLE = "HOMEPORT_REGISTRY"
"""Variable that overrides the file's registry for built images."""

_FIELDS: Sequence[tuple[str, str, str]] = (
    (CONTEXT_VARIABLE, "cluster", "context"),
    # It is another cluster, so Pulumi must not confuse its objects with those of the first one.
    (CONTEXT_VARIABLE, "cluster", "identifier"),
    (REGISTRY_VARIABLE, "images", "registry"),
)
"""Each variable with a part of the environment and the field in that part."""

_UNKNOWN = {(CONTEXT_VARIABLE, "cluster", "version")}
"""What a file says only of the cluster that it names itself, so it is unknown of the variable's."""


@dataclass(frozen=True)
class Override:
    """A field that a variable has set."""

    variable: str
    field: str
    """Full name of the field, such as `images.registry`."""
    value: str


def overridden(environment: S, variables: Mapping[str, str]) -> tuple[S, tuple[Override, ...]]:
    """The environment with the overrides of the variables, and a list of the overrides.

    An empty variable has no effect. A variable also has no effect if the environment lacks its part: without `images`,
    there is no registry to override.

    Raises:
        SpecError: A field does not accept the value of its variable. The error names the variable.
    """
    made: list[Override] = []
    problems: list[Problem] = []
    for variable, name, field in _FIELDS:
        part, value = getattr(environment, name), variables.get(variable)
        if part is None or not value:
            continue
        stated = part.model_dump(exclude_unset=True)
        kept = {each: stated[each] for each in stated if (variable, name, each) not in _UNKNOWN}
        try:
            changed = parse(type(part), kept | {field: value}, name)
        except SpecError as error:
            problems += [Problem(each.message, field=variable) for each in error.problems]
            continue
        environment = environment.model_copy(update={name: changed})
        made.append(Override(variable, f"{name}.{field}", value))
    if problems:
        raise SpecError(problems)
    return environment, tuple(made)
