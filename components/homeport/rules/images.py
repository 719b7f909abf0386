"""Rules about images: where they come from, how they are named and built, and that none takes another's place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from homeport.catalogue.container import CACHE_TAG
from homeport.release import Release, is_built, repository
from homeport.rules.violation import Violation, listed
from homeport.specs.environment import Environment, Images
from homeport.specs.problems import Location


def image_violations(release: Release) -> list[Violation]:
    """Images from other registries or without a required digest, and images that cannot be built."""
    return [*_image(release), *build_violations(release), *_weights(release)]


def build_violations(release: Release) -> list[Violation]:
    """What the environment does not allow when the image is built from the model's folder."""
    build, images, built = release.model.build, release.environment.images, release.built
    if build is None:
        return []
    if build.dockerfile and not release.environment.limits.dockerfile:
        message = f'found "{build.dockerfile}", accepted: a build without its own Dockerfile (limits.dockerfile)'
        return [Violation(("build", "dockerfile"), message)]
    if images is None:
        message = "needs `images` in the environment, which has none: add it there, or use `image` instead of `build`"
        return [Violation(("build",), message)]
    if built is None:
        return []
    found = [*_taken(release, built, images)]
    if release.canary and all(map(is_built, release.tracks)):
        message = (
            f'found "{release.version}" without a digest beside canary "{release.canary.version}", accepted: sha256:... '
            "of its image, because only the canary is built from the model's folder"
        )
        found.append(Violation(("stable", "digest"), message, source="live"))
    if not images.bases and not build.dockerfile:
        message = (
            f'found "{built.version}" without a digest, accepted: sha256:... of an image, because this environment '
            "builds none (images.bases)"
        )
        return [*found, Violation((_entry(built), "digest"), message, source="live")]
    if not build.dockerfile and images.base(build.base) is None:
        asked = f'"{build.base}"' if build.base else "none"
        message = f"found {asked}, accepted: {listed(images.bases)} (images.bases)"
        found.append(Violation(("build", "base"), message))
    for index, package in enumerate(build.packages):
        if package not in images.packages:
            message = f'found "{package}", accepted: {listed(images.packages)} (images.packages)'
            found.append(Violation(("build", "packages", index), message))
    return found


@dataclass(frozen=True)
class Registries:
    """Where images must come from. `homeport check` and the guard in the cluster both read it."""

    field: str
    """Of the environment, which says so."""
    allowed: Sequence[str]
    """Registries, or folders in them."""
    team: str | None = None
    """Whose images, apart from those that are built here, because the environment decides where those are; None: all."""

    @property
    def prefixes(self) -> list[str]:
        """How the references of images begin that are allowed."""
        return [f"{registry.rstrip('/')}/" for registry in self.allowed]


def registries(environment: Environment) -> Iterator[Registries]:
    """What an environment says about the origin of images. All of it applies."""
    if environment.limits.registries is not None:
        yield Registries("limits.registries", environment.limits.registries)
    for name, team in environment.teams.items():
        if team.registries is not None:
            yield Registries(f"teams.{name}.registries", team.registries, name)


def overwritten_images(releases: Sequence[Release]) -> Iterator[tuple[str, Violation]]:
    """Models whose built images replace those that a model of another owner runs by their tags."""
    built = {repository(each.model, each.environment): each for each in releases if each.built}
    for release in releases:
        for image in sorted(_by_tag(release) & built.keys()):
            other = built[image]
            if other.model.owner != release.model.owner:
                message = (
                    f'found "{other.model.name}", whose image {image} {release.model.name} of {release.model.owner} runs '
                    f"without a digest, accepted: another name, or digests in the entry of {release.model.name}"
                )
                yield other.model.name, Violation(("name",), message)


def _by_tag(release: Release) -> set[str]:
    """Repositories that a release states and runs an image of, whose digest is not stated."""
    model, weights = release.model, release.model.weights
    code = {model.image for track in release.tracks if isinstance(track.image, str) and "@" not in track.image}
    files = {weights.image for track in release.tracks if weights and track.weights and not track.weights.digest}
    return {image for image in code | files if image}


def _taken(release: Release, built: Release, images: Images) -> Iterator[Violation]:
    """A built image with the name of a base image, or with the tag of the builder's layers."""
    image = repository(release.model, release.environment)
    if image in images.base_repositories:
        message = (
            f'found "{release.model.name}", whose image {image} is a base image (images.bases), accepted: another name'
        )
        yield Violation(("name",), message)
    if images.cache and built.version == CACHE_TAG:
        message = f'found "{CACHE_TAG}", accepted: another version, because it is the tag of the layers (images.cache)'
        yield Violation((_entry(built), "version"), message, source="live")


def _image(release: Release) -> list[Violation]:
    found = _registry(
        release, ("build" if release.model.build else "image",), repository(release.model, release.environment)
    )
    for track in release.tracks if release.environment.require.digest else ():
        if isinstance(track.image, str) and "@" not in track.image and not is_built(track):
            message = (
                f'found image "{track.image}" without a digest, accepted: sha256:... of the image (require.digest)'
            )
            found.append(Violation((_entry(track), "digest"), message, source="live"))
    return found


def _weights(release: Release) -> list[Violation]:
    weights = release.model.weights
    image, claim = (weights.image, weights.claim) if weights else (None, None)
    found = _registry(release, ("weights", "image"), image) if image else []
    if claim and claim not in release.claims:
        accepted = f"{listed(release.claims)} (claims.{release.model.name} of the environment)"
        found.append(Violation(("weights", "claim"), f'found "{claim}", accepted: {accepted}'))
    for track in release.tracks:
        place: Location = ("canary" if track.suffix else "stable", "weights")
        if image and track.weights is None:
            message = f"missing: state the version of {image}, the image of the model's weights"
            found.append(Violation(place, message, source="live"))
        elif track.weights and not image:
            message = (
                f'found version "{track.weights.version}", accepted: none, because the model has no `weights.image`'
            )
            found.append(Violation(place, message, source="live"))
        elif track.weights and release.environment.require.digest and not track.weights.digest:
            message = f'found version "{track.weights.version}" without a digest, accepted: sha256:... of the image'
            found.append(Violation((*place, "digest"), f"{message} (require.digest)", source="live"))
    return found


def _registry(release: Release, place: Location, repository: str) -> list[Violation]:
    about = {None} if place == ("build",) else {None, release.model.owner}
    return [
        Violation(place, f'found "{repository}", accepted: an image of {listed(each.allowed)} ({each.field})')
        for each in registries(release.environment)
        if each.team in about and not repository.startswith(tuple(each.prefixes))
    ]


def _entry(track: Release) -> str:
    return "canary" if track.suffix else "stable"
