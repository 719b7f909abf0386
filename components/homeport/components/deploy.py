"""Deploying: the Pulumi resources of every release of a stack, with the images that are built for them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pulumi

from homeport.components.model_image import ModelImage, ModelImageArgs
from homeport.components.model_service import ModelService, release_args
from homeport.components.provider import cluster_provider
from homeport.components.secret_values import config_problems
from homeport.release import Release
from homeport.specs.environment import Environment
from homeport.specs.problems import SpecError


def deploy(
    environment: Environment, releases: Iterable[Release], folders: Mapping[str, Path]
) -> dict[str, ModelService]:
    """Declare the Pulumi resources of every release, on the cluster that the environment names.

    Args:
        environment: That of all the releases.
        releases: One of each model.
        folders: The folder of each model, by its name: images are built from there.

    Raises:
        SpecError: The stack's configuration lacks values of secrets; with all of them.
    """
    releases = list(releases)
    if problems := [problem for release in releases for problem in config_problems(release)]:
        raise SpecError(problems)
    options = pulumi.ResourceOptions(providers=[cluster_provider(environment)])
    return {
        release.model.name: ModelService(release.model.name, release_args(_with_image(release, folders)), options)
        for release in releases
    }


def _with_image(release: Release, folders: Mapping[str, Path]) -> Release:
    """The release with the image that is built from its folder, if one is."""
    if release.built is None:
        return release
    args = ModelImageArgs(
        model=release.model,
        environment=release.environment,
        folder=str(folders[release.model.name]),
        version=release.built.version,
    )
    image = ModelImage(release.model.name, args).ref
    if release.canary and release.built.suffix:
        return replace(release, canary=replace(release.canary, image=image))
    return replace(release, image=image)
