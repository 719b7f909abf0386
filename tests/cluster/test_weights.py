"""Weights and secrets in real pods: from an image, from a volume, as files; the model reads them and writes none."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeport import Release, manifests, violations
from homeport.specs.live_models import LiveWeights
from sandbox import Sandbox, archive
from tests.cluster.probes import IMAGE, Probes, model, releases
from tests.support import PATIENTLY, until

REPOSITORY = "homeport.invalid/weights"
VOLUME = "corpus-on-this-machine"
FILE = "/weights/weights.bin"
SECRET = "/run/secrets/homeport/features"  # noqa: S105
SECRETS = [{"name": "features", "reason": "reads features"}]
(BARE,) = releases([model("seer")], secrets={"seer": {"features": {"config": "features"}}})
(READER,) = releases([model("reader", weights={"claim": "corpus"})], claims={"reader": {"corpus": {"volume": VOLUME}}})


def seer(version: str, secret: str) -> Release:
    """A model with weights of a version in an image, and a secret."""
    spec = model("seer", weights={"image": REPOSITORY}, secrets=SECRETS)
    value = {"features": b64encode(secret.encode()).decode()}
    made = replace(BARE, model=spec, weights=LiveWeights(version=version), secret_values=value)
    assert violations(made) == []
    return made


@pytest.fixture(scope="module", autouse=True)
def standing(sandbox: Sandbox, probes: Probes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("weights")
    weights = folder / "weights.bin"
    for version in ("1", "2"):
        weights.write_text(f"weights {version}")
        archive.write_image(folder / "image.tar", f"{REPOSITORY}:{version}", weights)
        sandbox.import_image(folder / "image.tar")
    # Everyone on the node may write there: what keeps the model from it is how it is mounted.
    folder.chmod(0o777)
    weights.chmod(0o666)
    probes.apply([volume(folder)])
    try:
        with probes.standing([*manifests(seer("1", "first")), *manifests(READER)]):
            yield
    finally:
        probes.cluster.kubectl("delete", "persistentvolume", VOLUME)


def volume(folder: Path) -> Any:
    """What a platform makes of a file system of its own: here a folder of the node."""
    spec = {
        "accessModes": ["ReadOnlyMany"],
        "capacity": {"storage": "1Gi"},
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": str(folder), "type": "Directory"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": VOLUME}, "spec": spec}


def read(probes: Probes, release: Release, path: str) -> str:
    return probes.post(probes.address(release.namespace), "/read", path)


def test_weights_come_from_an_image_and_from_a_volume(probes: Probes) -> None:
    assert read(probes, BARE, FILE) == "weights 1"
    assert read(probes, READER, FILE) == "weights 2"  # the last one written


@pytest.mark.parametrize(
    ("release", "path"),
    [(BARE, FILE), (BARE, "/weights/new"), (READER, FILE), (READER, "/weights/new"), (BARE, SECRET)],
    ids=["image", "image, new", "volume", "volume, new", "secret"],
)
def test_nothing_of_it_can_be_written(probes: Probes, release: Release, path: str) -> None:
    answer = probes.answer(probes.address(release.namespace), "/write", path)
    assert (answer.status, answer.body.strip()) == (403, f"open {path}: read-only file system")


def test_what_may_be_written_is_written(probes: Probes) -> None:
    probes.post(probes.address(BARE.namespace), "/write", "/tmp/new")  # noqa: S108


def test_secret_is_a_file_and_no_variable(probes: Probes) -> None:
    assert read(probes, BARE, SECRET) == "first"
    variables = read(probes, BARE, "/proc/self/environ").split("\0")
    assert "HOMEPORT_SECRETS=/run/secrets/homeport" in variables
    assert not [each for each in variables if "first" in each]


def test_new_value_of_a_secret_changes_the_file_under_the_running_model(probes: Probes) -> None:
    before = pod(probes)
    probes.apply(manifests(seer("1", "second")))
    # The kubelet looks about once a minute, and at once when the pod is touched.
    probes.cluster.kubectl("annotate", "pod", before["metadata"]["name"], "look=now", f"--namespace={BARE.namespace}")
    until(lambda: read(probes, BARE, SECRET) == "second")
    after = pod(probes)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_new_weights_are_a_rolling_update_of_the_same_code(probes: Probes) -> None:
    before = pod(probes)
    probes.apply(manifests(seer("2", "second")))
    probes.cluster.kubectl("rollout", "status", "deployment/seer", f"--namespace={BARE.namespace}", PATIENTLY)
    assert read(probes, BARE, FILE) == "weights 2"
    after = pod(probes)
    images = {each["status"]["containerStatuses"][0]["imageID"] for each in (before, after)}
    assert len(images) == 1
    assert after["spec"]["containers"][0]["image"] == IMAGE


def pod(probes: Probes) -> Any:
    pods = probes.cluster.get("pods", f"--namespace={BARE.namespace}")["items"]
    (found,) = (each for each in pods if "deletionTimestamp" not in each["metadata"])
    return found
