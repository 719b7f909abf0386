"""The Pulumi engine: the user's own if there is one, else the one we build."""

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox import build
from sandbox.errors import SandboxError
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

# The first whose engine is known to run what the library uses; the library asks the same of the SDK.
OLDEST_USABLE = (3, 219)


def parse_version(text: str) -> tuple[int, int] | None:
    """The version in the output of `pulumi version`, or None if there is none."""
    match = re.match(r"v?(\d+)\.(\d+)\.", text.strip())
    return (int(match[1]), int(match[2])) if match else None


def own_engine() -> str | None:
    """A `pulumi` that the user installed and that is new enough; it brings its own language hosts and plugins."""
    ours = str(cache())
    path = os.pathsep.join(entry for entry in os.get_exec_path() if not entry.startswith(ours))
    found = shutil.which("pulumi", path=path)
    if found is None:
        return None
    environment = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    done = subprocess.run([found, "version"], capture_output=True, text=True, check=False, env=environment)
    version = parse_version(done.stdout)
    return found if version is not None and version >= OLDEST_USABLE else None


def directories() -> list[Path]:
    """What belongs on PATH for the engine, which runs a program with the first `python`: the one that has homeport."""
    return [Path(sys.executable).parent, *([] if own_engine() else [_programs()])]


def variables(paths: Paths) -> dict[str, str]:
    """The environment in which the engine keeps its state in the sandbox's own directories."""
    own = {} if own_engine() else {"PULUMI_HOME": str(_home())}
    return own | {
        "PULUMI_BACKEND_URL": f"file://{paths.state}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(paths.passphrase),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def parts() -> tuple[Part, ...]:
    """What has to be built for the engine: the language host asks for the providers of all packages that are there."""
    return () if own_engine() else ENGINE


def install(paths: Paths, progress: Progress) -> None:
    """Makes the engine, once built, ready for use.

    Raises:
        SandboxError: A provider could not be installed.
    """
    paths.state.mkdir(parents=True, exist_ok=True)
    if not paths.passphrase.exists():
        descriptor = os.open(paths.passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    if own_engine():
        return
    _bring_together()
    _install(paths, progress, "kubernetes", KUBERNETES_PROVIDER, KUBERNETES_PROVIDER_VERSION)
    _install(paths, progress, "docker-build", DOCKER_BUILD_PROVIDER, DOCKER_BUILD_PROVIDER_VERSION)


def _install(paths: Paths, progress: Progress, name: str, provider: Part, version: str) -> None:
    """Found on PATH it would work too, but with a warning to the user at each command."""
    if (_home() / "plugins" / f"resource-{name}-v{version}").exists():
        return
    with progress.step(f"installing the provider {name}"):
        binary = build.program(provider, f"pulumi-resource-{name}")
        command = ["plugin", "install", "resource", name, version, "--file", binary]
        done = subprocess.run(
            [str(_programs() / "pulumi"), *command],
            env=os.environ | variables(paths),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SandboxError(f"installing the provider {name} failed:\n{done.stdout}{done.stderr}")


def prepare(paths: Paths, progress: Progress) -> dict[str, str]:
    """Builds and installs what is missing of the engine, for a cluster that is not ours; returns its environment.

    Raises:
        SandboxError: A build failed, or the provider could not be installed.
    """
    build.ensure(parts(), progress)
    install(paths, progress)
    path = os.pathsep.join([*map(str, directories()), *os.get_exec_path()])
    return {"PATH": path} | variables(paths)


def _home() -> Path:
    return cache() / "pulumi"


def _programs() -> Path:
    return cache() / "engine" / f"{key(PULUMI)}-{key(LANGUAGE_HOST)}"


def _bring_together() -> None:
    """Puts the engine and the language host into one directory, as a release has them.

    The engine warns at each command about a language host that is not beside its own file; links would not convince it.
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
