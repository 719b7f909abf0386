"""Weights apart from the code: from an image with a version of its own, or from a volume of the platform."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from homeport import Canary, Environment, Model, ModelServiceArgs, Release, SpecError, Stack, manifests, violations
from homeport.components.model_service import release_of
from homeport.specs.live_models import LiveWeights
from homeport.stack import MODELS_FILE

DIGEST = "sha256:" + "7" * 64
REPOSITORY = "registry.example.com/ml/seer-weights"
MODEL: dict[str, Any] = {"name": "seer", "owner": "ds", "image": "registry.example.com/ml/seer"}
GATEWAY = {"name": "public", "namespace": "gateway", "host": "{model}.models.example.com"}
CLAIMS = {"seer": {"corpus": {"volume": "corpus-of-the-platform"}}}
SEVEN = LiveWeights(version="7", digest=DIGEST)


def release(weights: Any, live: LiveWeights | None = None, **environment: Any) -> Release:
    spec = Model.model_validate(MODEL | {"weights": weights})
    here = Environment.model_validate({"cluster": {"identifier": "x"}} | environment)
    return Release(spec, here, "3", "registry.example.com/ml/seer:3", weights=live)


def objects(made: Release) -> dict[tuple[str, str], Any]:
    assert violations(made) == []
    return {(each["kind"], each["metadata"]["name"]): each for each in manifests(made)}


def pod(made: Release, name: str = "seer") -> Any:
    return objects(made)["Deployment", name]["spec"]["template"]["spec"]


def mounted(made: Release) -> tuple[Any, Any]:
    """Volume and mount of the weights."""
    found = pod(made)
    (volume,) = (each for each in found["volumes"] if each["name"] == "weights")
    (mount,) = (each for each in found["containers"][0]["volumeMounts"] if each["name"] == "weights")
    return volume, mount


def said(made: Release) -> list[tuple[str, str]]:
    return [(".".join(map(str, each.field)), each.message) for each in violations(made)]


def test_weights_in_an_image_are_a_volume_of_that_image() -> None:
    volume, mount = mounted(release({"image": REPOSITORY}, SEVEN))
    assert volume == {"name": "weights", "image": {"reference": f"{REPOSITORY}:7@{DIGEST}", "pullPolicy": "Always"}}
    assert mount == {"name": "weights", "mountPath": "/weights", "readOnly": True}


def test_image_of_weights_is_pulled_as_that_of_the_code_is() -> None:
    here = {"relax": {"image_pull": "there is no registry"}}
    volume, _ = mounted(release({"image": REPOSITORY}, LiveWeights(version="7"), **here))
    assert volume["image"] == {"reference": f"{REPOSITORY}:7", "pullPolicy": "IfNotPresent"}


def test_weights_on_a_volume_are_claimed_in_the_namespace_of_the_model() -> None:
    made = release({"claim": "corpus", "path": "/model/weights"}, claims=CLAIMS)
    claim = objects(made)["PersistentVolumeClaim", "corpus-of-the-platform"]
    assert claim["metadata"]["namespace"] == "seer"
    assert claim["spec"]["volumeName"] == "corpus-of-the-platform"
    assert (claim["spec"]["accessModes"], claim["spec"]["storageClassName"]) == (["ReadOnlyMany"], "")
    volume, mount = mounted(made)
    assert volume["persistentVolumeClaim"] == {"claimName": "corpus-of-the-platform", "readOnly": True}
    assert mount == {"name": "weights", "mountPath": "/model/weights", "readOnly": True}
    assert list(objects(made)).index(("PersistentVolumeClaim", "corpus-of-the-platform")) < list(objects(made)).index(
        ("Deployment", "seer")
    )


@pytest.mark.parametrize(
    ("made", "claims"),
    [
        (release(None), "0"),
        (release({"image": REPOSITORY}, SEVEN), "0"),
        (release(None, claims=CLAIMS), "2"),
        (release({"claim": "corpus"}, claims=CLAIMS), "2"),
    ],
)
def test_quota_has_room_for_a_claim_and_the_one_that_replaces_it(made: Release, claims: str) -> None:
    assert objects(made)["ResourceQuota", "seer"]["spec"]["hard"]["persistentvolumeclaims"] == claims


def test_other_weights_change_the_pods_and_not_the_image_of_the_code() -> None:
    old, new = (pod(release({"image": REPOSITORY}, LiveWeights(version=version))) for version in "78")
    assert old["volumes"] != new["volumes"]
    assert old["containers"] == new["containers"]


def test_every_object_tells_the_version_of_the_weights() -> None:
    found = objects(release({"image": REPOSITORY}, SEVEN)).values()
    assert {each["metadata"]["annotations"]["homeport/weights-version"] for each in found} == {"7"}


def test_canary_may_be_of_the_same_code_with_other_weights() -> None:
    made = replace(
        release({"image": REPOSITORY}, SEVEN, gateway=GATEWAY),
        canary=Canary("3", "registry.example.com/ml/seer:3", 10, LiveWeights(version="8")),
    )
    references = [pod(made, name)["volumes"][1]["image"]["reference"] for name in ("seer", "seer-canary")]
    assert references == [f"{REPOSITORY}:7@{DIGEST}", f"{REPOSITORY}:8"]
    weights = {"version": "7", "digest": DIGEST}
    canary = {"version": "3", "percent": 10, "weights": {"version": "8"}}
    args = ModelServiceArgs(model=made.model, environment=made.environment, version="3", weights=weights, canary=canary)
    assert replace(release_of("seer", args), peers=()) == made
    same = replace(made, canary=Canary("3", "i", 10, SEVEN))
    assert said(same) == [
        ("canary.version", 'found "3", accepted: a version other than the stable one, or other weights')
    ]


VIOLATIONS = [
    (
        release({"image": REPOSITORY}, SEVEN, limits={"registries": ["registry.example.com/ml/seer"]}),
        [
            (
                "image",
                'found "registry.example.com/ml/seer", accepted: an image of registry.example.com/ml/seer '
                "(limits.registries)",
            ),
            (
                "weights.image",
                f'found "{REPOSITORY}", accepted: an image of registry.example.com/ml/seer (limits.registries)',
            ),
        ],
    ),
    (
        release({"image": REPOSITORY}),
        [
            (
                "stable.weights",
                f"missing: state the version of {REPOSITORY}, the image of the model's weights",
            )
        ],
    ),
    (
        release(None, SEVEN),
        [("stable.weights", 'found version "7", accepted: none, because the model has no `weights.image`')],
    ),
    (
        release({"claim": "corpus"}, SEVEN, claims=CLAIMS),
        [("stable.weights", 'found version "7", accepted: none, because the model has no `weights.image`')],
    ),
    (
        release({"claim": "corpse"}, claims=CLAIMS),
        [("weights.claim", 'found "corpse", accepted: corpus (claims.seer of the environment)')],
    ),
    (
        release({"claim": "corpus"}, claims={"other": CLAIMS["seer"]}),
        [("weights.claim", 'found "corpus", accepted: none (claims.seer of the environment)')],
    ),
]


@pytest.mark.parametrize(("made", "found"), VIOLATIONS)
def test_what_the_environment_does_not_allow_is_named(made: Release, found: list[tuple[str, str]]) -> None:
    assert said(made) == found


def test_digest_of_the_weights_is_demanded_too() -> None:
    made = replace(
        release({"image": REPOSITORY}, LiveWeights(version="7"), require={"digest": True}),
        image=f"registry.example.com/ml/seer:3@{DIGEST}",
    )
    message = 'found version "7" without a digest, accepted: sha256:... of the image (require.digest)'
    assert said(made) == [("stable.weights.digest", message)]
    assert said(replace(made, weights=SEVEN)) == []


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "exactly one of `image` and `claim`"),
        ({"image": REPOSITORY, "claim": "corpus"}, "exactly one of `image` and `claim`"),
        ({"claim": "corpus", "path": "/tmp/weights"}, "a folder that is not /tmp, inside it or around it"),  # noqa: S108
        ({"claim": "corpus", "path": "/run"}, "a folder that is not /run/secrets, inside it or around it"),
        ({"claim": "corpus", "path": "/etc"}, "a folder that is not /etc, inside it or around it"),
        ({"claim": "corpus", "path": "/"}, "String should match pattern"),
        ({"claim": "corpus", "path": "weights"}, "String should match pattern"),
        ({"claim": "corpus", "path": "/weights/../etc"}, "String should match pattern"),
        ({"claim": "corpus", "path": "/weights:rw"}, "String should match pattern"),
    ],
)
def test_mistake_in_the_weights_is_named(weights: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Model.model_validate(MODEL | {"weights": weights})


def test_folder_with_a_name_like_another_is_free() -> None:
    for path in ("/etcetera", "/home/nonroot/.cache/huggingface", "/run/weights"):
        assert violations(release({"claim": "corpus", "path": path}, claims=CLAIMS)) == []


@pytest.mark.parametrize("path", ["/model", "/opt", "/opt/venv", "/opt/venv/lib"])
def test_weights_do_not_hide_what_is_built(tmp_path: Path, path: str) -> None:
    file = tmp_path / "model.yaml"
    head = "name: seer\nowner: ds\n"
    end = f"weights:\n  claim: corpus\n  path: {path}\n"
    file.write_text(f"{head}build: {{}}\n{end}")
    with pytest.raises(SpecError) as error:
        Model.load(file)
    (problem,) = error.value.problems
    assert (problem.line, problem.field) == (4, "weights")
    assert re.search(r"accepted: (another|a) `path` .*/(model|opt/venv)", problem.message)
    for other in ("image: registry.example.com/ml/seer", "build: {dockerfile: Dockerfile}"):
        file.write_text(f"{head}{other}\n{end}")
        assert Model.load(file).weights


def test_weights_may_stand_in_the_folder_of_the_code() -> None:
    built = {"name": "seer", "owner": "ds", "build": {}}
    for path in ("/model/weights", "/models", "/opt/weights"):
        assert Model.model_validate(built | {"weights": {"claim": "corpus", "path": path}}).weights


def test_volume_is_given_to_one_claim_only() -> None:
    with pytest.raises(ValidationError, match="found corpus-of-the-platform twice"):
        release(None, claims={**CLAIMS, "other": {"mine": {"volume": "corpus-of-the-platform"}}})


def test_versions_of_weights_stand_beside_those_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "environment.yaml").write_text("cluster: {identifier: x}\n")
    (tmp_path / "model.yaml").write_text(
        f"name: seer\nowner: ds\nimage: registry.example.com/ml/seer\nweights: {{image: {REPOSITORY}}}\n"
    )
    live = tmp_path / MODELS_FILE
    live.write_text(
        "models:\n  seer:\n    spec: model.yaml\n"
        f'    stable: {{version: "3", weights: {{version: "7", digest: "{DIGEST}"}}}}\n'
    )
    (found,) = Stack.read(tmp_path).releases
    assert found.weights == SEVEN
    live.write_text('models:\n  seer:\n    spec: model.yaml\n    stable: {version: "3"}\n')
    with pytest.raises(SpecError) as error:
        Stack.read(tmp_path)
    assert str(error.value).endswith(
        f"models.yaml:4: models.seer.stable.weights: missing: state the version of {REPOSITORY}, the image of "
        "the model's weights"
    )
