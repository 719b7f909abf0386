"""The programs of the sandbox: the Go package of each, and how it is built.

go.mod and go.sum pin the versions. Most programs share one module, `go/`, so that a shared package has one version and is
compiled once. `go/<folder>/` is a separate module for a program that needs another version of a package. Its other
packages have the same version as in `go/` (`tests/unit/test_sandbox_modules.py`).

To change a version: `go get <module>@<exact version>` and `go mod tidy -e` in the module's directory, the same version in
the other modules, the variable here, and for Kubernetes the `replace` of each of its modules too. The variables here
only set a program's own version, as upstream's build does.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SOURCES = Path(__file__).parent / "go"

PULUMI_VERSION = "3.259.0"
KUBERNETES_PROVIDER_VERSION = "4.25.0"
DOCKER_BUILD_PROVIDER_VERSION = "0.0.22"
KUBERNETES_VERSION = "1.36.3"
BUILDKIT_VERSION = "0.31.0"


@dataclass(frozen=True)
class Cost:
    """The cost of a part when all parts of the demo are built in order and no package is compiled yet."""

    seconds: float
    """Processor seconds, user and system, on the machine in docs/sandbox.md."""
    packages: int
    """Number of compiled Go packages, without those that an earlier part has compiled."""


@dataclass(frozen=True)
class Part:
    """Programs that are built together from one Go module of this project."""

    name: str
    programs: Mapping[str, str]
    """Name of the program -> Go package. One that begins with a dot is a `main.go` in the module."""
    module: str | None = None
    """Folder of the module in `sources`. None: the part's name."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Go variables set when linking (`-X`)."""
    tags: tuple[str, ...] = ()
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of a program -> its other names."""
    scripts: tuple[tuple[str, str], ...] = ()
    """(module, path in it) of executable files that are copied beside the programs."""
    embedded: tuple[tuple[str, str], ...] = ()
    """(module, path in it) of files that a `main.go` embeds; too big for a copy in this repository."""
    sources: Path = SOURCES
    """Folder of the module. The tests have their own parts."""
    cost: Cost | None = None
    """None: not measured, so there is no remaining time while it is built."""

    @property
    def directory(self) -> Path:
        """Folder of its go.mod."""
        return self.sources / (self.name if self.module is None else self.module)

    @property
    def own_packages(self) -> list[Path]:
        """Folders of this project's `main.go` files."""
        return [self.directory / package for package in self.programs.values() if package.startswith(".")]


_SHARED = "."
_PROVIDERS = "providers"
_COMPONENT_BASE = "k8s.io/component-base/version"
_CONTAINERD = "github.com/containerd/containerd/v2"
_PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"
_PULUMI_VERSION_VARIABLE = f"{_PULUMI_SDK}/go/common/version.Version"
_PROVIDER = "github.com/pulumi/pulumi-kubernetes/provider/v4"
_DOCKER_BUILD = "github.com/pulumi/pulumi-docker-build/provider"
_BUILDKIT = "github.com/moby/buildkit"

