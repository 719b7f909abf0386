"""Runs pip so that it starts no other program. A build runs this file, with the credentials of the index beside it.

`--only-binary` is not asked about an address, which a wheel may name as what it depends on. To install from a source, pip
starts a program that runs the source's own code; from a wheel it only copies files.
"""

import runpy
import sys

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


if __name__ == "__main__":
    sys.addaudithook(_refuse)
    # pip, as its option --python starts it: in the environment of this Python, with pip itself elsewhere.
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
