"""What a cluster's version of Kubernetes decides."""

from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, SpecError, manifests, violations

IMAGE = "registry.example.com/iris"
GPU = {"resources": {"gpu": {"kinds": ["l4"]}}}
CLAIM = {"weights": {"claim": "corpus", "path": "/weights"}}


def release(model: Any, version: str | None = "1.36", **environment: Any) -> Release:
    stated = {"name": "iris", "owner": "ds", "image": IMAGE} | model
    here = {"cloud": "gke", "cluster": {"identifier": "test"} | ({"version": version} if version else {})} | environment
    return Release(Model.model_validate(stated), Environment.model_validate(here), "1", f"{IMAGE}:1")


@pytest.mark.parametrize(
    ("found", "own"),
    [
        (release({}), True),
        (release({}, "1.37"), True),
        (release({}, "1.35"), False),
        (release({}, None), False),
        (release({}, relax={"user_namespaces": "an old kernel"}), False),
        (release(GPU), False),
        (release(GPU, gpu={"user_namespaces": True}), True),
        (release(GPU, "1.35", gpu={"user_namespaces": True}), False),
        (release(CLAIM, claims={"iris": {"corpus": {"volume": "corpus"}}}), False),
        (release({"weights": {"image": IMAGE}}), True),
    ],
)
def test_pods_have_their_own_users_where_the_cluster_and_its_volumes_can(found: Release, own: bool) -> None:
    (deployment,) = (each for each in manifests(found) if each["kind"] == "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    assert spec.get("hostUsers") == (False if own else None)


def refused(version: str | None) -> list[str]:
    found = violations(release({"weights": {"image": "registry.example.com/weights"}}, version))
    return [each.message for each in found if each.field == ("weights", "image")]


def test_weights_from_an_image_need_a_cluster_that_can_mount_it() -> None:
    assert refused("1.35") == refused(None) == []
    assert refused("1.34") == [
        'found "registry.example.com/weights", accepted: no image, because that needs Kubernetes 1.35, and the cluster has '
        "1.34 (cluster.version); `claim` works"
    ]


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ('"1.30"', 'found "1.30", accepted: 1.31 or newer'),
        ('"1.36.2"', 'found "1.36.2", accepted: a minor version of Kubernetes, such as "1.36"'),
        ("1.36", 'found 1.36, accepted: text in quotes, such as "3" or "1.10"'),
    ],
)
def test_version_that_does_not_work_is_a_mistake(tmp_path: Path, version: str, problem: str) -> None:
    path = tmp_path / "environment.yaml"
    path.write_text(f"cluster:\n  identifier: test\n  version: {version}\n")
    with pytest.raises(SpecError) as error:
        Environment.load(path)
    assert str(error.value).startswith(f"{path}:3: cluster.version: {problem}")
