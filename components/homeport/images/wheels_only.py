"""Runs pip in a build, so that its configuration file counts and that it starts no other program.

`--only-binary` is not asked about an address, which a wheel may name as what it depends on. To install from a source, pip
starts a program that runs the source's own code; from a wheel it only copies files.
"""

import os
import runpy
import sys
from configparser import RawConfigParser

STARTS = {
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
    "subprocess.Popen",
}
"""Events of what starts a program: https://docs.python.org/3/library/audit_events.html. No code can remove the hook."""


def _refuse(event: str, _: object) -> None:
    if event in STARTS:
        raise PermissionError("pip would run code of a package, accepted: wheels only")


def _forget_variables() -> None:
    """Pip prefers variables, which the base image may have, to the configuration of this build."""
    settings = RawConfigParser()
    settings.read(os.environ.get("PIP_CONFIG_FILE", ""), encoding="utf-8")
    for section in settings.sections():
        for option in settings.options(section):
            os.environ.pop("PIP_" + option.upper().replace("-", "_"), None)


if __name__ == "__main__":
    _forget_variables()
    sys.addaudithook(_refuse)
    # pip, as its option --python starts it: in the environment of this Python, with pip itself elsewhere.
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
