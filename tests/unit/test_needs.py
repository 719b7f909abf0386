"""What a cluster must have besides Kubernetes, which field promises it, and how a lack of it is told."""

from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests
from homeport.needs import extended, missing, needs, unknown_kind
from homeport.specs.problems import dotted

MODEL = {"name": "iris", "owner": "ds", "image": "registry.example.com/iris"}
CLUSTER = {"cluster": {"identifier": "prod"}}
TRIGGER = {
    "type": "prometheus",
    "metadata": {"query": "{model}", "threshold": "{target}"},
    "authentication": "credentials",
}
EVERYTHING: dict[str, Any] = CLUSTER | {
    "gateway": {"name": "public", "namespace": "gateway", "host": "{model}.example.com"},
    "keda": {"triggers": {"concurrency": TRIGGER}},
    "network": {"plugin": "cilium"},
    "priority_class": "models",
    "claims": {"iris": {"corpus": {"volume": "corpus-1"}}},
    "secrets": {
        "iris": {
            "token": {"external": {"store": "vault", "key": "iris"}},
            "own": {"external": {"store": "team", "kind": "SecretStore", "key": "iris"}},
            "stated": {"config": "stated"},
        }
    },
}
HEAVY: dict[str, Any] = MODEL | {
    "scale": {"max": 2, "target": {"concurrency": 3}},
    "egress": [{"host": "features.example.com", "port": 443, "reason": "features"}],
    "weights": {"claim": "corpus"},
    "secrets": [{"name": name, "reason": "it asks"} for name in ("token", "own", "stated")],
}


def release(model: Any, environment: Any) -> Release:
    return Release(Model.model_validate(model), Environment.model_validate(environment), "1", "image")


def test_objects_of_the_platform_are_those_that_the_model_uses() -> None:
    found = {dotted(each.field): (each.kind, each.name, each.namespace) for each in needs(release(HEAVY, EVERYTHING))}
    assert found == {
        "priority_class": ("PriorityClass", "models", None),
        "gateway.name": ("Gateway", "public", "gateway"),
        "keda.triggers.concurrency.authentication": ("ClusterTriggerAuthentication", "credentials", None),
        "claims.iris.corpus.volume": ("PersistentVolume", "corpus-1", None),
        "secrets.iris.token.external.store": ("ClusterSecretStore", "vault", None),
    }
    used = [dotted(each.field) for each in needs(release(MODEL, EVERYTHING))]
    assert used == ["priority_class", "gateway.name"]
    assert needs(release(MODEL, CLUSTER)) == []
    assert needs(release(MODEL, CLUSTER | {"gateway": {"namespace": "gateway"}})) == []


def test_kinds_of_others_are_those_of_the_objects() -> None:
    kinds = [kind for _, kind in extended(manifests(release(HEAVY, EVERYTHING)))]
    assert sorted(kinds) == ["CiliumNetworkPolicy", "ExternalSecret", "HTTPRoute", "ScaledObject"]
    kinds = [kind for _, kind in extended(manifests(release(MODEL, EVERYTHING)))]
    assert sorted(kinds) == ["CiliumNetworkPolicy", "HTTPRoute"]
    assert extended(manifests(release(MODEL, CLUSTER))) == []


@pytest.mark.parametrize("kind", extended(manifests(release(HEAVY, EVERYTHING))))
def test_an_unknown_kind_is_told_with_its_field(kind: tuple[str, str]) -> None:
    found = unknown_kind(*kind)
    assert found.source == "environment"
    assert getattr(Environment.model_validate(EVERYTHING), str(found.field[0])) is not None
    assert found.message.startswith(f"found a cluster that does not serve {kind[1]} ({kind[0]}), accepted: one with ")


def test_a_missing_object_is_told_with_what_it_would_be() -> None:
    messages = {each.kind: missing(each).message for each in needs(release(HEAVY, EVERYTHING))}
    assert messages["Gateway"] == (
        'found "public", which the cluster does not have, accepted: the name of a Gateway in the namespace gateway'
    )
    assert messages["PriorityClass"] == (
        'found "models", which the cluster does not have, accepted: the name of a PriorityClass'
    )
