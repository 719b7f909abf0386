"""Finds what to serve: a stated function or class, otherwise model-settings.json, otherwise a model's file name."""

import logging
from pathlib import Path

from mlserver import ModelSettings
from mlserver.repository import SchemalessModelRepository
from mlserver.settings import ModelParameters

logger = logging.getLogger(__name__)

SETTINGS = "model-settings.json"

FILES = {
    "model.skops": "homeport_server.SklearnModel",
    "model.onnx": "homeport_server.OnnxModel",
    "model.ubj": "homeport_server.XgboostModel",
    "model.xgb.json": "homeport_server.XgboostModel",
    "model.lgb.txt": "homeport_server.LightgbmModel",
}
"""Files that are served without any code. Opening one of them runs no code either."""


class NothingToServeError(Exception):
    """The folder does not say what to serve."""


async def find(folder: Path, serve: str | None) -> list[ModelSettings]:
    """The models of a folder; ``serve`` is a function or class as ``module:name``."""
    stray = next(folder.rglob(SETTINGS), None)
    if serve:
        # A file anywhere below the folder must not replace what is stated where people review it.
        if stray:
            logger.warning("%s is served, so %s is ignored", serve, stray)
        parameters = ModelParameters(uri=str(folder), extra={"serve": serve})
        return [_settings(folder, "homeport_server.FunctionModel", parameters)]
    if stray:
        models: list[ModelSettings] = await SchemalessModelRepository(str(folder)).list()
        if not models:
            raise NothingToServeError(f"no usable {SETTINGS} below {folder}")
        return models
    files = [name for name in FILES if (folder / name).is_file()]
    if len(files) != 1:
        found = f"found {' and '.join(files)}" if files else "found none of them"
        raise NothingToServeError(
            f"{folder} does not say what to serve; accepted: {SETTINGS}, HOMEPORT_SERVE=module:name, "
            f"or one file out of {', '.join(FILES)} ({found})"
        )
    return [_settings(folder, FILES[files[0]], ModelParameters(uri=str(folder / files[0])))]


def _settings(folder: Path, implementation: str, parameters: ModelParameters) -> ModelSettings:
    settings = ModelSettings(implementation=implementation, parameters=parameters)
    # If MLSERVER_MODEL_NAME is set, MLServer has already taken the name from it.
    settings.name = settings.name or folder.name
    return settings
