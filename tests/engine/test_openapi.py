"""Generated specs: whatever the specs accept becomes objects that the API server's own schema accepts."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from homeport import Canary, Environment, Model, Release, manifests, violations
from homeport.specs.fields import Demand
from homeport.specs.live_models import LiveWeights
from tests.support import Cluster

names = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
words = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs"]), min_size=1, max_size=30
)
cpus = st.one_of(st.integers(1, 64), st.integers(1, 64000).map(lambda m: f"{m}m"), st.floats(0.001, 64))
memories = st.builds("{}{}".format, st.integers(1, 10**5), st.sampled_from(["k", "Ki", "M", "Mi", "G", "Gi"]))
seconds = st.integers(1, 3600)
percents = st.integers(1, 100)
counts = st.integers(1, 10**9)
ports = st.integers(1, 65535)
paths = st.from_regex(r"/[a-z0-9/._-]{0,20}", fullmatch=True)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


egress = st.fixed_dictionaries(
    {"cidr": st.ip_addresses().map(lambda ip: f"{ip}/{ip.max_prefixlen}"), "port": ports, "reason": words},
    optional={"protocol": st.sampled_from(["TCP", "UDP"])},
)
gpus = st.fixed_dictionaries({"kinds": st.just(["l4"])}, optional={"count": st.integers(1, 16)})
OWNERS = ("a", "b")
owners = st.sampled_from(OWNERS)
models = st.fixed_dictionaries(
    {"name": names, "owner": owners, "image": names.map("registry.example.com/{}".format)},
    optional={
        "port": ports,
        "health": st.fixed_dictionaries({"live": paths, "ready": paths}),
        "metrics": st.fixed_dictionaries({"port": ports}, optional={"path": paths}),
        "resources": some(cpu=cpus, memory=memories, tmp=memories, gpu=gpus),
        "scale": some(
            min=st.integers(0, 20),
            max=st.integers(1, 1000),
            target=some(
                cpu=percents,
                memory=percents,
                concurrency=counts,
                requests_per_second=counts,
                queue_length=counts,
            ),
            up_seconds=seconds,
            down_seconds=seconds,
        ),
        "startup_seconds": seconds,
        "drain_seconds": seconds,
        "egress": st.lists(egress, max_size=3),
        "env": st.dictionaries(
            st.from_regex(r"[A-Z_][A-Z0-9_]{0,20}", fullmatch=True), st.text(max_size=30), max_size=3
        ),
        "calls": st.just(["callee"]),
        "callers": st.just(["a"]),
    },
)
accelerator = st.fixed_dictionaries(
    {"labels": st.dictionaries(names, st.lists(names, min_size=1, max_size=2), min_size=1, max_size=2)},
    optional={"tolerations": st.lists(st.fixed_dictionaries({"key": names}, optional={"value": names}), max_size=2)},
)
triggers = st.fixed_dictionaries(
    {"type": words, "metadata": st.just({"threshold": "{target}", "query": 'a{b="{instance}"}'})},
    optional={"authentication": names, "from_zero": st.booleans()},
)
environments = st.fixed_dictionaries(
    {"cluster": st.just({"identifier": "generated"}), "accelerators": st.fixed_dictionaries({"l4": accelerator})},
    optional={
        "namespace": names.map("{}-{{model}}".format),
        "gateway": st.one_of(
            st.fixed_dictionaries({"namespace": names}),
            st.fixed_dictionaries({"namespace": names, "name": names, "host": names.map("{{model}}.{}.com".format)}),
        ),
        "monitoring": st.fixed_dictionaries({"namespace": names}),
        "teams": st.fixed_dictionaries(dict.fromkeys(OWNERS, st.fixed_dictionaries({"group": words}))),
        "keda": st.fixed_dictionaries({"triggers": st.fixed_dictionaries(dict.fromkeys(get_args(Demand), triggers))}),
        "defaults": some(cpu=cpus, memory=memories),
        "provision_seconds": seconds,
        "endpoint_seconds": st.integers(1, 300),
    },
)
weights = st.one_of(
    st.fixed_dictionaries({"image": st.just("registry.example.com/weights")}, optional={"path": paths}),
    st.fixed_dictionaries({"claim": st.just("corpus")}, optional={"path": paths}),
)
stores = st.fixed_dictionaries(
    {"store": names, "key": words},
    optional={"kind": st.sampled_from(["SecretStore", "ClusterSecretStore"]), "property": words},
)
sources = st.dictionaries(
    names,
    st.one_of(st.fixed_dictionaries({"config": names}), st.fixed_dictionaries({"external": stores})),
    max_size=2,
)
PEERS = [
    Model.model_validate({"name": "callee", "owner": "a", "callers": ["b"], "image": "registry.example.com/a"}),
    Model.model_validate({"name": "caller", "owner": "a", "image": "registry.example.com/a", "calls": ["model"]}),
]


@pytest.fixture(scope="session")
def schemas(cluster: Cluster) -> dict[str, Any]:
    """The API server's own schema of every group version that the manifests use."""
    return {
        version: Validators(cluster.kubectl("get", f"--raw=/openapi/v3/{path}/{version}"))
        for path, version in [
            ("api", "v1"),
            ("apis", "apps/v1"),
            ("apis", "autoscaling/v2"),
            ("apis", "networking.k8s.io/v1"),
            ("apis", "policy/v1"),
            ("apis", "rbac.authorization.k8s.io/v1"),
            ("apis", "gateway.networking.k8s.io/v1"),
            ("apis", "external-secrets.io/v1"),
            ("apis", "keda.sh/v1alpha1"),
        ]
    }


