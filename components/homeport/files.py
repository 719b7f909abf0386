"""Files that several processes read: where they are kept, and how they are written in one step."""

import io
import os
import secrets
import shutil
from pathlib import Path
from typing import BinaryIO


def cache() -> Path:
    """The directory for files that are made once per machine: `$HOMEPORT_CACHE`, or the user's cache directory."""
    if own := os.environ.get("HOMEPORT_CACHE"):
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "homeport"


def is_file(path: Path) -> bool:
    """Whether there is such a file. Of a path that no file can have, as one that is too long, there is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def replace(file: Path, content: str | bytes | BinaryIO) -> None:
    """Replace a file in one step: readers see the old content or the new, never a part.

    Raises:
        OSError: The file cannot be written. The old content stays.
    """
    # A new file with a random name, so that what is written does not go through a link.
    scratch = file.with_name(f".{file.name[:100]}.{secrets.token_hex(8)}")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with os.fdopen(handle, "wb") as stream:
            data = content.encode() if isinstance(content, str) else content
            shutil.copyfileobj(io.BytesIO(data) if isinstance(data, bytes) else data, stream)
        scratch.replace(file)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
