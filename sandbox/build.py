"""Builds the parts that are needed and missing, each once per machine.

A built part is a directory in the cache, named by the hash of all that decides its content, and appears there in one
rename: what exists is complete.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from sandbox import estimate
from sandbox.errors import SandboxError
from sandbox.jobs import Job, Stop, locked, run, run_all
from sandbox.machine import require_go
from sandbox.parts import Part, flags, key
from sandbox.paths import cache
from sandbox.progress import Progress, duration

# The compiler needs up to 4.5 GB for one package of the Kubernetes provider.
_MEMORY_FOR_TWO_BUILDS = 15 * 2**30
# What is done of a part when all of its packages are compiled: linking follows.
_ALL_BUT_LINKED = 0.97
# Another version of Go has a few packages more.
_MORE_THAN_KNOWN = 1.1


def directory(part: Part) -> Path:
    """Where the part's programs are, once built."""
    return cache() / "parts" / f"{part.name}-{key(part)}"


def program(part: Part, name: str) -> str:
    """The path of one of the part's programs."""
    return str(directory(part) / name)


def missing(parts: Iterable[Part]) -> list[Part]:
    """Those of `parts` that are not built."""
    return [part for part in parts if not directory(part).exists()]


def ensure(parts: Iterable[Part], progress: Progress, beside: Sequence[Job] = ()) -> None:
    """Builds those of `parts` that are missing.

    Args:
        parts: In any order.
        progress: Is told of it.
        beside: What else is to be done meanwhile.

    Raises:
        SandboxError: Go is missing or too old, a build failed, or what is done beside it.
    """
    builds = [_Build(part, progress) for part in estimate.longest_first(missing(parts))]
    if builds:
        require_go()
        progress.say(f"building from source, once: {', '.join(build.part.name for build in builds)}")
    compiling = [Job(build.part.name, build.run) for build in builds]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    builders = 2 if memory >= _MEMORY_FOR_TWO_BUILDS else 1
    begun = time.monotonic()

    def describe() -> str:
        doing = [job.title for job in (*compiling, *beside) if job.running]
        return estimate.sentence(doing, [build.state() for build in builds], time.monotonic() - begun)

    with progress.live(describe):
        run_all([(builders, compiling), *((1, [job]) for job in beside)])


class _Build:
    """The building of one part."""

    def __init__(self, part: Part, progress: Progress) -> None:
        self.part = part
        self._progress = progress
        self._target = directory(part)
        self._log = cache() / "logs" / f"build-{self._target.name}.log"
        self._before = self._done()

    def state(self) -> estimate.Work:
        """How far it is."""
        done, cost = self._done(), self.part.cost
        # So much that was to be there already is compiled for this part that its cost is not known.
        known = cost is not None and (done == 1.0 or self._compiled() <= _MORE_THAN_KNOWN * cost.packages)
        return estimate.Work(cost.seconds if cost and known else None, done, self._before)

    def _done(self) -> float:
        if self._target.exists():
            return 1.0
        return min(self._compiled() / self.part.cost.packages, _ALL_BUT_LINKED) if self.part.cost else 0.0

    def _compiled(self) -> int:
        if not self._log.exists():
            return 0
        # `go build -v` writes one line for each package that it compiles, and others that start with "go: ".
        lines = {line for line in self._log.read_text(errors="replace").splitlines() if not line.startswith("go: ")}
        return len(lines)

    def run(self, stop: Stop) -> None:
        """Builds, unless another process just did."""
        begun = time.monotonic()
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._target.with_suffix(".lock"), stop):
            if self._target.exists():
                return
            self._build(stop)
            self._log.unlink()  # one that stays is of a build that did not end, and tells the next one how far it was
        self._progress.say(f"{'built ' + self.part.name:<44} {duration(time.monotonic() - begun):>7}")

    def _build(self, stop: Stop) -> None:
        part, target = self.part, self._target
        source = part.sources / part.name
        for abandoned in target.parent.glob(f".{target.name}-*"):  # by a builder that was killed: we hold the lock
            shutil.rmtree(abandoned)
        with tempfile.TemporaryDirectory(
            dir=target.parent, prefix=f".{target.name}-", ignore_cleanup_errors=True
        ) as scratch:
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
                self._compile(command, source, Path(scratch), stop)
            for module, path in part.scripts:
                script = made / Path(path).name
                shutil.copyfile(module_directory(module, source) / path, script)
                script.chmod(0o755)
            for name, others in part.links.items():
                for other in others:
                    (made / other).symlink_to(name)
            made.rename(target)

    def _compile(self, command: list[str], source: Path, scratch: Path, stop: Stop) -> None:
        # A `go build` that is interrupted leaves gigabytes where it works.
        environment = _go_environment() | {"GOTMPDIR": str(scratch)}
        with self._log.open("a") as log:
            done = run(command, stop, cwd=source, env=environment, stdout=log, stderr=subprocess.STDOUT)
        if done.returncode != 0:
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
