"""Inputs of models for tables: a matrix of numbers, or one input per column if the model was trained with names."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from mlserver.types import MetadataTensor

from homeport_server.checking import Array


def columns(names: Sequence[str] | None, count: int) -> list[MetadataTensor]:
    """The inputs of a model that was fitted to this many columns of numbers, with or without names."""
    if names is not None and len(names) > 1:
        return [MetadataTensor(name=str(name), datatype="FP64", shape=[-1]) for name in names]
    return [MetadataTensor(name="features", datatype="FP64", shape=[-1, count])]


def features(inputs: dict[str, Array]) -> Array | pd.DataFrame:
    """The model's argument: one input is the matrix itself, several are the named columns of a table."""
    if len(inputs) == 1:
        return next(iter(inputs.values()))
    return pd.DataFrame({name: column.reshape(len(column)) for name, column in inputs.items()})


def matrix(inputs: dict[str, Array]) -> Array:
    """The features as a matrix, in the declared order of columns."""
    return np.asarray(features(inputs))


def output(name: str, values: Array) -> MetadataTensor:
    """An output, derived from the model's answer to one row."""
    datatype = values.dtype.name.replace("float", "FP").upper()
    return MetadataTensor(name=name, datatype=datatype, shape=[-1, *values.shape[1:]])
