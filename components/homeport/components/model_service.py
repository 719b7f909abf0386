"""ModelService: a thin Pulumi component on the manifests. Each object becomes the typed resource of its kind."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NotRequired, Self, TypedDict

import pulumi
from pydantic import Field

from homeport.components.arguments import EnvironmentLike, Fields, ModelLike, ModelsLike
from homeport.components.hooks import Declared, Hooks, Named, hooks_of
from homeport.components.objects import typed
from homeport.components.provider import provider_of
from homeport.components.rollouts import Rollouts
from homeport.components.secret_values import config_violations, secret_values
from homeport.manifests import Resource, Stage, resources
from homeport.manifests.routing import url
from homeport.needs import needs
from homeport.promises import PROMISES
from homeport.provenance import UNKNOWN
from homeport.release import Release
from homeport.rules.one_release import violations
from homeport.rules.places import Arguments
from homeport.rules.violation import Violation
from homeport.specs.documents import parse
from homeport.specs.environment import Environment
from homeport.specs.live_models import CanaryVersion, LiveVersion
from homeport.specs.model import Model
from homeport.specs.problems import Location, SpecError

TYPE = "homeport:index:ModelService"
"""Part of the URN of every deployed resource, so it must never change."""

_ARGUMENTS: Mapping[Location, Location] = {
    ("stable", "digest"): ("image",),
    ("stable", "weights"): ("weights",),
    ("stable", "weights", "digest"): ("weights", "digest"),
    ("canary", "digest"): ("canary", "image"),
}
"""Arguments by their name in `models.yaml`, where the names differ."""


class ModelServiceArgs(TypedDict):
    """Arguments of a ModelService. Plain types only, because Pulumi passes them between languages."""

    model: ModelLike
    """A Model, or a mapping of its fields."""
    environment: EnvironmentLike
    """An Environment, or a mapping of its fields."""
    version: str
    """Version of the model, such as "3": a valid label value of at most 63 characters."""
    image: NotRequired[pulumi.Input[str]]
    """Full reference of the image. Default: the model's repository with the version as tag."""
    commit: NotRequired[str]
    """Git commit of the specs, kept in the audit annotations. Default: unknown."""
    peers: NotRequired[ModelsLike]
    """Models (or mappings of their fields) that this model calls or that call it. Default: none."""
    canary: NotRequired[Fields | None]
    """A version that takes part of the requests: a mapping with `version`, `percent` of the requests and, as in the
    other arguments, `image` and `weights`. Default: none."""
    weights: NotRequired[Fields | None]
    """Version of the weights if they are in their own image: a mapping with `version` and optionally `digest`."""


