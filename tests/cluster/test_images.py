"""From a model's folder to an answer: images are built, pushed, pulled and run, and no more of that than has changed."""

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.image import NAME, TAG
from tests.cluster.ask import Answer
from tests.support import EXAMPLES, ROOT, Cluster, Program, running

# The first build of all, with nothing in the builder's cache, takes minutes.
pytestmark = pytest.mark.timeout(1500)

BUILT = ["iris", "digits-onnx", "loan-quote"]
"""Examples that are built from their folders, each with a `request.json`."""
CHANGED = "loan-quote"

OWN = """\
name: own
owner: test
build: {dockerfile: Dockerfile}
protocol: http
port: 8080
health: {live: /hello.txt, ready: /hello.txt}
resources: {cpu: 100m, memory: 64Mi}
"""
DOCKERFILE = f"""\
FROM {{registry}}/{NAME}:{TAG}
COPY hello.txt /srv/
CMD ["python3", "-m", "http.server", "--directory", "/srv", "8080"]
"""


@pytest.fixture(scope="module")
def registry(sandbox: Sandbox) -> str:
    return sandbox.env()["HOMEPORT_REGISTRY"]


@pytest.fixture(scope="module")
def program(cluster: Cluster, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Stack dev with every example that is built, and with a Dockerfile of its own."""
    with running(cluster, ROOT, tmp_path_factory.mktemp("images")) as program:
        own = program.folder / "examples" / "own"
        own.mkdir()
        (own / "model.yaml").write_text(OWN)
        (own / "Dockerfile").write_text(DOCKERFILE.format(registry=registry))
        (own / "hello.txt").write_text("hello")
        entries = [
            f"  {name}: {{spec: ../../examples/{name}/model.yaml, stable: {{version: '1'}}}}\n" for name in names()
        ]
        (program.folder / "stacks" / "dev" / "models.yaml").write_text("models:\n" + "".join(entries))
        program.up()
        yield program


def names() -> list[str]:
    return [*BUILT, "own"]


@pytest.fixture(scope="module")
def ask(sandbox: Sandbox, cluster: Cluster, program: Program) -> Callable[..., Answer]:
    assert program.stack == "dev"

    def ask(model: str, method: str, path: str, body: bytes = b"") -> Answer:
        address = cluster.get(f"service/{model}", f"--namespace={model}")["spec"]["clusterIP"]
        command = sandbox.nsenter([sys.executable, str(ROOT / "tests" / "cluster" / "ask.py"), address, method, path])
        done = subprocess.run(command, input=body, stdout=subprocess.PIPE, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return Answer(**answer)

    return ask


def fetched(registry: str, path: str) -> Any:
    with closing(http.client.HTTPConnection(registry, timeout=10)) as connection:
        connection.request("GET", path, headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
        answer = connection.getresponse()
        assert answer.status == 200, (path, answer.status)
        return json.load(answer)


def manifest(registry: str, program: Program, model: str) -> Any:
    name, _, digest = str(program.outputs()[model]["image"]).rpartition("@")
    assert name == f"{registry}/{model}"
    return fetched(registry, f"/v2/{model}/manifests/{digest}")


def received(sandbox: Sandbox) -> int:
    """Bytes that the registry has."""
    folder = Path(sandbox.status().logs).parent / "registry"
    return sum(file.stat().st_size for file in folder.rglob("data"))


@pytest.mark.parametrize("name", BUILT)
def test_an_example_is_built_deployed_and_answers(ask: Callable[..., Answer], name: str) -> None:
    request = (EXAMPLES / name / "request.json").read_bytes()
    answer = ask(name, "POST", f"/v2/models/{name}/infer", request)
    assert answer.status == 200, answer.body
    assert all(output["data"] for output in json.loads(answer.body)["outputs"])


def test_a_dockerfile_of_ones_own_is_built_and_runs_as_nobody(
    ask: Callable[..., Answer], cluster: Cluster, program: Program
) -> None:
    assert program.stack == "dev"
    assert ask("own", "GET", "/hello.txt").body == "hello"
    assert cluster.kubectl("exec", "--namespace=own", "deployment/own", "--", "id", "-u") == "65532\n"


def test_the_result_has_no_build_tools(cluster: Cluster, program: Program) -> None:
    assert program.stack == "dev"
    script = (
        "for tool in pip pip3 gcc cc make apt apt-get; do command -v $tool && exit 1; done;"
        'for module in pip ensurepip; do python3 -c "import $module" 2> /dev/null && exit 1; done; echo none'
    )
    shown = cluster.kubectl("exec", "--namespace=iris", "deployment/iris", "--", "sh", "-c", script)
    assert shown == "none\n"


def test_labels_say_where_an_image_comes_from(registry: str, program: Program) -> None:
    found = manifest(registry, program, "iris")
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


def test_nothing_is_built_when_nothing_has_changed(sandbox: Sandbox, program: Program) -> None:
    before = received(sandbox), program.outputs()
    program.expect_no_changes()
    assert "building with" not in program.up()
    assert (received(sandbox), program.outputs()) == before


def test_a_change_of_code_pushes_little_and_a_preview_nothing(
    sandbox: Sandbox, registry: str, program: Program, ask: Callable[..., Answer]
) -> None:
    size = sum(layer["size"] for layer in manifest(registry, program, CHANGED)["layers"])
    before, image = received(sandbox), program.outputs()[CHANGED]["image"]
    code = program.folder / "examples" / CHANGED / "loan.py"
    code.write_text(code.read_text() + "\n# changed\n")
    program("preview", f"--stack={program.stack}")
    assert received(sandbox) == before
    shown = program.up()
    assert "Collecting" not in shown  # pip's word
    assert program.outputs()[CHANGED]["image"] != image
    assert 0 < received(sandbox) - before < 0.05 * size
    request = (EXAMPLES / CHANGED / "request.json").read_bytes()
    assert ask(CHANGED, "POST", f"/v2/models/{CHANGED}/infer", request).status == 200


def test_a_requirement_that_is_not_there_is_told_in_pips_words(program: Program, ask: Callable[..., Answer]) -> None:
    requirements = program.folder / "examples" / CHANGED / "requirements.txt"
    kept = requirements.read_text()
    requirements.write_text("homeport-has-no-such-package==1\n")
    shown = program("up", "--yes", "--skip-preview", f"--stack={program.stack}", fails=True)
    assert "No matching distribution found for homeport-has-no-such-package==1" in shown
    requirements.write_text(kept)
    request = (EXAMPLES / CHANGED / "request.json").read_bytes()
    assert ask(CHANGED, "POST", f"/v2/models/{CHANGED}/infer", request).status == 200
