"""Serves an ONNX model with onnxruntime. The file has the names, types and shapes of inputs and outputs."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime
from mlserver.types import MetadataTensor
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from homeport_server.checking import Array, listed
from homeport_server.model import CheckedModel
from homeport_server.refusal import RefusedError, shown

# Listed in https://onnxruntime.ai/docs/reference/operators/add-custom-op.html; ONNX' own types are in onnx.proto.
_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(double)": "FP64",
    "tensor(float)": "FP32",
    "tensor(float16)": "FP16",
    "tensor(string)": "BYTES",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)},
}

_LONGEST = 500


class OnnxModel(CheckedModel):
    """An ONNX graph."""

    file_names = ("model.onnx",)

    def open_model(self, path: Path) -> None:
        """Read the graph."""
        options = onnxruntime.SessionOptions()
        # By default it starts one thread for each core of the node, although the container may have a fraction of one.
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        self._session = onnxruntime.InferenceSession(path, options, providers=onnxruntime.get_available_providers())
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._sizes = {each.name: list(each.shape) for each in inputs}
        self.declare(_tensors(inputs, "input"), _tensors(outputs, "output"))
        for kind, declared, found in (("input", self.inputs, inputs), ("output", self.outputs, outputs)):
            names = {each.name for each in found}
            unknown = [each.name for each in declared if each.name not in names]
            if unknown:
                raise ValueError(f"{kind} {unknown[0]!r} is declared, but not in the file; accepted: {listed(names)}")

    @property
    def default_outputs(self) -> list[str]:
        """All outputs, because one run computes them all."""
        return self.output_names

    def run(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
        """Run the graph."""
        self._check_sizes(inputs)
        try:
            return dict(zip(outputs, self._session.run(outputs, inputs), strict=True))
        except InvalidArgument as error:  # values that the graph cannot process, such as an index out of range
            raise RefusedError(f"the model refuses the data: {str(error)[:_LONGEST]}", None, 422) from None

    def _check_sizes(self, inputs: dict[str, Array]) -> None:
        """Check that dimensions with the same name have the same size, such as the length of a text and of its mask."""
        sizes: dict[str, int] = {}
        for name, array in inputs.items():
            for dimension, size in zip(self._sizes[name], array.shape, strict=True):
                if isinstance(dimension, str) and sizes.setdefault(dimension, size) != size:
                    found = f"input {shown(name)} has {size} as {shown(dimension)}"
                    raise RefusedError(found, f"{sizes[dimension]}, as the inputs before it have")


def _tensors(found: Sequence[Any], kind: str) -> list[MetadataTensor]:
    for each in found:
        if each.type not in _DATATYPES:
            hint = " (of scikit-learn, convert with options={'zipmap': False})" if "map" in each.type else ""
            raise ValueError(f"{kind} {each.name!r} is a {each.type}; accepted: {', '.join(_DATATYPES)}{hint}")
    return [
        MetadataTensor(
            name=each.name,
            datatype=_DATATYPES[each.type],
            shape=[size if isinstance(size, int) and size > 0 else -1 for size in each.shape],
        )
        for each in found
    ]
