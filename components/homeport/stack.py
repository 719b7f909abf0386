"""A stack: reads the files of an environment into releases, and deploys one ModelService for each."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from homeport.documents import Document, Location, Problem, SpecError
from homeport.environment import Environment, LiveModels, LiveVersion
from homeport.fields import Spec
from homeport.model import Model
from homeport.provenance import last_commit
from homeport.release import Release

if TYPE_CHECKING:
    from homeport.service import ModelService

S = TypeVar("S", bound=Spec)

ENVIRONMENT_FILE = "environment.yaml"
MODELS_FILE = "models.yaml"


@dataclass(frozen=True)
class Stack:
    """All that runs in one environment."""

    environment: Environment
    releases: tuple[Release, ...]

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read `environment.yaml`, `models.yaml` and every `model.yaml` that it names.

        Raises:
            SpecError: With all problems of all files: unreadable, not as the specs say, or beyond what the
                environment allows.
        """
        problems: list[Problem] = []
        environment = _load(Path(folder) / ENVIRONMENT_FILE, Environment, problems)
        live = _load(Path(folder) / MODELS_FILE, LiveModels, problems)
        models = dict(_models(*live, problems)) if live else {}
        if environment is None or live is None:
            raise SpecError(problems)
        releases = tuple(_releases(environment, live, models))
        for release in releases:
            problems += _violations(release, live[0], models[release.model.name][0])
        if problems:
            raise SpecError(problems)
        return cls(environment[1], releases)

    def deploy(self) -> "dict[str, ModelService]":
        """Declare the Pulumi resources of every release, on the cluster that the environment names."""
        # Imported here, for pulumi takes most of a second to import and only this needs it.
        from pulumi import ResourceOptions  # noqa: PLC0415

        from homeport.service import ModelService, cluster_provider, release_args  # noqa: PLC0415

        options = ResourceOptions(providers=[cluster_provider(self.environment)])
        return {
            release.model.name: ModelService(release.model.name, release_args(release), options)
            for release in self.releases
        }


def _load(path: Path, spec: type[S], problems: list[Problem]) -> tuple[Document, S] | None:
    try:
        document = Document.read(path)
        return document, document.validate(spec)
    except SpecError as error:
        problems += error.problems
        return None


def _models(
    document: Document, live: LiveModels, problems: list[Problem]
) -> Iterator[tuple[str, tuple[Document, Model]]]:
    for name, entry in live.models.items():
        path = Path(os.path.normpath(document.path.parent / entry.spec))
        if not path.is_file():
            message = f'found "{entry.spec}", accepted: path of a model.yaml (no such file: {path})'
            problems.append(document.problem(("models", name, "spec"), message))
        elif (loaded := _load(path, Model, problems)) and loaded[1].name != name:
            message = f'found "{name}", accepted: "{loaded[1].name}", the name that {entry.spec} states'
            problems.append(document.problem(("models", name), message))
        elif loaded:
            yield name, loaded


def _releases(
    environment: tuple[Document, Environment],
    live: tuple[Document, LiveModels],
    models: Mapping[str, tuple[Document, Model]],
) -> Iterator[Release]:
    for name, (document, model) in models.items():
        entry = live[1].models[name]
        place = live[0].lines(("models", name))
        yield Release(
            model=model,
            environment=environment[1],
            version=entry.stable.version,
            image=image_reference(model, entry.stable),
            commit=last_commit([document.path, environment[0].path], (live[0].path, place) if place else None),
            peers=[peer for other, (_, peer) in models.items() if other != name],
        )


def image_reference(model: Model, live: LiveVersion) -> str:
    """Image of a version: its tag for people and, where known, its digest, which decides."""
    return f"{model.image}:{live.version}" + (f"@{live.digest}" if live.digest else "")


def _violations(release: Release, live: Document, model: Document) -> Iterator[Problem]:
    for violation in release.violations():
        if violation.live:
            place: Location = ("models", release.model.name, "stable", *violation.field)
            yield live.problem(place, violation.message)
        else:
            yield model.problem(violation.field, violation.message)
