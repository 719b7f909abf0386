"""ModelImage: the Pulumi component that builds a model's image from its folder, pushes it and returns its digest."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypedDict
from urllib.parse import quote

import pulumi
import pulumi_docker_build as docker_build

from homeport.catalogue.container import CACHE_TAG
from homeport.components.arguments import EnvironmentLike, ModelLike
from homeport.images.build_context import BuildContext, prepare
from homeport.images.pip_settings import SettingsError, build_secrets
from homeport.provenance import origin
from homeport.pulumi_project import project_file
from homeport.release import Release
from homeport.rules.files import disguised_repositories, seen_files, stated_files
from homeport.rules.images import build_violations
from homeport.rules.places import Arguments
from homeport.rules.served_code import python, served_code
from homeport.rules.violation import Violation
from homeport.specs.documents import Document, parse
from homeport.specs.environment import Environment, Images, PipVariable
from homeport.specs.live_models import LiveVersion
from homeport.specs.model import Model
from homeport.specs.problems import Location, Problem, SpecError

TYPE = "homeport:index:ModelImage"
"""Part of the URN of every built image, so it must never change."""

_FILES: set[PipVariable] = {"PIP_CERT", "PIP_CONFIG_FILE"}

_ARGUMENTS: Mapping[Location, Location] = {("stable", "digest"): ("version",)}
"""Arguments by their name in `models.yaml`, where the names differ. A version has a digest once it is built."""


class ModelImageArgs(TypedDict):
    """Arguments of a ModelImage. Plain types only, because Pulumi passes them between languages."""

    model: ModelLike
    """A Model with a `build`, or a mapping of its fields."""
    environment: EnvironmentLike
    """An Environment with `images`, or a mapping of its fields."""
    folder: str
    """The model's folder, which contains its `model.yaml`."""
    version: str
    """Version of the model, such as "3": the tag with which the image is pushed."""


class ModelImage(pulumi.ComponentResource):
    """The image of a model. `pulumi up` builds it when one of its sources has changed; a preview builds nothing.

    Raises:
        SpecError: The model or the environment is not valid, the environment does not allow the build, or the folder or
            a file that the build needs is missing.
    """

    ref: pulumi.Output[str]
    """Reference of the image with its digest: `registry.example.com/models/iris:3@sha256:...`. A stated digest has this form
    too, so that no pod restarts when an environment states the digest that runs already."""

    def __init__(self, name: str, args: ModelImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        self._declare(name, *_read(name, args), opts)

    @classmethod
    def of(cls, name: str, release: Release, folder: Path, opts: pulumi.ResourceOptions | None = None) -> Self:
        """The image of a release that is already checked, as a stack's releases are, from its model's folder."""
        image = cls.__new__(cls)
        image._declare(name, release, folder, opts)
        return image

    def _declare(self, name: str, release: Release, folder: Path, opts: pulumi.ResourceOptions | None) -> None:
        build, images = release.model.build, release.environment.images
        # The rules refuse a release without them.
        assert build is not None  # noqa: S101
        assert images is not None  # noqa: S101
        super().__init__(TYPE, name, None, opts)
        target = release.image.removesuffix(f":{release.version}")
        context = prepare(release.model, build, images, folder)
        # A Dockerfile of the author's own could send them anywhere.
        secrets = {} if build.dockerfile else build_secrets(_values(images))
        image = docker_build.Image(
            name,
            context=docker_build.BuildContextArgs(location=_shown(context.folder)),
            dockerfile=docker_build.DockerfileArgs(location=_shown(context.dockerfile)),
            tags=[release.image],
            labels=(labels := _labels(release, context)),
            exports=[docker_build.ExportArgs(raw=_export(labels))],
            push=False,  # the export pushes it, with more options
            # A fixed creation time, so that an image built again from the builder's cache has the same digest.
            build_args={"SOURCE_DATE_EPOCH": "0"},
            build_on_preview=False,
            builder=docker_build.BuilderConfigArgs(name=images.builder) if images.builder else None,
            platforms=[docker_build.Platform(platform) for platform in images.platforms] or None,
            secrets={name: pulumi.Output.secret(value) for name, value in secrets.items()} or None,
            # A new token or certificate must not cause a new image.
            ignore_secrets_in_diff_calculation=list(secrets) or None,
            **_cache(images, target),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Deleting it would delete the digest in the registry, which another environment may use.
                retain_on_delete=True,
            ),
        )
        self.ref = _unknown_if_empty(image.digest).apply(lambda digest: f"{release.image}@{digest}")
        self.register_outputs({"ref": self.ref})


