"""Trains the model and writes model.skops, which is all that is served.

uv run --with-requirements requirements.txt train.py
"""

import skops.io
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

flowers = load_iris()
species = flowers.target_names[flowers.target]
train, test, train_species, test_species = train_test_split(
    flowers.data, species, test_size=0.2, stratify=species, random_state=0
)
model = make_pipeline(StandardScaler(), LogisticRegression(random_state=0)).fit(train, train_species)
print(f"accuracy on flowers it has not seen: {model.score(test, test_species):.3f}")
skops.io.dump(model, "model.skops")
