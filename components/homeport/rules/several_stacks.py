"""Rules about several stacks: none takes a namespace, a host or an image of another one.

Stacks share a cluster if they state one `cluster.identifier`. Images are compared wherever they run.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from homeport.release import Release, repository
from homeport.rules.places import Files
from homeport.rules.violation import Violation
from homeport.specs.environment import Environment
from homeport.specs.problems import Problem


@dataclass(frozen=True)
class StackBeside:
    """A stack beside others, as its files say."""

    name: str
    environment: Environment
    releases: Sequence[Release]
    files: Files


@dataclass(frozen=True)
class _Claim:
    """What one stack has for itself."""

    place: str
    """What it is, in the words of a message; two claims of one place clash."""
    accepted: str
    """What the stacks may change."""
    stack: StackBeside
    by: str
    """Name of the model, or the field of the environment."""
    alike: str
    """Claims of one place that are alike do not clash."""
    release: Release | None = None
    """The model's release; None if the environment claims."""


def clashes(stacks: Sequence[StackBeside]) -> Iterator[tuple[str, Problem]]:
    """Each model that has what another stack has, with the name of its stack."""
    claims: dict[str, list[_Claim]] = defaultdict(list)
    for stack in stacks:
        for claim in _claims(stack):
            claims[claim.place].append(claim)
    for claim in (each for found in claims.values() for each in found if each.release):
        others = (
            each for each in claims[claim.place] if each.stack.name != claim.stack.name and each.alike != claim.alike
        )
        if other := next(others, None):
            message = f"found {claim.place}, which {other.by} of {other.stack.name} has, accepted: {claim.accepted}"
            yield claim.stack.name, claim.stack.files.problem(Violation((), message, source="live"), claim.by)


def _claims(stack: StackBeside) -> Iterator[_Claim]:
    environment, cluster = stack.environment, f"on the cluster {stack.environment.cluster.identifier}"
    namespaces = "another `namespace` or `cluster.identifier` in one of the environments"
    hosts = "another `gateway.host` in one of the environments"
    images = "another `images.registry` in one of the environments"
    for namespace, field in environment.named_namespaces.items():
        yield _Claim(f"the namespace {namespace} {cluster}", namespaces, stack, field, "environment")
    for base in environment.images.base_repositories if environment.images else ():
        yield _Claim(f"the image {base}", images, stack, "images.bases", "environment")
    for release in stack.releases:
        name, gateway, host = release.model.name, environment.gateway, environment.host_of(release.model.name)
        yield _Claim(
            f"the namespace {release.namespace} {cluster}", namespaces, stack, name, f"stack {stack.name}", release
        )
        if gateway and host:
            place = f"the host {host} of the gateway {gateway.namespace}/{gateway.name} {cluster}"
            yield _Claim(place, hosts, stack, name, release.namespace, release)  # one namespace is told of already
        if release.built:
            folder = str(stack.files.folder(name).resolve())
            place = f"the image {repository(release.model, environment)}"
            yield _Claim(place, images, stack, name, folder, release)
