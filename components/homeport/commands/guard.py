"""Guard: what an administrator of the cluster installs once for a stack."""

import os
from pathlib import Path

from homeport.commands.errors import CommandError
from homeport.manifests.deployer import NO_DEPLOYER
from homeport.manifests.guard import guard
from homeport.output.yaml import dump_all
from homeport.pulumi_project import stack_of
from homeport.specs.documents import Document
from homeport.specs.environment import Environment
from homeport.specs.overrides import overridden
from homeport.specs.problems import SpecError
from homeport.stack import ENVIRONMENT_FILE


def objects(folder: Path) -> str:
    """The rules and the permissions of the stack with this folder, as YAML.

    Raises:
        CommandError: No `Pulumi.yaml` names the project of the stack.
        SpecError: The environment is not valid, or does not say who deploys.
    """
    document = Document.read(folder / ENVIRONMENT_FILE)
    environment, _ = overridden(document.validate(Environment), os.environ)
    if environment.deployer is None:
        raise SpecError([document.problem(("deployer",), NO_DEPLOYER)])
    stack = stack_of(folder)
    if stack is None:
        raise CommandError(f"{folder}: found no Pulumi.yaml in a folder above it, which names the project")
    return dump_all(guard(environment, environment.deployer, stack))
