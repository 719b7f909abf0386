"""What an environment promises, by the real engine on a real API server: what the cluster lacks, and what a Gateway refuses.

The Gateway is played by `tests/controllers.py`.
"""

import json
from pathlib import Path
from typing import Any

from tests.controllers import REFUSED
from tests.support import Cluster, live_entry, running, write_program

MODEL: dict[str, Any] = {"name": "promised", "owner": "ds", "image": "registry.example.com/promised"}
GREEDY = MODEL | {
    "scale": {"max": 4, "target": {"concurrency": 3}},
    "egress": [{"host": "features.example.com", "port": 443, "reason": "features"}],
    "weights": {"claim": "corpus"},
}
TRIGGER = {"type": "prometheus", "metadata": {"query": "{model}", "threshold": "{target}"}, "authentication": "absent"}
GATEWAY = {"name": "public", "namespace": "gateway", "host": f"{{model}}.{REFUSED}"}
ENVIRONMENT: dict[str, Any] = {"cluster": {"identifier": "promises"}, "gateway": GATEWAY}
LACKING = ENVIRONMENT | {
    "gateway": GATEWAY | {"name": "absent"},
    "keda": {"triggers": {"concurrency": TRIGGER}},
    "network": {"plugin": "cilium"},
    "priority_class": "absent",
    "claims": {"promised": {"corpus": {"volume": "absent"}}},
}
ABSENT = 'found "absent", which the cluster does not have, accepted: the name of a'


def write(folder: Path, model: Any, environment: Any) -> None:
    (folder / "model.yaml").write_text(json.dumps(model))
    (folder / "environment.yaml").write_text(json.dumps(environment, indent=1))


def test_what_was_promised_is_missing_or_refused(cluster: Cluster, tmp_path: Path) -> None:
    source = write_program(tmp_path / "source", "promises", models={"models": {"promised": live_entry("1")}})
    write(source, GREEDY, LACKING)
    with running(cluster, source, tmp_path / "running") as program:
        said = program("preview", f"--stack={program.stack}", fails=True)
        for expected in (
            f"environment.yaml:6: gateway.name: {ABSENT} Gateway in the namespace gateway",
            f"environment.yaml:18: keda.triggers.concurrency.authentication: {ABSENT} ClusterTriggerAuthentication",
            f"environment.yaml:25: priority_class: {ABSENT} PriorityClass",
            f"environment.yaml:29: claims.promised.corpus.volume: {ABSENT} PersistentVolume",
        ):
            assert expected in said, said
        assert not cluster.exists("namespace/promised")
        write(program.folder, MODEL, ENVIRONMENT)
        said = program.up(fails=True)
        assert (
            f"promised: no listener of Gateway gateway/public admits the host promised.{REFUSED} (gateway.host): "
            "NoMatchingListenerHostname: No matching listener hostname"
        ) in said, said
