"""Prepares the Pulumi engine with its providers: the user's own engine, or the one that the sandbox builds."""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox import build, own_pulumi
from sandbox.errors import SandboxError
from sandbox.own_pulumi import Choice
from sandbox.parts import (
    DOCKER_BUILD_PROVIDER,
    DOCKER_BUILD_PROVIDER_VERSION,
    ENGINE,
    KUBERNETES_PROVIDER,
    KUBERNETES_PROVIDER_VERSION,
    LANGUAGE_HOST,
    PULUMI,
    Part,
    key,
)
from sandbox.paths import Paths, cache
from sandbox.progress import Progress

# By Pulumi's name of the platform.
_PROVIDERS = {
    "kubernetes": (KUBERNETES_PROVIDER_VERSION, KUBERNETES_PROVIDER),
    "docker-build": (DOCKER_BUILD_PROVIDER_VERSION, DOCKER_BUILD_PROVIDER),
}


def directories() -> list[Path]:
    """Folders for the PATH of the engine, which runs a program with the first `python`: the one with homeport."""
    return [Path(sys.executable).parent, *([] if own_pulumi.used() else [_programs()])]


def variables(paths: Paths) -> dict[str, str]:
    """The variables with which the engine keeps its state in the sandbox's own directories."""
    own = {} if own_pulumi.used() else {"PULUMI_HOME": str(_home())}
    return own | {
        "PULUMI_BACKEND_URL": f"file://{paths.state}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(paths.passphrase),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def parts() -> tuple[Part, ...]:
    """The parts to build for the engine. The language host needs the providers of all installed packages."""
    return () if own_pulumi.used() else ENGINE


def download(paths: Paths, progress: Progress) -> None:
    """Let the user's own engine download missing providers. This comes first, because it needs the network.

    Raises:
        SandboxError: A provider could not be installed.
    """
    if own := own_pulumi.used():
        for provider in _PROVIDERS:
            _install_provider(provider, own.path, None, paths, progress)


def install(paths: Paths, progress: Progress) -> None:
    """Prepare the built engine for use.

    Raises:
        SandboxError: A provider could not be installed.
    """
    paths.state.mkdir(parents=True, exist_ok=True)
    if not paths.passphrase.exists():
        descriptor = os.open(paths.passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    if own_pulumi.used():
        return
    _bring_together()
    for provider, (_, part) in _PROVIDERS.items():
        # It would also work on PATH, but with a warning at each command.
        program = build.program(part, f"pulumi-resource-{provider}")
        _install_provider(provider, str(_programs() / "pulumi"), program, paths, progress)


def _install_provider(provider: str, pulumi: str, file: str | None, paths: Paths, progress: Progress) -> None:
    """Install a provider from the file, or from Pulumi's releases."""
    version, _ = _PROVIDERS[provider]
    if (_home() / "plugins" / f"resource-{provider}-v{version}").exists():
        return
    command = [pulumi, "plugin", "install", "resource", provider, version, *(["--file", file] if file else [])]
    with progress.step(f"{'installing' if file else 'downloading'} the provider {provider}"):
        environment = os.environ | variables(paths)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            instead = "" if file else f"\n{own_pulumi.VARIABLE}={Choice.BUILT} builds Pulumi and its providers instead"
            raise SandboxError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}{instead}")


def prepare(paths: Paths, progress: Progress) -> dict[str, str]:
    """Build and install missing parts of the engine for a cluster other than the sandbox; returns its environment.

    Raises:
        SandboxError: A build failed, or the provider could not be installed.
    """
    download(paths, progress)
    build.ensure(parts(), progress)
    install(paths, progress)
    path = os.pathsep.join([*map(str, directories()), *os.get_exec_path()])
    return {"PATH": path} | variables(paths)


def _home() -> Path:
    """Where the engine keeps its plugins."""
    if own_pulumi.used():
        return Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return cache() / "pulumi"


def _programs() -> Path:
    return cache() / "engine" / f"{key(PULUMI)}-{key(LANGUAGE_HOST)}"


def _bring_together() -> None:
    """Put the engine and the language host into one directory, as in a release.

    At each command, the engine warns about a language host that is not beside its own file. Links do not avoid this.
    """
    target = _programs()
    if target.exists():
        return
    target.parent.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent))
    for part in (PULUMI, LANGUAGE_HOST):
        for file in build.directory(part).iterdir():
            (scratch / file.name).hardlink_to(file)
    scratch.chmod(0o755)
    scratch.rename(target)
