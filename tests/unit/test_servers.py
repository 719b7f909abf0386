"""Images that bring their own server: a name in place of what one would have to look up."""

from typing import Any, get_args

import pytest

from homeport import Model, violations
from homeport.catalogue.servers import SERVERS
from tests.unit.test_manifests import objects, pod, release

TMP, SHM = "/tmp", "/dev/shm"  # noqa: S108
LARGE = {"resources": {"cpu": 4, "memory": "16Gi"}}

# Port, liveness, readiness, metrics, /dev/shm, /tmp, seconds until ready.
NEEDS = {
    "kserve": (8080, "/v2/health/live", "/v2/health/ready", (8080, "/metrics"), "512Mi", "256Mi", 300),
    "ray-serve": (8000, "/-/healthz", "/-/healthz", (8080, "/metrics"), "1Gi", "1Gi", 300),
    "tgi": (8080, "/health", "/health", (8080, "/metrics"), "1Gi", "2Gi", 600),
    "triton": (8000, "/v2/health/live", "/v2/health/ready", (8002, "/metrics"), "1Gi", "256Mi", 300),
    "vllm": (8000, "/health", "/health", (8000, "/metrics"), "2Gi", "2Gi", 600),
}

VARIABLES = {
    "kserve": {"HF_HOME": f"{TMP}/huggingface"},
    "ray-serve": {"RAY_SERVE_DEFAULT_HTTP_HOST": "0.0.0.0"},  # noqa: S104
    "tgi": {"HF_HOME": f"{TMP}/huggingface", "HUGGINGFACE_HUB_CACHE": f"{TMP}/huggingface/hub", "PORT": "8080"},
    "triton": {},
    "vllm": {"HF_HOME": f"{TMP}/huggingface"},
}


def of(server: str, **stated: Any) -> Any:
    model = {"server": server, **LARGE, **stated}
    return {key: value for key, value in model.items() if value is not None}


def bare(server: str) -> dict[str, Any]:
    """What a release of the other tests states, left to the server."""
    minimal = {"name": "fraud-score", "owner": "risk", "image": "registry.example.com/risk/fraud-score"}
    return Model.model_validate(minimal | of(server)).model_dump(exclude_unset=True)


def test_each_server_of_the_field_has_a_row_and_each_row_its_source() -> None:
    named = {name for each in get_args(Model.model_fields["server"].annotation) for name in get_args(each)}
    assert named == set(SERVERS) == set(NEEDS)
    assert all(each.startswith("https://") for row in SERVERS.values() for each in row.sources)
    assert all(row.sources for row in SERVERS.values())


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_fixes_what_its_image_needs(server: str) -> None:
    port, live, ready, metrics, shm, tmp, seconds = NEEDS[server]
    spec = pod(bare(server))
    (container,) = spec["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"http": port} | ({"metrics": metrics[0]} if metrics[0] != port else {})
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert paths == {"startup": ready, "readiness": ready, "liveness": live}
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == seconds

    assert spec["volumes"] == [
        {"name": "tmp", "emptyDir": {"sizeLimit": tmp}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": shm}},
    ]
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": TMP}, {"name": "shm", "mountPath": SHM}]
    assert container["resources"]["limits"]["memory"] == "16Gi"  # of which /dev/shm is a part
    (monitoring,) = (
        rule["ports"]
        for (kind, _), each in objects(bare(server), {"monitoring": {"namespace": "monitoring"}}).items()
        if kind == "NetworkPolicy"
        for rule in each["spec"].get("ingress", [])
        if "monitoring" in str(rule)
    )
    assert monitoring == [{"port": metrics[0], "protocol": "TCP"}]


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_runs_as_a_nobody_on_a_read_only_root(server: str) -> None:
    spec = pod(bare(server))
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["runAsUser"] == 65532
    env = {each["name"]: each["value"] for each in container["env"] if each["name"] != "HOMEPORT_DRAIN_SECONDS"}
    assert env == {"HOME": TMP, "USER": "model"} | VARIABLES[server]


def test_what_the_model_states_overrides_the_server() -> None:
    stated = {
        "port": 9000,
        "health": {"live": "/ping"},
        "resources": {"memory": "16Gi", "shm": "8Gi"},
        "startup_seconds": 1800,
        "env": {"HF_HOME": "/weights", "OTHER": "1"},
    }
    model = release(of("vllm", **stated)).model
    assert model.health_paths.model_dump() == {"live": "/ping", "ready": "/health"}
    assert (model.serving_port, model.resources.shm, model.startup_seconds) == (9000, "8Gi", 1800)
    assert model.metrics_endpoint is not None
    assert model.metrics_endpoint.port == 9000  # with the port of the requests, where vLLM has them
    assert model.env == {"HOME": TMP, "USER": "model", "HF_HOME": "/weights", "OTHER": "1"}
    assert release(of("triton", port=9000)).model.metrics_endpoint.port == 8002  # type: ignore[union-attr]


def test_a_field_that_is_left_empty_says_nothing() -> None:
    assert Model.model_validate(bare("vllm") | {"port": None, "health": None}) == Model.model_validate(bare("vllm"))


def test_a_server_is_told_its_arguments_without_a_shell() -> None:
    (container,) = pod({"args": ["--model", "/weights", "--max-num-batched-tokens=8192"]})["containers"]
    assert container["args"] == ["--model", "/weights", "--max-num-batched-tokens=8192"]
    (container,) = pod()["containers"]
    assert "args" not in container


def test_mlserver_is_told_the_name_of_its_model() -> None:
    (container,) = pod()["containers"]
    assert {"name": "MLSERVER_MODEL_NAME", "value": "fraud-score"} in container["env"]


def test_shared_memory_is_a_part_of_the_memory() -> None:
    (violation,) = violations(release({"resources": {"memory": "1Gi", "shm": "1Gi"}}))
    assert violation.field == ("resources", "shm")
    assert violation.message == "found 1Gi, accepted: less than `resources.memory`, which is 1Gi and includes it"
    (container,) = pod({"resources": {"memory": "1Gi", "shm": "512Mi"}})["containers"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
