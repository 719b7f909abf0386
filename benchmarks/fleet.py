"""A stack of many models, as files that people could write."""

import subprocess
from pathlib import Path

ENVIRONMENT = """\
cloud: gke
cluster: {identifier: benchmark}
gateway: {namespace: gateway}
monitoring: {namespace: monitoring}
limits: {cpu: 64, memory: 256Gi, gpus: 8, replicas: 20, registries: [registry.example.com], total: {gpus: 0}}
require: {digest: true, min_replicas: 2}
teams: {risk: {group: "oidc:risk"}}
"""
MODEL = """\
name: NAME
owner: risk
image: registry.example.com/risk/NAME
resources: {cpu: 2, memory: 4Gi}
scale: {min: 2, max: 8, target: {cpu: 70}}
startup_seconds: 120
egress: [{cidr: 203.0.113.0/24, port: 443, reason: feature store}]
"""
LIVE = """\
  NAME:
    spec: ../../models/NAME/model.yaml
    stable: {version: "3", digest: "sha256:DIGEST"}
"""


def names(count: int) -> list[str]:
    """Names of the models, all of the same length."""
    return [f"model-{index:05}" for index in range(count)]


def write(folder: Path, count: int) -> Path:
    """Write `models/` and the stack `stacks/prod`, and commit them to Git, because provenance is read from there."""
    stack = folder / "stacks" / "prod"
    stack.mkdir(parents=True)
    (stack / "environment.yaml").write_text(ENVIRONMENT)
    entries = (LIVE.replace("NAME", name).replace("DIGEST", "0" * 64) for name in names(count))
    (stack / "models.yaml").write_text("models:\n" + "".join(entries))
    for name in names(count):
        model = folder / "models" / name / "model.yaml"
        model.parent.mkdir(parents=True)
        model.write_text(MODEL.replace("NAME", name))
    identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.com"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "benchmark"]):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)
    return stack
