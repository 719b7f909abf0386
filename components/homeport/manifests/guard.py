"""The guard: what the API server refuses in the namespaces of a stack, no matter who asks.

Each rule is a ValidatingAdmissionPolicy with its binding: expressions in CEL that the API server evaluates itself, without a
webhook or an image. What they demand comes from the functions that make the manifests, so that both change together.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from homeport.manifests.deployer import deployer_roles, platform_name, platform_object
from homeport.manifests.isolation import POD_SECURITY
from homeport.manifests.kinds import KINDS
from homeport.manifests.names import (
    COMPONENT,
    INSTANCE_LABEL,
    MANAGED,
    MARK,
    MODEL_LABEL,
    OWNER,
    VERSION_LABEL,
    Manifest,
)
from homeport.manifests.network import DENY, DENY_ALL, HOST_POLICIES, POLICIES
from homeport.manifests.pod import container_security, pod_security
from homeport.release import built_folder
from homeport.rules.images import registries
from homeport.specs.environment import Deployer, Environment
from homeport.specs.model import CANARY_SUFFIX

ADMISSION = "admissionregistration.k8s.io/v1"

KUBERNETES = (
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "system:nodes",
    "system:serviceaccounts:kube-system",
)
"""Users and groups of Kubernetes' own controllers, of its garbage collector among them, of its scheduler and its nodes.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#core-component-roles
"""

CONTROLLERS = {
    # KEDA makes a HorizontalPodAutoscaler for a ScaledObject, and scales Deployments from and to zero.
    ("keda.sh/v1alpha1", "ScaledObject"): "system:serviceaccounts:keda",
    # The External Secrets Operator makes a Secret for an ExternalSecret.
    ("external-secrets.io/v1", "ExternalSecret"): "system:serviceaccounts:external-secrets",
}
"""Groups of the controllers of other kinds of objects, in the namespaces of their charts."""


@dataclass(frozen=True)
class Guarded:
    """The stack that is guarded."""

    environment: Environment
    deployer: Deployer
    stack: str
    """`PROJECT/STACK`."""

    @property
    def mark(self) -> str:
        """How the marks of the stack's objects begin."""
        return f"{self.stack}/"


@dataclass(frozen=True)
class Check:
    """What must be true of a request."""

    expression: str
    """In CEL."""
    found: str
    """What was found where it is not true: text in CEL."""
    accepted: str
    """What is accepted: text."""


Checks = Callable[[Guarded], Iterator[Check]]


@dataclass(frozen=True)
class Rule:
    """One rule of the guard. It is a field of `guard.rules` in the environment, with its mode."""

    name: str
    requests: Manifest
    """Requests that it applies to: fields of `matchConstraints`."""
    conditions: Callable[[Guarded], Mapping[str, str]]
    """Further conditions under which it applies: CEL by name."""
    checks: Checks
    variables: Mapping[str, str] = field(default_factory=dict)
    """What its checks share: CEL by name."""


def guard(environment: Environment, deployer: Deployer, stack: str) -> list[Manifest]:
    """What an administrator installs once for a stack, `PROJECT/STACK`: the rules, then the permissions of the deployer."""
    guarded = Guarded(environment, deployer, stack)
    policies = [manifest for rule in RULES for manifest in _policy(rule, guarded)]
    return [*policies, *deployer_roles(environment, deployer, stack)]


def _policy(rule: Rule, guarded: Guarded) -> list[Manifest]:
    name = platform_name(guarded.stack, rule.name)
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": rule.requests,
        "matchConditions": [
            {"name": condition, "expression": expression} for condition, expression in rule.conditions(guarded).items()
        ],
        "variables": [
            {"name": variable, "expression": expression}
            for variable, expression in {**_variables(guarded), **rule.variables}.items()
        ],
        "validations": [
            {
                "expression": check.expression,
                "messageExpression": f"'found ' + {check.found} + {_text(f', accepted: {check.accepted}')}",
                "reason": "Forbidden",
            }
            for check in rule.checks(guarded)
        ],
    }
    mode = getattr(guarded.environment.guard.rules, rule.name)
    return [
        platform_object(ADMISSION, "ValidatingAdmissionPolicy", name, spec=spec),
        platform_object(
            ADMISSION,
            "ValidatingAdmissionPolicyBinding",
            name,
            spec={"policyName": name, "validationActions": [mode]},
        ),
    ]


