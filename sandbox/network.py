"""The two network namespaces of a sandbox.

The node, its pods and its services are in `homeport-<name>`. Its only connection is a cable to `homeport-<name>-outside`,
which is not connected to the real network. So no address of the cluster can reach or be confused with a real one. The
other end plays "the internet" for tests of isolation, and has the address of the clouds' metadata services.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from sandbox.errors import SandboxError

NODE_ADDRESS = "172.31.255.2"
OUTSIDE_ADDRESS = "172.31.255.1"
METADATA_ADDRESS = "169.254.169.254"

_KILL_SECONDS = 30.0


def namespace_file(namespace: str) -> Path:
    """The argument of `nsenter --net=`."""
    return Path("/run/netns") / namespace


def exists(namespace: str) -> bool:
    """Whether the namespaces exist: `create` was called, and `delete` was not called after it."""
    return namespace_file(namespace).exists()


def outside(namespace: str) -> str:
    """The name of the namespace at the other end of the cable."""
    return f"{namespace}-outside"


def create(namespace: str) -> None:
    """Create both namespaces and the cable between them."""
    other = outside(namespace)
    _ip("netns", "add", namespace)
    _ip("netns", "add", other)
    _ip("-n", namespace, "link", "add", "node0", "type", "veth", "peer", "name", "cable0", "netns", other)
    for end, device, address in ((namespace, "node0", NODE_ADDRESS), (other, "cable0", OUTSIDE_ADDRESS)):
        _ip("-n", end, "address", "add", f"{address}/30", "dev", device)
        _ip("-n", end, "link", "set", device, "up")
        _ip("-n", end, "link", "set", "lo", "up")
    _ip("-n", other, "address", "add", f"{METADATA_ADDRESS}/32", "dev", "lo")
    # A service address must have a route before kube-proxy can redirect it.
    _ip("-n", namespace, "route", "add", "default", "via", OUTSIDE_ADDRESS)


def processes(namespace: str) -> list[int]:
    """Every process in the namespaces, from the kernel's own record, which no crash can lose."""
    return [
        int(pid)
        for each in (namespace, outside(namespace))
        if exists(each)
        for pid in _ip("netns", "pids", each).split()
    ]


def kill_processes(namespace: str) -> None:
    """End every process in the namespaces, and return when all have ended."""
    deadline = time.monotonic() + _KILL_SECONDS
    while found := processes(namespace):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise SandboxError(f"these processes in {namespace} do not end: {found}")
        time.sleep(0.05)


def delete(namespace: str) -> None:
    """Remove what `create` made, even if it was interrupted."""
    for each in (namespace, outside(namespace)):
        if exists(each):
            _ip("netns", "delete", each)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SandboxError(f"ip {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout
