"""Recovery after pulumi was killed: brings the state and the cluster to what the files say, or deletes everything.

Pulumi needs several commands for this, and does not know whether a pending creation succeeded. For a Kubernetes object
this can be found out, because its name is in the state. So the object is marked as created, and the refresh that follows
finds it or removes it from the state. An object that another has made in the meantime is removed from the state too.
`pulumi refresh --clear-pending-creates` would remove every one first; the object would then stay in the cluster if the
files no longer have it.

What was in a namespace that someone has deleted is removed from the state before that refresh.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeport.commands import pulumi_command
from homeport.commands.errors import CommandError
from homeport.manifests.names import MARK
from homeport.rollout import WAIT_VARIABLE

LEAVING_SECONDS = 600
"""Maximum seconds for the deletion of an object: as long as Pulumi itself waits for a deletion."""
_POLL_SECONDS = 2

UNASKED = ("--yes", "--skip-preview")
"""Options of Pulumi's commands that ask before they change something."""

_UPSERT = {"PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true"}
"""Lets pulumi-kubernetes from 4.29 on create over objects that exist, as earlier releases always do: an interrupted update may
have made them. homeport's hooks still refuse the objects of others."""

_NAMESPACE = "kubernetes:core/v1:Namespace"

Say = Callable[[str], None]


class RecoveryError(CommandError):
    """The stack cannot be recovered now."""


@dataclass(frozen=True)
class Lock:
    """The lock that a file backend keeps while an update runs."""

    pid: int
    username: str
    hostname: str
    timestamp: str

    def __str__(self) -> str:
        """The text in Pulumi's own format."""
        return f"{self.username}@{self.hostname} (pid {self.pid}) since {self.timestamp}"

    @property
    def stale(self) -> bool:
        """Whether its update certainly no longer runs. For another machine, this is never certain."""
        if self.hostname != socket.gethostname():
            return False
        return "pulumi" not in _command(self.pid)


