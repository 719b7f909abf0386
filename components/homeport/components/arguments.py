"""Types of arguments, each twice: for type checkers, and for Pulumi's component-provider host.

The host makes the schema for other languages of the annotations at run time, and takes no unions and no pydantic models
there. To it these arguments are any value, as they are in the schema.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from homeport.specs.environment import Environment
from homeport.specs.model import Model

if TYPE_CHECKING:
    Fields: TypeAlias = Mapping[str, Any]
    ModelLike: TypeAlias = Model | Fields
    ModelsLike: TypeAlias = Sequence[ModelLike]
    EnvironmentLike: TypeAlias = Environment | Fields
else:
    Fields = ModelLike = EnvironmentLike = Any
    ModelsLike = list[Any]
