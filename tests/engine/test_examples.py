"""Every example, by the real engine on a real API server: what stands there is what `homeport render` writes."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from homeport import Environment, Model, Release, last_commit, manifests
from tests.support import DIGEST, EXAMPLES, PATIENTLY, ROOT, Cluster, Program, pin, running

OURS = (
    "namespaces,resourcequotas,limitranges,serviceaccounts,services,roles,rolebindings,networkpolicies,deployments,"
    "horizontalpodautoscalers,poddisruptionbudgets,secrets,persistentvolumeclaims"
)
SELECTOR = "--selector=app.kubernetes.io/managed-by=homeport"


def own_program(folder: Path) -> list[Any]:
    """What the pure functions say: a program of one's own is no stack that could be rendered."""
    model, environment = Model.load(folder / "model.yaml"), Environment.load(folder / "environment.yaml")
    files = [folder / file for file in ("model.yaml", "environment.yaml", "__main__.py")]
    return manifests(Release(model, environment, "3", f"{model.image}:3@{DIGEST}", last_commit(files)))


def dev_stack(folder: Path) -> list[Any]:
    return rendered(folder / "stacks" / "dev")


def rendered(stack: Path) -> list[Any]:
    """The objects in the files that `homeport render` writes of a stack."""
    out = stack.parent / "rendered"
    command = [str(Path(sys.executable).with_name("homeport")), "render", stack.name, "--out", str(out)]
    subprocess.run([*command, "--stacks", str(stack.parent)], check=True)
    files = sorted((out / stack.name).iterdir())
    return [each for file in files for each in YAML(typ="safe").load_all(file)]


CASES: dict[str, tuple[Path, Callable[[Path], list[Any]]]] = {
    "stacks/dev": (ROOT, dev_stack),
    "own-program": (EXAMPLES / "own-program", own_program),
    "several-models": (EXAMPLES / "several-models", rendered),
}


@pytest.fixture(scope="module", params=CASES)
def example(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Program, list[Any]]]:
    source, objects = CASES[request.param]
    with running(cluster, source, tmp_path_factory.mktemp("example")) as program:
        if source == ROOT:
            pin(program)
        program("config", "set", "--secret", "feature-store-password", "of a test", f"--stack={program.stack}")
        program.up()
        yield program, objects(program.folder)
    left = cluster.kubectl("get", OURS, "--all-namespaces", SELECTOR, "--output=name")
    assert left == "", "destroy left something behind"


def test_cluster_has_just_what_is_rendered(cluster: Cluster, example: tuple[Program, list[Any]]) -> None:
    _, wanted = example
    assert cluster.differences(wanted) == []
    found = cluster.get(OURS, "--all-namespaces", SELECTOR)["items"]
    assert sorted(map(_identity, found)) == sorted(map(_identity, wanted))


def test_nothing_to_change_right_after_up(example: tuple[Program, list[Any]]) -> None:
    program, _ = example
    program.expect_no_changes()


# The others repeat it, for a single model each.
@pytest.mark.parametrize(
    "example",
    [pytest.param(name, marks=[] if name == "several-models" else pytest.mark.slow) for name in CASES],
    indirect=True,
)
def test_nothing_to_change_after_the_autoscaler_acted(cluster: Cluster, example: tuple[Program, list[Any]]) -> None:
    program, wanted = example
    for autoscaler in (manifest for manifest in wanted if manifest["kind"] == "HorizontalPodAutoscaler"):
        name, namespace = autoscaler["metadata"]["name"], f"--namespace={autoscaler['metadata']['namespace']}"
        most = autoscaler["spec"]["maxReplicas"]
        # More than the most: the autoscaler itself brings it back to that.
        cluster.kubectl("scale", f"deployment/{name}", f"--replicas={most + 1}", namespace)
        cluster.kubectl("wait", f"--for=jsonpath={{.spec.replicas}}={most}", f"deployment/{name}", namespace)
        cluster.kubectl("rollout", "status", f"deployment/{name}", namespace, PATIENTLY)
    program.expect_no_changes("--refresh")
    program.up("--refresh")
    for autoscaler in (manifest for manifest in wanted if manifest["kind"] == "HorizontalPodAutoscaler"):
        (deployment,) = cluster.live(autoscaler | {"apiVersion": "apps/v1", "kind": "Deployment"})
        assert deployment["spec"]["replicas"] == autoscaler["spec"]["maxReplicas"]


@pytest.mark.parametrize("example", ["stacks/dev"], indirect=True)
def test_a_new_version_is_one_line_and_one_rollout(cluster: Cluster, example: tuple[Program, list[Any]]) -> None:
    program, _ = example
    before = cluster.get("deployment/iris", "--namespace=iris")
    live = program.folder / "stacks" / "dev" / "models.yaml"
    live.write_text(live.read_text().replace('version: "1"', 'version: "2"'))
    program.up()
    after = cluster.get("deployment/iris", "--namespace=iris")
    assert before["metadata"]["uid"] == after["metadata"]["uid"]
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == f"localhost:5001/iris:2@{DIGEST}"
    assert program.outputs()["iris"]["version"] == "2"


def _identity(manifest: Any) -> tuple[str, str, str]:
    return manifest["kind"], manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
