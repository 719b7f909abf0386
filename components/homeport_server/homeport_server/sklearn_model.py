"""How does a scikit-learn model answer? With the estimator's own methods, from a file that cannot run code."""

from pathlib import Path

import numpy as np
import pandas as pd
import skops.io

from homeport_server.checking import Array
from homeport_server.model import CheckedModel


class SklearnModel(CheckedModel):
    """A scikit-learn estimator or pipeline. Each output is the estimator's method of that name.

    The file is skops', not joblib's: a joblib file is a pickle, and opening it runs whatever code its author put there.
    skops opens only known types; further ones are named in ``parameters.extra.trusted`` of the settings, where a review
    sees them.
    """

    file_names = ("model.skops",)

    def open_model(self, path: Path) -> None:
        """Read the estimator."""
        extra = (self.settings.parameters and self.settings.parameters.extra) or {}
        self._estimator = skops.io.load(path, trusted=extra.get("trusted", []))
        missing = [name for name in self.output_names if not hasattr(self._estimator, name)]
        if missing:
            raise ValueError(f"{type(self._estimator).__name__} has no {', '.join(missing)}, declared as output")

    def run(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
        """One input is the matrix of features; several are the named columns of a table."""
        features = next(iter(inputs.values())) if len(inputs) == 1 else _table(inputs)
        return {name: np.asarray(getattr(self._estimator, name)(features)) for name in outputs}


def _table(inputs: dict[str, Array]) -> pd.DataFrame:
    return pd.DataFrame({name: column.reshape(len(column)) for name, column in inputs.items()})
