"""The server inside a model's container: MLServer's protocol behind a check of the declared inputs."""

from homeport_server.model import CheckedModel
from homeport_server.sklearn_model import SklearnModel

__all__ = ["CheckedModel", "SklearnModel"]
