"""Trains a classifier of handwritten digits and writes it as model.onnx, which is served without scikit-learn."""

from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

digits = load_digits()  # 1797 images of 8 by 8 pixels, 0 to 16
train, test, train_digits, test_digits = train_test_split(
    digits.data / 16, digits.target, test_size=0.2, stratify=digits.target, random_state=0
)
model = MLPClassifier(hidden_layer_sizes=(32,), max_iter=500, random_state=0).fit(train, train_digits)
graph = to_onnx(
    model,
    initial_types=[("pixels", FloatTensorType([None, 64]))],
    options={"zipmap": False},  # tensors, not a list of dictionaries
    target_opset=17,
)
Path("model.onnx").write_bytes(graph.SerializeToString())
print(f"accuracy on digits it has not seen: {model.score(test, test_digits):.3f}")
