"""A second node for the sandbox: a container runtime and a kubelet of its own, on the network of the first.

Its pods hang on the same bridge, so one kube-proxy and one enforcer of network policies do for both.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sandbox import Sandbox, archive, build, cgroups, components, machine
from sandbox.network import NODE_ADDRESS
from sandbox.parts import CONTAINERD, KUBERNETES, PAUSE
from tests.support import PATIENTLY, Cluster, until

NAME = "second"
HOME = f"{components.HOME}/{NAME}"
SOCKET = f"/run/{NAME}/containerd.sock"


class SecondNode:
    """The node while it runs."""

    def __init__(self, sandbox: Sandbox, kubelet: "subprocess.Popen[bytes]") -> None:
        self._sandbox, self._kubelet = sandbox, kubelet

    def import_image(self, file: Path) -> None:
        """Makes the image in an archive known to the node."""
        _import(self._sandbox, file)

    def stop_kubelet(self) -> None:
        """From now on the node is silent, while its containers run on."""
        _end(self._kubelet)


@contextmanager
def second_node(sandbox: Sandbox, cluster: Cluster, scratch: Path) -> Iterator[SecondNode]:
    """The node, once it is ready. What is left of it ends with the sandbox."""
    cgroups.create(f"{sandbox.node}/{NAME}")
    for file, content in _files(f"{sandbox.node}/{NAME}").items():
        copy = ["sh", "-c", 'mkdir -p "${1%/*}" && cat > "$1"', "sh", file]
        subprocess.run(sandbox.enter(copy), input=content.encode(), check=True)
    kubelet = [
        build.program(KUBERNETES, "kubelet"),
        f"--config={HOME}/kubelet.json",
        f"--kubeconfig={components.HOME}/certificates/kube-router.kubeconfig",
        f"--hostname-override={NAME}",
        f"--node-ip={NODE_ADDRESS}",
        f"--root-dir={HOME}/kubelet",
    ]
    runtime = [build.program(CONTAINERD, "containerd"), f"--config={HOME}/containerd.toml", f"--address={SOCKET}"]
    with (
        (scratch / "containerd.log").open("wb") as runtime_log,
        (scratch / "kubelet.log").open("wb") as kubelet_log,
        _started(sandbox, runtime, runtime_log) as first,
    ):
        try:
            until(lambda: _answers(sandbox))
            pause = scratch / "pause.tar"
            archive.write_image(pause, components.PAUSE_IMAGE, Path(build.program(PAUSE, "pause")))
            _import(sandbox, pause)
            with _started(sandbox, kubelet, kubelet_log) as second:
                try:
                    cluster.kubectl("wait", "--for=create", f"node/{NAME}", PATIENTLY)
                    cluster.kubectl("wait", "--for=condition=Ready", f"node/{NAME}", PATIENTLY)
                    yield SecondNode(sandbox, second)
                finally:
                    _end(second)
        finally:
            _end(first)
            cluster.kubectl("delete", "node", NAME, "--ignore-not-found")


def _files(group: str) -> dict[str, str]:
    """Those of the first node, with places of its own for all that two must not share."""
    first = components.files(group)
    kubelet = json.loads(first["kubelet.json"]) | {
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "podLogsDir": f"{HOME}/pods",
        "port": 10350,
        "healthzPort": 10348,
    }
    runtime = first["containerd.toml"]
    for theirs, ours in ((f"{components.HOME}/containerd", f"{HOME}/containerd"), ("/run/containerd", f"/run/{NAME}")):
        assert f"'{theirs}'" in runtime
        runtime = runtime.replace(f"'{theirs}'", f"'{ours}'")
    return {f"{HOME}/kubelet.json": json.dumps(kubelet), f"{HOME}/containerd.toml": runtime}


def _started(sandbox: Sandbox, command: list[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    environment = {"PATH": machine.SYSTEM_PATH, "HOME": "/root"}
    return subprocess.Popen(sandbox.enter(command), env=environment, stdout=log, stderr=log)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the program itself: what we started only waits for it, outside of the sandbox."""
    if process.poll() is None:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        process.wait()


def _answers(sandbox: Sandbox) -> bool:
    command = [build.program(CONTAINERD, "ctr"), f"--address={SOCKET}", "version"]
    return subprocess.run(sandbox.enter(command), capture_output=True, check=False).returncode == 0


def _import(sandbox: Sandbox, file: Path) -> None:
    command = [build.program(CONTAINERD, "ctr"), f"--address={SOCKET}", "-n", "k8s.io", "images", "import", "-"]
    subprocess.run(sandbox.enter(command), input=file.read_bytes(), capture_output=True, check=True)
