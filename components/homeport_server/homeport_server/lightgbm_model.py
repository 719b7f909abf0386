"""Serves a LightGBM model with the booster's own prediction, from a plain text file."""

import os
import re
from pathlib import Path

import lightgbm
import numpy as np

from homeport_server import tables
from homeport_server.checking import Array
from homeport_server.model import CheckedModel


class LightgbmModel(CheckedModel):
    """A booster. Its output ``predict`` depends on its objective, such as a probability or a number."""

    file_names = ("model.lgb.txt",)

    def open_model(self, path: Path) -> None:
        """Read the booster."""
        text = path.read_text()
        if "end of trees" not in text.splitlines():  # LightGBM opens a truncated file as a model with fewer trees
            raise ValueError(f"{path.name} is not a complete LightGBM model: its line 'end of trees' is missing")
        self._booster = lightgbm.Booster(model_str=text)
        if self._booster.pandas_categorical:
            raise ValueError(
                "the model has categorical features; accepted: numeric features, or a function that serves the model"
            )
        names = self._booster.feature_name()
        # LightGBM's names of columns without names.
        named = not all(re.fullmatch(r"Column_\d+", name) for name in names)
        answer = self._predict_rows(np.zeros((1, len(names))))
        self.declare(tables.columns(names if named else None, len(names)), [tables.output("predict", answer)])

    def run(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
        """The booster's prediction."""
        return dict.fromkeys(outputs, self._predict_rows(tables.matrix(inputs)))

    def _predict_rows(self, rows: Array) -> Array:
        return np.asarray(self._booster.predict(rows, num_threads=int(os.environ.get("OMP_NUM_THREADS", "0"))))
