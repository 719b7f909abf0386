"""One version of a package in all modules of the sandbox, so that it is compiled once."""

import re
from pathlib import Path

import pytest

from sandbox.parts import SOURCES

# What keeps a module apart from the shared one, and why no version suits both.
APART = {
    # Release 4.25 of the Kubernetes provider passes by value what the engine's newer packages take as a pointer.
    "providers": {"github.com/pulumi/pulumi/pkg/v3", "github.com/pulumi/pulumi/sdk/v3"},
    # The newest language host inside the SDK's module, which later releases have in one of their own.
    "pulumi-language-python": {"github.com/pulumi/pulumi/sdk/v3"},
    # containerd 2.4.2 answers with fields that the kubelet of 1.36 does not know yet.
    "containerd": {"k8s.io/cri-api"},
}
# kwok 0.7.0 needs packages that Kubernetes 1.36 moved away. Only tests build it, so it keeps its own versions.
ON_ITS_OWN = {"kwok"}


def versions(module: Path) -> dict[str, str]:
    """The version of each module that a go.mod requires, as its replacements say it."""
    stated = re.sub(r"\s*//.*", "", (module / "go.mod").read_text())
    required = dict(re.findall(r"^(?:require )?\t?(\S+) (v\S+)$", stated, re.MULTILINE))
    replaced = re.findall(r"^(?:replace )?\t?(\S+) => (.+)$", stated, re.MULTILINE)
    return required | {name: other.removeprefix(f"{name} ") for name, other in replaced if name in required}


def test_every_module_is_the_shared_one_or_has_its_reason() -> None:
    nested = {path.parent.relative_to(SOURCES).parts[0] for path in SOURCES.rglob("go.mod") if path.parent != SOURCES}
    assert nested == APART.keys() | ON_ITS_OWN


@pytest.mark.parametrize("module", APART)
def test_modules_agree_on_versions(module: str) -> None:
    shared, own = versions(SOURCES), versions(SOURCES / module)
    both = own.keys() & shared.keys()
    assert len(both) > 50
    assert {name for name in both if own[name] != shared[name]} == APART[module]
