"""The programs that homeport is compared with, and the Go package of each. Versions are pinned in `go/<part>/`."""

from pathlib import Path

from sandbox.parts import Part

SOURCES = Path(__file__).parent / "go"

HELM_VERSION = "3.19.0"
KUSTOMIZE_VERSION = "5.7.1"

HELM = Part(
    "helm",
    programs={"helm": "helm.sh/helm/v3/cmd/helm"},
    variables={"helm.sh/helm/v3/internal/version.version": f"v{HELM_VERSION}"},
    sources=SOURCES,
)
KUSTOMIZE = Part(
    "kustomize",
    programs={"kustomize": "sigs.k8s.io/kustomize/kustomize/v5"},
    variables={"sigs.k8s.io/kustomize/api/provenance.version": f"v{KUSTOMIZE_VERSION}"},
    sources=SOURCES,
)
