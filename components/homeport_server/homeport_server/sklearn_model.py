"""Serves a scikit-learn model with the estimator's own methods, from a file that cannot run code."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from mlserver.types import MetadataTensor

from homeport_server import tables
from homeport_server.checking import Array
from homeport_server.model import CheckedModel

LEAST_SKOPS = (0, 15)
"""Earlier releases run code of some files that they open: CVE-2024-37065 (until 0.10), CVE-2025-54412 and CVE-2025-54413
(until 0.12), types of loss functions (until 0.14, https://github.com/skops-dev/skops/pull/506), and functions of
numpy.random (until 0.15, where skops/io/_numpy.py describes it)."""


class SklearnModel(CheckedModel):
    """A scikit-learn estimator or pipeline. Each output is the estimator's method with that name.

    The file is in the format of skops, not of joblib, because a joblib file is a pickle, and opening it runs any code that
    its author put there. skops opens only known types. ``parameters.extra.trusted`` in the settings names further types,
    so that a reviewer sees them.
    """

    file_names = ("model.skops",)

    def open_model(self, path: Path) -> None:
        """Read the estimator."""
        _check_version(skops.__version__)
        extra = (self.settings.parameters and self.settings.parameters.extra) or {}
        self._estimator = skops.io.load(path, trusted=extra.get("trusted", []))
        count = getattr(self._estimator, "n_features_in_", None)
        if count is not None:
            self.declare(tables.columns(getattr(self._estimator, "feature_names_in_", None), count), [])
        self.declare([], _outputs(self._estimator))
        missing = [name for name in self.output_names if not hasattr(self._estimator, name)]
        if missing:
            raise ValueError(
                f"{type(self._estimator).__name__} has no {', '.join(missing)}, which is declared as output"
            )

    def run(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
        """Run the estimator. One input is the matrix of features; several are the named columns of a table."""
        features = tables.features(inputs)
        return {name: np.asarray(getattr(self._estimator, name)(features)) for name in outputs}


def _check_version(version: str) -> None:
    """The extra of this package asks for such a release, but requirements may name another one."""
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < LEAST_SKOPS:
        least = ".".join(map(str, LEAST_SKOPS))
        raise ValueError(f"found skops {version}; accepted: {least} or newer, because older ones run code of a file")


def _outputs(estimator: Any) -> list[MetadataTensor]:
    """The outputs of a single-label classifier, because it has its classes; other estimators do not state them."""
    classes = getattr(estimator, "classes_", None)
    if not isinstance(classes, np.ndarray):
        return []
    labels = "BYTES" if classes.dtype.kind in "OSU" else classes.dtype.name.upper()
    outputs = [MetadataTensor(name="predict", datatype=labels, shape=[-1])]
    if hasattr(estimator, "predict_proba"):
        outputs.append(MetadataTensor(name="predict_proba", datatype="FP64", shape=[-1, len(classes)]))
    return outputs
