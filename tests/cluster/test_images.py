"""From a model's folder to an answer: images are built, pushed, pulled and run, and no more of that than has changed."""

import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sandbox import Sandbox
from tests.cluster.conftest import Ask
from tests.cluster.examples import BUILT
from tests.support import DIGEST, EXAMPLES, Cluster, Program

# The first build of all, with nothing in the builder's cache, takes minutes.

CHANGED = "loan-quote"


def fetched(registry: str, path: str) -> Any:
    with closing(http.client.HTTPConnection(registry, timeout=10)) as connection:
        connection.request("GET", path, headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
        answer = connection.getresponse()
        assert answer.status == 200, (path, answer.status)
        return json.load(answer)


def manifest(registry: str, deployed: Program, model: str) -> Any:
    live = deployed.outputs()[model]
    name, _, digest = live["image"].rpartition("@")
    assert name == f"{registry}/{model}:{live['version']}"
    return fetched(registry, f"/v2/{model}/manifests/{digest}")


def received(sandbox: Sandbox) -> int:
    """Bytes that the registry has."""
    folder = Path(sandbox.status().logs).parent / "registry"
    return sum(file.stat().st_size for file in folder.rglob("data"))


@pytest.mark.parametrize("name", BUILT)
def test_an_example_is_built_deployed_and_answers(ask: Ask, name: str) -> None:
    request = (EXAMPLES / name / "request.json").read_bytes()
    answer = ask(name, "POST", f"/v2/models/{name}/infer", request)
    assert answer.status == 200, answer.body
    assert all(output["data"] for output in json.loads(answer.body)["outputs"])


def test_a_dockerfile_of_ones_own_is_built_and_runs_as_nobody(ask: Ask, cluster: Cluster, deployed: Program) -> None:
    assert deployed.stack == "dev"
    assert ask("own", "GET", "/hello.txt").body == "hello"
    assert cluster.kubectl("exec", "--namespace=own", "deployment/own", "--", "id", "-u") == "65532\n"


def test_the_result_has_no_build_tools(cluster: Cluster, deployed: Program) -> None:
    assert deployed.stack == "dev"
    script = (
        "for tool in pip pip3 gcc cc make apt apt-get; do command -v $tool && exit 1; done;"
        'for module in pip ensurepip; do python3 -c "import $module" 2> /dev/null && exit 1; done; echo none'
    )
    shown = cluster.kubectl("exec", "--namespace=iris", "deployment/iris", "--", "sh", "-c", script)
    assert shown == "none\n"


def test_labels_say_where_an_image_comes_from(registry: str, deployed: Program) -> None:
    found = manifest(registry, deployed, "iris")
    config = fetched(registry, f"/v2/iris/blobs/{found['config']['digest']}")
    said = {
        "org.opencontainers.image.title": "iris",
        "org.opencontainers.image.version": "1",
        "org.opencontainers.image.revision": "unknown",  # the copy of these tests is no repository
        "org.opencontainers.image.vendor": "data-science",
    }
    assert found["annotations"] == said
    assert config["config"]["Labels"].items() >= said.items()
    assert config["config"]["User"] == "65532:65532"
    assert config["created"] == "1970-01-01T00:00:00Z"


def test_nothing_is_built_when_nothing_has_changed(sandbox: Sandbox, deployed: Program) -> None:
    before = received(sandbox), deployed.outputs()
    deployed.expect_no_changes()
    assert "building with" not in deployed.up()
    assert (received(sandbox), deployed.outputs()) == before


def test_a_change_of_code_pushes_little_and_a_preview_nothing(
    sandbox: Sandbox, registry: str, deployed: Program, ask: Ask
) -> None:
    size = sum(layer["size"] for layer in manifest(registry, deployed, CHANGED)["layers"])
    before, image = received(sandbox), deployed.outputs()[CHANGED]["image"]
    code = deployed.folder / "examples" / CHANGED / "loan.py"
    code.write_text(code.read_text() + "\n# changed\n")
    deployed("preview", f"--stack={deployed.stack}")
    assert received(sandbox) == before
    shown = deployed.up()
    assert "Collecting" not in shown  # pip's word
    assert deployed.outputs()[CHANGED]["image"] != image
    assert 0 < received(sandbox) - before < 0.05 * size
    request = (EXAMPLES / CHANGED / "request.json").read_bytes()
    assert ask(CHANGED, "POST", f"/v2/models/{CHANGED}/infer", request).status == 200


def test_stating_the_digest_that_runs_restarts_no_pod(cluster: Cluster, deployed: Program) -> None:
    def generation() -> int:
        found: int = cluster.get(f"deployment/{CHANGED}", f"--namespace={CHANGED}")["metadata"]["generation"]
        return found

    before, image = generation(), deployed.outputs()[CHANGED]["image"]
    models = deployed.folder / "stacks" / "dev" / "models.yaml"
    kept = models.read_text()
    content = YAML().load(kept)
    content["models"][CHANGED]["stable"]["digest"] = image.partition("@")[2]
    with models.open("w") as stream:
        YAML().dump(content, stream)
    deployed.up()
    assert (generation(), deployed.outputs()[CHANGED]["image"]) == (before, image)
    models.write_text(kept)


def test_a_requirement_that_is_not_there_is_told_in_pips_words(deployed: Program, ask: Ask) -> None:
    requirements = deployed.folder / "examples" / CHANGED / "requirements.txt"
    kept = requirements.read_text()
    requirements.write_text("homeport-has-no-such-package==1\n")
    shown = deployed("up", "--yes", "--skip-preview", f"--stack={deployed.stack}", fails=True)
    assert "No matching distribution found for homeport-has-no-such-package==1" in shown
    requirements.write_text(kept)
    request = (EXAMPLES / CHANGED / "request.json").read_bytes()
    assert ask(CHANGED, "POST", f"/v2/models/{CHANGED}/infer", request).status == 200


def test_a_version_that_cannot_start_ends_the_update_early(registry: str, deployed: Program, ask: Ask) -> None:
    """Long before the time that a version has to start is over, which the error would name."""
    code = deployed.folder / "examples" / CHANGED / "loan.py"
    live = deployed.folder / "stacks" / "dev" / "models.yaml"
    kept = {file: file.read_text() for file in (code, live)}
    code.write_text(kept[code] + "\nraise RuntimeError('no weights')\n")
    shown = deployed.up(fails=True)
    assert "replicas of the new version serve: the model crashed with exit code 1" in shown
    code.write_text(kept[code])
    live.write_text(
        kept[live].replace(f"{CHANGED}/model.yaml, stable: {{", f"{CHANGED}/model.yaml, stable: {{digest: '{DIGEST}', ")
    )
    shown = deployed.up(fails=True)
    assert f"replicas of the new version serve: the registry has no {registry}/{CHANGED}:1@{DIGEST}: " in shown
    live.write_text(kept[live])
    deployed.up()
    request = (EXAMPLES / CHANGED / "request.json").read_bytes()
    assert ask(CHANGED, "POST", f"/v2/models/{CHANGED}/infer", request).status == 200
