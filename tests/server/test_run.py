"""`homeport init` and then `homeport run`, as a data scientist runs them: each kind of model answers at once."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from tests.server.client import Client, answer, ended, infer_path

pytestmark = pytest.mark.usefixtures("as_installed")


@dataclass(frozen=True)
class Run(Client):
    process: subprocess.Popen[bytes]
    output: Path

    def ask(self, body: str | bytes, name: str) -> tuple[int, str]:
        answer = self.send(body, f"/v2/models/{name}/infer")
        return answer.status, json.dumps(answer.body)


def init(*arguments: str, folder: Path) -> None:
    subprocess.run(["homeport", "init", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def run(folder: Path, *, await_ready: bool = True, **variables: str) -> Iterator[Run]:
    """`homeport run FOLDER`, with the checkout's uv on its PATH."""
    port = _free_port()
    output = folder.with_suffix(".out")
    path = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])
    homeport = shutil.which("homeport")
    assert homeport
    with output.open("wb") as out:
        process = subprocess.Popen(
            [homeport, "run", folder.name, f"--port={port}"],
            cwd=folder.parent,
            env={**os.environ, "PATH": path, **variables},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    running = Run(port, port + 2, process, output)
    with ended(process):
        if await_ready:
            running.await_ready(process, output, 300)  # its environment may have to be made first
        yield running


def _free_port() -> int:
    """A port whose second next is free as well."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            port: int = one.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 2)).close()
            except (OSError, OverflowError):
                continue
            return port


@pytest.mark.parametrize(
    ("kind", "outputs"),
    [("function", ["predict"]), ("sklearn", ["predict", "predict_proba"]), ("onnx", ["label", "probabilities"])],
)
def test_a_new_model_runs_at_once(kind: str, outputs: list[str], tmp_path: Path) -> None:
    init("fraud", "--from", kind, folder=tmp_path)
    with run(tmp_path / "fraud", ONLY_IN_THE_SHELL="1") as running:
        request = (tmp_path / "fraud" / "request.json").read_text()
        answer = running.send(request, "/v2/models/fraud/infer")
        assert answer.status == 200, answer.body
        assert [output["name"] for output in answer.body["outputs"]] == outputs
        for faulty in ("{}", "no JSON", request.replace("FP", "BF"), request.replace("[2", "[3")):
            status, body = running.ask(faulty, "fraud")
            assert 400 <= status < 500, body
            assert "accepted" in body
        assert running.ask(request, "fraud")[0] == 200
        held(running)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=30) == 0
    said = running.output.read_text()
    assert said.count("fraud is being loaded; Ctrl-C ends it\n") == 1
    assert messages(said) == [
        "model fraud is ready",
        f"fraud: http://127.0.0.1:{running.port}, metrics on port {running.port + 2}; Ctrl-C ends it",
        f"curl -d @fraud/request.json http://127.0.0.1:{running.port}/v2/models/fraud/infer",
        "stopping: no new connections, requests in flight are answered",
        "stopped",
    ]
    assert not (tmp_path / "fraud" / "__pycache__").exists()


def messages(said: str) -> list[str]:
    """What the server itself logged."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith('{"time"')]
    return [line["message"] for line in lines if line["logger"] == "homeport_server.serving"]


def held(running: Run) -> None:
    """The server's own process has the variables of a replica, none of the shell's, and the limits that were told."""
    process = Path("/proc", str(running.process.pid))
    variables = dict(entry.split("=", 1) for entry in (process / "environ").read_text().rstrip("\0").split("\0"))
    assert variables["HOMEPORT_DRAIN_SECONDS"] == "30"
    assert "ONLY_IN_THE_SHELL" not in variables
    if "limited, as when deployed" in running.output.read_text():
        return
    assert len(os.sched_getaffinity(running.process.pid)) == 1
    limits = (process / "limits").read_text().splitlines()
    (data,) = (line for line in limits if line.startswith("Max data size"))
    assert data.split()[3:5] == [str(512 << 20)] * 2


HUNGRY = """
import time

def predict(megabytes: int, seconds: float) -> int:
    held = bytearray(megabytes << 20)
    time.sleep(seconds)
    return len(held)
"""


def hungry(megabytes: int, seconds: float = 0) -> str:
    values = {"megabytes": ("INT64", megabytes), "seconds": ("FP64", seconds)}
    inputs = [{"name": name, "datatype": kind, "shape": [1], "data": [value]} for name, (kind, value) in values.items()]
    return json.dumps({"inputs": inputs})


def test_memory_beyond_the_limit_fails_the_request_and_a_stop_answers_what_is_in_flight(tmp_path: Path) -> None:
    init("fraud", folder=tmp_path)
    (tmp_path / "fraud" / "model.py").write_text(HUNGRY)
    with run(tmp_path / "fraud") as running:
        assert "MemoryError" in running.output.read_text()  # told beforehand: there is no cgroup here
        status, body = running.ask(hungry(600), "fraud")
        assert (status, "MemoryError" in body) == (500, True), body
        assert running.ask(hungry(100), "fraud")[0] == 200
        with running.begin(hungry(1, seconds=1.5), infer_path("fraud")) as in_flight:
            running.has_read_all()
            running.process.send_signal(signal.SIGINT)
            assert answer(in_flight).status == 200
        assert running.process.wait(timeout=30) == 0


READ = """
import os
from pathlib import Path

RATE = float((Path(os.environ["HOMEPORT_SECRETS"]) / "rate").read_text())
"""


def test_what_is_not_in_files_is_missed_and_secrets_are_the_users_own(tmp_path: Path) -> None:
    init("fraud", folder=tmp_path)
    folder = tmp_path / "fraud"
    (folder / "rates.py").write_text(READ)
    (folder / "model.py").write_text(
        # By `import`, it would be an error before the server starts.
        "from importlib import import_module\n\nRATE = import_module('rates').RATE\n\n"
        "def predict(x: float) -> float:\n    return RATE * x\n"
    )
    spec = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(spec.replace("build:\n", "build:\n  files: [model.py]\n"))
    with run(folder, await_ready=False) as running:
        assert running.process.wait(timeout=300) == 1
        said = running.output.read_text()
        assert "No module named 'rates'" in said
        assert "curl" not in said
    spec += "secrets:\n- {name: rate, reason: nobody else is to know it}\n"
    (folder / "model.yaml").write_text(spec.replace("build:\n", "build:\n  files: [model.py, rates.py]\n"))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "rate").write_text("2.0")
    with run(folder, HOMEPORT_SECRETS="secrets") as running:
        request = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [3.0]}]}
        assert running.send(json.dumps(request), "/v2/models/fraud/infer").body["outputs"][0]["data"] == [6.0]
        assert "Installed" not in running.output.read_text()  # the environment is the one of before


