"""What the tests against a real engine and a real cluster share: running pulumi, and asking the cluster."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from homeport.manifests.names import CLUSTER
from homeport.rollout import WAIT_VARIABLE
from sandbox import Sandbox

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
DIGEST = "sha256:5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270"
"""Of no image: where pods are fakes."""

PATIENCE = 300
"""Seconds until a test gives up on what comes in moments: a machine that is busy with other work may need most of them."""
PATIENTLY = f"--timeout={PATIENCE}s"
"""The same, of kubectl."""

Object = Mapping[str, Any]
T = TypeVar("T")


PROGRAM = """\
from homeport import Stack

Stack.read(".").deploy()
"""


def undigested(name: str) -> str:
    """The name of an object without the digest of its rules."""
    return re.sub("-(ingress|egress|egress-hosts)-[0-9a-f]{8}$", r"-\1", name)


class Cluster:
    """A cluster that variables of a process lead to."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        path = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])
        self.variables = {**os.environ, **variables, "PATH": path}

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["kubectl", *arguments], env=self.variables, input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def exists(self, *arguments: str) -> bool:
        return bool(self.kubectl("get", *arguments, "--ignore-not-found", "--output=name").strip())

    def live(self, *wanted: Object) -> list[Any]:
        """The objects in the cluster that manifests are about, in their order."""
        stream = "".join(f"---\n{json.dumps(each)}\n" for each in wanted)
        found = json.loads(self.kubectl("get", "--filename=-", "--output=json", stdin=stream))
        return list(found["items"]) if found["kind"] == "List" else [found]

    def differences(self, wanted: Sequence[Object]) -> list[str]:
        """Where live objects do not have what their manifests want.

        The cluster's name is that of HOMEPORT_CONTEXT, which only the program knows.
        """
        pairs = zip(wanted, self.live(*wanted), strict=True)
        found = [line for one, live in pairs for line in differences(one, live)]
        return [line for line in found if not line.startswith(f".metadata.annotations.{CLUSTER}:")]


@contextmanager
def own_sandbox(lane: str, worker: str, *, metrics: bool = True, fake_nodes: bool = False) -> Iterator[Sandbox]:
    """The sandbox of a worker of pytest-xdist, stopped at the end.

    Raises:
        SandboxError: Another run with a worker of this name uses it. Name your own: `--tx popen//id=NAME --dist=loadscope`.
    """
    sandbox = Sandbox(f"{lane}-{worker}")
    with sandbox.kept():
        try:
            sandbox.start(metrics=metrics, fake_nodes=fake_nodes)
            yield sandbox
        finally:
            sandbox.stop()


class Program:
    """A Pulumi program with a stack whose state is in a folder of its own."""

    def __init__(self, cluster: Cluster, folder: Path, state: Path, stack: str) -> None:
        state.mkdir(parents=True)
        self.folder, self.stack = folder, stack
        context = cluster.kubectl("config", "current-context").strip()
        self.variables = cluster.variables | {
            "HOMEPORT_CONTEXT": context,
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
        }
        self.variables.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        self("stack", "init", stack)

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        """What pulumi prints, after asserting that it succeeds (or fails)."""
        done = self.run(*arguments)
        assert (done.returncode != 0) == fails, f"pulumi {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}"
        return done.stdout

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs pulumi, whether it succeeds or not."""
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def up(self, *arguments: str, fails: bool = False) -> str:
        return self("up", "--yes", "--skip-preview", f"--stack={self.stack}", *arguments, fails=fails)

    def destroy(self, *arguments: str, fails: bool = False) -> str:
        """The program runs, because it has the hooks of what it deploys; without any, it need not even be right."""
        running = ["--run-program"] if self.state().get("resources") else []
        self.variables[WAIT_VARIABLE] = "false"
        try:
            return self(
                "destroy", "--yes", "--skip-preview", f"--stack={self.stack}", *running, *arguments, fails=fails
            )
        finally:
            del self.variables[WAIT_VARIABLE]

    def expect_no_changes(self, *arguments: str) -> str:
        """With `--refresh` against the cluster, where nothing may be under way then, else against the state."""
        return self("preview", "--expect-no-changes", "--diff", f"--stack={self.stack}", *arguments)

    def state(self) -> Any:
        """What pulumi knows of the stack."""
        return json.loads(self("stack", "export", f"--stack={self.stack}"))["deployment"]

    def outputs(self) -> Any:
        done = self("stack", "output", "--json", f"--stack={self.stack}")
        return json.loads(done)


def write_program(folder: Path, name: str, program: str = PROGRAM, /, **specs: Any) -> Path:
    """A Pulumi program in a folder of its own, with the content of its specs by their names, such as `environment`."""
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n")
    (folder / "__main__.py").write_text(program)
    for spec, content in specs.items():
        (folder / f"{spec}.yaml").write_text(json.dumps(content))  # YAML is a superset of JSON
    return folder


def live_entry(stable: str, canary: str = "", percent: int = 0, spec: str = "model.yaml") -> dict[str, Any]:
    """Of `models.yaml`, what it says of one model: the version that serves and, with its percent, the one that is tried."""
    entry: dict[str, Any] = {"spec": spec, "stable": {"version": stable}}
    return entry | ({"canary": {"version": canary, "percent": percent}} if canary else {})


@contextmanager
def running(cluster: Cluster, source: Path, scratch: Path, stack: str = "dev") -> Iterator[Program]:
    """A copy of the program in `source`, destroyed at the end, whatever happened."""
    folder = scratch / "program"
    shutil.copytree(
        source, folder, ignore=shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", "Pulumi.*.yaml")
    )
    program = Program(cluster, folder, scratch / "state", stack)
    try:
        yield program
    finally:
        program.destroy()


def until(ask: Callable[[], T | None], seconds: float = PATIENCE, *, every: float = 0.3) -> T:
    """The first answer that is true or not empty, asked for every so many seconds; fails without one."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(every)
    return answer


def pin(program: Program, stack: str = "stacks/dev") -> Path:
    """The `models.yaml` of a stack, by now with a digest: then nothing is built."""
    live = program.folder / stack / "models.yaml"
    live.write_text(live.read_text().replace('version: "1"', f'version: "1", digest: "{DIGEST}"'))
    return live


def differences(wanted: Any, live: Any, at: str = "") -> list[str]:
    """Where a live object does not have what is wanted; what else it has are the server's defaults."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return [line for key in wanted for line in differences(wanted[key], live.get(key), f"{at}.{key}")]
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        pairs = enumerate(zip(wanted, live, strict=True))
        return [line for index, (one, other) in pairs for line in differences(one, other, f"{at}[{index}]")]
    # The server does not store what is empty.
    same = wanted == live or (wanted in ([], {}) and live is None)
    return [] if same else [f"{at}: wanted {wanted!r}, live {live!r}"]
