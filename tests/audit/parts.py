"""The auditors and the probe: programs of other people, built from Go modules like the sandbox's own."""

from pathlib import Path

from sandbox.parts import Part

SOURCES = Path(__file__).parent / "go"

POD_SECURITY = Part("pod-security", programs={"pod-security": "."}, sources=SOURCES)
KUBECONFORM = Part(
    "kubeconform", programs={"kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform"}, sources=SOURCES
)
KUBE_SCORE = Part("kube-score", programs={"kube-score": "github.com/zegl/kube-score/cmd/kube-score"}, sources=SOURCES)
NETPOLICY = Part(
    "netpolicy", programs={"netpolicy": "github.com/np-guard/netpol-analyzer/cmd/netpolicy"}, sources=SOURCES
)
PROBE = Part("probe", programs={"probe": "."}, sources=SOURCES)

AUDITORS = (NETPOLICY, KUBE_SCORE, POD_SECURITY, KUBECONFORM)
