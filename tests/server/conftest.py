"""The real server as a process on 127.0.0.1, with the interpreter and libraries that the image has."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.image import SERVER, environment
from sandbox.paths import cache
from tests.server.client import LIBRARIES, Client, ended
from tests.server.group import Group
from tests.support import EXAMPLES

IRIS = EXAMPLES / "iris"


@dataclass(frozen=True)
class Server(Client):
    process: subprocess.Popen[bytes]
    log: Path

    def memory(self, field: str) -> int:
        """Bytes of both processes: VmRSS is what they hold now, VmHWM the most that each of them ever held."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(_memory(pid, field) for pid in [self.process.pid, *map(int, children)])

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


def _memory(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


Start = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="session")
def server_python() -> Path:
    """The Python that the image of examples/iris has."""
    return environment(IRIS / "requirements.txt", cache(), print)


@pytest.fixture(scope="session")
def start(server_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Starts a server of a folder, with variables of the test's own."""
    return _starter(server_python, tmp_path_factory)


@pytest.fixture(scope="session")
def libraries() -> Path:
    """The Python that has the libraries of every kind of model."""
    return environment(LIBRARIES, cache(), print)


@pytest.fixture(scope="session")
def start_any(libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """The same for models of any kind."""
    return _starter(libraries, tmp_path_factory)


def _starter(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    @contextmanager
    def started(
        folder: Path, *, await_ready: bool = True, limits: Group | None = None, **variables: str
    ) -> Iterator[Server]:
        log = tmp_path_factory.mktemp("server") / "log"
        port, metrics_port = _free_ports()
        command = [str(python), "-m", "homeport_server", str(folder)]
        with log.open("wb") as output:
            process = subprocess.Popen(  # the server itself
                limits.command(*command) if limits else command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(SERVER.parent),
                    "MLSERVER_HOST": "127.0.0.1",
                    "MLSERVER_HTTP_PORT": str(port),
                    "MLSERVER_METRICS_PORT": str(metrics_port),
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                    "MALLOC_ARENA_MAX": "2",
                    **variables,
                },
            )
        server = Server(port, metrics_port, process, log)
        with ended(process):
            if await_ready:
                server.await_ready(process, log, 60)
            yield server

    return started


@pytest.fixture
def as_installed(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`homeport` is the wheel's. homeport-server is the checkout's, because no package index has it here."""
    monkeypatch.setenv("PATH", str(installed), prepend=os.pathsep)
    monkeypatch.setenv("HOMEPORT_SERVER_PACKAGE", str(SERVER.parent))


@pytest.fixture(scope="session")
def iris() -> Path:
    return IRIS


@pytest.fixture(scope="session")
def server(start: Start, iris: Path) -> Iterator[Server]:
    """One server for all tests that must not be able to end it."""
    with start(iris) as running:
        yield running
        assert running.process.poll() is None, running.log.read_text()


@pytest.fixture
def fragile(tmp_path: Path) -> Path:
    """A model with bugs: 1 raises, 2 ends the process, 3 takes two seconds, 4 returns too little."""
    (tmp_path / "fragile.py").write_text(_FRAGILE)
    (tmp_path / "model-settings.json").write_text(
        '{"name": "iris", "implementation": "fragile.Fragile",'
        ' "inputs": [{"name": "features", "datatype": "INT64", "shape": [1]}]}'
    )
    return tmp_path


_FRAGILE = """
import sys, time
import numpy as np
from homeport_server import CheckedModel

class Fragile(CheckedModel):
    def open_model(self, path):
        pass

    def run(self, inputs, outputs):
        match int(inputs["features"][0]):
            case 1:
                raise ValueError("a secret of the model")
            case 2:
                sys.exit(3)
            case 3:
                time.sleep(2)
            case 4:
                return {}
        return {"predict": np.array([1.0])}
"""


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]
