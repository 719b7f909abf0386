"""Serves a model's folder on this machine, with the same server, libraries, variables and limits as when deployed."""

import hashlib
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from homeport.catalogue.container import (
    DRAIN_VARIABLE,
    METRICS_PORT,
    NAME_VARIABLE,
    READY_VARIABLE,
    SECRETS_VARIABLE,
    SERVE_VARIABLE,
    SERVING_PORT,
    VARIABLES,
)
from homeport.commands.errors import CommandError
from homeport.commands.run_limits import Limits, limits
from homeport.commands.virtualenv import virtualenv
from homeport.files import cache
from homeport.images.bases import python_of
from homeport.images.build_context import required
from homeport.rules.files import stated_files
from homeport.rules.places import in_model_file
from homeport.rules.served_code import served_code
from homeport.specs.documents import Document
from homeport.specs.environment import Defaults
from homeport.specs.model import Build, Model
from homeport.specs.problems import Problem, SpecError
from homeport.specs.quantities import byte_count, millicores

HOST = "127.0.0.1"
METRICS_ABOVE = METRICS_PORT - SERVING_PORT
"""Difference of the metrics port and the server's port, as in a container."""


class RunError(CommandError):
    """The model cannot be served here. The text says why and what to do."""


@dataclass(frozen=True)
class Serving:
    """A model that is ready to be served."""

    model: Model
    folder: Path
    port: int
    limits: Limits
    command: Sequence[str]
    variables: Mapping[str, str]
    hints: Sequence[str] = ()
    """What may be wrong with the code, one line each."""

    @property
    def lines(self) -> list[str]:
        """Lines to print before the model is served."""
        said = ", ".join(
            f"{field} is not stated, so it is the default"
            for field in ("cpu", "memory")
            if getattr(self.model.resources, field) is None
        )
        return [
            *self.hints,
            *self.limits.lines,
            *([said] if said else []),
            f"{self.model.name} is being loaded; Ctrl-C ends it",
        ]

    def serve(self) -> NoReturn:
        """Replace this process by the server, so that signals reach it and its exit code is that of this process."""
        self.limits.apply()
        sys.stdout.flush()
        sys.stderr.flush()
        if not self.limits.command:
            os.execve(self.command[0], [*self.command], dict(self.variables))  # noqa: S606  # no shell is wanted
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        # systemd-run needs variables of the user, which the server must not get.
        os.execvp(self.limits.command[0], [*self.limits.command, "env", "-i", *variables, *self.command])  # noqa: S606


def prepare(folder: Path, port: int, server: str) -> Serving:
    """Read a model, make its virtual environment and find out which limits this machine supports.

    Raises:
        SpecError: The `model.yaml` is not valid, or a file or a secret that it names is missing.
        RunError: The model does not use homeport's server, or the port is in use.
        VirtualenvError: The virtual environment cannot be made.
    """
    document = Document.read(folder / "model.yaml")
    model = document.validate(Model)
    build = _build(model, folder)
    place = partial(in_model_file, document)
    problems = list(stated_files(build, folder, place))
    code = served_code(build, folder, place, python_of(build.base))
    problems += code.problems
    if problems := [*problems, *_missing_secrets(model, document)]:
        raise SpecError(problems)
    for number in (port, port + METRICS_ABOVE):
        _check_free(number)
    python = virtualenv(required(build, folder), python_version(build.base), server)
    defaults = Defaults()
    return Serving(
        model,
        folder,
        port,
        limits(model.resources.cpu or defaults.cpu, model.resources.memory or defaults.memory),
        [str(python), "-m", "homeport_server", str(_served(folder, build))],
        _variables(model, build, port, python) | {READY_VARIABLE: "\n".join(_invitation(model, folder, port))},
        tuple(map(str, code.hints)),
    )


def _invitation(model: Model, folder: Path, port: int) -> Iterator[str]:
    """What to do when the model is ready. The server tells it, because before that it may still fail."""
    request = folder / "request.json"
    body = f"-d @{shlex.quote(str(request))} " if request.exists() else ""
    path = f"/v2/models/{model.name}" + ("/infer" if body else "")
    yield f"{model.name}: http://{HOST}:{port}, metrics on port {port + METRICS_ABOVE}; Ctrl-C ends it"
    yield f"curl {body}http://{HOST}:{port}{path}"


def python_version(base: str | None) -> str:
    """The version of Python in the name of a base image, such as python-3.11; by default homeport's own version."""
    major, minor = python_of(base) or sys.version_info[:2]
    return f"{major}.{minor}"


def _build(model: Model, folder: Path) -> Build:
    size = [f"--cpus={millicores(cpu) / 1000:g}"] if (cpu := model.resources.cpu) else []
    size += [f"--memory={byte_count(memory)}"] if (memory := model.resources.memory) else []
    own = " ".join(["docker run --rm --read-only --tmpfs /tmp", *size])
    run = f"{own} -p {HOST}:{model.serving_port}:{model.serving_port}"
    if model.build is None:
        raise RunError(
            f"`homeport run` needs `build`, and the model has `image`; instead, run: {run} {model.image}:VERSION"
        )
    if model.build.dockerfile:
        file, context = shlex.quote(str(folder / model.build.dockerfile)), shlex.quote(str(folder))
        raise RunError(
            "`homeport run` does not serve a model with its own Dockerfile; instead, run: "
            f"docker build -t {model.name} -f {file} {context} && {run} {model.name}"
        )
    return model.build


def _missing_secrets(model: Model, document: Document) -> Iterator[Problem]:
    own = os.environ.get(SECRETS_VARIABLE, "")
    # Files in the model's folder get into its image.
    usable = own and not Path(own).resolve().is_relative_to(document.path.parent.resolve())
    for index, secret in enumerate(model.secrets):
        if not usable or not (Path(own) / secret.name).is_file():
            message = (
                f'found no value of "{secret.name}": set the variable {SECRETS_VARIABLE} to a folder outside the '
                f"repository that has a file of this name (found {own or 'nothing'})"
            )
            yield document.problem(("secrets", index), message)


def _served(folder: Path, build: Build) -> Path:
    """The model's folder, or a folder with links to its `files` only, so that a forgotten file is missing here too."""
    if not build.files:
        return folder.resolve()
    place = cache() / "served" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    shutil.rmtree(place, ignore_errors=True)
    for file in sorted(build.files):
        link = place / file
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():  # it may be part of a folder that is linked already
            link.symlink_to((folder / file).resolve())
    return place


def _variables(model: Model, build: Build, port: int, python: Path) -> dict[str, str]:
    serve = {SERVE_VARIABLE: build.serve} if build.serve else {}
    secrets = {SECRETS_VARIABLE: str(Path(os.environ[SECRETS_VARIABLE]).resolve())} if model.secrets else {}
    here = {
        "PATH": f"{python.parent}{os.pathsep}{os.defpath}",
        # In an image, files are already compiled. Here the first start compiles them, outside the model's folder.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(python.parent.parent / "compiled"),
        NAME_VARIABLE: model.name,
        "MLSERVER_HOST": HOST,
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_METRICS_PORT": str(port + METRICS_ABOVE),
        DRAIN_VARIABLE: str(model.drain_seconds),
    }
    return {**VARIABLES, **here, **serve, **secrets, **model.env}


def _check_free(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        raise RunError(f"port {port} of {HOST} is in use: choose another --port") from None