KUBERNETES = Part(
    "kubernetes",
    programs={"kubernetes": "./kubernetes"},
    module=_SHARED,
    variables={
        f"{_COMPONENT_BASE}.gitVersion": f"v{KUBERNETES_VERSION}",
        f"{_COMPONENT_BASE}.gitMajor": "1",
        f"{_COMPONENT_BASE}.gitMinor": "36",
        f"{_COMPONENT_BASE}.gitTreeState": "clean",
    },
    links={
        "kubernetes": (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-scheduler",
            "kubectl",
            "kubelet",
        )
    },
    cost=Cost(261, 1539),
)
PULUMI = Part(
    "pulumi",
    programs={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
    module=_SHARED,
    variables={_PULUMI_VERSION_VARIABLE: PULUMI_VERSION},
    cost=Cost(165, 883),
)
LANGUAGE_HOST = Part(
    "pulumi-language-python",
    programs={"pulumi-language-python": f"{_PULUMI_SDK}/python/cmd/pulumi-language-python"},
    variables={_PULUMI_VERSION_VARIABLE: "3.79.0"},
    scripts=((_PULUMI_SDK, "python/cmd/pulumi-language-python-exec"),),
    cost=Cost(8, 92),
)
KUBERNETES_PROVIDER = Part(
    "pulumi-resource-kubernetes",
    programs={"pulumi-resource-kubernetes": "./kubernetes"},
    module=_PROVIDERS,
    variables={f"{_PROVIDER}/pkg/version.Version": KUBERNETES_PROVIDER_VERSION},
    embedded=(
        (_PROVIDER, "cmd/pulumi-resource-kubernetes/schema.json"),
        (_PROVIDER, "cmd/pulumi-resource-kubernetes/terraform-mapping.json"),
    ),
    cost=Cost(229, 1739),
)
DOCKER_BUILD_PROVIDER = Part(
    "pulumi-resource-docker-build",
    programs={"pulumi-resource-docker-build": f"{_DOCKER_BUILD}/cmd/pulumi-resource-docker-build"},
    module=_PROVIDERS,
    variables={f"{_DOCKER_BUILD}.Version": DOCKER_BUILD_PROVIDER_VERSION},
    cost=Cost(88, 834),
)
BUILDKIT = Part(
    "buildkit",
    programs={"buildkitd": f"{_BUILDKIT}/cmd/buildkitd"},
    module=_SHARED,
    variables={f"{_BUILDKIT}/version.Version": f"v{BUILDKIT_VERSION}"},
    cost=Cost(29, 189),
)
REGISTRY = Part("registry", programs={"registry": "./registry"}, module=_SHARED, cost=Cost(12, 90))
CONTAINERD = Part(
    "containerd",
    programs={name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
    variables={f"{_CONTAINERD}/version.Version": "2.4.2"},
    # Snapshotters that need C libraries.
    tags=("no_btrfs", "no_devmapper", "no_zfs"),
    cost=Cost(45, 383),
)
ETCD = Part("etcd", programs={"etcd": "go.etcd.io/etcd/server/v3"}, module=_SHARED, cost=Cost(10, 85))
COREDNS = Part("coredns", programs={"coredns": "./coredns"}, module=_SHARED, cost=Cost(9, 62))
PAUSE = Part("pause", programs={"pause": "./pause"}, module=_SHARED, cost=Cost(0.2, 1))
KWOK = Part(
    "kwok",
    programs={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    variables={"sigs.k8s.io/kwok/pkg/consts.Version": "0.7.0"},
    cost=Cost(108, 730),
)
KUBE_ROUTER = Part(
    "kube-router",
    programs={"kube-router": "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"},
    module=_SHARED,
    cost=Cost(43, 77),
)
METRICS_SERVER = Part(
    "metrics-server",
    programs={"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
    module=_SHARED,
    cost=Cost(8, 25),
)

ENGINE = (KUBERNETES_PROVIDER, DOCKER_BUILD_PROVIDER, PULUMI, LANGUAGE_HOST)
BUILDER = (BUILDKIT, REGISTRY)
# Without METRICS_SERVER and KWOK, which not every user needs.
CLUSTER = (KUBERNETES, KUBE_ROUTER, CONTAINERD, COREDNS, ETCD, PAUSE)


# Code that runs rarely or never here. Optimising it would add half to its compile time.
_COLD = (
    "github.com/pb33f/libopenapi",
    "github.com/aws",
    "github.com/envoyproxy",
    "github.com/alecthomas/chroma",
    "github.com/redis",
    "cloud.google.com",
)


def flags(part: Part) -> list[str]:
    """The flags of `go build` for this part, on every machine.

    The compiler's flags are the same for all parts, so that one can use packages compiled for another.
    """
    variables = "".join(f" -X {name}={value}" for name, value in part.variables.items())
    tags = [f"-tags={','.join(part.tags)}"] if part.tags else []
    # The linker drops debug information (-s -w), so the compiler need not produce it.
    cold = [f"-gcflags={pattern}/...=-dwarf=false -N -l" for pattern in _COLD]
    compiler = ["-gcflags=all=-dwarf=false", *cold]
    return ["-mod=readonly", "-trimpath", "-buildvcs=false", *tags, *compiler, f"-ldflags=-s -w{variables}"]


def key(part: Part) -> str:
    """A hash of everything that decides what the part's programs do."""
    digest = hashlib.sha256()
    pins = [part.directory / name for name in ("go.mod", "go.sum")]
    folders = [*part.own_packages, part.directory / "stubs"]
    own = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    for file in sorted({*filter(Path.exists, pins), *own}):
        digest.update(str(file.relative_to(part.directory)).encode() + b"\0" + file.read_bytes() + b"\0")
    recipe = [flags(part), dict(part.programs), part.scripts, part.embedded, dict(part.links)]
    digest.update(json.dumps(recipe).encode())
    return digest.hexdigest()[:16]
