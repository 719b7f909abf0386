"""The embedded default for users without a cluster: a pinned Pulumi engine and a real one-node Kubernetes.

Both are built from Go modules into a cache outside the checkout. The command line is `python -m sandbox`. In a program:

    from sandbox import Sandbox

    sandbox = Sandbox("dev")
    sandbox.start()
    subprocess.run(["kubectl", "get", "nodes"], env=sandbox.env())
    sandbox.stop()
"""

from sandbox.cluster import Sandbox
from sandbox.errors import SandboxError

__all__ = ["Sandbox", "SandboxError"]
