"""Stack dev with every example that is built from its folder, and with a Dockerfile of one's own: deployed once for all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.image import NAME, TAG
from tests.support import ROOT, Cluster, Program, running

BUILT = ["iris", "digits-onnx", "loan-quote"]
"""Examples that are built from their folders, each with a `request.json`."""

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


@contextmanager
def deployed_examples(cluster: Cluster, registry: str, scratch: Path) -> Iterator[Program]:
    """The program, once all of its models are ready."""
    with running(cluster, ROOT, scratch) as program:
        own = program.folder / "examples" / "own"
        own.mkdir()
        (own / "model.yaml").write_text(OWN)
        (own / "Dockerfile").write_text(DOCKERFILE.format(registry=registry))
        (own / "hello.txt").write_text("hello")
        entries = [
            f"  {name}: {{spec: ../../examples/{name}/model.yaml, stable: {{version: '1'}}}}\n"
            for name in [*BUILT, "own"]
        ]
        (program.folder / "stacks" / "dev" / "models.yaml").write_text("models:\n" + "".join(entries))
        program.up()
        yield program
