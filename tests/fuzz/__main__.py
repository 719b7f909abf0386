"""Fuzzing on demand: new inputs of every kind, again and again, until the time is over or one fails."""

import os
import signal
import subprocess
import sys
import time
from typing import Annotated

import typer

from tests.fuzz.fuzzing import FOUND, LONG

PYTEST = ["pytest", "tests/fuzz", "tests/server", "-m", "fuzz", "-q", "-x", "--timeout=0"]


def main(minutes: Annotated[float, typer.Option(help="How long; the last round is cut short.", min=0.1)] = 60) -> None:
    """Try new inputs of every kind. Exit code 1 if one fails; it is then in build/fuzz/."""
    end = time.monotonic() + minutes * 60
    rounds = 0
    while (left := end - time.monotonic()) > 0:
        rounds += 1
        typer.echo(f"round {rounds}, {left / 60:.0f} min left")
        tests = subprocess.Popen([sys.executable, "-m", *PYTEST], env={**os.environ, LONG: "1"})
        try:
            failed = tests.wait(left)
        except subprocess.TimeoutExpired:
            tests.send_signal(signal.SIGINT)  # so that pytest stops the servers that it started
            tests.wait()
            break
        if failed:
            typer.echo(f"The input is in {FOUND}/. Keep it in tests/fuzz/corpus/.")
            raise typer.Exit(1)
    typer.echo(f"{rounds} rounds, nothing failed")


if __name__ == "__main__":
    typer.run(main)
