"""The releases of every example and stack of this repository: what there is to audit."""

from pathlib import Path

from homeport import Environment, Model, Release, Stack
from homeport.catalogue.servers import SERVERS
from homeport.stack import MODELS_FILE
from tests.support import EXAMPLES, ROOT

DIGEST = f"sha256:{'0' * 64}"


def examples() -> dict[str, list[Release]]:
    """Name -> releases. Where an environment has no model yet, that of `examples/own-program` stands in."""
    return {_name(file): _releases(file) for file in sorted(environment_files())} | {"servers": _servers()}


def environment_files() -> set[Path]:
    """Every environment that this repository has, also those that nobody thought of here."""
    return {
        *(ROOT / "stacks").glob("*/environment.yaml"),
        *EXAMPLES.glob("**/environment.yaml"),
        *EXAMPLES.glob("**/environments/*.yaml"),
    }


def _releases(file: Path) -> list[Release]:
    if (file.parent / MODELS_FILE).exists() and (releases := Stack.read(file.parent).releases):
        return list(releases)
    near = [folder / "model.yaml" for folder in (file.parent, file.parent.parent)]
    environment = Environment.load(file)
    if own := next((path for path in near if path.exists()), None):
        model = Model.load(own)
    else:  # of a team that the environment has, and without networks that it may not allow
        other = Model.load(EXAMPLES / "own-program" / "model.yaml")
        model = other.model_copy(update={"owner": next(iter(environment.teams), other.owner), "egress": []})
    return [Release(model, environment, "3", f"{model.image}:3@{DIGEST}")]


def _servers() -> list[Release]:
    """A model of each server that images bring, in the place of `examples/own-program`."""
    folder = EXAMPLES / "own-program"
    base = Model.load(folder / "model.yaml").model_dump(include={"owner", "image", "scale"})
    models = [
        Model.model_validate({**base, "name": server, "server": server, "resources": {"memory": "4Gi"}})
        for server in SERVERS
    ]
    environment = Environment.load(folder / "environment.yaml")
    return [Release(model, environment, "3", f"{model.image}:3@{DIGEST}") for model in models]


def _name(file: Path) -> str:
    path = file.relative_to(ROOT)
    return str(path.parent if path.name == "environment.yaml" else path.with_suffix(""))
