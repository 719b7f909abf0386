"""The refusal of a faulty request: a status below 500, what was found and what is accepted."""

from mlserver.errors import MLServerError

_LONGEST = 80


class RefusedError(MLServerError):  # type: ignore[misc]  # MLServer carries no type information
    """The request is faulty. It is MLServer's type of error, so that every port of MLServer translates it."""

    def __init__(self, found: str, accepted: str | None, status_code: int = 400) -> None:
        """``accepted`` is None if only the model's code knows it; then ``found`` has the code's own text."""
        super().__init__(found if accepted is None else f"{found}; accepted: {accepted}", status_code)


def shown(value: object) -> str:
    """A value in a form for messages: short, because it comes from the sender and may be megabytes long."""
    if isinstance(value, list):
        # Never the repr of the whole value: it is cut before rendering, not after.
        inner = ", ".join(shown(item) for item in value[:8])
        return f"[{inner}{', ...' if len(value) > 8 else ''}]"
    if isinstance(value, dict):
        return "an object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value[:_LONGEST] if isinstance(value, str) else value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
