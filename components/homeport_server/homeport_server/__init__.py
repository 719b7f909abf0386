"""The server inside a model's container: MLServer's protocol behind a check of the declared inputs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homeport_server.function_model import FunctionModel
    from homeport_server.lightgbm_model import LightgbmModel
    from homeport_server.model import CheckedModel
    from homeport_server.onnx_model import OnnxModel
    from homeport_server.refusal import RefusedError
    from homeport_server.sklearn_model import SklearnModel
    from homeport_server.xgboost_model import XgboostModel

__all__ = [
    "CheckedModel",
    "FunctionModel",
    "LightgbmModel",
    "OnnxModel",
    "RefusedError",
    "SklearnModel",
    "XgboostModel",
]

# Each is imported on first use, because an image has only the library of its own model, and the process that reads
# requests needs none of them.
_MODULES = {
    "CheckedModel": "model",
    "FunctionModel": "function_model",
    "LightgbmModel": "lightgbm_model",
    "OnnxModel": "onnx_model",
    "RefusedError": "refusal",
    "SklearnModel": "sklearn_model",
    "XgboostModel": "xgboost_model",
}


class MissingLibraryError(Exception):
    """The library of a kind of model is not installed. Not an ImportError, whose text MLServer replaces by another."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        try:
            return getattr(import_module(f"homeport_server.{_MODULES[name]}"), name)
        except ModuleNotFoundError as error:
            raise MissingLibraryError(
                f"{name} needs {error.name}, which is not installed; accepted: requirements that name it"
            ) from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
