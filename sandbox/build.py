"""Builds missing parts, each once per machine.

A built part is a directory in the cache. Its name is the hash of everything that decides its content. It appears in one
rename, so a directory that exists is complete.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from homeport.lock import locked
from sandbox import estimate
from sandbox.errors import SandboxError
from sandbox.jobs import Job, Stop, run, run_all
from sandbox.machine import require_go
from sandbox.parts import Part, flags, key
from sandbox.paths import cache
from sandbox.progress import Progress, duration

# Share of a part that is done when all of its packages are compiled; linking follows.
_ALL_BUT_LINKED = 0.97
# Another version of Go has a few packages more.
_MORE_THAN_KNOWN = 1.1


def directory(part: Part) -> Path:
    """Folder of the part's programs, once they are built."""
    return cache() / "parts" / f"{part.name}-{key(part)}"


def program(part: Part, name: str) -> str:
    """The path of one of the part's programs."""
    return str(directory(part) / name)


def missing(parts: Iterable[Part]) -> list[Part]:
    """The `parts` that are not built yet."""
    return [part for part in parts if not directory(part).exists()]


def ensure(parts: Iterable[Part], progress: Progress, beside: Sequence[Job] = ()) -> None:
    """Build the missing `parts`.

    Args:
        parts: The parts, in the order in which they are built.
        progress: Reports the progress.
        beside: Other work to do at the same time.

    Raises:
        SandboxError: Go is missing or too old, or a build or the other work failed.
    """
    builds = [_Build(part, progress) for part in missing(parts)]
    if builds:
        require_go()
        progress.say(f"building from source, once: {', '.join(build.part.name for build in builds)}")
    compiling = [Job(build.part.name, build.run) for build in builds]
    begun = time.monotonic()

    def describe() -> str:
        doing = [job.title for job in (*compiling, *beside) if job.running]
        return estimate.sentence(doing, [build.state() for build in builds], time.monotonic() - begun)

    with progress.live(describe):
        # One after another, because a build uses every processor, and two at once would compile shared packages twice.
        run_all([compiling, *([job] for job in beside)])


class _Build:
    """The build of one part."""

    def __init__(self, part: Part, progress: Progress) -> None:
        self.part = part
        self._progress = progress
        self._target = directory(part)
        self._log = cache() / "logs" / f"build-{self._target.name}.log"
        self._before = self._done()

    def state(self) -> estimate.Work:
        """The share that is done, 0 to 1."""
        done, cost = self._done(), self.part.cost
        # Packages that an earlier part usually compiles are compiled here, so the known cost does not hold.
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
        """Build the part, unless another process has just built it."""
        begun = time.monotonic()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._target.with_suffix(".lock"), stop.check):
            if self._target.exists():
                return
            self._build(stop)
            self._log.unlink()  # a log that remains is from an unfinished build; from it, the next build knows how far it was
        self._progress.say(f"{'built ' + self.part.name:<44} {duration(time.monotonic() - begun):>7}")

    def _build(self, stop: Stop) -> None:
        part, target = self.part, self._target
        source = part.directory
        for abandoned in target.parent.glob(f".{target.name}-*"):  # left by a killed builder, because we hold the lock
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
                    str(package / Path(path).name): str(module_directory(module, source) / path)
                    for package in part.own_packages
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
        # An interrupted `go build` leaves gigabytes in its temporary folder.
        environment = _go_environment() | {"GOTMPDIR": str(scratch)}
        with self._log.open("a") as log:
            done = run(command, stop, cwd=source, env=environment, stdout=log, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            last = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise SandboxError(f"building {self.part.name} failed; the end of {self._log}:\n{last}")


def _go_environment() -> dict[str, str]:
    # The user's GOFLAGS, GOWORK and cgo would change the result, so they are unset; proxies and caches stay.
    return os.environ | {"GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}


def module_directory(module: str, source: Path) -> Path:
    """The directory in Go's module cache of a module that the module in `source` requires."""
    for command in (["go", "mod", "download", module], ["go", "list", "-m", "-f", "{{.Dir}}", module]):
        done = subprocess.run(command, cwd=source, env=_go_environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SandboxError(f"{' '.join(command)} failed in {source}:\n{done.stderr}")
    return Path(done.stdout.strip())