def _text(value: str) -> str:
    """Text as a literal of CEL. Its escapes are those of JSON, but quotes are single, which stay readable in YAML."""
    inner = json.dumps(value)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inner}'"


def _value(value: Any) -> str:
    """A value of a manifest as a literal of CEL."""
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_text(key)}: {_value(inner)}' for key, inner in value.items())}}}"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _mark_of(manifest: str) -> str:
    return f"{manifest}.metadata.?annotations[?{_text(MARK)}].orValue('')"


def _variables(guarded: Guarded) -> dict[str, str]:
    """What checks share: CEL by name. The API server evaluates one only for a check that uses it."""
    # In a request about a namespace, `namespaceObject` is null.
    about, inside = _mark_of("(oldObject == null ? object : oldObject)"), _mark_of("namespaceObject")
    return {
        "about_namespace": "request.resource.group == '' && request.resource.resource == 'namespaces'",
        # The mark of the namespace that a request is about or in, as it was before the request.
        "mark": f"variables.about_namespace ? {about} : (namespaceObject == null ? '' : {inside})",
        "ours": f"variables.mark.startsWith({_text(guarded.mark)})",
        "model": f"variables.ours ? variables.mark.substring({len(guarded.mark)}) : ''",
    }


def _where_ours(checks: Checks) -> Checks:
    """Checks of requests in the namespaces of the stack."""

    def found(guarded: Guarded) -> Iterator[Check]:
        for check in checks(guarded):
            yield replace(check, expression=f"!variables.ours || ({check.expression})")

    return found


def _asks(who: Deployer) -> str:
    """Whether the deployer asks: CEL."""
    if who.group:
        return f"{_text(who.group)} in request.userInfo.groups"
    return f"request.userInfo.username == {_text(_user(who))}"


def _user(who: Deployer) -> str:
    account = f"system:serviceaccount:{who.service_account.replace('/', ':')}" if who.service_account else ""
    return who.user or account


_NAME = "request.?name.orValue('')"
_REQUEST = (
    "request.operation + ' of ' + [request.resource.resource, request.?subResource.orValue('')]"
    ".filter(each, each != '').join('/') + ' ' + [variables.about_namespace ? '' : request.?namespace.orValue(''), "
    f"{_NAME}].filter(each, each != '').join('/') + ' by ' + request.userInfo.username"
)
"""What is asked, and by whom: CEL. The API server leaves out what is empty."""


def _others(guarded: Guarded) -> dict[str, str]:
    environment = guarded.environment
    known = [
        *KUBERNETES,
        *(name for kind, name in CONTROLLERS.items() if KINDS[kind].made(environment)),
        *environment.guard.controllers,
    ]
    listed = _value(known)
    return {
        "not-the-deployer": f"!({_asks(guarded.deployer)})",
        "not-a-user-of-the-cluster": f"!(request.userInfo.username in {listed})",
        "not-a-group-of-the-cluster": f"!request.userInfo.groups.exists(group, group in {listed})",
    }


def _writers(guarded: Guarded) -> Iterator[Check]:
    who = f"group {guarded.deployer.group}" if guarded.deployer.group else f"user {_user(guarded.deployer)}"
    yield Check("!variables.ours", _REQUEST, f"{who}, which deploys {guarded.stack}")


def _new_or_changed(_: Guarded) -> dict[str, str]:
    # The pods of an earlier homeport must be able to end: an update removes their finalizers.
    changed = " || ".join(f"oldObject.{part} != object.{part}" for part in ("spec", "metadata.?labels"))
    return {"new-or-changed": f"oldObject == null || {changed}"}


_LABELS = "object.metadata.?labels"
_OF_A_POD = {
    # As the deployer states it on the namespace, which no one else may change.
    "owner": f"namespaceObject.metadata.?annotations[?{_text(OWNER)}].orValue('')",
    "containers": "dyn(object.spec.containers) + dyn(object.spec.?initContainers.orValue([])) + "
    "dyn(object.spec.?ephemeralContainers.orValue([]))",
    "images": "variables.containers.map(each, each.?image.orValue('')) + dyn(object.spec.?volumes.orValue([]))"
    ".filter(each, has(each.image)).map(each, each.image.?reference.orValue(''))",
}


