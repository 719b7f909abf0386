"""Errors that end a command."""

from homeport.errors import HomeportError


class CommandError(HomeportError):
    """The command cannot be completed. The text says why and what to do."""


class UsageError(CommandError):
    """The command line is wrong."""

    def __init__(self, parameter: str, message: str) -> None:
        """Name the wrong parameter as the user writes it."""
        self.parameter = parameter
        super().__init__(message)
