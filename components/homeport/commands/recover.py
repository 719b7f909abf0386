"""Recovery: after a pulumi that was killed, state and cluster become what the files say, or nothing, in one go.

Pulumi needs several commands for it, and cannot know by itself what became of a creation that was under way. For an
object of Kubernetes it can be known: its name is in the state. So it is taken for created, and the refresh that follows
finds it or forgets it; forgotten beforehand, as `pulumi refresh --clear-pending-creates` does, it would stay in the
cluster for good if the files no longer want it.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeport.commands import pulumi_command
from homeport.commands.errors import CommandError

LEAVING_SECONDS = 600
"""How long an object may take to go: as long as Pulumi itself waits for a deletion."""
_POLL_SECONDS = 2

Say = Callable[[str], None]


class RecoveryError(CommandError):
    """The stack cannot be recovered now."""


@dataclass(frozen=True)
class Lock:
    """What a backend of files keeps while an update runs."""

    pid: int
    username: str
    hostname: str
    timestamp: str

    def __str__(self) -> str:
        """As Pulumi says it."""
        return f"{self.username}@{self.hostname} (pid {self.pid}) since {self.timestamp}"

    @property
    def stale(self) -> bool:
        """Whether it is certain that its update is gone; of another machine it never is."""
        if self.hostname != socket.gethostname():
            return False
        return "pulumi" not in _command(self.pid)


def recover(stack: str | None, *, destroy: bool, yes: bool, force: bool, say: Say) -> None:
    """Bring a stack to what the files say, or to nothing; harmless where nothing is wrong.

    Args:
        stack: Its name; None: the selected one.
        destroy: Bring it to nothing: to finish a `pulumi destroy`.
        yes: Do not show what is to be done and do not ask.
        force: Break a lock whose update may still run.
        say: Is told what is done.

    Raises:
        PulumiError: There is no pulumi, or one of its commands failed, or the user said no.
        RecoveryError: Another update runs, or something is left that only people can decide.
    """
    name = pulumi_command.stack_name(stack)
    _unlock(name, force, say)
    for pid in leftovers():
        say(f"stopping a provider whose pulumi is gone (pid {pid})")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    told = pulumi_command.state(name)
    if adopted := adopt(told["deployment"]):
        for urn in adopted:
            say(f"checking whether it was created: {_short(urn)}")
        pulumi_command.ask("stack", "import", f"--stack={name}", stdin=json.dumps(told))
    unasked = ("--yes", "--skip-preview")
    asked = unasked if yes else ()
    pulumi_command.show("refresh", f"--stack={name}", *asked)
    if destroy:
        pulumi_command.show("destroy", f"--stack={name}", *asked)
    else:
        _wait_for_the_leaving(name, unasked, say)
        pulumi_command.show("up", f"--stack={name}", *asked)
    left = pulumi_command.state(name)["deployment"].get("pending_operations", [])
    if left:
        names = ", ".join(_short(operation["resource"]["urn"]) for operation in left)
        raise RecoveryError(
            f"creations outside Kubernetes were interrupted ({names}): check whether these resources exist, then run "
            f"`pulumi refresh --stack={name}`, which asks about each"
        )


def adopt(deployment: Any) -> list[str]:
    """Takes the objects that were being created for created, in the state itself; returns their URNs."""
    resources = deployment.setdefault("resources", [])
    left, adopted = [], []
    for operation in deployment.get("pending_operations", []):
        resource, known = operation["resource"], {each["urn"] for each in resources}
        identifier = _identifier(resource) if operation["type"] == "creating" else None
        provider = resource.get("provider", "").rpartition("::")[0]
        if identifier is None or resource["urn"] in known or provider not in known:
            left.append(operation)
        else:
            resources.append(_among(known, resource) | {"id": identifier})
            adopted.append(resource["urn"])
    deployment["pending_operations"] = left
    return adopted


def leaving(deployment: Any) -> list[str]:
    """URNs of the objects that are on their way out, as the last refresh saw them."""
    return [
        resource["urn"]
        for resource in deployment.get("resources", [])
        if (resource.get("outputs", {}).get("metadata") or {}).get("deletionTimestamp")
    ]


def locks(stack: str) -> list[Lock]:
    """The locks of a stack, where the backend is of files; who holds those of other backends, only Pulumi can say."""
    about = json.loads(pulumi_command.ask("about", "--json", f"--stack={stack}"))
    scheme, _, place = about["backend"]["url"].partition("://")
    if scheme != "file" or not about["currentStack"]:
        return []
    root = Path(place.partition("?")[0]).expanduser()
    found = (root / ".pulumi" / "locks" / about["currentStack"]["fullyQualifiedName"]).glob("*.json")
    return [Lock(**json.loads(path.read_text(encoding="utf-8"))) for path in found]


def leftovers() -> Iterator[int]:
    """Providers started in this project that outlived their pulumi: one may still be about to change the cluster."""
    here = Path.cwd()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):  # another user's, or gone meanwhile
            program, address, *_ = (process / "cmdline").read_text().split("\0")
            folder = (process / "cwd").readlink()
            near = folder.is_relative_to(here) or here.is_relative_to(folder)
            if near and Path(program).name.startswith("pulumi-resource-") and not _answers(address):
                yield int(process.name)


def _unlock(stack: str, force: bool, say: Say) -> None:
    held = locks(stack)
    running = [lock for lock in held if not lock.stale]
    if running and not force:
        raise RecoveryError(
            f"another update of the stack is running: {', '.join(map(str, running))}; "
            "wait until it ends, or use --force if you are sure that it no longer runs"
        )
    if held or force:
        say(f"breaking the lock of {', '.join(map(str, held)) or 'the stack'}")
        try:
            pulumi_command.ask("cancel", "--yes", f"--stack={stack}")
        except pulumi_command.PulumiError as error:
            say(str(error))  # there may be nothing to cancel; Pulumi does not go on where there still is


def _wait_for_the_leaving(stack: str, unasked: tuple[str, ...], say: Say) -> None:
    """What is being deleted cannot be created: the API server takes nothing into a namespace that goes."""
    deadline = time.monotonic() + LEAVING_SECONDS
    while found := leaving(pulumi_command.state(stack)["deployment"]):
        names = ", ".join(map(_short, found))
        if time.monotonic() > deadline:
            raise RecoveryError(f"still not deleted after {LEAVING_SECONDS} seconds: {names}")
        say(f"waiting until it is deleted: {names}")
        time.sleep(_POLL_SECONDS)
        pulumi_command.show("refresh", f"--stack={stack}", *unasked)


def _among(known: set[str], resource: Any) -> dict[str, Any]:
    """A resource without its relations to those that are gone, which the state would not be valid with."""
    properties = resource.get("propertyDependencies") or {}
    return {key: value for key, value in resource.items() if key != "parent" or value in known} | {
        "dependencies": [urn for urn in resource.get("dependencies") or [] if urn in known],
        "propertyDependencies": {key: [urn for urn in urns or [] if urn in known] for key, urns in properties.items()},
    }


def _identifier(resource: Any) -> str | None:
    """How the Kubernetes provider calls an object, if it is one that has a name."""
    metadata = resource.get("inputs", {}).get("metadata")
    if not resource["type"].startswith("kubernetes:") or not isinstance(metadata, dict) or "name" not in metadata:
        return None
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def _command(pid: int) -> str:
    """Command line of a process; empty if there is none."""
    if not Path("/proc/self").exists():
        ps = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
        return subprocess.run(ps, capture_output=True, text=True, check=False).stdout
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    return ""


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def _short(urn: str) -> str:
    """Type and name."""
    _, _, types, name = urn.split("::", 3)
    return f"{types.rpartition('$')[2]} {name}"
