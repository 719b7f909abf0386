# /// script
# requires-python = ">=3.11"
# dependencies = ["scikit-learn==1.9.1", "skl2onnx==1.20.0"]
# ///
"""Trains the model and writes model.onnx, which is all that is served: its libraries are not the service's.

uv run train.py
"""

from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

flowers = load_iris()
train, test, train_species, test_species = train_test_split(
    flowers.data.astype(np.float32), flowers.target, test_size=0.2, stratify=flowers.target, random_state=0
)
model = make_pipeline(StandardScaler(), LogisticRegression(random_state=0)).fit(train, train_species)
print(f"accuracy on flowers it has not seen: {model.score(test, test_species):.3f}")
# Without `zipmap` the probabilities are a plain table of numbers.
exported = to_onnx(model, train[:1], options={"zipmap": False})
Path("model.onnx").write_bytes(exported.SerializeToString())
