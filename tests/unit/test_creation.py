"""The order in which objects are created and the names that Pulumi knows them by: both are parts of what is deployed."""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pulumi
import pytest
from pulumi.runtime import mocks, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto.resource_pb2 import RegisterResourceResponse

import homeport
import homeport.rules.images as image_rules
from homeport import (
    Canary,
    Environment,
    HomeportError,
    Model,
    ModelService,
    Release,
    Stack,
    cluster_provider,
    stack,
    violations,
)
from homeport.components import model_image, model_service
from homeport.components.rollouts import Rollouts
from homeport.manifests import CONCERNS, Stage, manifests, resources
from homeport.manifests.kinds import KINDS, Kind
from homeport.manifests.names import manifest
from homeport.manifests.resource import Resource
from homeport.rules.violation import Violation
from homeport.specs.problems import Problem
from tests.support import ROOT, live_entry, undigested

MODEL = {"name": "iris", "owner": "ds", "image": "registry.example.com/iris"}
CLUSTER = {"cluster": {"identifier": "prod"}}
GATEWAY = CLUSTER | {"gateway": {"name": "public", "namespace": "gateway", "host": "{model}.example.com"}}
TRIGGER = {"type": "prometheus", "metadata": {"query": "{model}", "threshold": "{target}"}}
SOURCES = {"token": {"config": "token"}, "canary": {"external": {"store": "vault", "key": "iris"}}}
EVERYTHING = GATEWAY | {
    "namespace": "ml-{model}",
    "protect": True,
    "teams": {"ds": {"group": "oidc:ds", "folder": ".", "models": ["iris"]}},
    "network": {"plugin": "cilium"},
    "claims": {"iris": {"corpus": {"volume": "corpus"}}},
    "secrets": {"iris": SOURCES},
}
HEAVY = MODEL | {
    "scale": {"min": 2, "max": 2},
    "egress": [{"host": "features.example.com", "port": 443, "reason": "features"}],
    "weights": {"claim": "corpus"},
    "secrets": [{"name": name, "reason": "it asks"} for name in SOURCES],
}

WALLS = (
    "resourcequota",
    "limitrange",
    "serviceaccount",
    "networkpolicy-default-deny",
    "networkpolicy-ingress",
    "networkpolicy-egress",
    "service",
    "poddisruptionbudget",
)
Expected = tuple[set[str], set[str], set[str], list[str]]
"""Names of the walls, of the storage, of the workloads and of what waits until they serve, in its order."""

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], bool, Expected]] = {
    "alone": (MODEL, CLUSTER, False, ({*WALLS, "horizontalpodautoscaler"}, set(), {"deployment"}, [])),
    "gateway": (MODEL, GATEWAY, False, ({*WALLS, "horizontalpodautoscaler"}, set(), {"deployment"}, ["httproute"])),
    "canary": (
        MODEL,
        GATEWAY,
        True,
        (
            {
                *WALLS,
                "service-canary",
                "poddisruptionbudget-canary",
                "horizontalpodautoscaler",
                "horizontalpodautoscaler-canary",
            },
            set(),
            {"deployment", "deployment-canary"},
            ["httproute"],
        ),
    ),
    "KEDA and canary": (
        MODEL | {"scale": {"max": 5, "target": {"concurrency": 3}}},
        GATEWAY | {"keda": {"triggers": {"concurrency": TRIGGER}}},
        True,
        (
            {*WALLS, "service-canary", "poddisruptionbudget-canary"},
            set(),
            {"deployment", "deployment-canary"},
            ["scaledobject", "scaledobject-canary", "httproute"],
        ),
    ),
    "team, host, volume, secrets": (
        HEAVY,
        EVERYTHING,
        False,
        (
            {
                *WALLS,
                "horizontalpodautoscaler",
                "role",
                "rolebinding",
                "ciliumnetworkpolicy-deny-metadata",
                "ciliumnetworkpolicy-egress-hosts",
                "secret-token",
                "externalsecret-canary",
            },
            {"persistentvolumeclaim-corpus"},
            {"deployment"},
            ["httproute"],
        ),
    ),
}


def release(model: dict[str, Any], environment: dict[str, Any], canary: bool) -> Release:
    tried = Canary("2", "registry.example.com/iris:2", 10) if canary else None
    spec, place = Model.model_validate(model), Environment.model_validate(environment)
    made = Release(spec, place, "1", "registry.example.com/iris:1", canary=tried)
    assert violations(made) == []
    return made


def waits(expected: Expected) -> dict[str, set[str]]:
    """What each object waits for, by name."""
    *stages, serving = expected
    found = {"namespace": set[str]()}
    for stage in stages:
        found |= {name: set(found) for name in stage}
    for name in serving:
        found[name] = set(found)
    return found


