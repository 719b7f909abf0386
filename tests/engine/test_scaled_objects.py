"""What a real API server that knows KEDA's kinds refuses; `test_guard.py` deploys models that KEDA scales."""

import json
from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests
from tests.support import Cluster

MODEL = {"name": "demanded", "owner": "ds", "image": "registry.example.com/demanded"}
GATEWAY = {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com"}
ENVIRONMENT = {
    "cluster": {"identifier": "scaled-objects"},
    "gateway": GATEWAY,
    "keda": {
        "triggers": {
            "requests_per_second": {
                "type": "prometheus",
                "metadata": {
                    "serverAddress": "http://prometheus.monitoring:9090",
                    "query": 'sum(rate(requests_total{service="{namespace}-{instance}"}[1m]))',
                    "threshold": "{target}",
                },
                "from_zero": True,
            },
            "queue_length": {
                "type": "aws-sqs-queue",
                "metadata": {"queueURL": "https://sqs.example.com/{model}", "queueLength": "{target}"},
                "authentication": "sqs",
                "from_zero": True,
            },
        }
    },
}
BOTH = {"min": 0, "max": 4, "target": {"cpu": 60, "requests_per_second": 50, "queue_length": 20}}


BROKEN: dict[str, tuple[Any, str]] = {
    "a number that is text": (lambda spec: spec.update(minReplicaCount="none"), "minReplicaCount"),
    "no trigger": (lambda spec: spec.pop("triggers"), "spec.triggers: Required value"),
    "a trigger of no type": (lambda spec: spec["triggers"][0].pop("type"), "spec.triggers[0].type: Required value"),
    "a setting that is a number": (
        lambda spec: spec["triggers"][0]["metadata"].update(value=60),
        "spec.triggers[0].metadata.value",
    ),
    "a field that KEDA does not know": (lambda spec: spec.update(coolDown=1), 'unknown field "spec.coolDown"'),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_scaled_object_is_refused(cluster: Cluster, broken: str) -> None:
    release = Release(
        Model.model_validate(MODEL | {"scale": BOTH}),
        Environment.model_validate(ENVIRONMENT),
        version="1",
        image="registry.example.com/demanded:1",
    )
    (whole,) = (each for each in manifests(release) if each["kind"] == "ScaledObject")
    whole["metadata"]["namespace"] = "default"
    create = ("create", "--dry-run=server", "--validate=strict", "--filename=-")
    cluster.kubectl(*create, stdin=json.dumps(whole))
    change, message = BROKEN[broken]
    change(whole["spec"])
    with pytest.raises(AssertionError) as refused:
        cluster.kubectl(*create, stdin=json.dumps(whole))
    assert message in str(refused.value)
