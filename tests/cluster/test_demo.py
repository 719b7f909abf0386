"""`make demo` on a cluster of one's own: the sandbox of these tests plays that cluster."""

import subprocess
import sys

from tests.support import ROOT, Cluster

NAMESPACE = "namespace/iris"


def demo(cluster: Cluster, command: str) -> str:
    context = cluster.kubectl("config", "current-context").strip()
    variables = cluster.variables | {"HOMEPORT_CONTEXT": context, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.demo", command],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_demo_predicts_then_changes_nothing_then_leaves_nothing(builder: Cluster) -> None:
    try:
        first = demo(builder, "up")
        assert "Prediction predict: ['setosa', 'virginica']" in first
        assert "Changed: create 16" in first
        assert "created Deployment iris-deployment" in first
        assert [line for line in first.splitlines() if "\x1b" in line or "...." in line] == []
        second = demo(builder, "up")
        assert "Changed: nothing" in second
        assert "created" not in second
        assert "Prediction predict: ['setosa', 'virginica']" in second
    finally:
        demo(builder, "down")
    assert not builder.exists(NAMESPACE)
