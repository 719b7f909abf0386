"""Functions and classes, each with whether the server refuses it when it starts.

`homeport.served.signature` is compared with them, and with the server itself (`tests/server/test_functions.py`).
"""

PREFIX = """
import abc, dataclasses, datetime, decimal, enum, functools, typing
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, List, Literal, NamedTuple, Optional, TypedDict, Union

import numpy as np, pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, Field


@dataclass
class Row:
    amount: float
    country: Literal["NL", "BE"]


class Loan(BaseModel):
    amount: float = Field(ge=0)
    months: int = 12


class Pair(NamedTuple):
    left: float
    right: float


class Point(TypedDict):
    x: float


class Colour(enum.Enum):
    RED = "red"


class Plain:
    pass


class Lists(NamedTuple):
    values: list[float]


Amount = Annotated[float, Field(ge=0)]
SHAPE = (-1, 4)
"""

ACCEPTED = [
    "def f(a: float, b: int, c: bool, d: str): ...",
    "def f(a: 'float'): ...",
    "def f(a: Amount, *, b: Literal[1, 2] = 1): ...",
    "def f(a: float = Field(ge=0)): ...",
    "def f(a: date, b: datetime.datetime, c: Colour, d: bytes): ...",
    "def f(a: np.float32, b: np.int64): ...",
    "def f(a: Annotated[float, Field(ge=0)]) -> float: ...",
    "def f(a: float) -> list: ...",
    "def f(a: Row): ...",
    "def f(a: Loan): ...",
    "def f(a: Pair): ...",
    "def f(a: Point): ...",
    "def f(a: Annotated[pd.DataFrame, Row]): ...",
    "def f(a: Annotated[pd.DataFrame, Loan]) -> pd.DataFrame: ...",
    "def f(a: Annotated[np.ndarray, (-1, 4)]): ...",
    "def f(a: Annotated[np.ndarray, SHAPE]): ...",
    "def f(a: Annotated[NDArray[np.float32], (-1, 4), Field(ge=0)], b: Annotated[np.ndarray, (-1,)] = None): ...",
    "def f(a: Union[float]): ...",
    "class f:\n    def predict(self, a: float): ...",
    "class f:\n    def __init__(self, folder): ...\n    def predict(self, /, a: float): ...",
    "class f:\n    @staticmethod\n    def predict(a: float): ...",
    "class f:\n    def __init__(self): self.predict = score\ndef score(a: float): ...",
    "class f(abc.ABC):\n    def predict(self, a: float): ...",
    "@functools.lru_cache\ndef f(a: float): ...",
    "def given(call):\n    def inner(a: float): ...\n    return inner\n@given\ndef f(a, b): ...",
    "def f(a): ...\nf.__annotations__['a'] = float",
    "def f(a): ...\ndef f(a: float): ...",
    "def score(a: float): ...\nf = score",
    "if True:\n    def f(a: float): ...\nelse:\n    def f(a): ...",
    "class Base:\n    def predict(self, a: float): ...\nclass f(Base): ...",
    "class f:\n    class Inner: ...\n    def predict(self, a: float): ...",
    "globals()['f'] = lambda a: a\ndef f(a): ...\nf.__annotations__ = {'a': float}",
    "list = float\ndef f(a: list): ...",
    "def f(a: float, b: 'date'): ...",
]
"""What the server serves."""

