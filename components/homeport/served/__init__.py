"""The Python that a model is served from, as far as its text tells. Nothing of it is run or imported."""