@pytest.mark.parametrize(("model", "environment", "canary", "expected"), CASES.values(), ids=CASES)
def test_each_object_has_its_name_and_its_place(
    model: dict[str, Any], environment: dict[str, Any], canary: bool, expected: Expected
) -> None:
    found = resources(release(model, environment, canary))
    before = {
        undigested(each.name): {undigested(other.name) for other in found[:index] if each.waits_for(other)}
        for index, each in enumerate(found)
    }
    assert before == waits(expected)
    assert len(found) == len(before)
    assert manifests(release(model, environment, canary)) == [each.manifest for each in found]


def test_a_concern_is_one_line_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def monitoring(release: Release) -> list[Resource]:
        return [Resource(manifest(release, "monitoring.coreos.com/v1", "PodMonitor", release.model.name, spec={}))]

    def stateful(release: Release) -> list[Resource]:
        return [Resource(manifest(release, "apps/v1", "StatefulSet", release.model.name, spec={}), Stage.WORKLOAD)]

    for version, kind in (("monitoring.coreos.com/v1", "PodMonitor"), ("apps/v1", "StatefulSet")):
        monkeypatch.setitem(KINDS, (version, kind), Kind(version, kind, f"{kind.lower()}s"))
    # The package, which `homeport.manifests`, the function, hides.
    monkeypatch.setattr(sys.modules["homeport.manifests"], "CONCERNS", (stateful, *CONCERNS, monitoring))
    names = [each.name for each in resources(release(MODEL, GATEWAY, canary=False))]
    assert names[0] == "namespace"
    assert names[-4:] == ["podmonitor", "statefulset", "deployment", "httproute"]


class Recorder(mocks.MockMonitor):
    """Keeps what the engine is asked for, and answers that it is so."""

    def __init__(self) -> None:
        super().__init__(cast("mocks.Mocks", None))
        self.asked: dict[str, Any] = {}
        self.hooks: list[str] = []

    async def callbacks(self) -> Any:
        """Instead of the server that the engine calls hooks at."""

        def register(hook: Any) -> None:
            self.hooks.append(hook.name)

        return SimpleNamespace(register_resource_hook=register, register_error_hook=register)

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  # the name of the call
        self.asked[request.name] = request
        urn = self.make_urn(request.parent, request.type, request.name)
        return RegisterResourceResponse(urn=urn, id=f"{request.name}-id", object=request.object)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    found = Recorder()

    async def served(*_: object) -> bool:
        return False

    # There is no cluster to ask.
    monkeypatch.setattr(Rollouts, "_unfinished", served)
    monkeypatch.setattr(Rollouts, "_look_at", served)
    mocks.set_mocks(found.mocks, project="shop", stack="prod", preview=False, monitor=found)
    set_all_config({"shop:token": "open sesame"}, ["shop:token"])
    monkeypatch.setattr("pulumi.runtime.resource._get_callbacks", found.callbacks)
    yield found
    settings.reset_options()
    asyncio.set_event_loop(None)
    loop.close()


