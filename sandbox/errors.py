"""The one exception that the sandbox raises on purpose."""


class SandboxError(Exception):
    """Something the user can act on; the message says what was found and what is needed."""
