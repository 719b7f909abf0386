"""The log format: at a terminal text for people, otherwise one JSON object in each line. Successful requests are not logged."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType


class JsonLines(logging.Formatter):
    """Formats records as JSON, with their traceback. MLServer's own format breaks on a quotation mark in the message."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Text(logging.Formatter):
    """Formats records for people: the message, below it the traceback, whose last line is the reason."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one or more lines."""
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


def own(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """What to log of an error: the frames from the model's own code on. How the server came there explains nothing.

    An error whose text is complete has no frames: a ``ValueError`` of the server itself. Other errors keep all of theirs.
    """
    folder, frames = Path.cwd(), error.__traceback__  # the server works in the model's folder
    while frames and not Path(frames.tb_frame.f_code.co_filename).is_relative_to(folder):
        frames = frames.tb_next
    complete = isinstance(error, ValueError)
    return type(error), error, frames or (None if complete else error.__traceback__)


def configure() -> None:
    """Send every logger of the process to standard output, in one format."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Text() if sys.stdout.isatty() else JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("homeport_server").setLevel(logging.INFO)
    # It warns of each request that is not HTTP, so that anybody could fill the disk with its log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
