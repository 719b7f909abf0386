"""What stands between a request and the model's own code? The check before it, and the net below it."""

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

from homeport_server.checking import Array, checked_inputs, checked_outputs, limits
from homeport_server.refusal import RefusedError

logger = logging.getLogger(__name__)


class ModelFailedError(MLServerError):  # type: ignore[misc]  # MLServer carries no type information
    """The model's fault, not the request's: a request that fits the declared inputs made its code fail."""

    def __init__(self, cause: BaseException, request_id: str | None) -> None:
        # Only the kind of the error: its text may hold what the sender must not see. The log has all of it.
        super().__init__(
            f"the model failed with {type(cause).__name__} on a request that fits its declared inputs; "
            f"see its log for request {request_id}",
            500,
        )


class CheckedModel(MLModel):  # type: ignore[misc]
    """A model behind the check of its declared inputs. What inherits says how to open the file and how to compute."""

    file_names: tuple[str, ...] = ()
    """Where the model's file is looked for when the settings name only a folder."""

    inputs: list[MetadataTensor]
    outputs: list[MetadataTensor]
    """Properties of MLServer's class: what the settings say, until the file is read."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        if settings.max_batch_size:
            raise ValueError("max_batch_size is not supported: it would mix requests before they are checked")
        # One thread: the model is never asked two things at once, and health is answered while it computes.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=settings.name)

    def open_model(self, path: Path) -> None:
        """Read the model's file, and ``declare`` what it says of itself.

        An exception ends the server, so that the new version never becomes ready.
        """
        raise NotImplementedError

    def run(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
        """Compute the outputs asked for. The inputs fit what is declared.

        Raises:
            RefusedError: The data are at fault in a way that no declaration tells. Any other exception is the model's.
        """
        raise NotImplementedError

    def declare(self, inputs: list[MetadataTensor], outputs: list[MetadataTensor]) -> None:
        """What the file accepts and returns, where the settings do not say it."""
        self.inputs = self.inputs or inputs
        for output in outputs:
            if len(output.shape) == 1:  # MLServer writes a column with a second dimension of one
                output.shape = [*output.shape, 1]
        self.outputs = self.outputs or outputs

    @property
    def output_names(self) -> list[str]:
        """The outputs that may be asked for."""
        return [output.name for output in self.outputs] or ["predict"]

    @property
    def default_outputs(self) -> list[str]:
        """The outputs of a request that asks for none by name: one, as each may be a computation of its own."""
        return self.output_names[:1]

    async def load(self) -> bool:
        """Called by MLServer's registry."""
        path = await get_model_uri(self.settings, wellknown_filenames=list(self.file_names))
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open, Path(path))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Called by MLServer for each request, whatever port it came through."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._predict, payload)

    def _open(self, path: Path) -> None:
        self.open_model(path)
        if not self.inputs:
            raise ValueError("model-settings.json declares no inputs: without them no request can be checked")
        for tensor in self.inputs:
            limits(tensor)  # a wrong limit shows now, not at the first request

    def _predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = checked_inputs(payload, self.inputs)
        names = checked_outputs(payload, self.output_names) or self.default_outputs
        try:
            results = self.run(inputs, names)
            outputs = [_encoded(name, np.asarray(results[name])) for name in names or results]
        except RefusedError:
            raise
        except BaseException as error:  # also SystemExit: a model that calls sys.exit() must not end the server
            logger.exception("model %s failed on request %s", self.name, payload.id)
            raise ModelFailedError(error, payload.id) from None
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def _encoded(name: str, array: Array) -> ResponseOutput:
    if array.dtype.kind in "OSU":
        column = StringCodec.encode_output(name, [str(value) for value in array.ravel()], use_bytes=False)
        column.shape = list(array.shape) if array.ndim > 1 else column.shape
        return column
    return NumpyCodec.encode_output(name, array)