def _pods(guarded: Guarded) -> Iterator[Check]:
    environment = guarded.environment
    for key, value in (COMPONENT | MANAGED).items():
        yield _label(key, f"== optional.of({_text(value)})", value)
    yield _label(MODEL_LABEL, "== optional.of(variables.model)", "the name of the model")
    tracks = f"in [optional.of(variables.model), optional.of(variables.model + {_text(CANARY_SUFFIX)})]"
    yield _label(INSTANCE_LABEL, tracks, f"the name of the model, or of its canary with {CANARY_SUFFIX}")
    yield _label(VERSION_LABEL, "!= optional.none()", "a version")
    yield _setting("serviceAccountName", "variables.model", "the name of the model")
    for path, value in _leaves(pod_security(environment.relax)):
        yield _setting(path, _value(value), _shown(value))
    for path, value in _leaves(container_security(environment.relax)):
        other = f"variables.containers.filter(each, each.?{path.replace('.', '.?')} != optional.of({_value(value)}))"
        text = f"'container ' + {other}.map(each, each.name).join(', ')"
        yield Check(f"{other} == []", text, f"{path}: {_shown(value)}")
    for origin in registries(environment):
        allowed = f"{_value(origin.prefixes)}.exists(prefix, each.startsWith(prefix))"
        if origin.team:
            allowed = f"variables.owner != {_text(origin.team)} || {allowed}{_or_built(environment)}"
        yield _image(allowed, f"images of {', '.join(origin.prefixes)} ({origin.field})")
    if environment.require.digest:
        yield _image("each.contains('@sha256:')", "images with a digest (require.digest)")


def _or_built(environment: Environment) -> str:
    """Or whether an image is the model's, built here: CEL; nothing where no images are built."""
    if environment.images is None:
        return ""
    repository = f"{_text(built_folder(environment))} + variables.model"
    return f" || [':', '@'].exists(after, each.startsWith({repository} + after))"


def _label(key: str, comparison: str, accepted: str) -> Check:
    label = f"{_LABELS}[?{_text(key)}]"
    return Check(f"{label} {comparison}", f"{_text(f'{key}: ')} + {label}.orValue('none')", accepted)


def _setting(path: str, wanted: str, accepted: str) -> Check:
    setting = f"object.spec.?{path.replace('.', '.?')}"
    text = f"{_text(f'{path}: ')} + {setting}.optMap(each, string(each)).orValue('none')"
    return Check(f"{setting} == optional.of({wanted})", text, accepted)


