"""The base of every error of homeport."""


class HomeportError(Exception):
    """Base of all errors that homeport raises on purpose; the text says what is wrong and what to do."""
