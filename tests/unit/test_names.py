"""A model's name leads to a namespace, a host and Pulumi's names, and none of them is another's."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homeport import Environment, Model, Release, SpecError, violations
from homeport.manifests import resources
from homeport.rules.names import joined_names

KEDA = {
    "triggers": {"queue_length": {"type": "redis", "metadata": {"listName": "{model}", "listLength": "{target}"}}},
}
EXTERNAL = {"iris": {"token": {"external": {"store": "vault", "key": "token"}}}}

RESERVED: list[tuple[str, dict[str, Any], str]] = [
    ("default", {}, "Kubernetes"),
    ("kube-system", {}, "Kubernetes"),
    ("kube-node-lease", {}, "Kubernetes"),
    ("kube-anything", {}, "Kubernetes"),
    ("system", {"namespace": "kube-{model}"}, "Kubernetes"),
    ("e", {"namespace": "ku{model}b{model}-x"}, ""),
    ("edge", {"gateway": {"namespace": "edge"}}, "gateway.namespace"),
    ("dge", {"gateway": {"namespace": "edge"}, "namespace": "e{model}"}, "gateway.namespace"),
    ("watch", {"monitoring": {"namespace": "watch"}}, "monitoring.namespace"),
    ("ci", {"deployer": {"service_account": "ci/deployer"}}, "deployer.service_account"),
    ("ci", {"deployer": {"user": "system:serviceaccount:ci:deployer"}}, "deployer.user"),
    ("kyverno", {"guard": {"controllers": ["system:serviceaccounts:kyverno"]}}, "guard.controllers[0]"),
    ("deployer", {"deployer": {"service_account": "ci/deployer"}}, ""),
    ("keda", {"keda": KEDA}, "keda"),
    ("external-secrets", {"secrets": EXTERNAL}, "secrets"),
    ("istio-system", {"limits": {"reserved": ["istio-*"]}}, "limits.reserved"),
    ("cert-manager", {"limits": {"reserved": ["istio-*", "cert-manager"]}}, "limits.reserved"),
    ("calico-system", {"limits": {"reserved": ["*-system"]}}, "limits.reserved"),
    # Its host may be the platform's, whatever its namespace is.
    ("www", {"limits": {"reserved": ["www"]}, "namespace": "ml-{model}"}, "limits.reserved"),
    ("edge-finder", {"gateway": {"namespace": "edge"}}, ""),
    ("edge", {"gateway": {"namespace": "edge"}, "namespace": "ml-{model}"}, ""),
    ("kube-system", {"namespace": "ml-{model}"}, ""),
    ("kube", {}, ""),
    ("kubeflow", {}, ""),
    ("defaults", {}, ""),
    ("keda", {}, ""),
    ("external-secrets", {"secrets": {"iris": {"token": {"config": "token"}}}}, ""),
    ("istio", {"limits": {"reserved": ["istio-*"]}}, ""),
    ("system", {"limits": {"reserved": ["*-system"]}}, ""),
]


def messages(name: str, environment: dict[str, Any]) -> list[str]:
    here = Environment.model_validate({"cluster": {"identifier": "prod"}} | environment)
    image = f"registry.example.com/{name}"
    model = Model.model_validate({"name": name, "owner": "ds", "image": image})
    return [each.message for each in violations(Release(model, here, "1", f"{image}:1"))]


@pytest.mark.parametrize(("name", "environment", "by"), RESERVED)
def test_a_namespace_that_is_anothers_is_reserved(name: str, environment: dict[str, Any], by: str) -> None:
    found = messages(name, environment)
    assert [f"which is reserved ({by})" in message for message in found] == ([True] if by else [])


def test_the_message_names_the_namespace_and_all_that_are_reserved() -> None:
    assert messages("edge", {"gateway": {"namespace": "edge"}, "limits": {"reserved": ["istio-*"]}}) == [
        'found "edge" with the namespace edge, which is reserved (gateway.namespace), accepted: a name and a namespace '
        "other than default (Kubernetes), kube-* (Kubernetes), edge (gateway.namespace), istio-* (limits.reserved)"
    ]


def test_every_namespace_that_an_environment_names_is_reserved() -> None:
    """Also one that a later field names."""

    def named(part: Any, *place: str) -> set[str]:
        fields = part.get("properties", {})
        found = {".".join((*place, "namespace"))} if place and "namespace" in fields else set()
        for name, field in fields.items():
            for each in (field, *field.get("anyOf", ())):
                if "$ref" in each:
                    found |= named(schema["$defs"][each["$ref"].rpartition("/")[2]], *place, name)
        return found

    schema = Environment.model_json_schema()
    fields = named(schema)
    assert {"gateway.namespace", "monitoring.namespace"} <= fields
    content: dict[str, Any] = {"cluster": {"identifier": "prod"}}
    for field in fields:
        part, _, _ = field.partition(".")
        content[part] = {"namespace": f"of-{part}"}
    reserved = Environment.model_validate(content).reserved_namespaces
    assert fields <= set(reserved.values())


@pytest.mark.parametrize("found", ["*", "", "Istio", "a b", "a*b", "**"])
def test_a_pattern_of_no_name_is_refused(tmp_path: Path, found: str) -> None:
    (tmp_path / "environment.yaml").write_text(f'cluster: {{identifier: a}}\nlimits: {{reserved: ["{found}"]}}\n')
    with pytest.raises(SpecError, match="such as istio-"):
        Environment.load(tmp_path / "environment.yaml")


# Names of few parts, which often join.
part = st.lists(st.sampled_from(["a", "secret", "externalsecret"]), min_size=1, max_size=3).map("-".join)
EXTERNAL_SOURCE = {"external": {"store": "vault", "key": "one"}}
sources = st.sampled_from([{"config": "one"}, EXTERNAL_SOURCE])


@settings(deadline=None)
@example({"a": {"externalsecret-a": EXTERNAL_SOURCE}, "a-externalsecret": {"a": EXTERNAL_SOURCE}})
@example({"a": {"secret-a": {"config": "one"}}, "a-secret": {"a": EXTERNAL_SOURCE}})
@example({"a": {"secret-a": EXTERNAL_SOURCE}, "a-externalsecret": {"a": {"config": "one"}}})
@given(st.dictionaries(part, st.dictionaries(part, sources, min_size=1, max_size=2), min_size=2, max_size=3))
def test_no_two_objects_have_one_name_in_pulumi_unless_it_is_refused(secrets: dict[str, Any]) -> None:
    here = Environment.model_validate({"cluster": {"identifier": "prod"}, "secrets": secrets})
    releases = [
        Release(
            Model.model_validate(
                {
                    "name": name,
                    "owner": "ds",
                    "image": "registry.example.com/a",
                    "secrets": [{"name": secret, "reason": "a"} for secret in granted],
                }
            ),
            here,
            "1",
            "registry.example.com/a:1",
        )
        for name, granted in secrets.items()
    ]
    names = [
        (resource.manifest["kind"], f"{release.model.name}-{resource.name}")
        for release in releases
        for resource in resources(release)
    ]
    assert bool(list(joined_names(releases))) == (len(set(names)) < len(names))


def test_both_models_are_named_where_names_join() -> None:
    secrets = {"lock": {"secret-key": {"config": "one"}}, "lock-secret": {"key": {"config": "two"}}}
    here = Environment.model_validate({"cluster": {"identifier": "prod"}, "secrets": secrets})
    models = [
        Model.model_validate(
            {"name": name, "owner": "ds", "image": "r.example.com/a", "secrets": [{"name": secret, "reason": "a"}]}
        )
        for name, secret in (("lock", "secret-key"), ("lock-secret", "key"))
    ]
    ((model, found),) = joined_names(Release(each, here, "1", "r.example.com/a:1") for each in models)
    assert (model, found.field) == ("lock-secret", ("secrets", 0, "name"))
    assert found.message == (
        'found "key", whose object is called lock-secret-secret-key in Pulumi, as that of secret-key of lock is, '
        "accepted: another name for the secret or the model"
    )
