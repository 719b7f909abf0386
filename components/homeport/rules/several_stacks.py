"""Rules about several stacks: none takes a namespace, a host, a volume or an image of another one.

Stacks share a cluster if they state one `cluster.identifier`. Images are compared wherever they run.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from homeport.release import Release, repository
from homeport.rules.images import run_by_tag
from homeport.rules.places import Files
from homeport.rules.violation import Violation
from homeport.specs.environment import Environment
from homeport.specs.problems import Location, Problem


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
    field: Location = ()
    """Place of the claim in the environment's file; none: it is the entry of the model."""
    used: bool = False
    """The model only runs it, which clashes with a build for another owner; `alike` is the owner."""

    def clashes(self, other: "_Claim") -> bool:
        """Whether not both stacks can have it."""
        if self.stack.name == other.stack.name or (self.used and other.used):
            return False
        if self.used or other.used:
            return bool(self.release and other.release and self.release.model.owner != other.release.model.owner)
        return self.alike != other.alike


def clashes(stacks: Sequence[StackBeside]) -> Iterator[tuple[str, Problem]]:
    """Each model that has what another stack has, with the name of its stack."""
    claims: dict[str, list[_Claim]] = defaultdict(list)
    for stack in stacks:
        for claim in _claims(stack):
            claims[claim.place].append(claim)
    for found in claims.values():
        unlike = list({(each.stack.name, each.used, each.alike): each for each in reversed(found)}.values())[::-1]
        for claim in found:
            if (claim.release or claim.field) and (other := next(filter(claim.clashes, unlike), None)):
                message = f"found {claim.place}, which {other.by} of {other.stack.name} has, accepted: {claim.accepted}"
                violation = Violation(claim.field, message, source="environment" if claim.field else "live")
                yield claim.stack.name, claim.stack.files.problem(violation, claim.by)


def _claims(stack: StackBeside) -> Iterator[_Claim]:
    environment, cluster = stack.environment, f"on the cluster {stack.environment.cluster.identifier}"
    namespaces = "another `namespace` or `cluster.identifier` in one of the environments"
    hosts = "another `gateway.host` in one of the environments"
    images = "another `images.registry` in one of the environments"
    for namespace, field in environment.named_namespaces.items():
        yield _Claim(f"the namespace {namespace} {cluster}", namespaces, stack, field, "environment")
    for base in environment.images.base_repositories if environment.images else ():
        yield _Claim(f"the image {base}", images, stack, "images.bases", "environment")
    for model, volumes in environment.claims.items():
        for each, claim in volumes.items():
            place, accepted = f"the volume {claim.volume} {cluster}", "another volume, because it is bound to one claim"
            at: Location = ("claims", model, each, "volume")
            yield _Claim(place, accepted, stack, f"claims.{model}.{each}", f"stack {stack.name}", field=at)
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
        for image in sorted(run_by_tag(release)):
            accepted = f"digests in the entry of {name}, or {images}"
            yield _Claim(f"the image {image}", accepted, stack, name, release.model.owner, release, used=True)
