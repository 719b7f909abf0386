"""Which package brings a library that code imports, for those that many models use. Of others nothing is known.

The names are those of PyPI's packages (`top_level.txt` or the folders in their wheels), as of November 2026.
"""

from collections.abc import Mapping

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "PIL": ("pillow",),
    "bs4": ("beautifulsoup4",),
    "catboost": ("catboost",),
    "cv2": ("opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "dateutil": ("python-dateutil",),
    "httpx": ("httpx",),
    "joblib": ("joblib",),
    "keras": ("keras",),
    "lightgbm": ("lightgbm",),
    "matplotlib": ("matplotlib",),
    "nltk": ("nltk",),
    "numpy": ("numpy",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "pandas": ("pandas",),
    "plotly": ("plotly",),
    "polars": ("polars",),
    "pyarrow": ("pyarrow",),
    "pydantic": ("pydantic",),
    "requests": ("requests",),
    "scipy": ("scipy",),
    "seaborn": ("seaborn",),
    "shap": ("shap",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "skops": ("skops",),
    "spacy": ("spacy",),
    "statsmodels": ("statsmodels",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "torch": ("torch",),
    "torchvision": ("torchvision",),
    "transformers": ("transformers",),
    "xgboost": ("xgboost", "xgboost-cpu"),
    "yaml": ("pyyaml",),
}
"""The packages that bring a library, by the name that code imports. The first is what most people want."""

WITH_THE_SERVER = frozenset({"numpy", "pandas", "pydantic", "dateutil"})
"""Libraries that are installed with homeport-server of every version."""

BRINGS: Mapping[str, frozenset[str]] = {
    "catboost": frozenset({"PIL", "matplotlib", "plotly", "scipy"}),
    "homeport-server": frozenset({"joblib", "lightgbm", "onnxruntime", "scipy", "sklearn", "skops", "xgboost"}),
    "lightgbm": frozenset({"scipy"}),
    "matplotlib": frozenset({"PIL"}),
    "scikit-image": frozenset({"PIL", "scipy"}),
    "scikit-learn": frozenset({"joblib", "scipy"}),
    "seaborn": frozenset({"PIL", "matplotlib"}),
    "shap": frozenset({"joblib", "scipy", "sklearn"}),
    "skops": frozenset({"joblib", "scipy", "sklearn"}),
    "statsmodels": frozenset({"scipy"}),
    "torchvision": frozenset({"PIL", "torch"}),
    "transformers": frozenset({"requests", "yaml"}),
    "xgboost": frozenset({"scipy"}),
    "xgboost-cpu": frozenset({"scipy"}),
}
"""Libraries that a package brings with it, some only with an extra. It spares hints and causes no error."""

KNOWN = frozenset(name for names in LIBRARIES.values() for name in names)
"""Packages that bring nothing with a name of a model's own module."""


def packages(module: str) -> tuple[str, ...]:
    """The packages that bring a module, by its name at the top; empty if that is not known."""
    return LIBRARIES.get(module, ())
