"""The guard and the permissions of the deployer: made from what the manifests are made from."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from homeport import Environment, Guard, SpecError
from homeport.cli import app
from homeport.components.objects import RESOURCES
from homeport.manifests import Manifest, manifests
from homeport.manifests.deployer import BINDING, access, deployer_roles
from homeport.manifests.guard import RULES, guard
from homeport.manifests.isolation import POD_SECURITY
from homeport.manifests.kinds import KINDS
from homeport.manifests.network import HOST_POLICIES, POLICIES
from homeport.specs.environment import Deployer, GuardRules
from tests.generated import GOLDEN, stacks

CI = Deployer(group="ci")
Permission = tuple[str, str, str]
"""API group, resource and verb."""

OWN = ("get", "list", "watch", "create", "patch", "delete")


def environment(**fields: Any) -> Environment:
    return Environment.model_validate({"cluster": {"identifier": "x"}, "deployer": {"group": "ci"}} | fields)


def inside(here: Environment) -> set[Permission]:
    """What the deployer may do in the namespace of a model."""
    return permissions(deployer_roles(here, CI, "shop/prod")[0])


def permissions(role: Manifest) -> set[Permission]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def golden() -> Iterator[tuple[Environment, list[Manifest]]]:
    for stack in stacks(GOLDEN).values():
        yield stack.environment, [each for release in stack.releases for each in manifests(release)]


def test_the_role_has_every_kind_that_homeport_makes() -> None:
    seen = set()
    for here, made in golden():
        granted = inside(here)
        for kind in {(each["apiVersion"], each["kind"]) for each in made}:
            seen.add(kind)
            row = KINDS[kind]
            wanted = {(row.group, row.resource, verb) for verb in OWN} if row.namespaced else set()
            assert wanted <= granted, kind
    assert seen == set(KINDS), "a golden stack has every kind"


FACTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing": ({}, set()),
    "teams": ({"teams": {"ds": {"group": "ds"}}}, {"roles"}),
    "KEDA": (
        {"keda": {"triggers": {"concurrency": {"type": "x", "metadata": {"t": "{target}", "m": "{model}"}}}}},
        {"scaledobjects"},
    ),
    "a gateway without a name": ({"gateway": {"namespace": "g"}}, set()),
    "a gateway": ({"gateway": {"namespace": "g", "name": "g", "host": "{model}.example.com"}}, {"httproutes"}),
    "Cilium": ({"network": {"plugin": "cilium"}}, {"ciliumnetworkpolicies"}),
    "volumes": ({"claims": {"m": {"c": {"volume": "v"}}}}, {"persistentvolumeclaims"}),
    "secrets": ({"secrets": {"m": {"s": {"config": "k"}}}}, {"secrets"}),
    "a store of secrets": ({"secrets": {"m": {"s": {"external": {"store": "s", "key": "k"}}}}}, {"externalsecrets"}),
}


@pytest.mark.parametrize("fact", FACTS)
def test_the_role_has_only_the_kinds_of_its_environment(fact: str) -> None:
    fields, more = FACTS[fact]
    written = {resource for _, resource, verb in inside(environment(**fields)) if verb == "create"}
    assert written - {resource for _, resource, verb in inside(environment()) if verb == "create"} == more


def test_the_deployer_can_give_a_team_what_the_team_may_do() -> None:
    for here, made in golden():
        for role in (each for each in made if each["kind"] == "Role"):
            assert permissions(role) <= inside(here)


def test_no_role_of_the_deployer_goes_beyond_what_it_names() -> None:
    for here, _ in golden():
        model, everywhere, _ = deployer_roles(here, CI, "shop/prod")
        both = permissions(model) | permissions(everywhere)
        assert {each for each in both if "*" in each} == {
            ("*", "*", "list")
        }  # in its own namespaces, to look before a deletion
        assert {verb for _, _, verb in both} == {*OWN, "bind"}
        assert ("*", "*", "list") not in permissions(everywhere)
        assert {(group, resource) for group, resource, _ in permissions(everywhere)} == {
            ("", "namespaces"),
            ("rbac.authorization.k8s.io", "rolebindings"),
            ("rbac.authorization.k8s.io", "clusterroles"),
        }
        named = [rule["resourceNames"] for rule in everywhere["rules"] if "bind" in rule["verbs"]]
        assert named == [[model["metadata"]["name"]]]


def test_the_binding_is_the_one_that_the_role_allows() -> None:
    (release,) = stacks(GOLDEN)["gke"].releases
    (binding,) = access(release)
    model, everywhere, _ = deployer_roles(release.environment, CI, "homeport/gke")
    assert binding.manifest["roleRef"]["name"] == model["metadata"]["name"]
    assert binding.manifest["metadata"]["name"] == BINDING
    assert [BINDING] in [rule.get("resourceNames") for rule in everywhere["rules"]]
    assert binding.manifest["subjects"] == [{"kind": "ServiceAccount", "namespace": "ci", "name": "deployer"}]


def test_pulumi_has_the_type_of_every_kind_of_kubernetes_itself() -> None:
    own = {kind for kind in KINDS if "." not in kind[0] or kind[0].partition("/")[0].endswith(".k8s.io")}
    assert own - {("gateway.networking.k8s.io/v1", "HTTPRoute")} <= set(RESOURCES)
    made = guard(environment(), CI, "shop/prod")
    assert {(each["apiVersion"], each["kind"]) for each in made} == set(RESOURCES) - set(KINDS)


def policy(rule: str, here: Environment, deployer: Deployer = CI) -> Manifest:
    (found,) = (
        each
        for each in guard(here, deployer, "shop/prod")
        if each["kind"] == "ValidatingAdmissionPolicy" and each["metadata"]["name"] == f"homeport.shop.prod.{rule}"
    )
    return found


def expressions(rule: str, here: Environment) -> str:
    return "\n".join(each["expression"] for each in policy(rule, here)["spec"]["validations"])


def conditions(rule: str, here: Environment, deployer: Deployer = CI) -> list[str]:
    return [each["expression"] for each in policy(rule, here, deployer)["spec"]["matchConditions"]]


def leaves(content: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        yield from leaves(value, f"{above}.?{key}") if isinstance(value, dict) else [(f"{above}.?{key}", value)]


def test_the_guard_demands_the_security_settings_of_every_pod() -> None:
    for here, made in golden():
        wanted = expressions("pods", here)
        for deployment in (each for each in made if each["kind"] == "Deployment"):
            spec = deployment["spec"]["template"]["spec"]
            pod = {key: spec[key] for key in ("automountServiceAccountToken", "securityContext")}
            settings = [(f"object.spec{path}", value) for path, value in leaves(pod)]
            for container in spec["containers"]:
                context = {"securityContext": container["securityContext"]}
                settings += [(f"each{path}", value) for path, value in leaves(context)]
            for path, value in settings:
                text = json.dumps(value).replace('"', "'")
                assert f"{path} == optional.of({text})" in wanted or f"{path} != optional.of({text})" in wanted


def test_the_guard_knows_every_network_policy() -> None:
    for here, made in golden():
        for policy in (each for each in made if each["kind"] in {"NetworkPolicy", "CiliumNetworkPolicy"}):
            suffix = policy["metadata"]["name"].removeprefix(policy["metadata"]["labels"]["app.kubernetes.io/name"])
            (known,) = (each for each in (*POLICIES, *HOST_POLICIES) if re.fullmatch(f"-{each}", suffix))
            assert f"'{known}'" in expressions("policies", here)


def test_the_guard_keeps_the_labels_of_every_namespace() -> None:
    for here, made in golden():
        for namespace in (each for each in made if each["kind"] == "Namespace"):
            labels = namespace["metadata"]["labels"]
            kept = {key: value for key, value in labels.items() if key.startswith("pod-security")}
            assert kept == POD_SECURITY
            for key, value in kept.items():
                assert f"object.metadata.?labels[?'{key}'] == optional.of('{value}')" in expressions("namespaces", here)


def test_registries_and_digests_are_demanded_where_the_environment_does() -> None:
    assert "images" not in expressions("pods", environment())
    limited = environment(limits={"registries": ["a.example.com", "b.example.com/ml/"]}, require={"digest": True})
    found = expressions("pods", limited)
    assert "['a.example.com/', 'b.example.com/ml/'].exists(prefix, each.startsWith(prefix))" in found
    assert "each.contains('@sha256:')" in found


def test_the_registries_of_a_team_are_demanded_of_its_images() -> None:
    teams = {
        "risk": {"group": "risk", "registries": ["a.example.com/risk/"]},
        "growth": {"group": "growth", "registries": []},
        "others": {"group": "others"},
    }
    found = expressions("pods", environment(teams=teams))
    assert "!(variables.owner != 'risk' || ['a.example.com/risk/'].exists(prefix, each.startsWith(prefix)))" in found
    assert "!(variables.owner != 'growth' || [].exists(prefix, each.startsWith(prefix)))" in found
    assert "'others'" not in found
    building = expressions("pods", environment(teams=teams, images={"registry": "a.example.com/built"}))
    assert "[':', '@'].exists(after, each.startsWith('a.example.com/built/' + variables.model + after))" in building


def test_every_rule_has_its_mode() -> None:
    assert [rule.name for rule in RULES] == list(GuardRules.model_fields)
    modes = {"writers": "Warn", "pods": "Audit"}
    bindings = {
        each["spec"]["policyName"].rpartition(".")[2]: each["spec"]["validationActions"]
        for each in guard(environment(guard={"rules": modes}), CI, "shop/prod")
        if each["kind"] == "ValidatingAdmissionPolicyBinding"
    }
    assert bindings == {rule.name: [modes.get(rule.name, "Deny")] for rule in RULES}


@pytest.mark.parametrize(
    ("deployer", "asks"),
    [
        ({"user": "oidc:o'ci\\n"}, r"request.userInfo.username == 'oidc:o\'ci\\n'"),
        ({"group": 'a"b'}, """'a"b' in request.userInfo.groups"""),
        ({"service_account": "ci/deployer"}, "request.userInfo.username == 'system:serviceaccount:ci:deployer'"),
    ],
)
def test_the_deployer_is_known_by_what_the_api_server_calls_it(deployer: dict[str, str], asks: str) -> None:
    who = Deployer.model_validate(deployer)
    assert conditions("deployer", environment(), who)[0] == asks
    assert conditions("writers", environment(), who)[0] == f"!({asks})"


def test_controllers_may_write_where_the_environment_has_them() -> None:
    keda, kyverno = "system:serviceaccounts:keda", "system:serviceaccounts:kyverno"
    fields, _ = FACTS["KEDA"]
    allowed = {
        name: [group for group in (keda, kyverno) if f"'{group}'" in conditions("writers", environment(**found))[1]]
        for name, found in {"none": {}, "keda": fields, "named": {"guard": {"controllers": [kyverno]}}}.items()
    }
    assert allowed == {"none": [], "keda": [keda], "named": [kyverno]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stack": "shop/prod", "environment": {"cluster": {"identifier": "x"}}}, "g.environment.deployer: missing"),
        ({"stack": "prod", "environment": environment()}, 'g.stack: found "prod", accepted: PROJECT/STACK'),
    ],
)
def test_a_guard_needs_to_know_who_deploys_what(arguments: Any, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        Guard("g", arguments)


def stack(folder: Path, environment: str) -> None:
    (folder / "stacks" / "prod").mkdir(parents=True)
    (folder / "stacks" / "prod" / "environment.yaml").write_text(environment)


COMPLETE = "cluster: {identifier: prod}\ndeployer: {user: ci}\n"


def test_the_command_prints_the_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stack(tmp_path, COMPLETE)
    (tmp_path / "Pulumi.yaml").write_text("name: Shop_1\nruntime: python\n")
    printed = CliRunner().invoke(app, ["guard", "prod"])
    assert printed.exit_code == 0
    assert list(YAML(typ="safe").load_all(printed.stdout)) == guard(
        environment(deployer={"user": "ci"}), Deployer(user="ci"), "Shop_1/prod"
    )
    assert "name: homeport.shop-1.prod.writers" in printed.stdout


@pytest.mark.parametrize(
    ("content", "project", "message"),
    [
        (
            "cluster: {identifier: prod}\n",
            True,
            "stacks/prod/environment.yaml:1: deployer: missing: who runs `pulumi up`",
        ),
        (f"{COMPLETE}guard: {{rules: {{pods: deny}}}}\n", True, 'guard.rules.pods: found "deny", accepted:'),
        ("cluster: {identifier: prod}\ndeployer: {user: a, group: b}\n", True, "accepted: exactly one of `user`"),
        (
            "cluster: {identifier: prod}\ndeployer: {service_account: ci}\n",
            True,
            "accepted: NAMESPACE/NAME of a ServiceAccount",
        ),
        (COMPLETE, False, "stacks/prod: found no Pulumi.yaml"),
    ],
)
def test_the_command_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, project: bool, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    stack(tmp_path, content)
    if project:
        (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    printed = CliRunner().invoke(app, ["guard", "prod"])
    assert printed.exit_code == 1
    assert message in printed.stderr
