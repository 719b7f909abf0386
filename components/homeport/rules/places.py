"""Places: where a reader finds what a violation is about, in a file of a stack or in an argument of a program."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from homeport.rules.violation import Violation
from homeport.specs.documents import Document
from homeport.specs.problems import Location, Problem, dotted


@dataclass(frozen=True)
class Files:
    """The files in which a stack is written."""

    environment: Document
    live: Document
    models: Mapping[str, Document]
    """Each `model.yaml`, by the name of its model."""

    @property
    def paths(self) -> list[Path]:
        """All of them, each once."""
        return list(dict.fromkeys(each.path for each in (self.environment, self.live, *self.models.values())))

    def folder(self, model: str) -> Path:
        """The folder of a model, with what its image is built from."""
        return self.models[model].path.parent

    def problem(self, violation: Violation, model: str = "") -> Problem:
        """The file, line and field of a violation by a model, or by all of them together."""
        match violation.source:
            case "environment":
                return self.environment.problem(violation.field, violation.message)
            case "live":
                return self.live.problem(("models", model, *violation.field), violation.message)
            case "model":
                return in_model_file(self.models[model], violation, model)


def in_model_file(document: Document, violation: Violation, model: str = "") -> Problem:
    """The line and field of a `model.yaml`; the model's name goes before the field if it is given.

    A stack's reader needs it: the path of a file need not say which model it is of.
    """
    field = dotted((model, *violation.field) if model else violation.field)
    return Problem(violation.message, document.path, document.line(violation.field), field)


@dataclass(frozen=True)
class Arguments:
    """The arguments of a component in a program."""

    component: str
    """Name of the component, with which every field begins: a program may have many."""
    live: Mapping[Location, Location]
    """Arguments by the field of a live model that they stand for, where the names differ."""

    def name(self, *argument: str | int) -> str:
        """An argument as a problem names it: `iris.model`."""
        return dotted((self.component, *argument))

    def problem(self, violation: Violation) -> Problem:
        """The argument that a violation is about."""
        if violation.source == "live":
            place = self.live.get(violation.field, violation.field)
        else:
            place = (violation.source, *violation.field)
        return Problem(violation.message, field=self.name(*place))
