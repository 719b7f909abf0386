"""Why a command ends without having done what it was asked for."""

from homeport.errors import HomeportError


class CommandError(HomeportError):
    """It cannot be done; the text says why and what would help."""


class UsageError(CommandError):
    """The command was used wrongly."""

    def __init__(self, parameter: str, message: str) -> None:
        """Say which parameter is at fault, as the user writes it."""
        self.parameter = parameter
        super().__init__(message)
