"""Builds the parts that are needed and missing, each once per machine.

A built part is a directory in the cache, named by the hash of all that decides its content, and appears there in one
rename: what exists is complete.
"""

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from homeport.lock import locked
from sandbox.errors import SandboxError
from sandbox.machine import require_go
from sandbox.parts import Part, flags, key
from sandbox.paths import cache
from sandbox.progress import Progress, duration

_POLL_SECONDS = 0.5
# The compiler needs up to 4.5 GB for one package of the Kubernetes provider.
_MEMORY_FOR_TWO_BUILDS = 15 * 2**30


def directory(part: Part) -> Path:
    """Where the part's programs are, once built."""
    return cache() / "parts" / f"{part.name}-{key(part)}"


def program(part: Part, name: str) -> str:
    """The path of one of the part's programs."""
    return str(directory(part) / name)


def ensure(parts: Sequence[Part], progress: Progress) -> None:
    """Builds those of `parts` that are missing.

    Raises:
        SandboxError: Go is missing or too old, or a build failed.
    """
    missing = [part for part in parts if not directory(part).exists()]
    if not missing:
        return
    require_go()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    workers = 2 if memory >= _MEMORY_FOR_TWO_BUILDS else 1
    progress.say(f"building {', '.join(part.name for part in missing)} from source: once, some minutes each")
    stop = threading.Event()
    builds = [_Build(part, stop) for part in missing]
    with ThreadPoolExecutor(workers) as pool, progress.live() as show:
        futures = [pool.submit(build.run) for build in builds]
        try:
            reported: set[str] = set()
            while not all(future.done() for future in futures):
                time.sleep(_POLL_SECONDS)
                _report(builds, reported, progress)
                show(", ".join(build.describe(builds) for build in builds if build.running))
            _report(builds, reported, progress)
            failures = [failure for future in futures if (failure := future.exception())]
            # The first failure stops the other builds; theirs say nothing.
            for failure in sorted(failures, key=lambda failure: isinstance(failure, _StoppedError)):
                raise failure
        finally:
            stop.set()


def _report(builds: "Sequence[_Build]", reported: set[str], progress: Progress) -> None:
    for build in builds:
        if build.seconds is not None and build.part.name not in reported:
            reported.add(build.part.name)
            progress.say(f"{'built ' + build.part.name:<44} {duration(build.seconds):>7}")


class _StoppedError(SandboxError):
    """The build did not fail itself."""


class _Build:
    """The building of one part."""

    def __init__(self, part: Part, stop: threading.Event) -> None:
        self.part = part
        self.running = False
        self.seconds: float | None = None
        self._begun = 0.0
        self._compiled = 0
        self._stop = stop
        self._log = cache() / "logs" / f"build-{part.name}.log"

    def describe(self, builds: "Sequence[_Build]") -> str:
        """One phrase for the user who waits."""
        position = f"{builds.index(self) + 1}/{len(builds)}"
        elapsed = duration(time.monotonic() - self._begun)
        return f"building {self.part.name} ({position}): {elapsed}, {self._compiled} packages compiled"

    def run(self) -> None:
        """Builds, unless another process just did."""
        if self._stop.is_set():
            return
        self._begun = time.monotonic()
        self.running = True
        target = directory(self.part)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Two callers never build the same part: the second waits and finds it built.
            with locked(target.with_suffix(".lock")):
                if not target.exists():
                    self._build(target)
                    self.seconds = time.monotonic() - self._begun
        except BaseException:
            self._stop.set()
            raise
        finally:
            self.running = False

    def _build(self, target: Path) -> None:
        part = self.part
        source = part.sources / part.name
        for abandoned in target.parent.glob(f".{target.name}-*"):  # by a builder that was killed: we hold the lock
            shutil.rmtree(abandoned)
        with (
            tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch,
            self._log.open("w") as log,
        ):
            made = Path(scratch) / "programs"
            made.mkdir()
            extra = []
            if part.embedded:
                overlay = Path(scratch) / "overlay.json"
                files = {
                    str(source / Path(path).name): str(module_directory(module, source) / path)
                    for module, path in part.embedded
                }
                overlay.write_text(json.dumps({"Replace": files}))
                extra = ["-overlay", str(overlay)]
            for name, package in part.programs.items():
                command = ["go", "build", "-v", *flags(part), *extra, "-o", str(made / name), package]
                self._compile(command, source, log.fileno())
            for module, path in part.scripts:
                script = made / Path(path).name
                shutil.copyfile(module_directory(module, source) / path, script)
                script.chmod(0o755)
            for name, others in part.links.items():
                for other in others:
                    (made / other).symlink_to(name)
            made.rename(target)

    def _compile(self, command: list[str], source: Path, log: int) -> None:
        process = subprocess.Popen(command, cwd=source, env=_go_environment(), stdout=log, stderr=log)
        try:
            while process.poll() is None:
                if self._stop.wait(_POLL_SECONDS):
                    raise _StoppedError(f"building {self.part.name} was stopped")
                # `go build -v` writes one line for each package, and others that start with "go: ".
                lines = self._log.read_text(errors="replace").splitlines()
                self._compiled = sum(not line.startswith("go: ") for line in lines)
        finally:
            if process.returncode is None:
                process.terminate()
                process.wait()
        if process.returncode != 0:
            last = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise SandboxError(f"building {self.part.name} failed; the end of {self._log}:\n{last}")


def _go_environment() -> dict[str, str]:
    # GOFLAGS, GOWORK and cgo of the user would decide what is built; proxies and caches stay the user's.
    return os.environ | {"GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}


def module_directory(module: str, source: Path) -> Path:
    """The directory in Go's module cache of a module that the one in `source` requires."""
    for command in (["go", "mod", "download", module], ["go", "list", "-m", "-f", "{{.Dir}}", module]):
        done = subprocess.run(command, cwd=source, env=_go_environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SandboxError(f"{' '.join(command)} failed in {source}:\n{done.stderr}")
    return Path(done.stdout.strip())
