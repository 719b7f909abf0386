"""Types of arguments, each in two forms: for type checkers, and for Pulumi's component-provider host.

At run time, the host makes the schema for other languages from the annotations. It accepts no unions and no pydantic
models there, so for the host these arguments are any value, as in the schema.
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
