"""The Dockerfile of a model, and the files of its folder that the build sees. Both are text made only from specs.

Nothing that the author of a model chooses runs during the build: pip installs wheels, and the Python that it installs
them for is not started again.

The steps that change least come first: base image, Debian packages, Python packages, files of the model. Layers above a
change come from the builder's cache and are in the registry already. Labels change with every commit, so they are not
in the Dockerfile: `ModelImage` adds them.
"""

from collections.abc import Sequence
from importlib.resources import files

from homeport.catalogue.container import (
    CODE,
    LIBRARIES,
    METRICS_PORT,
    NAME_VARIABLE,
    SERVE_VARIABLE,
    SERVING_PORT,
    SETTINGS,
    UID,
    VARIABLES,
)
from homeport.images.pip_settings import CERTIFICATES, CONFIGURATION, SECRETS
from homeport.images.requirements import Requirements
from homeport.specs.environment import PipVariable
from homeport.specs.model import Build

NEVER_SEEN = tuple(
    f"**/{name}{below}" for name in ("__pycache__", ".homeport", ".git", ".[gG][iI][tT]") for below in ("", "/**")
)
"""What no build sees, whatever the author states: among it the credentials of a clone. Some file systems ignore case.

The folder's name alone would not do: BuildKit does not ask a line about a folder that lines before it leave out already,
and so forgets that line for the files in the folder when one of those before it brings a file back.
"""

_UNSEEN = ("**/.*", "model.yaml")
"""Files that no image needs. A change of them must not cause a new image."""

_REMOVE_TOOLS = (
    "rm -rf /usr/bin/apt /usr/bin/apt-* /usr/lib/apt /usr/bin/pip* /usr/local/bin/pip* /usr/share/python-wheels "
    "/usr/lib/python3*/ensurepip /usr/local/lib/python3*/ensurepip /usr/lib/python3/dist-packages/pip* "
    "/usr/local/lib/python3*/site-packages/pip*"
)


def dockerfile(  # noqa: PLR0913  # each of them is in the text
    name: str,
    build: Build,
    requirements: Requirements,
    *,
    base: str,
    server: str,
    pip: Sequence[PipVariable] = (),
) -> str:
    """The Dockerfile of a model.

    Args:
        name: Name of the model in the server's paths.
        build: The model's `build`.
        requirements: What its requirements file asks for.
        base: Reference of the base image.
        server: Version of homeport-server.
        pip: Variables that pip gets as build secrets.
    """
    variables = VARIABLES | {"PATH": f"{LIBRARIES}/bin:/usr/local/bin:/usr/bin:/bin", NAME_VARIABLE: name}
    if build.serve:
        variables[SERVE_VARIABLE] = build.serve
    lines = [
        f"FROM {base} AS system",
        "USER 0",
        *_packages(build.packages),
        "",
        "FROM system AS builder",
        f"RUN python3 -m venv /opt/pip && python3 -m venv --without-pip {LIBRARIES}",
        *_written("/build/wheels_only.py", (files("homeport.images") / "wheels_only.py").read_text(encoding="utf-8")),
        *_install(requirements, server, pip),
        "",
        "FROM system",
        f"RUN {_REMOVE_TOOLS}",
        f"COPY --link --from=builder {LIBRARIES} {LIBRARIES}",
        "ENV " + " ".join(f"{variable}={value}" for variable, value in sorted(variables.items())),
        f"WORKDIR {CODE}",
        # One layer for each file in the stated order, so that only large files that have changed are pushed.
        *(f"COPY --link --chmod=u=rwX,go=rX {source} {target}" for source, target in _files(build)),
        f"USER {UID}:{UID}",
        f"EXPOSE {SERVING_PORT} {METRICS_PORT}",
        f'CMD ["homeport-server", "{CODE}"]',
    ]
    return "\n".join(lines) + "\n"


def ignored(build: Build, stated: Sequence[str]) -> list[str]:
    """The `.dockerignore` with the files of the folder that the build does not see. The last line that matches counts.

    Args:
        build: The model's `build`.
        stated: Lines of the folder's own `.dockerignore`.
    """
    if build.dockerfile:
        return [*stated, *NEVER_SEEN]
    if build.files:
        lines = ["*", *(f"!{file}" for file in build.files), *NEVER_SEEN]
    else:
        lines = [*stated, *_UNSEEN, *NEVER_SEEN]
    # What is stated decides what is served, with a server of an older version too.
    return [*lines, f"**/{SETTINGS}"] if build.serve else lines


def _files(build: Build) -> list[tuple[str, str]]:
    """Sources and targets of the copied files."""
    return [(file, f"{CODE}/{file}") for file in build.files] or [(".", f"{CODE}/")]


def _packages(packages: Sequence[str]) -> list[str]:
    if not packages:
        return []
    install = f"apt-get -q install --yes --no-install-recommends {' '.join(sorted(packages))}"
    return [
        "RUN apt-get -q update \\",
        f"    && DEBIAN_FRONTEND=noninteractive {install} \\",
        "    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*",
    ]


def _written(path: str, content: str) -> list[str]:
    """Writes a file in the image. The context is the author's, so it cannot bring what pip is told."""
    # Quoted, so that nothing in it is expanded. No line may be the mark; names of packages are in lower case.
    return [f"COPY <<'EOF' {path}", *content.splitlines(), "EOF"]


def _install(requirements: Requirements, server: str, pip: Sequence[PipVariable]) -> list[str]:
    """Installs the requirements, then compiles them without timestamps, so that the time of the files does not matter.

    A source distribution runs its own code during installation, with access to pip's credentials. So would a wheel, if the
    Python for which it is installed were started afterwards: it may bring a `.pth` file, or replace `bin/python`.
    """
    install = (
        f"{LIBRARIES}/bin/python -I /build/wheels_only.py /opt/pip/lib/python3*/site-packages/pip/__pip-runner__.py "
        "install --only-binary=:all: --no-compile --progress-bar=off --disable-pip-version-check"
    )
    required, with_server = "-r /build/requirements.txt", f"homeport-server=={server}"
    written = _written("/build/requirements.txt", requirements.text) if requirements.packages else []
    if not requirements.packages:
        commands = [f"{install} {with_server}"]
    elif requirements.hashed:
        # A lock file lists everything that may be installed but the server, which is installed before it, with its versions.
        written += _written("/build/constraints.txt", requirements.constraints)
        commands = [f"{install} --constraint /build/constraints.txt {with_server}"]
        # pip checks hashes only now, so it installs again what both of them bring.
        commands.append(f"{install} --quiet --force-reinstall --require-hashes {required}")
    else:
        commands = [f"{install} {with_server} {required}"]
    secrets = [*([CONFIGURATION] if pip else []), *([CERTIFICATES] if CERTIFICATES in pip else [])]
    mounts = ["--mount=type=cache,target=/root/.cache/pip", *(f"--mount=type=secret,id={name}" for name in secrets)]
    return [
        *written,
        f"RUN {' '.join(mounts)} <<'EOF'",
        "set -e",
        *(f"export PIP_CONFIG_FILE={SECRETS}/{name}" for name in secrets[:1]),
        *commands,
        # Some packages contain files for other versions of Python.
        f"/opt/pip/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash {LIBRARIES}/lib > /dev/null || true",
        "EOF",
    ]
