"""A stack: the files of one environment, read into releases."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from homeport.files import is_file
from homeport.project import is_inside, project
from homeport.provenance import UNKNOWN, Commits
from homeport.pulumi_project import stack_of
from homeport.release import Release
from homeport.rules.cycles import cycles
from homeport.rules.files import disguised_repositories, seen_files, stated_files
from homeport.rules.images import overwritten_images
from homeport.rules.names import joined_names
from homeport.rules.one_release import violations
from homeport.rules.places import Files
from homeport.rules.served_code import Found, python, served_code
from homeport.rules.several_stacks import StackBeside
from homeport.rules.teams import folder_violations, team_folders
from homeport.rules.totals import total_violations
from homeport.rules.violation import LISTED, Violation
from homeport.specs.documents import Document
from homeport.specs.environment import Environment
from homeport.specs.fields import Spec
from homeport.specs.live_models import LiveModels
from homeport.specs.model import Model
from homeport.specs.overrides import Override, overridden
from homeport.specs.problems import Problem, SpecError, few, short

if TYPE_CHECKING:
    from homeport.components.model_service import ModelService

S = TypeVar("S", bound=Spec)
T = TypeVar("T")
P = ParamSpec("P")

ENVIRONMENT_FILE = "environment.yaml"
MODELS_FILE = "models.yaml"


@dataclass(frozen=True)
class Stack:
    """Everything that runs in one environment."""

    environment: Environment
    releases: tuple[Release, ...]
    files: Files
    """The files that it was read from."""
    overrides: tuple[Override, ...] = ()
    """Fields of the environment that come from environment variables, not from its file."""
    commits_unknown: str | None = None
    """Why commits of releases are unknown, if any are."""
    hints: list[Problem] = field(default_factory=list)
    """What may be wrong with the code of its models, where their text leaves a doubt."""

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read `environment.yaml`, `models.yaml` and every `model.yaml` that it names.

        HOMEPORT_CONTEXT and HOMEPORT_REGISTRY override the environment's file.

        Raises:
            SpecError: A file cannot be read, is not valid or asks for more than the environment allows, or one of the
                two variables is not valid. The error has all problems of all files.
        """
        problems: list[Problem] = []
        root = project(Path(folder))
        here = _collected(problems, _environment, Path(folder) / ENVIRONMENT_FILE, root)
        live = _collected(problems, _load, Path(folder) / MODELS_FILE, LiveModels, root)
        models = dict(_models(*live, root, problems)) if live else {}
        problems += disguised_repositories([Path(folder), *(document.path.parent for document, _ in models.values())])
        if here is None or live is None:
            raise SpecError(problems)
        document, environment, overrides = here
        files = Files(document, live[0], {name: document for name, (document, _) in models.items()})
        commits = Commits([document.path, *(each.path for each in files.models.values())], live[0].path)
        by_name = {name: model for name, (_, model) in models.items()}
        made = _releases(environment, live[1], by_name, files, commits)
        stack = _collected(problems, stack_of, Path(folder))
        releases = tuple(replace(release, deployed_by=stack) for release in made)
        code = {each.model.name: _code(each, files) for each in releases if each.built}
        problems += _problems(environment, releases, files, code)
        if problems:
            raise SpecError(problems)
        unknown = any(release.commit.startswith(UNKNOWN) for release in releases)
        hints = [hint for found in code.values() for hint in found.hints]
        return cls(environment, releases, files, overrides, commits.why_unknown if unknown else None, hints)

    def beside(self, name: str) -> StackBeside:
        """What others must not take of this stack, as its files say: variables move only the stack that is deployed."""
        stated = self.files.environment.validate(Environment) if self.overrides else self.environment
        return StackBeside(name, stated, [replace(each, environment=stated) for each in self.releases], self.files)

    @property
    def unused_grants(self) -> list[str]:
        """Fields of the environment that give something to a name that no model here has, such as `secrets.iris`."""
        live = {release.model.name for release in self.releases}
        granted = self.environment.granted
        return [f"{field}.{name}" for name, fields in granted.items() if name not in live for field in fields]

    def deploy(self) -> "dict[str, ModelService]":
        """Declare the Pulumi resources of every release, on the cluster that the environment names.

        Raises:
            SpecError: The stack's configuration lacks values of secrets, or this machine lacks files that image builds
                need. The error has all problems.
        """
        # The only import of the components, and only on use, because reading a stack needs no Pulumi.
        from homeport.components.deploy import deploy

        return deploy(self.environment, self.releases, self.files)


