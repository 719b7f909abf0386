"""Places: where a violation is, in a file of a stack or in an argument of a program."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from homeport.rules.violation import Violation
from homeport.specs.documents import Document
from homeport.specs.problems import Location, Problem, dotted


@dataclass(frozen=True)
class Files:
    """The files of a stack."""

    environment: Document
    live: Document
    models: Mapping[str, Document]
    """Each `model.yaml`, by the name of its model."""

    @property
    def paths(self) -> list[Path]:
        """Paths of all files, each once."""
        return list(dict.fromkeys(each.path for each in (self.environment, self.live, *self.models.values())))

    def folder(self, model: str) -> Path:
        """The folder of a model, from which its image is built."""
        return self.models[model].path.parent

    def problem(self, violation: Violation, model: str = "") -> Problem:
        """The file, line and field of a violation by one model, or by all models together."""
        match violation.source:
            case "environment":
                return self.environment.problem(violation.field, violation.message)
            case "live":
                return self.live.problem(("models", model, *violation.field), violation.message)
            case "model":
                return in_model_file(self.models[model], violation, model)


def in_model_file(document: Document, violation: Violation, model: str = "") -> Problem:
    """The line and field in a `model.yaml`. If the model's name is given, the field begins with it.

    A stack needs the name, because the path of a `model.yaml` may not show which model it describes.
    """
    field = dotted((model, *violation.field) if model else violation.field)
    return Problem(violation.message, document.path, document.line(violation.field), field)


@dataclass(frozen=True)
class Arguments:
    """The arguments of a component in a program."""

    component: str
    """Name of the component. Every field begins with it, because a program may have several components."""
    live: Mapping[Location, Location]
    """Arguments by the corresponding field of a live model, where the names differ."""

    def name(self, *argument: str | int) -> str:
        """The name of an argument in a problem: `iris.model`."""
        return dotted((self.component, *argument))

    def problem(self, violation: Violation) -> Problem:
        """A problem that names the argument of a violation."""
        if violation.source == "live":
            place = self.live.get(violation.field, violation.field)
        else:
            place = (violation.source, *violation.field)
        return Problem(violation.message, field=self.name(*place))
