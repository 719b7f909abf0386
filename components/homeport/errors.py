"""The base of every error of homeport."""

from homeport.output.text import visible


class HomeportError(Exception):
    """Base of all errors that homeport raises on purpose; the text says what is wrong and what to do."""

    def __init__(self, *lines: str) -> None:
        """Each line may quote what strangers wrote; it stays one line, and is not obeyed where it is printed."""
        self.lines = tuple(map(visible, lines))
        super().__init__("\n".join(self.lines))
