"""ModelImage: the Pulumi component that builds a model's image from its folder, pushes it and yields its digest."""

import asyncio
import os
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

import pulumi
import pulumi_docker_build as docker_build

from homeport.images.build_context import BuildContext, prepare
from homeport.provenance import origin
from homeport.release import Release, repository
from homeport.rules.files import disguised_repositories, missing_files
from homeport.rules.images import build_violations
from homeport.specs.documents import Document, parse
from homeport.specs.environment import Environment, Images, PipVariable
from homeport.specs.live_models import LiveVersion
from homeport.specs.model import Build, Model
from homeport.specs.problems import Problem, SpecError, dotted

TYPE = "homeport:index:ModelImage"
"""Part of the URN of everything built, so it never changes."""

_PROJECT = "Pulumi.yaml"
_FILES: set[PipVariable] = {"PIP_CERT", "PIP_CONFIG_FILE"}


class ModelImageArgs(TypedDict):
    """What a ModelImage is made from. Plain types only: Pulumi passes them between languages."""

    model: Any
    """A Model with a `build`, or a mapping of its fields."""
    environment: Any
    """An Environment with `images`, or a mapping of its fields."""
    folder: str
    """The model's folder, in which its `model.yaml` is."""
    version: str
    """Version of the model, such as "3": the tag under which the image is pushed."""


class ModelImage(pulumi.ComponentResource):
    """The image of a model, built by `pulumi up` when anything it is made from has changed; a preview builds nothing.

    Raises:
        SpecError: The model or the environment is not valid, the environment does not allow the build, or the folder or a
            file that it needs is not there.
    """

    ref: pulumi.Output[str]
    """Reference of the image by its digest: `registry.example.com/models/iris@sha256:...`."""

    def __init__(self, name: str, args: ModelImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        model, build, images, release = _read(args)
        super().__init__(TYPE, name, None, opts)
        target = release.image.removesuffix(f":{release.version}")
        context = prepare(model, build, images, Path(args["folder"]))
        image = docker_build.Image(
            name,
            context=docker_build.BuildContextArgs(location=_shown(context.folder)),
            dockerfile=docker_build.DockerfileArgs(location=_shown(context.dockerfile)),
            tags=[release.image],
            labels=(labels := _labels(release, context)),
            exports=[docker_build.ExportArgs(raw=_export(labels))],
            push=False,  # by the export, which says more about how
            # The image's own time: what is built again from the builder's cache has the same digest.
            build_args={"SOURCE_DATE_EPOCH": "0"},
            build_on_preview=False,
            builder=docker_build.BuilderConfigArgs(name=images.builder) if images.builder else None,
            platforms=[docker_build.Platform(platform) for platform in images.platforms] or None,
            secrets={variable: pulumi.Output.secret(_value(variable)) for variable in images.pip} or None,
            # Another token or certificate makes no other image.
            ignore_secrets_in_diff_calculation=list(images.pip) or None,
            **_cache(images, target),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Deleting it would delete the digest in the registry, which another environment may run by now.
                retain_on_delete=True,
            ),
        )
        self.ref = _unknown_if_empty(image.digest).apply(lambda digest: f"{target}@{digest}")
        self.register_outputs({"ref": self.ref})


def _read(args: ModelImageArgs) -> tuple[Model, Build, Images, Release]:
    model, environment = parse(Model, args["model"], "model"), parse(Environment, args["environment"], "environment")
    version = parse(LiveVersion, {"version": args["version"]}, "args").version
    release = Release(model, environment, version, f"{repository(model, environment)}:{version}")
    problems = [Problem(each.message, field=dotted((model.name, *each.field))) for each in build_violations(release)]
    build, images, folder = model.build, environment.images, Path(args["folder"])
    if not folder.is_dir():
        message = f'found "{folder}", accepted: the folder of the model (no such folder: {folder.resolve()})'
        problems.append(Problem(message, field="args.folder"))
    elif build is None:
        problems.append(Problem("missing, accepted: how the image is built", field=f"{model.name}.build"))
    else:
        problems += [
            Problem(each.message, field=dotted((model.name, *each.field))) for each in missing_files(build, folder)
        ]
        problems += disguised_repositories([folder])
    problems += [
        Problem(f'found "{os.environ[variable]}", accepted: path of a file (no such file)', field=variable)
        for variable in (images.pip if images else ())
        if variable in _FILES and not Path(os.environ.get(variable) or ".").exists()
    ]
    if problems or build is None or images is None:
        raise SpecError(problems)
    return model, build, images, release


def _shown(path: Path) -> str:
    """The path as the provider finds it: from the program's folder, so that the state is the same on every machine."""
    here = Path.cwd()
    project = next((folder for folder in (here, *here.parents) if (folder / _PROJECT).is_file()), None)
    if project is None:
        return str(path.resolve())
    main = project / (Document.read(project / _PROJECT).content.get("main") or "")
    return os.path.relpath(path, main if main.is_dir() else main.parent)


def _unknown_if_empty(digest: pulumi.Output[str]) -> pulumi.Output[str]:
    """The provider's preview of an image whose files have changed says of its digest that it is known, and empty."""

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


def _value(variable: PipVariable) -> str:
    """What the variable says or, of a file, what is in it; nothing where this machine does not have it."""
    value = os.environ.get(variable, "")
    return Path(value).read_text(encoding="utf-8") if value and variable in _FILES else value


def _cache(images: Images, target: str) -> dict[str, Any]:
    if not images.cache:
        return {}
    kept = f"{target}:cache"
    return {
        "cache_from": [docker_build.CacheFromArgs(registry=docker_build.CacheFromRegistryArgs(ref=kept))],
        "cache_to": [
            docker_build.CacheToArgs(
                registry=docker_build.CacheToRegistryArgs(ref=kept, mode=docker_build.CacheMode.MAX)
            )
        ],
    }
