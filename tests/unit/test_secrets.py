"""Secrets: asked for by the model, given by the environment, mounted as files, and shown nowhere."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import config as configuration
from pydantic import ValidationError

from homeport import Environment, Model, ModelService, Release, SpecError, Stack, manifests, violations
from homeport.commands.render import rendered
from homeport.components.secret_values import config_violations, secret_values
from homeport.rules.violation import Violation
from tests.support import live_entry

MODEL: dict[str, Any] = {
    "name": "seer",
    "owner": "ds",
    "image": "registry.example.com/seer",
    "secrets": [{"name": "features", "reason": "reads features"}, {"name": "licence", "reason": "of its library"}],
}
SOURCES: dict[str, Any] = {
    "features": {"config": "features-password"},
    "licence": {"external": {"store": "company", "key": "ml/licences", "property": "seer"}},
}

ENVIRONMENT: dict[str, Any] = {"cluster": {"identifier": "x"}, "secrets": {"seer": SOURCES}}


def release(sources: Any = SOURCES, model: Any = None, values: Any = None) -> Release:
    spec = Model.model_validate(MODEL | (model or {}))
    here = Environment.model_validate(ENVIRONMENT | {"secrets": {"seer": sources}})
    return Release(spec, here, "3", "registry.example.com/seer:3", secret_values=values or {})


def objects(made: Release) -> dict[tuple[str, str], Any]:
    assert violations(made) == []
    return {(each["kind"], each["metadata"]["name"]): each for each in manifests(made)}


def template(made: Release) -> Any:
    return objects(made)["Deployment", "seer"]["spec"]["template"]


def test_value_is_in_a_secret_of_the_models_namespace_and_nowhere_else() -> None:
    value = object()  # as a Pulumi Output: nobody looks into it
    made = objects(release(values={"features": value}))
    secret = made["Secret", "seer-features"]
    assert (secret["metadata"]["namespace"], secret["type"]) == ("seer", "Opaque")
    assert secret["data"] == {"features": value}
    del made["Secret", "seer-features"]
    assert made == {key: each for key, each in objects(release()).items() if key != ("Secret", "seer-features")}


def test_rendered_secret_has_no_data_and_says_where_they_are() -> None:
    secret = objects(release())["Secret", "seer-features"]
    assert "data" not in secret
    assert secret["metadata"]["annotations"]["homeport/secret-source"] == (
        "Pulumi config features-password; its value stands in no file"
    )
    assert "\ndata:" not in rendered(release())


def test_secret_of_a_store_is_an_external_secret() -> None:
    found = objects(release())["ExternalSecret", "seer-licence.external"]
    assert found["apiVersion"] == "external-secrets.io/v1"
    assert found["spec"] == {
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": "company"},
        "target": {"name": "seer-licence.external"},
        "data": [{"secretKey": "licence", "remoteRef": {"key": "ml/licences", "property": "seer"}}],
    }


def test_secrets_are_files_that_nobody_writes() -> None:
    pod = template(release())["spec"]
    (volume,) = (each for each in pod["volumes"] if each["name"] == "secrets")
    assert volume["projected"]["defaultMode"] == 0o440
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "seer-features", "items": [{"key": "features", "path": "features"}]}},
        {"secret": {"name": "seer-licence.external", "items": [{"key": "licence", "path": "licence"}]}},
    ]
    assert pod["securityContext"]["fsGroup"] == 65532
    (mount,) = (each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "secrets")
    # Without a subPath, which would never see a new value.
    assert mount == {"name": "secrets", "mountPath": "/run/secrets/homeport", "readOnly": True}


def test_variable_names_the_folder_and_has_no_value() -> None:
    container = template(release())["spec"]["containers"][0]
    assert {"name": "HOMEPORT_SECRETS", "value": "/run/secrets/homeport"} in container["env"]
    assert "envFrom" not in container
    assert all("valueFrom" not in each for each in container["env"])


def test_model_without_secrets_has_neither_folder_nor_variable() -> None:
    pod = template(release(model={"secrets": []}))["spec"]
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]
    assert "HOMEPORT_SECRETS" not in {each["name"] for each in pod["containers"][0]["env"]}


def test_new_value_restarts_nobody_and_a_new_version_does() -> None:
    assert template(release(values={"features": "b2xk"})) == template(release(values={"features": "bmV3"}))
    versions = ({"features": {"config": "a", "version": version}, "licence": SOURCES["licence"]} for version in "12")
    one, two = (template(release(sources))["metadata"]["annotations"] for sources in versions)
    assert [each["homeport/secret-versions"] for each in (one, two)] == ["features=1", "features=2"]


def test_value_is_not_in_what_is_said_of_a_release() -> None:
    assert "aHVudGVyMg" not in repr(release(values={"features": "aHVudGVyMg=="}))


def test_secret_that_the_environment_does_not_give_is_named() -> None:
    (first, second) = violations(release({}))
    assert (first.field, first.message) == (
        ("secrets", 0, "name"),
        'found "features", accepted: none (secrets.seer of the environment)',
    )
    assert second.field == ("secrets", 1, "name")


def test_secret_of_another_model_is_not_given() -> None:
    other = release().model.model_copy(update={"name": "other"})
    assert len(violations(replace(release(), model=other))) == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "exactly one of `config` and `external`"),
        (SOURCES["features"] | SOURCES["licence"], "exactly one of `config` and `external`"),
        ({"config": "a.b"}, "String should match pattern"),
        ({"config": "aws:token"}, "String should match pattern"),
        ({"external": {"store": "company"}}, "Field required"),
    ],
)
def test_mistake_in_a_source_is_named(source: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        release({"features": source})


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        ([{"name": "a", "reason": "b"}] * 2, "each name once"),
        ([{"name": "a"}], "Field required"),
        ([{"name": "../a", "reason": "b"}], "String should match pattern"),
        ([{"name": "a", "reason": "b", "value": "hunter2"}], "Extra inputs are not permitted"),
    ],
)
def test_mistake_in_the_secrets_of_a_model_is_named(secrets: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Model.model_validate(MODEL | {"secrets": secrets})


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What Pulumi tells a program of its stack; without an engine."""
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")
    monkeypatch.setattr("pulumi.config.get_project", lambda: "shop")
    yield
    configuration.set_all_config({}, [])


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    ("settings", "hidden", "found"),
    [
        ({}, [], "no value"),
        ({"shop:features-password": ""}, ["shop:features-password"], "no value"),
        ({"shop:features-password": "hunter2"}, [], "in plain text"),
    ],
)
def test_value_that_is_missing_or_in_plain_text_is_told_with_the_command(
    settings: dict[str, str], hidden: list[str], found: str, tmp_path: Path
) -> None:
    configuration.set_all_config(settings, hidden)
    (violation,) = config_violations(release())
    said = (
        f"found {found} in the stack's configuration (shop:features-password): run "
        "`pulumi config set --secret features-password --stack prod`"
    )
    assert violation == Violation(("secrets", 0), said)

    (tmp_path / "environment.yaml").write_text(json.dumps(ENVIRONMENT))
    (tmp_path / "models.yaml").write_text(json.dumps({"models": {"seer": live_entry("3")}}))
    secrets = "secrets:\n- {name: features, reason: a}\n- {name: licence, reason: a}\n"
    (tmp_path / "model.yaml").write_text("name: seer\nowner: ds\nimage: registry.example.com/seer\n" + secrets)
    with pytest.raises(SpecError) as error:
        Stack.read(tmp_path).deploy()
    assert str(error.value) == f"{tmp_path}/model.yaml:5: seer.secrets[0]: {said}"
    with pytest.raises(SpecError) as error:
        ModelService("oracle", {"model": MODEL, "environment": ENVIRONMENT, "version": "3"})
    assert str(error.value) == f"oracle.model.secrets[0]: {said}"


@pytest.mark.usefixtures("stack")
def test_value_that_is_a_secret_is_accepted() -> None:
    configuration.set_all_config({"shop:features-password": "hunter2"}, ["shop:features-password"])
    assert config_violations(release()) == []


@pytest.mark.usefixtures("stack")
def test_value_is_a_secret_to_pulumi_in_base64_too() -> None:
    configuration.set_all_config({"shop:features-password": "hunter2"}, ["shop:features-password"])

    async def told() -> tuple[bool, str | None]:
        (value,) = secret_values(release()).values()
        return await value.is_secret(), await value.future()

    assert asyncio.run(told()) == (True, "aHVudGVyMg==")
