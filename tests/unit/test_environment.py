"""What a platform engineer may write, and how an environment bounds a model."""

from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, SpecError, violations

CLUSTER = {"context": "prod", "identifier": "prod"}


def model(**fields: Any) -> Model:
    return Model.model_validate({"name": "iris", "owner": "ds", "image": "registry.example.com/ds/iris"} | fields)


def refused(fields: dict[str, Any], environment: dict[str, Any], **release: Any) -> list[tuple[str, str]]:
    here = Environment.model_validate({"cluster": CLUSTER} | environment)
    image = release.pop("image", "registry.example.com/ds/iris:1")
    found = violations(Release(model(**fields), here, "1", image, **release))
    return [(".".join(map(str, violation.field)), violation.message) for violation in found]


def test_nothing_is_limited_unless_stated() -> None:
    assert refused({"scale": {"max": 1000}, "resources": {"cpu": 500}}, {}) == []


CEILINGS = [
    (
        {"scale": {"max": 30}},
        {"limits": {"replicas": 20}},
        ("scale.max", "found 30 replicas, accepted: 20 or fewer (limits.replicas)"),
    ),
    (
        {"scale": {"min": 1, "max": 4}},
        {"require": {"min_replicas": 2}},
        ("scale.min", "found 1 replicas, accepted: 2 or more (require.min_replicas)"),
    ),
    (
        {"resources": {"cpu": 8}, "scale": {"max": 10}},
        {"limits": {"cpu": 64}},
        ("resources.cpu", "found 8 for each of 10 replicas, accepted: 64 or less in total (limits.cpu)"),
    ),
    (
        {"resources": {"memory": "32Gi"}, "scale": {"max": 3}},
        {"limits": {"memory": "64Gi"}},
        ("resources.memory", "found 32Gi for each of 3 replicas, accepted: 64Gi or less in total (limits.memory)"),
    ),
    (
        {"resources": {"gpu": {"kinds": ["l4"], "count": 2}}, "scale": {"max": 3}},
        {"limits": {"gpus": 4}, "accelerators": {"l4": {"labels": {"gpu": ["l4"]}}}},
        ("resources.gpu.count", "found 2 for each of 3 replicas, accepted: 4 or less in total (limits.gpus)"),
    ),
    (
        {"resources": {"gpu": {"kinds": ["l4"]}}},
        {"limits": {"gpu_kinds": ["t4"]}, "accelerators": {"l4": {"labels": {"gpu": ["l4"]}}}},
        ("resources.gpu.kinds", 'found "l4", accepted: t4 (limits.gpu_kinds)'),
    ),
    (
        {"image": "docker.io/someone/iris"},
        {"limits": {"registries": ["registry.example.com"]}},
        ("image", 'found "docker.io/someone/iris", accepted: an image of registry.example.com (limits.registries)'),
    ),
    (
        {"image": "registry.example.com.evil.io/iris"},
        {"limits": {"registries": ["registry.example.com"]}},
        (
            "image",
            'found "registry.example.com.evil.io/iris", accepted: an image of registry.example.com (limits.registries)',
        ),
    ),
    (
        {"resources": {"tmp": "100Ti"}},
        {"limits": {"tmp": "10Gi"}},
        ("resources.tmp", "found 100Ti, accepted: 10Gi or less (limits.tmp)"),
    ),
    (
        {"startup_seconds": 3600},
        {"limits": {"startup_seconds": 1800}},
        ("startup_seconds", "found 3600, accepted: 1800 or less (limits.startup_seconds)"),
    ),
    (
        {"drain_seconds": 601},
        {"limits": {"drain_seconds": 600}},
        ("drain_seconds", "found 601, accepted: 600 or less (limits.drain_seconds)"),
    ),
    (
        {"image": None, "build": {"dockerfile": "Dockerfile"}},
        {"limits": {"dockerfile": False}},
        ("build.dockerfile", 'found "Dockerfile", accepted: a build without its own Dockerfile (limits.dockerfile)'),
    ),
    (
        {"calls": ["embedder"]},
        {},
        ("calls.0", 'found "embedder", which is not live here, accepted: none'),
    ),
    (
        {"name": "m" * 56},
        {"namespace": "prod-{model}-ml"},
        ("name", f'found "{"m" * 56}", whose namespace prod-{"m" * 56}-ml has 64 characters, accepted: at most 63'),
    ),
    (
        {},
        {"require": {"digest": True}},
        (
            "stable.digest",
            'found image "registry.example.com/ds/iris:1" without a digest, accepted: sha256:... of the image '
            "(require.digest)",
        ),
    ),
]


@pytest.mark.parametrize(("fields", "environment", "violation"), CEILINGS)
def test_violation_names_field_value_and_ceiling(
    fields: dict[str, Any], environment: dict[str, Any], violation: tuple[str, str]
) -> None:
    assert refused(fields, environment) == [violation]


