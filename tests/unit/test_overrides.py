"""Variables that override what an environment's file says: once, when it is read, and as the file itself is checked."""

import ast
from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, SpecError, cluster_provider
from homeport.specs.overrides import Override, overridden
from tests.unit.test_layers import MODULES, part

CONTENT: dict[str, Any] = {
    "cluster": {"context": "prod-eu", "identifier": "prod"},
    "images": {"registry": "registry.example.com/ml", "bases": {"python-3.11": "{registry}/base:1"}},
}
READERS = {
    "homeport.specs.environment",
    "homeport.stack",
    "homeport.files",
    "homeport.git",
    "homeport.images.wheels_only",
}
"""The modules that read files of environments, below commands and components, the one that knows where the cache
is, the one that cleans git's variables, and the one that runs pip in a build."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "environment.yaml"
    path.write_text(
        "cluster: {context: prod-eu, identifier: prod}\n"
        "images: {registry: registry.example.com/ml, bases: {python-3.11: '{registry}/base:1'}}\n"
    )
    return path


def test_without_variables_the_file_decides(file: Path) -> None:
    assert Environment.load(file) == Environment.model_validate(CONTENT)
    assert overridden(Environment.load(file), {"HOMEPORT_REGISTRY": ""}) == (Environment.load(file), ())


def test_variables_decide_when_a_file_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_REGISTRY", "127.0.0.1:5000")
    monkeypatch.setenv("HOMEPORT_CONTEXT", "kind-kind")
    found = Environment.load(file)
    monkeypatch.undo()
    images = CONTENT["images"] | {"registry": "127.0.0.1:5000"}
    assert found == Environment.model_validate(
        CONTENT | {"cluster": {"context": "kind-kind", "identifier": "kind-kind"}, "images": images}
    )
    assert found.images
    assert found.images.base("python-3.11") == "127.0.0.1:5000/base:1"


def test_an_environment_of_a_program_is_what_the_program_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_REGISTRY", "127.0.0.1:5000")
    monkeypatch.setenv("HOMEPORT_CONTEXT", "kind-kind")
    found = Environment.model_validate(CONTENT)
    assert found.model_dump(exclude_unset=True) == CONTENT


def test_a_part_that_the_environment_does_not_have_is_not_added() -> None:
    here = Environment.model_validate({"cluster": {"identifier": "prod"}})
    assert overridden(here, {"HOMEPORT_REGISTRY": "not a registry!"}) == (here, ())


def test_each_overridden_field_is_told() -> None:
    _, made = overridden(
        Environment.model_validate(CONTENT), {"HOMEPORT_CONTEXT": "kind", "HOMEPORT_REGISTRY": "r:5000"}
    )
    assert made == (
        Override("HOMEPORT_CONTEXT", "cluster.context", "kind"),
        Override("HOMEPORT_CONTEXT", "cluster.identifier", "kind"),
        Override("HOMEPORT_REGISTRY", "images.registry", "r:5000"),
    )


def test_the_version_of_the_files_cluster_is_not_that_of_the_variables() -> None:
    here = Environment.model_validate({"cluster": {"identifier": "prod", "version": "1.36"}})
    assert overridden(here, {"HOMEPORT_CONTEXT": "kind-kind"})[0].cluster.version is None
    assert overridden(here, {"HOMEPORT_REGISTRY": "localhost:5001"})[0].cluster.version == "1.36"


def test_a_variable_is_checked_as_the_file_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_REGISTRY", "https://registry.example.com")
    with pytest.raises(SpecError) as error:
        Environment.load(file)
    assert str(error.value) == (
        'HOMEPORT_REGISTRY: found "https://registry.example.com", accepted: a registry, or a folder in it, such as '
        "registry.example.com/models"
    )


def test_the_provider_goes_to_the_cluster_of_the_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr("homeport.components.provider.Provider", lambda _, **arguments: made.append(arguments))
    monkeypatch.setattr("homeport.components.provider.hooks_of", lambda *_: None)
    cluster_provider(Environment.load(file))
    monkeypatch.setenv("HOMEPORT_CONTEXT", "kind-kind")
    cluster_provider(Environment.load(file))
    assert [(each["context"], each["cluster_identifier"]) for each in made] == [
        ("prod-eu", "prod"),
        ("kind-kind", "kind-kind"),
    ]


def reads_variables(source: str) -> bool:
    """Whether a module names the environment of the process: `os.environ`, `os.getenv`, however imported."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return not names.isdisjoint({"environ", "environb", "getenv", "getenvb"})


def test_only_what_reads_files_reads_variables() -> None:
    at_the_edge = {"commands", "components", "cli", "output"}
    found = {name for name, source in MODULES.items() if part(name) not in at_the_edge and reads_variables(source)}
    assert found == READERS


@pytest.mark.parametrize("line", ["import os\nos.environ['A']", "from os import environ", "import os\nos.getenv('A')"])
def test_a_module_that_reads_variables_is_found(line: str) -> None:
    assert reads_variables(line)
    assert not reads_variables("import os\nos.getpid()")
