"""The one exception that the sandbox raises on purpose."""


class SandboxError(Exception):
    """An error that the user can fix. The message says what was found and what is needed."""
