"""Users of a pod on a real node, where the environment says that the cluster can map them."""

import json
import subprocess
from pathlib import Path

from homeport import manifests
from homeport.rollout import KINDS, rollout
from tests.cluster.probes import Probes, model, releases
from tests.cluster.scene import processes
from tests.support import PATIENTLY, Cluster, until

(RELEASE,) = releases([model("epsilon")], cluster={"identifier": "test", "version": "1.36"})
HERE = f"--namespace={RELEASE.namespace}"
REFUSED = (
    "the node cannot start the pod: Failed to create pod sandbox: can't set `spec.hostUsers: false`, runtime does not"
)


def node_maps_users() -> bool:
    """Whether the node's runc can: from 1.2 on. Debian 12 has 1.1."""
    done = subprocess.run(["runc", "features"], capture_output=True, text=True, check=True)
    extensions = json.loads(done.stdout).get("linux", {}).get("mountExtensions", {})
    return bool(extensions.get("idmap", {}).get("enabled"))


def refused(cluster: Cluster) -> bool:
    found = rollout(cluster.get(",".join(KINDS), HERE)["items"], "epsilon", 1)
    return any(cause.text.startswith(REFUSED) for cause in found.causes)


def test_a_pod_has_users_of_its_own_or_it_is_told_that_the_node_cannot(probes: Probes, cluster: Cluster) -> None:
    try:
        probes.apply(manifests(RELEASE))
        if node_maps_users():
            cluster.kubectl("rollout", "status", "deployment/epsilon", HERE, PATIENTLY)
            (pod,) = cluster.get("pods", HERE)["items"]
            (process,) = processes(pod)
            first, on_node, count = map(int, Path(f"/proc/{process}/uid_map").read_text().split())
            assert (first, count) == (0, 65536)
            assert on_node >= 65536
        else:
            assert until(lambda: refused(cluster))
    finally:
        cluster.kubectl("delete", "namespace", RELEASE.namespace, "--wait=false")
