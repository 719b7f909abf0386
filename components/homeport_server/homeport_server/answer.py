"""An answer in JSON. Every error is ``{"error": reason}``."""

import orjson
from starlette.responses import Response

from homeport_server.refusal import RefusedError


class Answer(Response):
    """JSON that is given as an object, or as bytes that are JSON already."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """The bytes to send."""
        return content if isinstance(content, bytes) else orjson.dumps(content)

    @classmethod
    def of(cls, error: RefusedError) -> "Answer":
        """The answer to a refused request."""
        headers = {"Retry-After": str(error.retry_seconds)} if error.retry_seconds else None
        return cls({"error": str(error)}, error.status_code, headers)
