"""Guard: what an administrator installs once for a stack, as Pulumi resources."""

from typing import TypedDict

import pulumi

from homeport.components.arguments import EnvironmentLike
from homeport.components.objects import typed
from homeport.components.provider import provider_of
from homeport.manifests.deployer import NO_DEPLOYER
from homeport.manifests.guard import ADMISSION, guard
from homeport.rules.places import Arguments
from homeport.specs.documents import parse
from homeport.specs.environment import Environment
from homeport.specs.problems import Problem, SpecError

TYPE = "homeport:index:Guard"
"""Part of the URN of every rule, so it must never change."""


class GuardArgs(TypedDict):
    """Arguments of a Guard. Plain types only, because Pulumi passes them between languages."""

    environment: EnvironmentLike
    """An Environment with a `deployer`, or a mapping of its fields."""
    stack: str
    """The stack that is guarded: `PROJECT/STACK`. It deploys models, and is another one than that of the Guard."""


class Guard(pulumi.ComponentResource):
    """Rules by which the API server protects the models of a stack, and the permissions of who deploys them.

    The API server evaluates the rules itself. An administrator of the cluster installs them, in a stack of the platform.
    A Kubernetes provider in the options replaces that of the environment's cluster.

    Raises:
        SpecError: The environment is not valid, or does not say who deploys.
    """

    def __init__(self, name: str, args: GuardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        arguments = Arguments(name, {})
        environment = parse(Environment, args["environment"], arguments.name("environment"))
        problems = []
        if environment.deployer is None:
            problems.append(Problem(NO_DEPLOYER, field=arguments.name("environment", "deployer")))
        if args["stack"].count("/") != 1:
            message = f'found "{args["stack"]}", accepted: PROJECT/STACK, the names of a Pulumi project and its stack'
            problems.append(Problem(message, field=arguments.name("stack")))
        if problems or environment.deployer is None:
            raise SpecError(problems)
        super().__init__(TYPE, name, None, opts)
        provider = provider_of(self, environment)
        rules: list[pulumi.Resource] = []
        for manifest in guard(environment, environment.deployer, args["stack"]):
            part = manifest["metadata"]["name"].rpartition(".")[2]
            # The permissions come last, when the rules that bound them are there.
            bounds = [] if manifest["apiVersion"] == ADMISSION else rules
            options = pulumi.ResourceOptions(parent=self, provider=provider, depends_on=bounds)
            made = typed(f"{name}-{manifest['kind'].lower()}-{part}", manifest, options)
            if manifest["apiVersion"] == ADMISSION:
                rules.append(made)
        self.register_outputs({})
