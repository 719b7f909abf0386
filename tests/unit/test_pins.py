"""Versions that stand in several files are the same in all of them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

from homeport import Model, Stack
from sandbox import image, machine, own_pulumi, parts
from tests.audit.parts import AUDITORS, PROBE
from tests.cluster.parts import EXTERNAL_SECRETS, GATEWAY_API, KEDA, KEDA_DEFINITIONS, SERVER, TRAEFIK, VEGETA
from tests.support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVER_PROJECT = tomllib.loads((ROOT / "components" / "homeport_server" / "pyproject.toml").read_text())
WORKFLOW = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "ci.yml")
PYTHON = (ROOT / ".python-version").read_text().strip()

OF_TESTS = (*AUDITORS, PROBE, EXTERNAL_SECRETS, GATEWAY_API, KEDA, KEDA_DEFINITIONS, SERVER, TRAEFIK, VEGETA)


def specifier(name: str, requirements: list[Any]) -> SpecifierSet:
    (found,) = (each for each in requirements if isinstance(each, str) and Requirement(each).name == name)
    return Requirement(found).specifier


def pinned(part: parts.Part, module: str) -> str:
    """The version of a module that a part is built from."""
    text = (part.directory / "go.mod").read_text()
    (found,) = re.findall(rf"^(?:require)?\s+{re.escape(module)} v(\S+)", text, re.MULTILINE)
    return str(found)


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("pulumi", parts.PULUMI_VERSION),
        ("pulumi-kubernetes", parts.KUBERNETES_PROVIDER_VERSION),
        ("pulumi-docker-build", parts.DOCKER_BUILD_PROVIDER_VERSION),
    ],
)
def test_packages_are_those_that_the_sandboxs_engine_speaks(package: str, version: str) -> None:
    assert specifier(package, PROJECT["dependency-groups"]["dev"]) == SpecifierSet(f"=={version}")
    assert specifier(package, PROJECT["project"]["dependencies"]).contains(version)


@pytest.mark.parametrize(
    ("part", "module"),
    [
        (parts.KUBERNETES, "k8s.io/kubernetes"),
        (parts.PULUMI, "github.com/pulumi/pulumi/pkg/v3"),
        (parts.LANGUAGE_HOST, "github.com/pulumi/pulumi/sdk/v3"),
        (parts.DOCKER_BUILD_PROVIDER, "github.com/pulumi/pulumi-docker-build"),
        (parts.BUILDKIT, "github.com/moby/buildkit"),
        (parts.CONTAINERD, "github.com/containerd/containerd/v2"),
        (parts.KWOK, "sigs.k8s.io/kwok"),
    ],
    ids=lambda each: each.name if isinstance(each, parts.Part) else each,
)
def test_programs_tell_the_version_that_they_are_built_from(part: parts.Part, module: str) -> None:
    told = [value.removeprefix("v") for name, value in part.variables.items() if name.endswith("ersion")]
    assert told == [pinned(part, module)]


def test_kubernetes_tells_one_version() -> None:
    told = {name.rpartition(".")[2]: value for name, value in parts.KUBERNETES.variables.items()}
    assert told["gitVersion"].startswith(f"v{told['gitMajor']}.{told['gitMinor']}.")


def test_the_oldest_pulumi() -> None:
    oldest = ".".join(map(str, own_pulumi.OLDEST_USABLE))
    lowest = [each.version for each in specifier("pulumi", PROJECT["project"]["dependencies"]) if each.operator == ">="]
    assert lowest == [oldest]
    assert f"A Pulumi of version {oldest} or newer" in (ROOT / "docs" / "sandbox.md").read_text()


def test_the_oldest_go() -> None:
    sources = {part.directory for part in (*parts.ENGINE, *parts.BUILDER, *parts.CLUSTER, parts.KWOK, *OF_TESTS)}
    stated = [re.search(r"^go (\S+)$", (path / "go.mod").read_text(), re.MULTILINE) for path in sources]
    assert max(tuple(map(int, each[1].split("."))) for each in stated if each) == machine.GO_NEEDED
    oldest = ".".join(map(str, machine.GO_NEEDED))
    for page in ("README.md", "docs/sandbox.md"):
        assert f"Go {oldest} or newer" in (ROOT / page).read_text()


def test_uv() -> None:
    (locked,) = (each for each in tomllib.loads((ROOT / "uv.lock").read_text())["package"] if each["name"] == "uv")
    assert f"uv=={locked['version']}\n" in (ROOT / "Makefile").read_text()
    (job,) = WORKFLOW["jobs"].values()
    assert [step["with"]["version"] for step in job["steps"] if "setup-uv" in step.get("uses", "")] == [
        locked["version"]
    ]


def test_pythons() -> None:
    """The oldest is developed on, and what the project says it supports is what is tested."""
    (job,) = WORKFLOW["jobs"].values()
    tested = job["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: "
    assert tested == [each.removeprefix(prefix) for each in PROJECT["project"]["classifiers"] if prefix in each]
    assert tested[0] == PYTHON
    assert PROJECT["project"]["requires-python"] == f">={PYTHON}"
    assert SERVER_PROJECT["project"]["requires-python"] == f">={PYTHON}"
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{PYTHON.replace('.', '')}"


MODELS = [*ROOT.glob("examples/*/model.yaml"), *ROOT.glob("components/homeport/commands/templates/*/model.yaml")]
LOCKS = [*ROOT.glob("examples/*/requirements.in"), ROOT / "tests" / "server" / "requirements.in"]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parent.name)
def test_models_are_built_on_the_base_that_the_sandbox_makes(path: Path) -> None:
    build = Model.load(path).build
    assert build is None or build.base in {None, image.NAME.rpartition("/")[2]}


def test_stack_dev_has_the_base_that_the_sandbox_makes() -> None:
    images = Stack.read(ROOT / "stacks" / "dev").environment.images
    assert images
    assert images.base(f"python-{image.PYTHON}") == f"{images.registry}/{image.NAME}:{image.TAG}"


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.parent.name)
def test_locked_for_the_python_of_the_base(path: Path) -> None:
    assert f"--python-version {image.PYTHON} " in path.read_text()


def test_the_server_has_homeports_version() -> None:
    assert SERVER_PROJECT["project"]["version"] == PROJECT["project"]["version"]
