"""The refusal of a faulty request: a status, what was found and what is accepted."""

_LONGEST = 80


class RefusedError(Exception):
    """The request is faulty, or it cannot be answered now."""

    def __init__(
        self, found: str, accepted: str | None, status_code: int = 400, *, retry_seconds: int | None = None
    ) -> None:
        """``accepted`` is None if only the model's code knows it; then ``found`` has the code's own text."""
        super().__init__(found if accepted is None else f"{found}; accepted: {accepted}")
        self.status_code = status_code
        self.retry_seconds = retry_seconds


def busy(found: str, retry_seconds: int = 1) -> RefusedError:
    """The server has no room for the request now. The sender, or a gateway, may try again after so many seconds."""
    return RefusedError(found, "the same request later", 503, retry_seconds=retry_seconds)


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
