"""homeport: an isolated, least-privilege, autoscaled, versioned and auditable home on Kubernetes for every model.

This module is the public API. Pulumi is imported when a component is first used, not before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from homeport.errors import HomeportError
from homeport.manifests import manifests
from homeport.provenance import last_commit
from homeport.release import Canary, Release
from homeport.rules.one_release import violations
from homeport.specs.environment import Environment
from homeport.specs.model import Model
from homeport.specs.problems import Problem, SpecError
from homeport.stack import Stack

if TYPE_CHECKING:
    from homeport.components.guard import Guard, GuardArgs
    from homeport.components.model_image import ModelImage, ModelImageArgs
    from homeport.components.model_service import ModelService, ModelServiceArgs
    from homeport.components.provider import cluster_provider

__all__ = [
    "Canary",
    "Environment",
    "Guard",
    "GuardArgs",
    "HomeportError",
    "Model",
    "ModelImage",
    "ModelImageArgs",
    "ModelService",
    "ModelServiceArgs",
    "Problem",
    "Release",
    "SpecError",
    "Stack",
    "cluster_provider",
    "last_commit",
    "manifests",
    "violations",
]

_NEED_PULUMI = {
    "Guard": "homeport.components.guard",
    "GuardArgs": "homeport.components.guard",
    "ModelImage": "homeport.components.model_image",
    "ModelImageArgs": "homeport.components.model_image",
    "ModelService": "homeport.components.model_service",
    "ModelServiceArgs": "homeport.components.model_service",
    "cluster_provider": "homeport.components.provider",
}


def __getattr__(name: str) -> Any:
    if name in _NEED_PULUMI:
        return getattr(import_module(_NEED_PULUMI[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
