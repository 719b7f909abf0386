"""Deploying: the Pulumi resources of every release of a stack, with the images that are built for them."""

from collections.abc import Iterable
from functools import partial

import pulumi

from homeport.components.model_image import ModelImage, machine_problems
from homeport.components.model_service import ModelService
from homeport.components.provider import cluster_provider
from homeport.components.secret_values import config_violations
from homeport.release import Release
from homeport.rules.places import Files
from homeport.specs.environment import Environment
from homeport.specs.problems import SpecError


def deploy(environment: Environment, releases: Iterable[Release], files: Files) -> dict[str, ModelService]:
    """Declare the Pulumi resources of every release, on the cluster that the environment names.

    Args:
        environment: The environment of all releases.
        releases: One for each model, without `violations`.
        files: The stack's files. Images are built from the models' folders.

    Raises:
        SpecError: The stack's configuration lacks values of secrets, or this machine lacks files that image builds
            need. The error has all problems.
    """
    releases = list(releases)
    problems = [files.problem(each, made.model.name) for made in releases for each in config_violations(made)]
    if any(release.built for release in releases):
        problems += machine_problems(environment)
    if problems:
        raise SpecError(problems)
    options = pulumi.ResourceOptions(providers=[cluster_provider(environment)])
    return {release.model.name: _service(release, files, options) for release in releases}


def _service(release: Release, files: Files, options: pulumi.ResourceOptions) -> ModelService:
    name = release.model.name
    return ModelService.of(name, _with_image(release, files), partial(files.problem, model=name), options)


def _with_image(release: Release, files: Files) -> Release:
    """The release with the image built from its folder, if it needs one."""
    if (built := release.built) is None:
        return release
    name = release.model.name
    return release.with_image(ModelImage.of(name, built, files.folder(name)).ref, canary=bool(built.suffix))