def recover(stack: str | None, *, destroy: bool, yes: bool, force: bool, say: Say) -> None:
    """Bring a stack to what the files say, or delete everything in it. Safe to run on a healthy stack.

    Args:
        stack: Its name; None: the selected stack.
        destroy: Delete everything in it, to finish a `pulumi destroy`.
        yes: Skip the preview and the confirmation.
        force: Break a lock even if its update may still be running.
        say: Called with a line about each step.

    Raises:
        PulumiError: The `pulumi` command is missing, one of its commands failed, or the user declined.
        RecoveryError: Another update is running, or something is left that a person must decide.
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
        _replace_state(name, told)
    wanted = marks(told["deployment"], adopted)
    _forget_what_went_with_namespaces(name, told["deployment"], say)
    asked = UNASKED if yes else ()
    pulumi_command.show("refresh", f"--stack={name}", *asked)
    told = pulumi_command.state(name)
    if others := [urn for urn, mark in marks(told["deployment"], wanted).items() if mark != wanted[urn]]:
        for urn in others:
            say(f"leaving alone what another made: {_short(urn)}")
        forget(told["deployment"], others)
        _replace_state(name, told)
    if destroy:
        # The program has the hooks that look for objects of others.
        pulumi_command.show("destroy", "--run-program", f"--stack={name}", *asked, **{WAIT_VARIABLE: "false"})
    else:
        _wait_for_the_leaving(name, (), say)
        pulumi_command.show("up", f"--stack={name}", *asked, **_UPSERT)
    left = pulumi_command.state(name)["deployment"].get("pending_operations", [])
    if left:
        names = ", ".join(_short(operation["resource"]["urn"]) for operation in left)
        raise RecoveryError(
            f"creations outside Kubernetes were interrupted ({names}): check whether these resources exist, then run "
            f"`pulumi refresh --stack={name}`, which asks about each"
        )


def adopt(deployment: Any) -> list[str]:
    """Mark the objects with a pending creation as created, in the given state; returns their URNs."""
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


def marks(deployment: Any, urns: Iterable[str]) -> dict[str, str | None]:
    """The marks of ownership of some resources that are in a state: those in the cluster, or those that are wanted.

    A refresh writes what is in the cluster into the outputs. An object whose creation is pending has no outputs.
    """
    found = {
        each["urn"]: each.get("outputs") or each["inputs"]
        for each in deployment.get("resources", ())
        if each["urn"] in set(urns)
    }
    return {urn: ((content.get("metadata") or {}).get("annotations") or {}).get(MARK) for urn, content in found.items()}


def forget(deployment: Any, urns: Collection[str]) -> None:
    """Remove resources from a state, and every relation to them."""
    left = [each for each in deployment["resources"] if each["urn"] not in urns]
    known = {each["urn"] for each in left}
    deployment["resources"] = [_among(known, each) for each in left]


def namespaces(deployment: Any) -> dict[str, str]:
    """The namespaces in a state: URN -> name."""
    return {
        each["urn"]: each["inputs"]["metadata"]["name"]
        for each in deployment.get("resources", ())
        if each["type"] == _NAMESPACE
    }


def homeless(deployment: Any) -> dict[str, str]:
    """The objects of models whose namespace is not in the state: URN -> name of the namespace."""
    homes = set(namespaces(deployment).values())
    found = {}
    for each in deployment.get("resources", ()):
        metadata = each.get("inputs", {}).get("metadata") or {}
        home = metadata.get("namespace")
        if home and home not in homes and MARK in (metadata.get("annotations") or {}):
            found[each["urn"]] = home
    return found


def leaving(deployment: Any) -> list[str]:
    """URNs of the objects that were being deleted at the last refresh."""
    return [
        resource["urn"]
        for resource in deployment.get("resources", [])
        if (resource.get("outputs", {}).get("metadata") or {}).get("deletionTimestamp")
    ]


def locks(stack: str) -> list[Lock]:
    """The locks of a stack in a file backend. For other backends, only Pulumi knows who holds a lock."""
    about = json.loads(pulumi_command.ask("about", "--json", f"--stack={stack}"))
    scheme, _, place = about["backend"]["url"].partition("://")
    if scheme != "file" or not about["currentStack"]:
        return []
    root = Path(place.partition("?")[0]).expanduser()
    found = (root / ".pulumi" / "locks" / about["currentStack"]["fullyQualifiedName"]).glob("*.json")
    return [Lock(**json.loads(path.read_text(encoding="utf-8"))) for path in found]


def leftovers() -> Iterator[int]:
    """Providers of this project that still run although their pulumi has ended. They may still change the cluster."""
    here = Path.cwd()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):  # it belongs to another user, or has ended
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
            say(str(error))  # there may be nothing to cancel; otherwise the next pulumi command fails


def _replace_state(stack: str, told: Any) -> None:
    pulumi_command.ask("stack", "import", f"--stack={stack}", stdin=json.dumps(told))


def _forget_what_went_with_namespaces(stack: str, deployment: Any, say: Say) -> None:
    """Remove from the state what was in a namespace that is gone, because all of it is gone too.

    Pulumi would ask for each object. In a namespace that does not exist, a deployer may not even read that nothing is there,
    because the binding that lets it in is gone too.
    """
    if urns := namespaces(deployment):
        _refresh(stack, urns)
        _wait_for_the_leaving(stack, urns, say)
    told = pulumi_command.state(stack)
    if lost := homeless(told["deployment"]):
        for home in sorted(set(lost.values())):
            say(f"gone, with everything in it: Namespace/{home}")
        forget(told["deployment"], lost)
        _replace_state(stack, told)


def _wait_for_the_leaving(stack: str, urns: Collection[str], say: Say) -> None:
    """Wait for some resources, or for all, because the API server accepts no objects in a namespace that is being deleted."""
    deadline = time.monotonic() + LEAVING_SECONDS
    while found := [urn for urn in leaving(pulumi_command.state(stack)["deployment"]) if not urns or urn in urns]:
        names = ", ".join(map(_short, found))
        if time.monotonic() > deadline:
            raise RecoveryError(f"still not deleted after {LEAVING_SECONDS} seconds: {names}")
        say(f"waiting until it is deleted: {names}")
        time.sleep(_POLL_SECONDS)
        _refresh(stack, urns)


def _refresh(stack: str, urns: Collection[str]) -> None:
    """Read some resources, or all, from the cluster into the state."""
    pulumi_command.ask("refresh", f"--stack={stack}", *UNASKED, *(f"--target={urn}" for urn in urns))


def _among(known: set[str], resource: Any) -> dict[str, Any]:
    """A resource without its relations to resources that are gone, because they would make the state invalid."""
    properties = resource.get("propertyDependencies") or {}
    kept = {key: value for key, value in resource.items() if key not in {"parent", "deletedWith"} or value in known}
    return kept | {
        "dependencies": [urn for urn in resource.get("dependencies") or [] if urn in known],
        "propertyDependencies": {key: [urn for urn in urns or [] if urn in known] for key, urns in properties.items()},
    }


def _identifier(resource: Any) -> str | None:
    """The Kubernetes provider's ID of an object; None if it is not an object with a name."""
    metadata = resource.get("inputs", {}).get("metadata")
    if not resource["type"].startswith("kubernetes:") or not isinstance(metadata, dict) or "name" not in metadata:
        return None
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def _command(pid: int) -> str:
    """Command line of a process; empty if there is no such process."""
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