class ModelService(pulumi.ComponentResource):
    """An isolated, least-privilege, autoscaled and auditable home for one model, in the environment's cluster.

    A Kubernetes provider in the options replaces that of the environment's cluster.

    Raises:
        SpecError: The model or the environment is not valid, the model asks for more than the environment allows, or a
            secret is not in the stack's configuration.
    """

    namespace: pulumi.Output[str]
    """Name of the model's namespace."""
    url: pulumi.Output[str]
    """URL of the model, at the Gateway if the environment has one, otherwise inside the cluster; known once it serves."""
    version: pulumi.Output[str]
    """Version that serves."""
    image: pulumi.Output[str]
    """Reference of the image that serves, with its digest if it is known. A promotion copies this digest."""
    canary_image: pulumi.Output[str | None]
    """Reference of the canary's image; None without a canary."""
    service_account: pulumi.Output[str]
    """Name of the model's ServiceAccount."""

    def __init__(self, name: str, args: ModelServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        self._declare(name, release_of(name, args), opts, _arguments(name).problem, own_program=True)

    @classmethod
    def of(cls, name: str, release: Release, named: Named, opts: pulumi.ResourceOptions | None = None) -> Self:
        """The service of a release whose rules and secrets are already checked, as for a stack's releases.

        `named` gives the place of a problem, such as what the cluster lacks.
        """
        service = cls.__new__(cls)
        service._declare(name, release, opts, named, own_program=False)
        return service

    def _declare(
        self,
        name: str,
        release: Release,
        opts: pulumi.ResourceOptions | None,
        named: Named,
        *,
        own_program: bool,
    ) -> None:
        stack = f"{pulumi.get_project()}/{pulumi.get_stack()}"
        release = replace(release, deployed_by=stack, secret_values=secret_values(release))
        super().__init__(TYPE, name, None, opts)
        wanted = resources(release)
        guards = hooks_of(provider_of(self, release.environment))
        guards.declare(Declared([each.manifest for each in wanted], needs(release), named, own_program))
        made, ready = self._children(name, release, wanted, guards)
        children = {resource.name: child for resource, child in made}
        self.namespace = children["namespace"].metadata["name"]
        self.service_account = children["serviceaccount"].metadata["name"]
        # Resources that use these wait until the model serves.
        self.version = ready.apply(lambda _: release.version)
        self.image = pulumi.Output.from_input(release.image)
        self.canary_image = pulumi.Output.from_input(release.canary.image if release.canary else None)
        self.url = ready.apply(lambda _: url(release))
        self.register_outputs({output: getattr(self, output) for output in ModelService.__annotations__})

    def _children(
        self, name: str, release: Release, wanted: Sequence[Resource], guards: Hooks
    ) -> tuple[list[tuple[Resource, Any]], pulumi.Output[Any]]:
        """The objects of a release in the order of creation, each with its Pulumi resource; known once all is as promised."""
        made: list[tuple[Resource, Any]] = []
        ready: list[Any] = []
        # KEDA scales only a Deployment that exists, so its minimum is waited for after its ScaledObject.
        least = 0 if release.triggers else release.replicas[0]
        rollouts = Rollouts(self, guards, release.environment.cluster.context)
        for resource in wanted:
            waits = [after for (earlier, _), after in zip(made, ready, strict=True) if resource.waits_for(earlier)]
            hooks = guards.of(resource.manifest["kind"], protect=release.environment.protect)
            options = pulumi.ResourceOptions(parent=self, provider=guards.provider, depends_on=waits, hooks=hooks)
            if resource.stage is Stage.NAMESPACE:
                options.protect = release.environment.protect
            if resource.stage is Stage.DEPLOYER:
                # It goes with the namespace. Until then the deployer must see that the others go.
                options.deleted_with = made[0][1]
            if resource.replicas or resource.manifest["kind"] in PROMISES:
                rollouts.notice(resource, hooks)
            child = typed(f"{name}-{resource.name}", resource.manifest, options)
            guards.follow(child)
            made.append((resource, child))
            ready.append(
                rollouts.served(child, resource.manifest, least, resource.seconds) if resource.seconds else child
            )
        workloads = {resource.suffix: resource for resource in wanted if resource.seconds}
        kept = [
            rollouts.kept(child, resource, ready, workloads[resource.suffix])
            for resource, child in made
            if resource.manifest["kind"] in PROMISES
        ]
        return made, pulumi.Output.all(*ready, *kept)


class _Canary(CanaryVersion):
    """A canary in a program, which may state its image."""

    image: Any = Field(default=None, description="Full reference of the image.")


def release_of(name: str, args: ModelServiceArgs) -> Release:
    """The checked release that a component's arguments describe; `name` is the component's name.

    Raises:
        SpecError: The arguments are not valid, ask for more than the environment allows, or need secrets that the
            stack's configuration does not have.
    """
    arguments = _arguments(name)
    model = parse(Model, args["model"], arguments.name("model"))
    environment = parse(Environment, args["environment"], arguments.name("environment"))
    stable = parse(LiveVersion, {"version": args["version"], "weights": args.get("weights")}, name)
    stated = args.get("canary")
    canary = None if stated is None else parse(_Canary, stated, arguments.name("canary"))
    peers = [parse(Model, peer, arguments.name("peers", index)) for index, peer in enumerate(args.get("peers", ()))]
    release = replace(Release.of(model, environment, stable, canary), commit=args.get("commit", UNKNOWN), peers=peers)
    if (image := args.get("image")) is not None:
        release = release.with_image(image)
    if canary and canary.image is not None:
        release = release.with_image(canary.image, canary=True)
    if refused := _unbuilt(release) or violations(release) or config_violations(release):
        raise SpecError(map(arguments.problem, refused))
    return release


def _arguments(name: str) -> Arguments:
    return Arguments(name, _ARGUMENTS)


def _unbuilt(release: Release) -> list[Violation]:
    """The violation of a program that passes no image for a `build`, because a ModelService builds no images."""
    if release.built is None:
        return []
    message = f'missing for "{release.built.version}": build it with a ModelImage and pass its `ref`'
    return [Violation(("canary" if release.built.suffix else "stable", "digest"), message, source="live")]
