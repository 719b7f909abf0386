"""The programs of the sandbox: which Go package each comes from, and how it is built.

Versions are pinned by go.mod and go.sum in `go/<part>/`. The variables here only tell a program its own version, which
upstream's build would have set.

To change a version: `go get <module>@<exact version>` and `go mod tidy` in the part's directory, the variable here, and
for Kubernetes the `replace` of each of its modules too.
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
    """What it takes to build a part in its turn, when all parts of the demo are built and no package is compiled yet."""

    seconds: float
    """Of a processor of the machine in docs/sandbox.md, user and system."""
    packages: int
    """How many Go packages are compiled: those that a part before it has compiled do not count."""


@dataclass(frozen=True)
class Part:
    """One Go module of ours and the programs built from it."""

    name: str
    programs: Mapping[str, str]
    """Name of the program -> Go package; `.` is our own `main.go`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Go variables set when linking (`-X`)."""
    tags: tuple[str, ...] = ()
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of a program -> other names it answers to."""
    scripts: tuple[tuple[str, str], ...] = ()
    """(module, path in it) of executable files that belong beside the programs."""
    embedded: tuple[tuple[str, str], ...] = ()
    """(module, path in it) of files that our `main.go` embeds; too big to be kept here twice."""
    sources: Path = SOURCES
    """Folder in which the folder of the module is: the tests have parts of their own."""
    cost: Cost | None = None
    """None: not measured, and no remaining time can be told while it is built."""


_COMPONENT_BASE = "k8s.io/component-base/version"
_CONTAINERD = "github.com/containerd/containerd/v2"
_PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"
_PULUMI_VERSION_VARIABLE = f"{_PULUMI_SDK}/go/common/version.Version"
_PROVIDER = "github.com/pulumi/pulumi-kubernetes/provider/v4"
_DOCKER_BUILD = "github.com/pulumi/pulumi-docker-build/provider"
_BUILDKIT = "github.com/moby/buildkit"

KUBERNETES = Part(
    "kubernetes",
    programs={"kubernetes": "."},
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
    cost=Cost(435, 2436),
)
PULUMI = Part(
    "pulumi",
    programs={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
    variables={_PULUMI_VERSION_VARIABLE: PULUMI_VERSION},
    cost=Cost(280, 1330),
)
LANGUAGE_HOST = Part(
    "pulumi-language-python",
    programs={"pulumi-language-python": f"{_PULUMI_SDK}/python/cmd/pulumi-language-python"},
    variables={_PULUMI_VERSION_VARIABLE: "3.79.0"},
    scripts=((_PULUMI_SDK, "python/cmd/pulumi-language-python-exec"),),
    cost=Cost(22, 273),
)
KUBERNETES_PROVIDER = Part(
    "pulumi-resource-kubernetes",
    programs={"pulumi-resource-kubernetes": "."},
    variables={f"{_PROVIDER}/pkg/version.Version": KUBERNETES_PROVIDER_VERSION},
    embedded=(
        (_PROVIDER, "cmd/pulumi-resource-kubernetes/schema.json"),
        (_PROVIDER, "cmd/pulumi-resource-kubernetes/terraform-mapping.json"),
    ),
    cost=Cost(642, 1580),
)
DOCKER_BUILD_PROVIDER = Part(
    "pulumi-resource-docker-build",
    programs={"pulumi-resource-docker-build": f"{_DOCKER_BUILD}/cmd/pulumi-resource-docker-build"},
    variables={f"{_DOCKER_BUILD}.Version": DOCKER_BUILD_PROVIDER_VERSION},
    cost=Cost(207, 1651),
)
BUILDKIT = Part(
    "buildkit",
    programs={"buildkitd": f"{_BUILDKIT}/cmd/buildkitd"},
    variables={f"{_BUILDKIT}/version.Version": f"v{BUILDKIT_VERSION}"},
    cost=Cost(100, 672),
)
REGISTRY = Part("registry", programs={"registry": "."}, cost=Cost(38, 275))
CONTAINERD = Part(
    "containerd",
    programs={name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
    variables={f"{_CONTAINERD}/version.Version": "2.4.2"},
    # Snapshotters that need C libraries.
    tags=("no_btrfs", "no_devmapper", "no_zfs"),
    cost=Cost(83, 678),
)
ETCD = Part("etcd", programs={"etcd": "go.etcd.io/etcd/server/v3"}, cost=Cost(24, 191))
COREDNS = Part("coredns", programs={"coredns": "."}, cost=Cost(89, 475))
PAUSE = Part("pause", programs={"pause": "."}, cost=Cost(0.1, 1))
KWOK = Part(
    "kwok",
    programs={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    variables={"sigs.k8s.io/kwok/pkg/consts.Version": "0.7.0"},
    cost=Cost(107, 623),
)
KUBE_ROUTER = Part(
    "kube-router",
    programs={"kube-router": "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"},
    cost=Cost(193, 742),
)
METRICS_SERVER = Part(
    "metrics-server", programs={"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"}, cost=Cost(185, 923)
)

ENGINE = (KUBERNETES_PROVIDER, DOCKER_BUILD_PROVIDER, PULUMI, LANGUAGE_HOST)
BUILDER = (BUILDKIT, REGISTRY)
# Without METRICS_SERVER and KWOK, which not everyone needs.
CLUSTER = (KUBERNETES, KUBE_ROUTER, CONTAINERD, COREDNS, ETCD, PAUSE)


def flags(part: Part) -> list[str]:
    """What `go build` is told for this part, on every machine."""
    variables = "".join(f" -X {name}={value}" for name, value in part.variables.items())
    tags = [f"-tags={','.join(part.tags)}"] if part.tags else []
    return ["-mod=readonly", "-trimpath", "-buildvcs=false", *tags, f"-ldflags=-s -w{variables}"]


def key(part: Part) -> str:
    """A hash of all that decides what the part's programs do."""
    digest = hashlib.sha256()
    folder = part.sources / part.name
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes() + b"\0")
    recipe = [flags(part), dict(part.programs), part.scripts, part.embedded, dict(part.links)]
    digest.update(json.dumps(recipe).encode())
    return digest.hexdigest()[:16]
