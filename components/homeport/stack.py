"""A stack: the files of one environment, read into releases."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from homeport.provenance import UNKNOWN, History
from homeport.release import Canary, Release, image_reference
from homeport.rules.cycles import cycles
from homeport.rules.files import disguised_repositories, missing_files
from homeport.rules.one_release import violations
from homeport.rules.totals import total_violations
from homeport.specs.documents import Document
from homeport.specs.environment import Environment
from homeport.specs.fields import Spec
from homeport.specs.live_models import CanaryVersion, LiveModels
from homeport.specs.model import Model
from homeport.specs.problems import Location, Problem, SpecError, dotted

if TYPE_CHECKING:
    from homeport.components.model_service import ModelService

S = TypeVar("S", bound=Spec)

ENVIRONMENT_FILE = "environment.yaml"
MODELS_FILE = "models.yaml"


@dataclass(frozen=True)
class Stack:
    """All that runs in one environment."""

    environment: Environment
    releases: tuple[Release, ...]
    files: tuple[Path, ...] = ()
    """Where all of it is written."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """The folder of each model, by its name."""
    commits_unknown: str | None = None
    """Why commits of releases are unknown, if any are."""

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
        problems += disguised_repositories([Path(folder), *(document.path.parent for document, _ in models.values())])
        if environment is None or live is None:
            raise SpecError(problems)
        history = History([environment[0].path, *(document.path for document, _ in models.values())], live[0].path)
        releases = tuple(_releases(environment, live, models, history))
        for release in releases:
            problems += _violations(release, live[0], models[release.model.name][0])
        problems += _cycles(models)
        for violation in total_violations(environment[1].limits.total, releases):
            problems.append(environment[0].problem(violation.field, violation.message))
        if problems:
            raise SpecError(problems)
        files = [environment[0].path, live[0].path, *(document.path for document, _ in models.values())]
        folders = {name: document.path.parent for name, (document, _) in models.items()}
        unknown = any(release.commit.startswith(UNKNOWN) for release in releases)
        return cls(
            environment[1],
            releases,
            tuple(dict.fromkeys(files)),
            folders,
            history.why_unknown if unknown else None,
        )

    def deploy(self) -> "dict[str, ModelService]":
        """Declare the Pulumi resources of every release, on the cluster that the environment names.

        Raises:
            SpecError: The stack's configuration lacks values of secrets; with all of them.
        """
        # The one way from here to the components, taken when it is used: reading needs no Pulumi.
        from homeport.components.deploy import deploy

        return deploy(self.environment, self.releases, self.folders)


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
    history: History,
) -> Iterator[Release]:
    peers = _peers({name: model for name, (_, model) in models.items()})
    shared = environment[0].path
    for name, (document, model) in models.items():
        entry = live[1].models[name]
        yield Release(
            model=model,
            environment=environment[1],
            version=entry.stable.version,
            image=image_reference(model, environment[1], entry.stable),
            commit=history.last_commit([document.path, shared], live[0].lines(("models", name))),
            peers=peers[name],
            canary=_canary(model, environment[1], entry.canary),
            weights=entry.stable.weights,
        )


def _canary(model: Model, environment: Environment, live: CanaryVersion | None) -> Canary | None:
    if live is None:
        return None
    return Canary(live.version, image_reference(model, environment, live), live.weight, live.weights)


def _peers(models: Mapping[str, Model]) -> dict[str, list[Model]]:
    """Of each model those that it calls or that call it: with all others, a thousand models would make a million pairs.

    All others of a model that calls one which is not there, so that the error names what is.
    """
    peers: dict[str, dict[str, Model]] = {name: {} for name in models}
    for name, model in models.items():
        for called in model.calls:
            if called in models:
                peers[name][called] = models[called]
                peers[called][name] = model
            else:
                peers[name] |= {other: peer for other, peer in models.items() if other != name}
    return {name: list(found.values()) for name, found in peers.items()}


def _violations(release: Release, live: Document, model: Document) -> Iterator[Problem]:
    build = release.model.build if release.built else None
    files = missing_files(build, model.path.parent) if build else ()
    for violation in (*files, *violations(release)):
        if violation.live:
            yield live.problem(("models", release.model.name, *violation.field), violation.message)
        else:
            # Named, for the same file may be live in several environments, and its path need not tell whose it is.
            field = dotted((release.model.name, *violation.field))
            yield Problem(violation.message, model.path, model.line(violation.field), field)


def _cycles(models: Mapping[str, tuple[Document, Model]]) -> Iterator[Problem]:
    for ring in cycles({name: model.calls for name, (_, model) in models.items()}):
        document, model = models[ring[0]]
        place: Location = ("calls", model.calls.index(ring[1]))
        message = f"found the cycle {' -> '.join(ring)}, accepted: calls that never lead back to their caller"
        yield Problem(message, document.path, document.line(place), dotted((model.name, *place)))
