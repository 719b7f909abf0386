"""What a loan costs: a plain function from a notebook. Nothing in it is about serving."""

from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

BASE_RATE = {"BE": 0.039, "DE": 0.036, "NL": 0.041}


class Quote(NamedTuple):
    monthly: float
    total_interest: float


def quote(
    amount: Annotated[float, Field(ge=500, le=100_000, description="euros")],
    months: Annotated[int, Field(ge=6, le=120)],
    country: Literal["BE", "DE", "NL"],
    income: Annotated[float, Field(ge=0, le=1e7, description="euros a month")],
    discount: Annotated[float, Field(ge=0, le=0.05)] = 0.0,
) -> Quote:
    # The longer the loan, and the larger against the income, the higher the rate.
    burden = amount / (income * months) if income else np.inf
    if burden > 1:
        raise ValueError(f"a loan of {amount:.0f} in {months} months is more than the whole income")
    rate = BASE_RATE[country] + 0.0002 * months + 0.05 * burden - discount
    monthly = amount * (rate / 12) / -np.expm1(-months * np.log1p(rate / 12))
    return Quote(monthly=round(monthly, 2), total_interest=round(monthly * months - amount, 2))