def test_the_rules_are_asked_once_of_each_model(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the files of a stack to its resources, a model that is built among them."""
    images = {"registry": "registry.example.com", "bases": {"python": "registry.example.com/python:1"}}
    (tmp_path / "environment.yaml").write_text(json.dumps(CLUSTER | {"images": images}))
    live = {}
    models: dict[str, dict[str, Any]] = {"iris": {"image": "registry.example.com/iris"}, "rose": {"build": {}}}
    for name, made in models.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.yaml").write_text(json.dumps({"name": name, "owner": "ds"} | made))
        live[name] = live_entry("1", spec=f"{name}/model.yaml")
    (tmp_path / "models.yaml").write_text(json.dumps({"models": live}))
    asked: list[tuple[str, str]] = []

    def counted(what: str, rule: Callable[[Release], list[Violation]]) -> Callable[[Release], list[Violation]]:
        def ask(release: Release) -> list[Violation]:
            asked.append((what, release.model.name))
            return rule(release)

        return ask

    for module, rule in ((stack, "violations"), (model_service, "violations"), (model_image, "build_violations")):
        monkeypatch.setattr(module, rule, counted("one release", getattr(module, rule)))
    monkeypatch.setattr(image_rules, "build_violations", counted("build", image_rules.build_violations))

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def deploy() -> None:
        Stack.read(tmp_path).deploy()

    deploy()
    assert sorted(asked) == [(what, name) for what in ("build", "one release") for name in ("iris", "rose")]
    components = {name: each.type for name, each in recorder.asked.items() if each.type.startswith("homeport:")}
    assert components["iris"] == "homeport:index:ModelService"


@pytest.mark.parametrize(("model", "environment", "canary", "expected"), CASES.values(), ids=CASES)
def test_pulumi_is_told_the_names_and_the_order(
    recorder: Recorder, model: dict[str, Any], environment: dict[str, Any], canary: bool, expected: Expected
) -> None:
    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def deploy() -> None:
        ModelService.of("home", release(model, environment, canary), lambda violation: Problem(violation.message))

    deploy()
    assert recorder.asked["home"].type == "homeport:index:ModelService"
    children = {name: asked for name, asked in recorder.asked.items() if name.startswith("home-")}
    assert {
        undigested(name.removeprefix("home-")): {undigested(urn.rpartition("::home-")[2]) for urn in asked.dependencies}
        for name, asked in children.items()
    } == waits(expected)
    assert {asked.parent.rpartition("::")[2] for asked in children.values()} == {"home"}
    protected = {name for name, asked in children.items() if asked.protect}
    assert protected == ({"home-namespace"} if environment.get("protect") else set())
    noticed = {name for name, asked in children.items() if asked.hooks.after_update}
    autoscalers = {name for stage in expected for name in stage if name.startswith("horizontalpod")}
    assert noticed == {f"home-{name}" for name in {*expected[2], *expected[3], *autoscalers}}
    for asked in children.values():  # a single object without them would go before another's hook refuses
        assert asked.hooks.before_create == ["homeport-before-create-cluster"]
        limit = {"homeport-before-update-cluster"} if asked.type.endswith((":ResourceQuota", ":LimitRange")) else set()
        assert set(asked.hooks.before_update) == limit
        kind = "protected-" if environment.get("protect") else ""
        assert asked.hooks.before_delete == [f"homeport-before-delete-{kind}cluster"]
    assert len(recorder.hooks) == len(set(recorder.hooks))


def test_hooks_are_registered_where_no_model_is_left(recorder: Recorder) -> None:
    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def deploy() -> None:
        cluster_provider(Environment.model_validate(CLUSTER))

    deploy()
    kinds = ("create", "update", "delete", "delete-protected")
    assert recorder.hooks == [f"homeport-before-{kind}-cluster" for kind in kinds]


def provider_name(asked: Any) -> str:
    """Name of the provider that the engine is told to use: it is referred to as URN::ID."""
    return str(asked.provider.split("::")[-2])


def test_the_provider_is_that_of_the_environment(recorder: Recorder) -> None:
    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def deploy() -> None:
        for name in ("iris", "rose"):
            ModelService.of(
                name,
                release(MODEL | {"name": name}, CLUSTER, canary=False),
                lambda violation: Problem(violation.message),
            )
        assert cluster_provider(Environment.model_validate(CLUSTER)).pulumi_resource_name == "cluster"
        with pytest.raises(
            HomeportError, match="found the clusters prod and other in one program; accepted: one cluster, or "
        ):
            cluster_provider(Environment.model_validate({"cluster": {"identifier": "other"}}))

    deploy()
    providers = [name for name, asked in recorder.asked.items() if asked.type == "pulumi:providers:kubernetes"]
    assert providers == ["cluster"]
    assert recorder.asked["cluster"].object["clusterIdentifier"] == CLUSTER["cluster"]["identifier"]
    objects = [asked for asked in recorder.asked.values() if asked.type.startswith("kubernetes:")]
    assert objects
    assert {provider_name(asked) for asked in objects} == {"cluster"}


DOCUMENTED = {
    (page, place): block
    for page in ("README.md", "docs/images.md", "docs/guard.md")
    for place, block in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL))
}


@pytest.mark.parametrize(("page", "place"), DOCUMENTED)
def test_documented_programs_deploy_to_the_cluster_of_their_environment(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, place: int
) -> None:
    monkeypatch.chdir(tmp_path)
    images = {"registry": "registry.example.com", "bases": {"python": "registry.example.com/python:1"}}
    environment: dict[str, Any] = CLUSTER | {"images": images, "deployer": {"service_account": "ci/deployer"}}
    for folder, name in ((".", "fraud-score"), ("models/iris", "iris"), ("stacks/prod", "")):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, "environment.yaml").write_text(json.dumps(environment))
        built: dict[str, Any] = {"build": {}} if name == "iris" else {"image": "registry.example.com/any"}
        Path(folder, "model.yaml").write_text(json.dumps({"name": name, "owner": "ds"} | built))
    names = {name: getattr(homeport, name) for name in homeport.__all__} | {
        "pulumi": pulumi,
        "model": Model.load("models/iris/model.yaml"),
        "environment": Environment.load("environment.yaml"),
    }

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def deploy() -> None:
        exec(DOCUMENTED[page, place], names)  # noqa: S102  # that is what the reader does

    deploy()
    objects = [asked for asked in recorder.asked.values() if asked.type.startswith("kubernetes:")]
    assert {provider_name(asked) for asked in objects} == {"cluster"}
