"""Checks what the sandbox needs on the machine: root, Go, and a few Debian packages."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.progress import Progress

GO_NEEDED = (1, 26, 6)

# A file or command -> its Debian package.
IMAGE_PACKAGES = {"debootstrap": "debootstrap"}
NODE_PACKAGES = {
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "socat": "socat",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
}

# Where daemons find these, because a user's PATH may lack the sbin directories.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def require_root() -> None:
    """Check for root, because a node needs namespaces, mounts and packet filters.

    Raises:
        SandboxError: The caller is not root.
    """
    if os.geteuid() != 0:
        raise SandboxError(
            "a Kubernetes node, and the base system of an image, need root: run this with sudo -E, "
            "or use a cluster and an image of your own"
        )


def parse_go_version(text: str) -> tuple[int, ...] | None:
    """The version in the output of `go version`, or None if there is none."""
    match = re.search(r"\bgo(\d+(?:\.\d+)+)", text)
    return tuple(map(int, match[1].split("."))) if match else None


def require_go() -> None:
    """Check for a Go that can build the pinned modules.

    Raises:
        SandboxError: Go is missing or too old.
    """
    needed = f"Go {'.'.join(map(str, GO_NEEDED))} or newer is needed to build the sandbox (https://go.dev/dl)"
    go = shutil.which("go")
    if go is None:
        raise SandboxError(f"{needed}; no `go` was found on PATH")
    # Outside any module and with the installed toolchain only; otherwise this would download another Go.
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    found = subprocess.run([go, "version"], capture_output=True, text=True, check=False, env=environment, cwd="/")
    version = parse_go_version(found.stdout)
    if version is None or version < GO_NEEDED:
        raise SandboxError(f"{needed}; {go} is {(found.stdout or found.stderr).strip()!r}")


def missing_packages(packages: Mapping[str, str]) -> list[str]:
    """The Debian packages that the machine lacks."""
    return [
        package
        for probe, package in packages.items()
        if not (Path(probe).exists() if probe.startswith("/") else shutil.which(probe, path=SYSTEM_PATH))
    ]


def require_packages(packages: Mapping[str, str], progress: Progress) -> None:
    """Install missing packages.

    Raises:
        SandboxError: This is not a Debian-like machine, the caller is not root, or the installation failed.
    """
    missing = missing_packages(packages)
    if not missing:
        return
    require_root()
    names = " ".join(missing)
    if shutil.which("apt-get", path=SYSTEM_PATH) is None:
        raise SandboxError(f"the sandbox needs the contents of these Debian packages; install them: {names}")
    with progress.step(f"installing {names}"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "-q", "update"],
            ["apt-get", "-q", "install", "-y", "--no-install-recommends", *missing],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            if done.returncode != 0:
                raise SandboxError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