def test_ceilings_may_be_reached() -> None:
    fields = {
        "resources": {"cpu": 8, "memory": "8Gi", "tmp": "1024Mi"},
        "scale": {"min": 2, "max": 8},
        "startup_seconds": 90,
        "drain_seconds": 20,
    }
    limits = {
        "cpu": 64,
        "memory": "64Gi",
        "tmp": "1Gi",
        "replicas": 8,
        "registries": ["registry.example.com/ds"],
        "startup_seconds": 90,
        "drain_seconds": 20,
    }
    assert refused(fields, {"limits": limits, "require": {"min_replicas": 2}}) == []


def test_digest_satisfies_the_requirement() -> None:
    image = "registry.example.com/ds/iris:1@sha256:" + "0" * 64
    assert refused({}, {"require": {"digest": True}}, image=image) == []


@pytest.mark.parametrize(
    ("scale", "replicas"),
    [
        ({}, (2, 10)),
        ({"min": 1}, (1, 10)),
        ({"max": 1}, (1, 1)),
        ({"min": 20}, (20, 20)),
        ({"min": 3, "max": 4}, (3, 4)),
    ],
)
def test_model_bounds_win_over_defaults(scale: dict[str, int], replicas: tuple[int, int]) -> None:
    defaults = {"min_replicas": 2, "max_replicas": 10}
    here = Environment.model_validate({"cluster": CLUSTER, "defaults": defaults})
    assert Release(model(scale=scale), here, "1", "image").replicas == replicas


MISTAKES = {
    "unknown field": (
        "limit: {cpu: 4}\n",
        "environment.yaml:2: limit: unknown field, perhaps `limits` is meant, accepted: cloud, ",
    ),
    "namespace without model": (
        "namespace: models\n",
        'environment.yaml:2: namespace: found "models", accepted: lower-case letters, digits and `-` around {model}, '
        "such as ml-{model}",
    ),
    "unknown cloud": ("cloud: heroku\n", 'environment.yaml:2: cloud: found "heroku", accepted: '),
    "destination that is none": (
        "limits: {egress: [public]}\n",
        'environment.yaml:2: limits.egress[0]: found "public", accepted: a network such as 10.0.8.0/24, or a host such as '
        "features.example.com or *.example.com",
    ),
    "text for a flag": ('protect: "maybe"\n', 'environment.yaml:2: protect: found "maybe", accepted: '),
    "trigger of nothing that models state": (
        "keda: {triggers: {gpu: {type: prometheus, metadata: {threshold: '{target}', query: '{model}'}}}}\n",
        "environment.yaml:2: keda.triggers.gpu: found \"gpu\", accepted: 'concurrency', 'requests_per_second' or "
        "'queue_length'",
    ),
    "trigger without the model's number": (
        "keda: {triggers: {queue_length: {type: aws-sqs-queue, metadata: {queueURL: 'sqs/{model}'}}}}\n",
        "environment.yaml:2: keda.triggers.queue_length.metadata: found a mapping, accepted: one setting that is exactly "
        "{target}, such as threshold: '{target}'",
    ),
    "trigger that counts all models together": (
        "keda: {triggers: {queue_length: {type: prometheus, metadata: {query: depth, threshold: '{target}'}}}}\n",
        "environment.yaml:2: keda.triggers.queue_length.metadata: found a mapping, accepted: {model}, {namespace} or "
        "{instance} in a setting, so that each model has its own number",
    ),
    "credentials of a trigger": (
        "keda: {triggers: {queue_length: {type: rabbitmq, metadata: {host: 'amqp://a:b@mq/{model}', value: '{target}'}}}}\n",
        "environment.yaml:2: keda.triggers.queue_length.metadata: found a mapping, accepted: no credentials (found in "
        "host): put them into a ClusterTriggerAuthentication",
    ),
    "password of a trigger": (
        "keda: {triggers: {queue_length: {type: redis, metadata: {password: a, key: '{model}', n: '{target}'}}}}\n",
        "environment.yaml:2: keda.triggers.queue_length.metadata: found a mapping, accepted: no credentials (found in "
        "password): put them into a ClusterTriggerAuthentication",
    ),
    "accelerator without labels": (
        "accelerators: {l4: {labels: {}}}\n",
        "environment.yaml:2: accelerators.l4.labels: found a mapping, accepted: at least 1",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named_with_line_and_field(tmp_path: Path, mistake: str) -> None:
    text, message = MISTAKES[mistake]
    path = tmp_path / "environment.yaml"
    path.write_text("cluster: {identifier: prod}\n" + text)
    with pytest.raises(SpecError) as error:
        Environment.load(path)
    assert len(error.value.problems) == 1
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(message)
