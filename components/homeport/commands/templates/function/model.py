"""What the service computes."""

from typing import Annotated

from pydantic import Field


def predict(amount: Annotated[float, Field(ge=0)], items: Annotated[int, Field(ge=1)], country: str) -> float:
    """The risk of an order, from 0 to 1.

    Each parameter is an input of the service, and a request is checked by its annotation before it comes here.
    """
    home = country.upper() == "NL"
    return min(1.0, amount / items / 1000) * (0.5 if home else 1.0)
