"""The example model on a real node: it predicts, refuses nonsense with a reason, and nothing restarts it."""

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from homeport import Stack, manifests
from tests.cluster.conftest import Ask
from tests.support import EXAMPLES, Cluster, Program

# The first build of all, with nothing in the builder's cache, takes minutes.

INFER = "/v2/models/iris/infer"
GOOD = (EXAMPLES / "iris" / "request.json").read_bytes()


def request(**changed: Any) -> bytes:
    features = {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}
    return json.dumps({"inputs": [features | changed]}).encode()


BAD = {
    "malformed": (b'{"inputs": [', 400, "the body is not JSON"),
    "wrong shape": (request(shape=[1, 3], data=[5.1, 3.5, 1.4]), 400, "input 'features' has shape [1, 3]; accepted"),
    "wrong type": (request(datatype="INT64", data=[5, 3, 1, 0]), 400, "input 'features' has datatype INT64; accepted"),
    "text for a number": (request(data=["a", 3.5, 1.4, 0.2]), 400, "input 'features' has 'a' at position 0; accepted"),
    "empty": (b"", 400, "the body is empty; accepted"),
    "10 MB": (b" " * 10_000_000, 413, "the body has 10000000 bytes; accepted: at most"),
}


def test_model_predicts(ask: Ask) -> None:
    answer = ask("iris", "POST", INFER, GOOD)
    assert answer.status == 200
    predictions = {output["name"]: output["data"] for output in json.loads(answer.body)["outputs"]}
    assert predictions["predict"] == ["setosa", "virginica"]


@pytest.mark.parametrize("kind", BAD)
def test_bad_request_is_refused_with_a_reason_and_the_next_one_served(ask: Ask, cluster: Cluster, kind: str) -> None:
    body, status, reason = BAD[kind]
    answer = ask("iris", "POST", INFER, body)
    assert (answer.status, json.loads(answer.body)["error"][: len(reason)]) == (status, reason)
    assert ask("iris", "POST", INFER, GOOD).status == 200
    assert restarts(cluster) == [0]


def image(deployed: Program) -> str:
    return str(deployed.outputs()["iris"]["image"])


def restarts(cluster: Cluster) -> list[int]:
    pods = cluster.get("pods", "--namespace=iris")["items"]
    return [status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]]


def test_real_pod_is_what_the_functions_say(cluster: Cluster, deployed: Program) -> None:
    stack = Stack.read(deployed.folder / "stacks" / "dev")
    release = next(each for each in stack.releases if each.model.name == "iris")
    release = replace(release, image=deployed.outputs()["iris"]["image"])
    assert cluster.differences(manifests(release)) == []


def test_model_cannot_write_but_to_tmp_and_is_nobody(cluster: Cluster, deployed: Program) -> None:
    assert deployed.stack == "dev"
    probe = "import os; print(os.getuid()); open('/tmp/a', 'w'); open('/a', 'w')"
    done = subprocess.run(
        ["kubectl", "exec", "--namespace=iris", "deployment/iris", "--", "python3", "-c", probe],
        env=cluster.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "65532\n"
    assert "Read-only file system: '/a'" in done.stderr


def test_privileged_pod_is_refused_in_the_namespace(cluster: Cluster, deployed: Program) -> None:
    done = subprocess.run(
        ["kubectl", "run", "intruder", "--namespace=iris", f"--image={image(deployed)}", "--privileged"],
        env=cluster.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert 'violates PodSecurity "restricted' in done.stderr


def test_pod_that_declares_no_call_gets_no_answer(cluster: Cluster, deployed: Program) -> None:
    address = cluster.get("service/iris", "--namespace=iris")["spec"]["clusterIP"]
    # DNS, which anyone may ask, shows that the stranger has a network at all.
    dns = cluster.get("service/kube-dns", "--namespace=kube-system")["spec"]["clusterIP"]
    dial = (
        f"import socket; socket.create_connection(('{dns}', 53), timeout=30); print('reached DNS');"
        f"socket.create_connection(('{address}', 80), timeout=3); print('reached the model')"
    )
    arguments = ["run", "stranger", f"--image={image(deployed)}", "--restart=Never", "--attach", "--rm", "--quiet"]
    done = subprocess.run(
        ["kubectl", *arguments, "--command", "--", "python3", "-c", dial],
        env=cluster.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "reached DNS"
    assert "refused" in done.stderr or "timed out" in done.stderr
