"""The Dockerfile of a model, and the files of its folder that the build sees. Both are text made only from specs.

The steps that change least come first: base image, Debian packages, Python packages, files of the model. Layers above a
change come from the builder's cache and are in the registry already. Labels change with every commit, so they are not
in the Dockerfile: `ModelImage` adds them.
"""

from collections.abc import Sequence

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
from homeport.specs.environment import PipVariable
from homeport.specs.model import Build

_UNSEEN = ("**/.*", "**/__pycache__", "model.yaml")
"""Files that no image needs. A change of them must not cause a new image."""

_REMOVE_TOOLS = (
    "rm -rf /usr/bin/apt /usr/bin/apt-* /usr/lib/apt /usr/bin/pip* /usr/local/bin/pip* /usr/share/python-wheels "
    "/usr/lib/python3*/ensurepip /usr/local/lib/python3*/ensurepip /usr/lib/python3/dist-packages/pip* "
    "/usr/local/lib/python3*/site-packages/pip*"
)

_SECRETS = "/run/secrets"  # where BuildKit mounts them


def dockerfile(  # noqa: PLR0913  # each of them is in the text
    name: str, build: Build, *, base: str, server: str, hashed: bool, pip: Sequence[PipVariable] = ()
) -> str:
    """The Dockerfile of a model.

    Args:
        name: Name of the model in the server's paths.
        build: The model's `build`.
        base: Reference of the base image.
        server: Version of homeport-server.
        hashed: Whether the requirements have hashes. If so, every package needs one.
        pip: Variables that pip gets as build secrets.
    """
    requirements = ["", f"COPY {build.requirements} /build/requirements.txt"] if build.requirements else []
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
        *requirements,
        *_install(build, server, hashed, pip),
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


def ignored(build: Build, stated: Sequence[str]) -> str:
    """The `.dockerignore` with the files of the folder that the build does not see.

    Args:
        build: The model's `build`.
        stated: Lines of the folder's own `.dockerignore`.
    """
    if build.files:
        seen = [*build.files, *([build.requirements] if build.requirements else [])]
        lines = ["*", *(f"!{file}" for file in seen), "**/__pycache__"]
    else:
        kept = [f"!{build.requirements}"] if build.requirements else []
        lines = [*stated, *_UNSEEN, *kept]
    # What is stated decides what is served, with a server of an older version too.
    lines += [f"**/{SETTINGS}"] if build.serve else []
    return "\n".join(lines) + "\n"


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


def _install(build: Build, server: str, hashed: bool, pip: Sequence[PipVariable]) -> list[str]:
    """Installs the requirements, then compiles them without timestamps, so that the time of the files does not matter.

    Only wheels are installed, because a source distribution runs its own code during installation, with access to pip's
    credentials.
    """
    install = (
        f"/opt/pip/bin/pip --python {LIBRARIES}/bin/python install --only-binary=:all: --no-compile --progress-bar=off"
    )
    required, with_server = "-r /build/requirements.txt", f"homeport-server=={server}"
    if not build.requirements:
        commands = [f"{install} {with_server}"]
    elif hashed:
        # A lock file lists everything that may be installed. The server is installed afterwards, with these versions.
        freeze = f"/opt/pip/bin/pip --python {LIBRARIES}/bin/python freeze > /build/installed"
        commands = [f"{install} --require-hashes {required}", freeze]
        commands.append(f"{install} --quiet --constraint /build/installed {with_server}")
    else:
        commands = [f"{install} {with_server} {required}"]
    mounts = ["--mount=type=cache,target=/root/.cache/pip", *(f"--mount=type=secret,id={name}" for name in pip)]
    compiling = f"{LIBRARIES}/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash {LIBRARIES}/lib"
    return [
        f"RUN {' '.join(mounts)} <<'EOF'",
        "set -e",
        *(_secret(name) for name in pip),
        *commands,
        # Some packages contain files for other versions of Python.
        f"{compiling} > /dev/null || true",
        "EOF",
    ]


def _secret(name: PipVariable) -> str:
    """Set a variable for pip if the builder's machine has it: a path for a file, otherwise the value."""
    file = f"{_SECRETS}/{name}"
    value = file if name in {"PIP_CERT", "PIP_CONFIG_FILE"} else f'"$(cat {file})"'
    return f"[ ! -s {file} ] || export {name}={value}"
