"""A real node: containers run, probes are asked, network policies are enforced."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox, archive, build
from sandbox.progress import Progress
from tests.audit.parts import PROBE
from tests.cluster.ask import Answer
from tests.cluster.examples import deployed_examples
from tests.cluster.load import Row, table
from tests.cluster.probes import IMAGE, Probes
from tests.support import ROOT, Cluster, Program, own_sandbox

Ask = Callable[..., Answer]
REPORT = ROOT / "build" / "change-report.md"


@pytest.fixture(scope="session")
def sandbox(worker_id: str) -> Iterator[Sandbox]:
    with own_sandbox("cluster", worker_id) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def cluster(sandbox: Sandbox) -> Cluster:
    return Cluster(sandbox.env())


@pytest.fixture(scope="session")
def builder(sandbox: Sandbox) -> Cluster:
    """The cluster, with a builder and a registry beside it."""
    sandbox.start(images=True)
    return Cluster(sandbox.env())


@pytest.fixture(scope="session")
def report() -> Iterator[list[Row]]:
    """Becomes the table of events under load, for all tests that were run."""
    rows: list[Row] = []
    yield rows
    if rows:
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(table(rows))


@pytest.fixture
def shown(report: list[Row], capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Shows each test's lines of the table when it has ended."""
    before = len(report)
    yield
    with capsys.disabled():
        for line in table(report[before:]).splitlines()[2:]:
            print(f"\n  {line}", end="")  # noqa: T201


@pytest.fixture(scope="session")
def probes(sandbox: Sandbox, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Probes:
    """Makes models and other pods that dial each other; their image is a program of a few MB."""
    build.ensure([PROBE], Progress())
    file = tmp_path_factory.mktemp("image") / "probe.tar"
    archive.write_image(file, IMAGE, Path(build.program(PROBE, "probe")))
    sandbox.import_image(file)
    return Probes(sandbox, cluster)


@pytest.fixture(scope="session")
def registry(sandbox: Sandbox, builder: Cluster) -> str:
    assert builder
    return sandbox.env()["HOMEPORT_REGISTRY"]


@pytest.fixture(scope="session")
def deployed(builder: Cluster, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Stack dev, with the examples running, from the first test that asks for it to the end."""
    with deployed_examples(builder, registry, tmp_path_factory.mktemp("deployed")) as program:
        yield program


@pytest.fixture(scope="session")
def ask(sandbox: Sandbox, builder: Cluster, deployed: Program) -> Ask:
    """Sends a request to the address of a model's Service, from inside the cluster's network."""
    assert deployed.stack == "dev"

    def ask(model: str, method: str, path: str, body: bytes = b"") -> Answer:
        address = builder.get(f"service/{model}", f"--namespace={model}")["spec"]["clusterIP"]
        command = sandbox.nsenter([sys.executable, str(ROOT / "tests" / "cluster" / "ask.py"), address, method, path])
        done = subprocess.run(command, input=body, stdout=subprocess.PIPE, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return Answer(**answer)

    return ask