class Validators:
    """Validators of the kinds of one group version."""

    def __init__(self, openapi: str) -> None:
        document = json.loads(openapi)
        _strict(document["components"]["schemas"])
        resource = Resource.from_contents(document, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource("api:", resource)
        self._names = {
            kind["kind"]: name
            for name, schema in document["components"]["schemas"].items()
            for kind in schema.get("x-kubernetes-group-version-kind", [])
        }
        self.of = cache(self._of)

    def _of(self, kind: str) -> Draft202012Validator:
        reference = {"$ref": f"api:#/components/schemas/{self._names[kind]}"}
        return Draft202012Validator(reference, registry=self._registry)


def _strict(schemas: Mapping[str, Any]) -> None:
    """Refuse fields that the schema does not know; it would ignore them otherwise."""
    for schema in schemas.values():
        if "properties" in schema:
            schema["additionalProperties"] = False


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models, environments, st.none() | st.integers(1, 99), st.none() | weights, sources)
def test_accepted_specs_give_accepted_objects(  # noqa: PLR0913, PLR0917
    schemas: dict[str, Any], model: Any, environment: Any, percent: int | None, weights: Any, secrets: Any
) -> None:
    model |= {"weights": weights, "secrets": [{"name": name, "reason": "needs it"} for name in secrets]}
    for owner, team in environment.get("teams", {}).items():
        team["models"] = [model["name"]] if owner == model["owner"] else []
    environment |= {"claims": {model["name"]: {"corpus": {"volume": "corpus"}}}, "secrets": {model["name"]: secrets}}
    live = LiveWeights(version="7") if weights and "image" in weights else None
    try:
        accepted = Model.model_validate(model), Environment.model_validate(environment)
    except ValidationError:
        reject()
    canary = Canary("2", "registry.example.com/model:2", percent, live) if percent else None
    image, values = "registry.example.com/model:1", dict.fromkeys(secrets, "dmFsdWU=")
    release = Release(
        *accepted, version="1", image=image, peers=PEERS, canary=canary, weights=live, secret_values=values
    )
    assume(not violations(release))
    for manifest in manifests(release):
        errors = schemas[manifest["apiVersion"]].of(manifest["kind"]).iter_errors(manifest)
        assert [f"{error.json_path}: {error.message}" for error in errors] == []
