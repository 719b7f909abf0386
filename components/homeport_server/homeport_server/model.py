"""Runs between a request and the model's own code: checks the request first, and catches the code's errors."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from mlserver import MLModel, ModelSettings
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest, InferenceResponse, MetadataTensor, ResponseOutput
from mlserver.utils import get_model_uri

from homeport_server import logs
from homeport_server.checking import Array, checked_inputs, checked_outputs, limits
from homeport_server.refusal import RefusedError
from homeport_server.settings import Bounds

logger = logging.getLogger(__name__)


class ModelFailedError(MLServerError):  # type: ignore[misc]  # MLServer carries no type information
    """The model's code failed on a request that fits the declared inputs, so the fault is the model's."""

    def __init__(self, cause: BaseException, request_id: str | None) -> None:
        # Only the error's type, because its text may contain what the sender must not see. The log has all of it.
        super().__init__(
            f"the model failed with {type(cause).__name__} on a request that fits its declared inputs; "
            f"see its log for request {request_id}",
            500,
        )


class CheckedModel(MLModel):  # type: ignore[misc]
    """A model behind the check of its declared inputs. A subclass opens the file and computes the outputs."""

    file_names: tuple[str, ...] = ()
    """Names of the model's file if the settings name only a folder."""

    inputs: list[MetadataTensor]
    outputs: list[MetadataTensor]
    """Properties of MLServer's class: the values of the settings, until the file is read."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        if settings.max_batch_size:
            raise ValueError("max_batch_size is not supported: it would mix requests before they are checked")
        self._bounds = Bounds()
        # One thread, so that the model never runs twice at once, and metrics can be read meanwhile.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=settings.name)

    def open_model(self, path: Path) -> None:
        """Read the model's file, and ``declare`` its inputs and outputs.

        An exception ends the server, so that the new version never becomes ready.
        """
        raise NotImplementedError

    def run(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
        """Compute the requested outputs. The inputs fit the declaration.

        Raises:
            RefusedError: The data is faulty in a way that no declaration covers. Any other exception is the model's fault.
        """
        raise NotImplementedError

    def declare(self, inputs: list[MetadataTensor], outputs: list[MetadataTensor]) -> None:
        """Set the file's inputs and outputs, unless the settings already state them."""
        self.inputs = self.inputs or inputs
        for output in outputs:
            if len(output.shape) == 1:  # MLServer writes a column with a second dimension of 1
                output.shape = [*output.shape, 1]
        self.outputs = self.outputs or outputs

    @property
    def output_names(self) -> list[str]:
        """The outputs that a request may name."""
        return [output.name for output in self.outputs] or ["predict"]

    @property
    def default_outputs(self) -> list[str]:
        """The outputs of a request that names none: only the first, because each may be a separate computation."""
        return self.output_names[:1]

    async def load(self) -> bool:
        """Called by MLServer's registry."""
        path = await get_model_uri(self.settings, wellknown_filenames=list(self.file_names))
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open, Path(path))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Called by MLServer for each request."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._predict, payload)

    def _open(self, path: Path) -> None:
        self.open_model(path)
        if not self.inputs:
            raise ValueError("model-settings.json declares no inputs: without them no request can be checked")
        for tensor in self.inputs:
            limits(tensor)  # a wrong limit fails now, not at the first request

    def _predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = checked_inputs(payload, self.inputs, self._bounds.max_rows)
        names = checked_outputs(payload, self.output_names) or self.default_outputs
        try:
            results = self.run(inputs, names)
            outputs = [_encoded(name, np.asarray(results[name])) for name in names or results]
        except RefusedError:
            raise
        except BaseException as error:  # includes SystemExit: a model that calls sys.exit() must not end the server
            logger.error("model %s failed on request %s", self.name, payload.id, exc_info=logs.own(error))
            raise ModelFailedError(error, payload.id) from None
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def _encoded(name: str, array: Array) -> ResponseOutput:
    if array.dtype.kind in "OSU":
        column = StringCodec.encode_output(name, [str(value) for value in array.ravel()], use_bytes=False)
        column.shape = list(array.shape) if array.ndim > 1 else column.shape
        return column
    return NumpyCodec.encode_output(name, array)