def test_after_a_training_the_notebook_again_brings_the_new_file(tmp_path: Path) -> None:
    code = (
        "%pip install 'pydantic>=2.10,<3'\nimport json\nRATE = json.load(open('rate.json'))\n"  # as in the template
        "def predict(x: float) -> float:\n    return RATE * x"
    )
    cells = [v4.new_code_cell(code, metadata={"tags": ["serve"]})]
    nbformat.write(v4.new_notebook(cells=cells), tmp_path / "fraud.ipynb")
    for rate in (2.0, 3.0):
        (tmp_path / "rate.json").write_text(str(rate))
        init("--notebook", "fraud.ipynb", folder=tmp_path)
        with run(tmp_path / "fraud") as running:
            request = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1.0]}]}
            assert running.send(json.dumps(request), "/v2/models/fraud/infer").body["outputs"][0]["data"] == [rate]


def test_a_server_of_ones_own_answers_faulty_input_with_a_reason(tmp_path: Path) -> None:
    """What the Dockerfile's CMD starts, without the image around it."""
    init("fraud", "--from", "docker", folder=tmp_path)
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "server.py"],
        cwd=tmp_path / "fraud",
        env={"PORT": str(port), "HOST": "127.0.0.1"},
        stderr=subprocess.DEVNULL,
    )
    client = Client(port, port)
    with ended(process):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                assert client.get("/health/ready").status == 200
                break
            except OSError:
                time.sleep(0.05)
        good = (tmp_path / "fraud" / "request.json").read_text()
        for faulty in (
            *("", "[]", "no JSON", "[" * 100_000, "\xff", good[:-2]),
            *(good.replace("120.5", value) for value in ('"1"', "null", "true", "NaN", "1e999", "-1e13", "9" * 5000)),
            good.replace('"items": 2', '"items": 2.5'),
            good.replace('"items"', '"item"'),
        ):
            answer = client.send(faulty, "/predict")
            assert 400 <= answer.status < 500, (faulty[:50], answer)
            assert answer.body["error"]
            assert client.send(good, "/predict").body == {"risk": 0.030125}
        for headers in ({"Content-Length": "x"}, {"Content-Length": "9" * 5000}, {"Content-Length": "2000000"}):
            assert client.send(b"{}", "/predict", headers).status == 413
        assert client.send(good, "/other").status == 404
        assert client.get("/health/other").status == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


@pytest.mark.slow
@pytest.mark.parametrize("locked", [False, True], ids=["names", "hashes"])
def test_without_uv_the_environment_is_made_with_pip(tmp_path: Path, locked: bool) -> None:
    init("fraud", folder=tmp_path)
    folder = tmp_path / "fraud"
    if locked:
        text = "pydantic==2.11.7\npydantic-core==2.33.2\nannotated-types\ntyping-extensions\ntyping-inspection\n"
        uv = str(Path(sys.executable).parent / "uv")
        compiling = [uv, "pip", "compile", "--quiet", "--generate-hashes", "-", "-o", "requirements.txt"]
        subprocess.run(compiling, cwd=folder, check=True, input=text, text=True, stdout=subprocess.DEVNULL)
    with run(folder, HOMEPORT_CACHE=str(tmp_path / "cache"), PATH="/usr/bin:/bin") as running:
        assert running.ask((folder / "request.json").read_text(), "fraud")[0] == 200
        assert "Successfully installed" in running.output.read_text()