def _collected(problems: list[Problem], read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """The result of `read`. If it fails, its problems are added to the list and the result is None."""
    try:
        return read(*args, **kwargs)
    except SpecError as error:
        problems += error.problems
        return None


def _load(path: Path, spec: type[S], root: Path) -> tuple[Document, S]:
    if not is_inside(path, root):
        raise SpecError([Problem(_outside("a link", root), path)])
    document = Document.read(path)
    return document, document.validate(spec)


def _outside(found: str, root: Path) -> str:
    return f"found {found}, which leads out of the project, accepted: a file in {root}"


def _environment(path: Path, root: Path) -> tuple[Document, Environment, tuple[Override, ...]]:
    document, environment = _load(path, Environment, root)
    return document, *overridden(environment, os.environ)


def _models(
    document: Document, live: LiveModels, root: Path, problems: list[Problem]
) -> Iterator[tuple[str, tuple[Document, Model]]]:
    for name, entry in live.models.items():
        path = Path(os.path.normpath(document.path.parent / entry.spec))
        if not is_inside(path, root):
            problems.append(document.problem(("models", name, "spec"), _outside(f'"{short(entry.spec)}"', root)))
        elif not is_file(path):
            message = f'found "{short(entry.spec)}", accepted: path of a model.yaml (no such file: {path})'
            problems.append(document.problem(("models", name, "spec"), message))
        elif (loaded := _collected(problems, _load, path, Model, root)) and loaded[1].name != name:
            message = f'found "{name}", accepted: "{loaded[1].name}", the name in {entry.spec}'
            problems.append(document.problem(("models", name), message))
        elif loaded:
            yield name, loaded


def _releases(
    environment: Environment, live: LiveModels, models: Mapping[str, Model], files: Files, commits: Commits
) -> Iterator[Release]:
    peers = _peers(models)
    shared = files.environment.path
    for name, model in models.items():
        entry = live.models[name]
        commit = commits.last_commit([files.models[name].path, shared], files.live.lines(("models", name)))
        yield replace(Release.of(model, environment, entry.stable, entry.canary), commit=commit, peers=peers[name])


def _peers(models: Mapping[str, Model]) -> dict[str, list[Model]]:
    """For each model, the models that it calls or that call it. All pairs of a thousand models would be a million.

    If a model calls one that does not exist, its peers are as many others too as the error lists, and one more.
    """
    first = sorted(models)[: LISTED + 2]
    peers: dict[str, dict[str, Model]] = {name: {} for name in models}
    for name, model in models.items():
        for called in filter(models.__contains__, model.calls):
            peers[name][called] = models[called]
            peers[called][name] = model
        if not models.keys() >= set(model.calls):
            peers[name] |= {other: models[other] for other in first if other != name}
    return {name: list(found.values()) for name, found in peers.items()}


def _problems(
    environment: Environment, releases: tuple[Release, ...], files: Files, code: Mapping[str, Found]
) -> Iterator[Problem]:
    """What the environment refuses, for each release and for all releases together.

    `code` has what was found in the code of those that are built.
    """
    models = {release.model.name: release.model for release in releases}
    folders = team_folders(environment, files.environment.path)
    for release in releases:
        name, build = release.model.name, release.model.build if release.built else None
        named = partial(files.problem, model=name)
        if build:
            yield from stated_files(build, files.folder(name), named)
            yield from map(named, seen_files(build, files.folder(name)))
            yield from code[name].problems
        misplaced = folder_violations(release, files.models[name].path, folders)
        yield from few(list(map(named, (*misplaced, *violations(release)))))
    for ring in cycles({name: model.calls for name, model in models.items()}):
        message = f"found the cycle {' -> '.join(ring)}, accepted: calls without a cycle"
        place = ("calls", models[ring[0]].calls.index(ring[1]))
        yield files.problem(Violation(place, message), ring[0])
    for name, violation in (*joined_names(releases), *overwritten_images(releases)):
        yield files.problem(violation, name)
    yield from map(files.problem, total_violations(environment.limits.total, releases))


def _code(release: Release, files: Files) -> Found:
    """What is wrong, and what may be, with the code that a release is built from."""
    name, build = release.model.name, release.model.build
    if build is None:
        return Found()
    version = python(build, release.environment.images)
    return served_code(build, files.folder(name), partial(files.problem, model=name), version)
