"""The program that the container runs: ``homeport-server FOLDER``."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import uvloop

from homeport_server import logs
from homeport_server.serving import serve
from homeport_server.settings import Address, Bounds


def main() -> None:
    """Serve the models below a folder."""
    parser = argparse.ArgumentParser(prog="homeport-server", description="Serve the model in a folder.")
    parser.add_argument(
        "folder", type=Path, help="folder with what to serve: model-settings.json, a model's file, or code"
    )
    parser.add_argument(
        "--serve",
        metavar="MODULE:NAME",
        default=os.environ.get("HOMEPORT_SERVE"),
        help="function or class to serve, whatever files are there; default: $HOMEPORT_SERVE",
    )
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    os.chdir(folder)  # so that code finds its files as in the image, wherever the server was started
    logs.configure()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(serve(folder, arguments.serve, Address(), Bounds())))


if __name__ == "__main__":
    main()
