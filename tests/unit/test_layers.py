"""The house: which part of the library may import which, so that what is known flows one way."""

import ast
from collections.abc import Iterator, Mapping

import pytest

from homeport.rules.cycles import cycles
from tests.support import ROOT

LIBRARY = ROOT / "components"

LAYERS: tuple[set[str], ...] = (
    {"catalogue", "files", "lock", "output"},
    {"errors"},
    {"git"},
    {"project", "provenance"},
    {"specs"},
    {"served"},
    {"nodes", "images", "pulumi_project"},
    {"release"},
    {"rules"},
    {"stack", "manifests"},
    {"ownership", "rollout", "needs"},
    {"edits", "promises", "pace"},
    {"components", "commands"},
    {"cli"},
    {"homeport"},
)
"""Modules and packages of the library; each imports itself and what is in the layers above it in this list, no more."""

DOOR = {
    ("homeport.stack", "homeport.components.deploy"),
    ("homeport.stack", "homeport.components.model_service"),  # for the type of what it returns
}
"""`Stack.deploy()` is public, and is the one way from what is read to what is deployed (docs/decisions/0037)."""

PULUMI = {"pulumi", "pulumi_kubernetes", "pulumi_docker_build"}

Edges = set[tuple[str, str]]


def modules() -> dict[str, str]:
    """Sources by name of the module. Templates are files of new models, not of the library."""
    paths = (path for path in (LIBRARY / "homeport").rglob("*.py") if "templates" not in path.parts)
    names = {path: ".".join(path.relative_to(LIBRARY).with_suffix("").parts) for path in paths}
    return {name.removesuffix(".__init__"): path.read_text(encoding="utf-8") for path, name in names.items()}


MODULES = modules()


def imported(source: str) -> Iterator[str]:
    """What a module imports, wherever in it: in a function, or for types only, too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not followed"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def edges(sources: Mapping[str, str]) -> Edges:
    found = {(name, target) for name, source in sources.items() for target in imported(source) if target in MODULES}
    return found - DOOR


def part(module: str) -> str:
    """The module or package below `homeport`; `homeport` of itself."""
    return module.split(".")[:2][-1]


def back(found: Edges) -> Edges:
    """Edges that do not lead to a layer above."""
    layer = {name: number for number, names in enumerate(LAYERS) for name in names}
    return {(a, b) for a, b in found if part(a) != part(b) and layer[part(a)] <= layer[part(b)]}


def rings(found: Edges) -> list[tuple[str, ...]]:
    return cycles({module: [b for a, b in sorted(found) if a == module] for module in MODULES})


def test_every_part_has_its_layer() -> None:
    assert {part(module) for module in MODULES} == set[str]().union(*LAYERS)


def test_no_import_runs_back() -> None:
    assert back(edges(MODULES)) == set()


def test_no_modules_import_each_other() -> None:
    assert rings(edges(MODULES)) == []


def test_only_components_import_pulumi() -> None:
    importing = {name for name, source in MODULES.items() if PULUMI & {each.split(".")[0] for each in imported(source)}}
    assert {part(name) for name in importing} == {"components"}


def test_the_door_is_used() -> None:
    found = {("homeport.stack", target) for target in imported(MODULES["homeport.stack"])}
    assert found >= DOOR


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("homeport.catalogue.clouds", "from homeport.specs.environment import Toleration"),
        ("homeport.images.dockerfile", "from homeport.manifests import pod"),
        ("homeport.commands.check", "def deploy():\n    import homeport.components.deploy"),
        ("homeport.release", "if TYPE_CHECKING:\n    from homeport import Stack"),
    ],
)
def test_an_import_that_runs_back_is_found(module: str, line: str) -> None:
    ((found, _),) = back(edges({module: f"{MODULES[module]}\n{line}"}))
    assert found == module


def test_a_ring_is_found() -> None:
    module = "homeport.specs.quantities"
    found = rings(edges(MODULES | {module: "from homeport.specs.fields import Cpu"}))
    assert ("homeport.specs.fields", module, "homeport.specs.fields") in found