REFUSED = {
    "def f(a, b: int): ...": "`a` without an annotation",
    "def f(): ...": "`f` without parameters",
    "def f(*values: float): ...": "`*values` of `f`, which has no name that a request can use",
    "def f(a: float, **more: float): ...": "`**more` of `f`, which has no name that a request can use",
    "def f(a: float, /): ...": "`a` of `f`, which has no name that a request can use",
    "def f(a: list[float]): ...": "`a: list[float]`",
    "def f(a: dict): ...": "`a: dict`",
    "def f(a: 'list[float]'): ...": "`a: 'list[float]'`",
    "def f(a: List[float]): ...": "`a: List[float]`",
    "def f(a: Sequence[float]): ...": "`a: Sequence[float]`",
    "def f(a: Any): ...": "`a: Any`",
    "def f(a: object): ...": "`a: object`",
    "def f(a: tuple[float, float]): ...": "`a: tuple[float, float]`",
    "def f(a: decimal.Decimal): ...": "`a: decimal.Decimal`",
    "def f(a: None): ...": "`a: None`",
    "def f(a: float | None): ...": "`a: float | None`",
    "def f(a: Optional[float] = None): ...": "`a: Optional[float]`",
    "def f(a: t.Union[int, str]): ...": "`a: t.Union[int, str]`",
    "def f(a: int | list[int] | None): ...": "`a: int | list[int] | None`",
    "def f(a: Annotated[list, Field(min_length=1)]): ...": "`a: Annotated[list, Field(min_length=1)]`",
    "def f(a: pd.DataFrame): ...": "`a: pd.DataFrame`",
    "def f(a: pd.Series): ...": "`a: pd.Series`",
    "def f(a: Annotated[pd.DataFrame, 'columns']): ...": "`a: Annotated[pd.DataFrame, 'columns']`",
    "def f(a: Annotated[pd.DataFrame, Plain]): ...": "`a: Annotated[pd.DataFrame, Plain]`",
    "def f(a: Annotated[pd.DataFrame, Row], b: float): ...": "`a: Annotated[pd.DataFrame, Row]`",
    "def f(a: Annotated[pd.DataFrame, Lists]): ...": (
        "`a: Annotated[pd.DataFrame, Lists]`, whose `Lists` has `values: list[float]`"
    ),
    "def f(a: np.ndarray): ...": "`a: np.ndarray`",
    "def f(a: NDArray[np.float32]): ...": "`a: NDArray[np.float32]`",
    "def f(a: Annotated[np.ndarray, (0, 4)]): ...": "`a: Annotated[np.ndarray, (0, 4)]`",
    "def f(a: Annotated[np.ndarray, [-1, 4]]): ...": "`a: Annotated[np.ndarray, [-1, 4]]`",
    "def f(a: Annotated[np.ndarray, (-1,)], b: float): ...": "the array `a` and the value `b` side by side",
    "def f(a: Row, b: float): ...": "`a: Row`, and `Row` has several values",
    "def f(a: Lists): ...": "`a: Lists`, whose `Lists` has `values: list[float]`",
    "def f(a: Plain): ...": "`a: Plain`",
    "def f(a: Absent): ...": "`a: Absent`, and nothing defines or imports `Absent`",
    "def f(a: float) -> Absent: ...": "`Absent` in the annotation of the result, which nothing defines or imports",
    "if typing.TYPE_CHECKING:\n    import torch\ndef f(a: torch.Tensor): ...": (
        "`a: torch.Tensor`, and nothing defines or imports `torch`"
    ),
    "Values = list[float]\ndef f(a: Values): ...": "`a: Values`",
    "async def f(a: float): ...": "`async def f`",
    "f = lambda a: a": "`f`, a lambda, whose parameters have no annotations",
    "f = {'a': 1}": "`f`, which is a value",
    "def score(a): ...\nf = score": "`a` without an annotation",
    "class f:\n    def score(self, a: float): ...": "`f`, which has no method `predict`",
    "class f:\n    def predict(self, a): ...": "`a` without an annotation",
    "class f:\n    def predict(self): ...": "`predict` without parameters",
    "class f:\n    def predict(): ...": "`predict` without `self`",
    "class f:\n    def predict(self, *rows: float): ...": "`*rows` of `predict`, which has no name that a request can use",
    "class f:\n    async def predict(self, a: float): ...": "`async def predict`",
    "class f:\n    def __init__(self, folder, more): ...\n    def predict(self, a: float): ...": (
        "`f`, whose `__init__` needs `folder`, `more`"
    ),
}
"""What the server refuses, and what the reader names."""