def _image(allowed: str, accepted: str) -> Check:
    other = f"variables.images.filter(each, !({allowed}))"
    return Check(f"{other} == []", f"'image ' + {other}.join(', ')", accepted)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _leaves(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values in nested mappings, each with its path, such as `securityContext.runAsUser`."""
    for key, value in content.items():
        path = f"{above}{key}"
        yield from _leaves(value, f"{path}.") if isinstance(value, Mapping) else [(path, value)]


def _policies(_: Guarded) -> Iterator[Check]:
    known = {
        ("networking.k8s.io/v1", "NetworkPolicy"): POLICIES,
        ("cilium.io/v2", "CiliumNetworkPolicy"): HOST_POLICIES,
    }
    suffixes = {f"{KINDS[kind].group}/{KINDS[kind].resource}": list(found) for kind, found in known.items()}
    of_kind = f"{_value(suffixes)}[?request.resource.group + '/' + request.resource.resource].orValue([])"
    yield Check(
        f"{of_kind}.exists(each, {_NAME}.matches('^' + variables.model + '-' + each + '$'))",
        f"request.resource.resource + ' ' + {_NAME}",
        f"the policies that homeport makes, MODEL-{', MODEL-'.join((*POLICIES, *HOST_POLICIES))}",
    )
    fields = {"ingress", "egress"} - DENY_ALL.keys()
    same = [f"object.spec.{key} == {_value(value)}" for key, value in DENY_ALL.items()]
    unchanged = " && ".join([*same, *(f"!has(object.spec.{key})" for key in sorted(fields))])
    yield Check(
        f"request.name != variables.model + '-{DENY}' || ({unchanged})",
        "'another ' + request.name",
        f"MODEL-{DENY} as homeport makes it, which denies everything",
    )


def _of_the_stack(guarded: Guarded) -> dict[str, str]:
    marked = f"{_mark_of('each')}.startsWith({_text(guarded.mark)})"
    return {"of-the-stack": f"[object, oldObject].exists(each, each != null && {marked})"}


def _namespaces(guarded: Guarded) -> Iterator[Check]:
    for key, value in (POD_SECURITY | MANAGED).items():
        yield _label(key, f"== optional.of({_text(value)})", value)
    mark, (before, after) = _mark_of("object"), guarded.environment.namespace.split("{model}")
    yield Check(
        f"!variables.ours || {mark} == variables.mark",
        f"{_text(f'{MARK}: ')} + {mark}",
        "the value that the namespace has",
    )
    name = f"{_text(before)} + {mark}.substring({len(guarded.mark)}) + {_text(after)}"
    yield Check(
        f"!{mark}.startsWith({_text(guarded.mark)}) || request.name == {name}",
        f"{_text(f'{MARK}: ')} + {mark} + ' of ' + request.name",
        f"{guarded.mark}{{model}} of {guarded.environment.namespace}",
    )


def _by_the_deployer(guarded: Guarded) -> dict[str, str]:
    return {
        "the-deployer": _asks(guarded.deployer),
        # These change nothing.
        "not-a-question": "!(request.resource.group in ['authentication.k8s.io', 'authorization.k8s.io'])",
    }


def _fence(guarded: Guarded) -> Iterator[Check]:
    marked = f"{_mark_of('each')}.startsWith({_text(guarded.mark)})"
    before_and_after = f"[object, oldObject].all(each, each == null || {marked})"
    yield Check(
        f"variables.about_namespace ? {before_and_after} : variables.ours",
        _REQUEST,
        f"objects in namespaces with {MARK}: {guarded.mark}MODEL",
    )


def _requests(groups: str, resources: Sequence[str], operations: Sequence[str], scope: str = "*") -> Manifest:
    return {
        "apiGroups": [groups],
        "apiVersions": ["*"],
        "resources": [*resources],
        "operations": [*operations],
        "scope": scope,
    }


_HOMES: Manifest = {"namespaceSelector": {"matchLabels": MANAGED}}
"""Spares the API server most checks of requests about something else. The rule `namespaces` demands the label."""
_WRITES = ("CREATE", "UPDATE", "DELETE")

RULES: Sequence[Rule] = (
    Rule(
        "writers",
        _HOMES
        | {
            "resourceRules": [
                _requests("*", ["*", "*/scale", "pods/ephemeralcontainers", "pods/resize"], _WRITES, "Namespaced"),
                _requests("", ["namespaces"], _WRITES, "Cluster"),
            ],
            # Anybody may tell what happened, and ask what they may do.
            "excludeResourceRules": [
                *(_requests(group, ["events"], _WRITES) for group in ("", "events.k8s.io")),
                _requests("authorization.k8s.io", ["*"], ["CREATE"]),
            ],
        },
        _others,
        _writers,
    ),
    Rule(
        "pods",
        _HOMES | {"resourceRules": [_requests("", ["pods", "pods/ephemeralcontainers"], ("CREATE", "UPDATE"))]},
        _new_or_changed,
        _where_ours(_pods),
        _OF_A_POD,
    ),
    Rule(
        "policies",
        _HOMES
        | {"resourceRules": [_requests("*", ["networkpolicies", "ciliumnetworkpolicies"], ("CREATE", "UPDATE"))]},
        lambda _: {},
        _where_ours(_policies),
    ),
    Rule(
        "namespaces",
        # Not only those with the label by which the other rules select: the stack's namespaces must have it.
        {"resourceRules": [_requests("", ["namespaces"], ("CREATE", "UPDATE"), "Cluster")]},
        _of_the_stack,
        _namespaces,
    ),
    Rule("deployer", {"resourceRules": [_requests("*", ["*/*"], ["*"])]}, _by_the_deployer, _fence),
)
"""The rules, each a row."""
