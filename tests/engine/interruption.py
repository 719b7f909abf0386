"""Killing pulumi at some moment of what it does, and telling whether all is as it should be afterwards."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeport import Stack, manifests
from homeport.rollout import WAIT_VARIABLE
from tests.support import Cluster, Program, until

KINDS = (
    "namespaces,resourcequotas,limitranges,serviceaccounts,roles,rolebindings,networkpolicies,services,deployments,"
    "horizontalpodautoscalers,poddisruptionbudgets,httproutes"
)
"""Those that manifests are of; pods and what else controllers make of them have labels of ours too."""
OURS = "--selector=app.kubernetes.io/name in (interrupted,untouched)"

Live = Mapping[str, Mapping[str, Any]]
"""Name of a model -> its entry of models.yaml."""


@dataclass(frozen=True)
class Operation:
    """What pulumi is killed at."""

    name: str
    live: Live
    """What is live afterwards, as the files say."""
    command: str = "up"
    recovery: tuple[str, ...] = ()
    """Options of `homeport recover`."""
    victims: tuple[str, ...] = ("engine", "engine", "provider", "engine, then recovery")
    """One of them is killed."""


@dataclass
class Kill:
    """One row of the report."""

    operation: str
    victim: str
    moment: float
    """Part of the duration of the operation, 0 to 1."""
    after: float | None
    """Seconds from its start; None: it had ended."""
    seconds: float = 0.0
    """How long the recovery took."""
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """As a row of a table."""
        result = "; ".join(self.problems) or "yes"
        after = "had ended" if self.after is None else f"{self.after:.1f}"
        return f"| {self.operation} | {self.moment:.2f} | {after} | {self.victim} | {result} | {self.seconds:.0f} |"


HEAD = ["| operation | moment | after, s | victim | recovered | recovery, s |", "|---|---|---|---|---|---|"]


def chance() -> random.Random:
    """Begins with the number in the variable HOMEPORT_SEED, or another each time; printed, so that a failure tells it."""
    seed = int(os.environ.get("HOMEPORT_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"HOMEPORT_SEED={seed}\n")
    return random.Random(seed)  # noqa: S311 - nothing secret


def kill(program: Program, command: str, seconds: float, *, provider: bool = False) -> float | None:
    """Runs a command of pulumi and kills it, or its provider, as soon as it can after some seconds.

    Returns:
        When it did; None if the command had ended.
    """
    process, begun = start(program, command), time.monotonic()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    if provider:
        until(lambda: process.poll() is not None or providers(process), every=0.05)
    if process.poll() is not None:
        return None
    for pid in providers(process) if provider else [process.pid]:
        os.kill(pid, signal.SIGKILL)
    killed = time.monotonic() - begun
    process.wait()
    return killed


def start(program: Program, command: str) -> "subprocess.Popen[bytes]":
    """Runs a command of pulumi in the background."""
    hooks = ["--run-program"] if command == "destroy" else []
    return subprocess.Popen(
        ["pulumi", command, "--yes", "--skip-preview", "--non-interactive", f"--stack={program.stack}", *hooks],
        cwd=program.folder,
        env=program.variables | ({WAIT_VARIABLE: "false"} if hooks else {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def providers(process: "subprocess.Popen[bytes]") -> list[int]:
    """Processes of providers that a pulumi has started."""
    listed = subprocess.check_output(["ps", "-wweo", "pid=,ppid=,args="], text=True)
    rows = (line.split(maxsplit=2) for line in listed.splitlines())
    return [int(pid) for pid, parent, args in rows if int(parent) == process.pid and "pulumi-resource-" in args]


def recover(
    program: Program,
    *arguments: str,
    fails: bool = False,
    killed_after: float | None = None,
    upon: Mapping[str, Callable[[], object]] | None = None,
) -> str:
    """What `homeport recover` prints.

    Args:
        program: The program of the stack.
        arguments: Further ones of the command.
        fails: Whether it must fail, not succeed.
        killed_after: Seconds after which it is killed with all that it runs, if it takes so long.
        upon: What is done when a line with a text is printed for the first time, by that text.
    """
    awaited = dict(upon or {})
    with subprocess.Popen(
        ["homeport", "recover", f"--stack={program.stack}", "--yes", *arguments],
        cwd=program.folder,
        env=program.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        if killed_after is not None:
            time.sleep(killed_after)
            os.killpg(process.pid, signal.SIGKILL)
            return ""
        assert process.stdout
        shown = ""
        for line in process.stdout:
            shown += line
            for text in [text for text in awaited if text in line]:
                awaited.pop(text)()
    assert (process.returncode != 0) == fails, shown
    return shown


def problems(cluster: Cluster, folder: Path, program: Program, *, nothing: bool = False) -> list[str]:
    """Where state and cluster are not what the files say (or not empty), each with the other and with itself."""
    wanted = [] if nothing else [each for release in Stack.read(folder).releases for each in manifests(release)]
    deployment = program.state()
    found = [f"pending: {each['type']} {each['resource']['urn']}" for each in deployment.get("pending_operations", [])]
    names = {_key(each) for each in wanted}
    known = Counter(
        _identifier(each) for each in deployment.get("resources", []) if each["type"].startswith("kubernetes:")
    )
    objects = {
        _key(each): each for each in cluster.get(KINDS, "--all-namespaces", OURS, "--show-managed-fields")["items"]
    }
    there = objects.keys()
    found += [f"twice in the state: {name}" for name, count in known.items() if count > 1]
    found += [f"only in the state: {name}" for name in known.keys() - names]
    found += [f"not in the state: {name}" for name in names - known.keys()]
    found += [f"only in the cluster: {name}" for name in there - names]
    found += [f"not in the cluster: {name}" for name in names - there]
    # Two owners of the same fields: the next change of them would be a conflict.
    owners = {name: {each["manager"] for each in _applied(live)} for name, live in objects.items()}
    found += [f"owned by {sorted(names)}: {name}" for name, names in owners.items() if names != {"homeport"}]
    if not found:
        found += cluster.differences(wanted)
    if not found and not nothing:
        program.expect_no_changes("--refresh")
    return found


def kept(before: list[Any], after: list[Any]) -> set[tuple[str, str]]:
    """Deployments of which no pod may restart: what they run is the same before and after."""
    then, now = dict(_templates(before)), dict(_templates(after))
    return {name for name in then.keys() & now.keys() if then[name] == now[name]}


def pods(cluster: Cluster, deployments: set[tuple[str, str]]) -> set[tuple[str, int]]:
    """Uid and number of restarts of each pod of some deployments."""
    found = cluster.get("pods", "--all-namespaces", OURS)["items"]
    return {
        (str(each["metadata"]["uid"]), sum(one["restartCount"] for one in each["status"].get("containerStatuses", [])))
        for each in found
        if (each["metadata"]["namespace"], each["metadata"]["labels"]["app.kubernetes.io/instance"]) in deployments
    }


def _templates(objects: list[Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    for each in objects:
        if each["kind"] == "Deployment":
            yield (each["metadata"]["namespace"], each["metadata"]["name"]), each["spec"]["template"]


def _applied(live: Any) -> list[Any]:
    return [each for each in live["metadata"]["managedFields"] if each["operation"] == "Apply"]


def _key(manifest: Any) -> str:
    metadata = manifest["metadata"]
    return f"{manifest['kind']} {'/'.join(filter(None, (metadata.get('namespace'), metadata['name'])))}"


def _identifier(resource: Any) -> str:
    return f"{resource['type'].rpartition(':')[2]} {resource['id']}"
