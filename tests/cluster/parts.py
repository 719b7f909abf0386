"""What sends the load and what answers it, built from Go modules like the sandbox's own parts."""

import subprocess
from pathlib import Path
from typing import Any

from sandbox import build
from sandbox.parts import Part
from sandbox.progress import Progress
from tests.support import Cluster, until

SOURCES = Path(__file__).parent / "go"

VEGETA = Part("vegeta", programs={"vegeta": "github.com/tsenart/vegeta/v12"}, sources=SOURCES)
SERVER = Part(
    "server", programs={"server": "."}, links={"server": ("good", "crash", "moment", "never")}, sources=SOURCES
)
TRAEFIK = Part("traefik", programs={"traefik": "github.com/traefik/traefik/v3/cmd/traefik"}, sources=SOURCES)

_DEFINITIONS = "config/crd/standard/gateway.networking.k8s.io"
_KINDS = ("gatewayclasses", "gateways", "httproutes", "referencegrants", "backendtlspolicies", "grpcroutes")
GATEWAY_API = Part(
    "gateway-api",
    programs={"gateway-api": "."},
    embedded=tuple(("sigs.k8s.io/gateway-api", f"{_DEFINITIONS}_{kind}.yaml") for kind in _KINDS),
    sources=SOURCES,
)

EXTERNAL_SECRETS = Part(
    "external-secrets",
    programs={"external-secrets": "."},
    embedded=(
        ("github.com/external-secrets/external-secrets", "config/crds/bases/external-secrets.io_externalsecrets.yaml"),
    ),
    sources=SOURCES,
)

_KEDA = "github.com/kedacore/keda/v2"
KEDA = Part(
    "keda",
    programs={name: f"{_KEDA}/cmd/{name}" for name in ("operator", "adapter")},
    variables={f"{_KEDA}/version.Version": "2.18.3"},
    sources=SOURCES,
)
SCALED_OBJECTS = "config/crd/bases/keda.sh_scaledobjects.yaml"
_KEDA_KINDS = (
    "keda.sh_clustertriggerauthentications",
    "keda.sh_scaledjobs",
    "keda.sh_triggerauthentications",
    "eventing.keda.sh_cloudeventsources",
    "eventing.keda.sh_clustercloudeventsources",
)
KEDA_DEFINITIONS = Part(
    "keda-definitions",
    programs={"keda-definitions": "."},
    embedded=((_KEDA, SCALED_OBJECTS), *((_KEDA, f"config/crd/bases/{kind}.yaml") for kind in _KEDA_KINDS)),
    sources=SOURCES,
)


def install_definitions(cluster: Cluster, *parts: Part) -> None:
    """Lets the cluster know the kinds whose definitions the parts print."""
    build.ensure(parts, Progress())
    definitions = [subprocess.check_output([build.program(part, part.name)], text=True) for part in parts]
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin="---\n".join(definitions))
    # Not `kubectl wait`, which fails on a definition that has no conditions yet.
    until(lambda: all(map(_established, cluster.get("crd")["items"])))


def _established(definition: Any) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
