"""How the server begins, survives a fault of the model, and ends."""

import json
import os
import re
import select
import socket
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from sandbox.image import SERVER
from tests.server.client import Answer, answer, ended
from tests.server.conftest import Server, Start
from tests.support import until


def body(value: int) -> str:
    return json.dumps(
        {"inputs": [{"name": "features", "datatype": "INT64", "shape": [1], "data": [value]}], "id": "r1"}
    )


def ask(server: Server, value: int) -> Answer:
    return server.send(body(value))


def log(server: Server) -> list[dict[str, str]]:
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def refuses_connections(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1, "ValueError"), (2, "SystemExit"), (4, "KeyError")],
    ids=["raises", "exits", "returns nothing"],
)
def test_a_fault_of_the_model_is_told_apart_and_survived(start: Start, fragile: Path, value: int, kind: str) -> None:
    with start(fragile) as server:
        answer = ask(server, value)
        assert (answer.status, answer.body) == (
            500,
            {
                "error": f"the model failed with {kind} on a request that fits its declared inputs; "
                "see its log for request r1"
            },
        )
        assert ask(server, 0).status == 200
        lines = log(server)
        failures = [line for line in lines if "traceback" in line]
        assert [line["message"] for line in failures] == ["model iris failed on request r1"]
        assert kind in failures[0]["traceback"]


def test_the_log_is_quiet_and_structured(start: Start, iris: Path) -> None:
    with start(iris) as server:
        for _ in range(3):
            server.send("{}")
        server.terminate()
        assert server.process.wait(timeout=20) == 0
        lines = log(server)
        messages = [line["message"] for line in lines if line["logger"] == "homeport_server.serving"]
        assert messages == [
            "model iris is ready",
            "stopping: no new connections, requests in flight are answered",
            "stopped",
        ]
        assert not [line for line in lines if line["level"] == "error"]


def test_requests_in_flight_are_answered_after_sigterm(start: Start, fragile: Path) -> None:
    with start(fragile) as server, ExitStack() as stack:
        # One computes, one waits for its turn.
        in_flight = [stack.enter_context(server.begin(body(3))) for _ in range(2)]
        server.has_read_all()
        server.terminate()
        until(lambda: refuses_connections(server), 30)
        assert [answer(each).status for each in in_flight] == [200, 200]
        assert server.process.wait(timeout=20) == 0


def test_health_is_answered_while_the_model_computes(start: Start, fragile: Path) -> None:
    with start(fragile) as server, server.begin(body(3)) as computing:
        server.has_read_all()
        assert not select.select([computing], [], [], 0)[0]  # no answer yet
        assert answer(computing).status == 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"inputs": []}, "model-settings.json declares no inputs: without them no request can be checked"),
        (
            {"inputs": [{"name": "a", "datatype": "BYTES", "shape": [1], "parameters": {"minimum": 0}}]},
            "input 'a': minimum and maximum are numbers, for a datatype of numbers",
        ),
        ({"max_batch_size": 8, "max_batch_time": 1}, "max_batch_size is not supported"),
        ({"parameters": {"uri": "./absent"}}, "Invalid URI specified for model iris"),
        ({"implementation": "fragile.Absent"}, "Absent"),
    ],
    ids=["no inputs", "limit of text", "batching", "no file", "no class"],
)
def test_a_model_that_cannot_be_served_ends_the_server(
    start: Start, fragile: Path, change: dict[str, object], reason: str
) -> None:
    settings = fragile / "model-settings.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | change))
    with start(fragile, await_ready=False) as server:
        assert server.process.wait(timeout=60) == 1
        assert reason in server.log.read_text()


def test_a_server_that_is_stopped_before_it_is_ready_says_so(start: Start, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import time\ntime.sleep(600)\ndef predict(x: float) -> float: ...\n")
    with start(tmp_path, await_ready=False, HOMEPORT_SERVE="model:predict") as server:
        until(lambda: not refuses_connections(server), 60)
        assert server.get("/v2/health/live").status == 200
        server.terminate()
        assert server.process.wait(timeout=60) == 1
        errors = [line["message"] for line in log(server) if line["level"] == "error"]
        assert len(errors) == 1
        assert re.fullmatch(
            r"asked to stop \d+ seconds after the start, before the models were loaded; accepted: a start that takes no "
            r"longer than `startup_seconds` in model.yaml",
            errors[0],
        )


def test_at_a_terminal_the_log_is_text(server_python: Path, fragile: Path) -> None:
    (fragile / "fragile.py").write_text("import absent\n")
    shown, terminal = os.openpty()
    command = [str(server_python), "-m", "homeport_server", str(fragile)]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SERVER.parent)}
    process = subprocess.Popen(command, stdout=terminal, stderr=terminal, env=variables)
    os.close(terminal)
    said = b""
    with ended(process), suppress(OSError):  # the end of a terminal is an error
        while piece := os.read(shown, 65536):
            said += piece
    lines = said.decode().splitlines()
    begin = lines.index("error: model iris could not be loaded")
    assert lines[begin + 1 : begin + 6] == [
        "Traceback (most recent call last):",
        f'  File "{fragile}/fragile.py", line 1, in <module>',
        "    import absent",
        "ModuleNotFoundError: No module named 'absent'",
        "stopping: no new connections, requests in flight are answered",
    ]
    assert '"level"' not in said.decode()


def test_an_unsafe_model_file_is_not_opened(start: Start, fragile: Path) -> None:
    (fragile / "model-settings.json").write_text(
        '{"name": "iris", "implementation": "homeport_server.SklearnModel",'
        ' "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}]}'
    )
    (fragile / "model.skops").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")  # a pickle that runs a command
    with start(fragile, await_ready=False) as server:
        assert server.process.wait(timeout=60) == 1
    assert not list(fragile.rglob("hacked"))