def _read(name: str, args: ModelImageArgs) -> tuple[Release, Path]:
    """The checked release whose image is to be built, and its model's folder."""
    arguments = Arguments(name, _ARGUMENTS)
    model = parse(Model, args["model"], arguments.name("model"))
    environment = parse(Environment, args["environment"], arguments.name("environment"))
    release = Release.of(model, environment, parse(LiveVersion, {"version": args["version"]}, name))
    folder, refused = Path(args["folder"]), build_violations(release)
    problems: list[Problem] = []
    if not folder.is_dir():
        message = f'found "{folder}", accepted: the folder of the model (no such folder: {folder.resolve()})'
        problems.append(Problem(message, field=arguments.name("folder")))
    elif model.build is None:
        refused.append(Violation(("build",), "missing: a ModelImage needs a model with `build`"))
    else:
        problems += stated_files(model.build, folder, arguments.problem)
        problems += served_code(
            model.build, folder, arguments.problem, python(model.build, environment.images)
        ).problems
        refused += seen_files(model.build, folder)
        problems += disguised_repositories([folder])
    problems = [*map(arguments.problem, refused), *problems, *machine_problems(environment)]
    if problems:
        raise SpecError(problems)
    return release, folder


def machine_problems(environment: Environment) -> list[Problem]:
    """Files of this machine that every build of the environment needs, and that are missing or not what they should be."""
    if environment.images is None:
        return []
    problems = [
        Problem(f'found "{os.environ[variable]}", accepted: path of a file (no such file)', field=variable)
        for variable in environment.images.pip
        if variable in _FILES and not Path(os.environ.get(variable) or ".").exists()
    ]
    if not problems:
        try:
            build_secrets(_values(environment.images))
        except SettingsError as error:
            problems.append(Problem(str(error), field="PIP_CONFIG_FILE"))
    return problems


def _shown(path: Path) -> str:
    """The path relative to the program's folder, so that the state is the same on every machine."""
    file = project_file(Path.cwd())
    if file is None:
        return str(path.resolve())
    main = file.parent / (Document.read(file).content.get("main") or "")
    return os.path.relpath(path, main if main.is_dir() else main.parent)


def _unknown_if_empty(digest: pulumi.Output[str]) -> pulumi.Output[str]:
    """An unknown digest instead of an empty one, which the provider's preview returns for an image that has changed."""

    async def known() -> bool:
        return await digest.is_known() and bool(await digest.future())

    return pulumi.Output(digest.resources(), digest.future(), asyncio.ensure_future(known()))  # type: ignore[arg-type]


def _labels(release: Release, context: BuildContext) -> dict[str, str]:
    """https://github.com/opencontainers/image-spec/blob/main/annotations.md."""
    source = origin(context.folder)
    return {
        "org.opencontainers.image.title": release.model.name,
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.revision": context.revision,
        "org.opencontainers.image.vendor": release.model.owner,
    } | ({"org.opencontainers.image.source": source} if source else {})


def _export(labels: dict[str, str]) -> str:
    annotations = [f"annotation.{name}={quote(value, safe=':/@+~')}" for name, value in sorted(labels.items())]
    return ",".join(["type=registry", "oci-mediatypes=true", "compression=zstd", *annotations])


def _values(images: Images) -> dict[PipVariable, str]:
    """Values of pip's variables, or contents of the files that they name; empty if a variable is not set."""
    values = {variable: os.environ.get(variable, "") for variable in images.pip}
    return {
        variable: Path(value).read_text(encoding="utf-8") if value and variable in _FILES else value
        for variable, value in values.items()
    }


def _cache(images: Images, target: str) -> dict[str, Any]:
    if not images.cache:
        return {}
    kept = f"{target}:{CACHE_TAG}"
    return {
        "cache_from": [docker_build.CacheFromArgs(registry=docker_build.CacheFromRegistryArgs(ref=kept))],
        "cache_to": [
            docker_build.CacheToArgs(
                registry=docker_build.CacheToRegistryArgs(ref=kept, mode=docker_build.CacheMode.MAX)
            )
        ],
    }
