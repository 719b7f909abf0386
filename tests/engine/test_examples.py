"""Every example, by the real engine on a real API server: what stands there is what the pure functions say."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, Stack, last_commit, manifests
from tests.support import EXAMPLES, ROOT, Cluster, Program, differences, running

DIGEST = "sha256:5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270"
OURS = (
    "namespaces,resourcequotas,limitranges,serviceaccounts,services,roles,rolebindings,networkpolicies,deployments,"
    "horizontalpodautoscalers,poddisruptionbudgets"
)
SELECTOR = "--selector=app.kubernetes.io/managed-by=homeport"


def own_program(folder: Path) -> list[Release]:
    model, environment = Model.load(folder / "model.yaml"), Environment.load(folder / "environment.yaml")
    files = [folder / file for file in ("model.yaml", "environment.yaml", "__main__.py")]
    return [Release(model, environment, "3", f"{model.image}:3@{DIGEST}", last_commit(files))]


def dev_stack(folder: Path) -> list[Release]:
    return list(Stack.read(folder / "stacks" / "dev").releases)


def own_stack(folder: Path) -> list[Release]:
    return list(Stack.read(folder).releases)


CASES: dict[str, tuple[Path, Callable[[Path], list[Release]]]] = {
    "stacks/dev": (ROOT, dev_stack),
    "own-program": (EXAMPLES / "own-program", own_program),
    "several-models": (EXAMPLES / "several-models", own_stack),
}


@pytest.fixture(scope="module", params=CASES)
def example(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Program, list[Any]]]:
    source, releases = CASES[request.param]
    with running(cluster, source, tmp_path_factory.mktemp("example")) as program:
        program.up()
        yield program, [manifest for release in releases(program.folder) for manifest in manifests(release)]
    left = cluster.kubectl("get", OURS, "--all-namespaces", SELECTOR, "--output=name")
    assert left == "", "destroy left something behind"


def test_cluster_has_just_what_the_functions_say(cluster: Cluster, example: tuple[Program, list[Any]]) -> None:
    _, wanted = example
    assert [line for manifest in wanted for line in differences(manifest, cluster.live(manifest))] == []
    found = cluster.get(OURS, "--all-namespaces", SELECTOR)["items"]
    assert sorted(map(_identity, found)) == sorted(map(_identity, wanted))


def test_nothing_to_change_right_after_up(example: tuple[Program, list[Any]]) -> None:
    program, _ = example
    program.expect_no_changes()


def test_nothing_to_change_after_the_autoscaler_acted(cluster: Cluster, example: tuple[Program, list[Any]]) -> None:
    program, wanted = example
    for autoscaler in (manifest for manifest in wanted if manifest["kind"] == "HorizontalPodAutoscaler"):
        name, namespace = autoscaler["metadata"]["name"], f"--namespace={autoscaler['metadata']['namespace']}"
        most = autoscaler["spec"]["maxReplicas"]
        # More than the most: the autoscaler itself brings it back to that.
        cluster.kubectl("scale", f"deployment/{name}", f"--replicas={most + 1}", namespace)
        cluster.kubectl("wait", f"--for=jsonpath={{.spec.replicas}}={most}", f"deployment/{name}", namespace)
        cluster.kubectl("rollout", "status", f"deployment/{name}", namespace, "--timeout=60s")
    program.expect_no_changes()
    program.up()
    for autoscaler in (manifest for manifest in wanted if manifest["kind"] == "HorizontalPodAutoscaler"):
        deployment = cluster.live(autoscaler | {"apiVersion": "apps/v1", "kind": "Deployment"})
        assert deployment["spec"]["replicas"] == autoscaler["spec"]["maxReplicas"]


def _identity(manifest: Any) -> tuple[str, str, str]:
    return manifest["kind"], manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
