"""Serves an XGBoost model with the booster's own prediction, from a file of plain data."""

import os
from pathlib import Path

import numpy as np
import xgboost

from homeport_server import tables
from homeport_server.checking import Array
from homeport_server.model import CheckedModel


class XgboostModel(CheckedModel):
    """A booster. Its output ``predict`` depends on its objective, such as a probability or a number."""

    file_names = ("model.ubj", "model.xgb.json")

    def open_model(self, path: Path) -> None:
        """Read the booster."""
        self._booster = xgboost.Booster({"nthread": int(os.environ.get("OMP_NUM_THREADS", "0"))}, model_file=path)
        if "c" in (self._booster.feature_types or []):
            raise ValueError(
                "the model has categorical features; accepted: numeric features, or a function that serves the model"
            )
        count = self._booster.num_features()
        inputs = tables.columns(self._booster.feature_names, count)
        answer = self._predict_rows(np.zeros((1, count)))
        self.declare(inputs, [tables.output("predict", answer)])

    def run(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
        """The booster's prediction."""
        return dict.fromkeys(outputs, self._predict_rows(tables.matrix(inputs)))

    def _predict_rows(self, rows: Array) -> Array:
        names, types = self._booster.feature_names, self._booster.feature_types
        answer: Array = self._booster.predict(xgboost.DMatrix(rows, feature_names=names, feature_types=types))
        return answer
