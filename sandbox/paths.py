"""Paths: one cache outside the checkout, with a folder for each sandbox by name."""

import re
from dataclasses import dataclass
from pathlib import Path

from homeport.files import cache
from sandbox.errors import SandboxError

__all__ = ["Paths", "cache"]

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")


@dataclass(frozen=True)
class Paths:
    """The files of the sandbox called `name`."""

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SandboxError(
                f"{self.name!r} cannot name a sandbox: use 1 to 20 lower-case letters, digits and dashes, "
                "starting with a letter"
            )

    @property
    def full_name(self) -> str:
        """The name of its network namespace, node, cgroup and kubeconfig context."""
        return f"homeport-{self.name}"

    @property
    def run(self) -> Path:
        """Everything that ends with the cluster."""
        return cache() / "run" / self.name

    @property
    def lock(self) -> Path:
        """The lock that is held while the sandbox starts or stops."""
        return cache() / "run" / f"{self.name}.lock"

    @property
    def user(self) -> Path:
        """The lock that a process holds while it keeps the sandbox to itself."""
        return cache() / "run" / f"{self.name}.user"

    @property
    def logs(self) -> Path:
        """One file for each component."""
        return self.run / "logs"

    @property
    def certificates(self) -> Path:
        """Keys, certificates and the components' kubeconfigs."""
        return self.run / "certificates"

    @property
    def kubeconfig(self) -> Path:
        """The user's kubeconfig, as cluster administrator."""
        return self.run / "kubeconfig"

    @property
    def processes(self) -> Path:
        """The record of processes by component."""
        return self.run / "processes.json"

    @property
    def registry(self) -> Path:
        """The file with the registry's `host:port`; it exists only if images can be built."""
        return self.run / "registry-address"

    @property
    def buildx(self) -> Path:
        """The configuration with which Docker's build tools find the builder."""
        return self.run / "buildx"

    @property
    def builder(self) -> Path:
        """The builder's cache. `stop` keeps it, so that the next build does not start from scratch."""
        return cache() / "builder" / self.name

    @property
    def state(self) -> Path:
        """Pulumi's state. `stop` keeps it, so that the history can still be read."""
        return cache() / "state" / self.name

    @property
    def passphrase(self) -> Path:
        """The passphrase that encrypts the secrets in Pulumi's state."""
        return cache() / "passphrase"
