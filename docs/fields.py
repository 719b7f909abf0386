"""The tables of fields and servers in model.md and environment.md, generated from the specs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from homeport.catalogue.servers import SERVERS
from homeport.specs.environment import Environment
from homeport.specs.live_models import LiveModels
from homeport.specs.model import Model

PAGES: dict[str, tuple[type[BaseModel], ...]] = {"model.md": (Model,), "environment.md": (Environment, LiveModels)}


def page(name: str) -> str:
    """The page with the current fields."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    for spec in PAGES[name]:
        table = "| field | what it says |\n|---|---|\n" + "\n".join(_rows(spec, "")) + "\n"
        marks = rf"(<!-- fields of {spec.__name__} -->\n).*?(<!-- end -->)"
        text = re.sub(marks, lambda match, table=table: match[1] + table + match[2], text, flags=re.DOTALL)  # type: ignore[misc]
    servers = "\n".join(_servers()) + "\n"
    return re.sub(
        r"(<!-- servers -->\n).*?(<!-- end -->)", lambda match: match[1] + servers + match[2], text, flags=re.S
    )


def _servers() -> Iterator[str]:
    yield "| `server` | port | live, ready | metrics | `/dev/shm` | `/tmp` | seconds | variables | sources |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, row in SERVERS.items():
        spec = Model.model_validate({"name": "any", "owner": "any", "image": "example.com/any", "server": name})
        health, metrics = spec.health_paths, spec.metrics_endpoint
        sources = ", ".join(f"[{number}]({source})" for number, source in enumerate(row.sources, 1))
        yield (
            f"| `{name}` | {spec.serving_port} | `{health.live}`, `{health.ready}` | "
            f"{f'`{metrics.path}` on {metrics.port}' if metrics else ''} | {spec.resources.shm} | {spec.resources.tmp} | "
            f"{spec.startup_seconds} | {', '.join(f'`{key}={value}`' for key, value in spec.env.items())} | {sources} |"
        )


def _rows(spec: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in spec.model_fields.items():
        required = " **Required.**" if field.is_required() else ""
        yield f"| `{prefix}{name}` | {field.description}{required} |"
        for part, suffix in parts(field.annotation):
            yield from _rows(part, f"{prefix}{name}{suffix}.")


def parts(annotation: Any, suffix: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """The specs inside an annotation, each with the text between the field's name and the names of its own fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, suffix
    inner: dict[object, str] = {list: "[]", dict: ".<name>"}
    for part in get_args(annotation):
        yield from parts(part, suffix + inner.get(get_origin(annotation), ""))
