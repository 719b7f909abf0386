"""What the service computes."""


def predict(amount: float, items: int, country: str) -> float:
    """The risk of an order, from 0 to 1. Each parameter is an input of the service and is checked by its annotation."""
    home = country.upper() == "NL"
    return min(1.0, amount / 1000 / max(items, 1)) * (0.5 if home else 1.0)
