"""What a data scientist may write, and what each mistake is answered with."""

from pathlib import Path

import pytest

from homeport import Model, SpecError
from homeport.specs.quantities import byte_count, cpu_quantity, memory_quantity, millicores

MINIMAL = """\
name: iris
owner: data-science
image: registry.example.com/iris
"""


def load(tmp_path: Path, text: str) -> Model:
    path = tmp_path / "model.yaml"
    path.write_text(text)
    return Model.load(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SpecError) as error:
        load(tmp_path, text)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in error.value.problems]


def test_three_fields_are_enough(tmp_path: Path) -> None:
    model = load(tmp_path, MINIMAL)
    assert (model.serving_port, model.health_paths.ready) == (8080, "/v2/health/ready")
    assert model.metrics_endpoint is not None
    assert model.metrics_endpoint.port == 8082


@pytest.mark.parametrize(
    ("found", "kept"),
    [("2", "2"), ("0.5", "500m"), ('"500m"', "500m"), ('"2000m"', "2"), ("1.001", "1001m")],
)
def test_cpu_is_kept_as_kubernetes_keeps_it(tmp_path: Path, found: str, kept: str) -> None:
    assert load(tmp_path, MINIMAL + f"resources: {{cpu: {found}}}\n").resources.cpu == kept


@pytest.mark.parametrize(
    ("found", "kept"), [("4Gi", "4Gi"), ("4096Mi", "4Gi"), ("1.5Gi", "1536Mi"), ("1500M", "1500M"), ("1000M", "1G")]
)
def test_memory_is_kept_as_kubernetes_keeps_it(tmp_path: Path, found: str, kept: str) -> None:
    assert load(tmp_path, MINIMAL + f"resources: {{memory: {found}}}\n").resources.memory == kept


def test_quantities_are_read_back() -> None:
    assert [millicores(cpu_quantity(n)) for n in (1, 999, 1000, 2500)] == [1, 999, 1000, 2500]
    assert [byte_count(memory_quantity(n)) for n in (1, 1000, 1024, 3 * 2**30)] == [1, 1000, 1024, 3 * 2**30]


# Each mistake: what is added to (or replaces) the minimal model, and the exact message.
MISTAKES = {
    "unknown field": (
        MINIMAL + "resorces: {cpu: 1}\n",
        "model.yaml:4: resorces: unknown field, perhaps `resources` is meant, accepted: name, owner, image, build, server, protocol, args, port, "
        "health, metrics, resources, scale, startup_seconds, drain_seconds, calls, callers, egress, env, weights, secrets",
    ),
    "unknown nested field": (
        MINIMAL + "scale:\n  min: 1\n  target:\n    rps: 70\n",
        "model.yaml:7: scale.target.rps: unknown field, accepted: cpu, memory, concurrency, "
        "requests_per_second, queue_length",
    ),
    "field of the environment": (
        MINIMAL + "namespace: mine\n",
        "model.yaml:4: namespace: unknown field, accepted: name, owner, image, build, server, protocol, args, port, "
        "health, metrics, resources, scale, startup_seconds, drain_seconds, calls, callers, egress, env, weights, secrets",
    ),
    "missing field": (
        "name: iris\nimage: registry.example.com/iris\n",
        "model.yaml:1: owner: missing, required: Team that is responsible for the model; the environment maps it to a group.",
    ),
    "wrong type": (
        MINIMAL + 'scale: {min: 1, max: "ten"}\n',
        'model.yaml:4: scale.max: found "ten", accepted: a whole number',
    ),
    "wrong type of list": (MINIMAL + "calls: fraud\n", 'model.yaml:4: calls: found "fraud", accepted: a list'),
    "nothing where a list is": (
        MINIMAL + "calls:\n",
        "model.yaml:4: calls: found nothing, accepted: a list, without entries []",
    ),
    "wrong type of part": (MINIMAL + "scale: 3\n", "model.yaml:4: scale: found 3, accepted: a mapping of fields"),
    "fraction of a second": (
        MINIMAL + "startup_seconds: 1.5\n",
        "model.yaml:4: startup_seconds: found 1.5, accepted: a whole number",
    ),
    "boolean for a number": (
        MINIMAL + "drain_seconds: true\n",
        "model.yaml:4: drain_seconds: found true, accepted: a whole number",
    ),
    "number out of range": (MINIMAL + "port: 99999\n", "model.yaml:4: port: found 99999, accepted: 65535 or less"),
    "digits that are not ASCII": (
        MINIMAL + 'resources: {cpu: "\u0662"}\n',
        'model.yaml:4: resources.cpu: found "\u0662", accepted: cores above 0 in steps of 0.001, such as 2, 0.5 or "500m"',
    ),
    "name not RFC 1123": (
        MINIMAL.replace("iris\n", "Fraud_Score\n", 1),
        'model.yaml:1: name: found "Fraud_Score", accepted: an RFC 1123 name: lower-case letters, digits and `-`, '
        "a letter first and no `-` last",
    ),
    "name too long once suffixed": (
        MINIMAL.replace("iris", "m" * 57, 1),
        f'model.yaml:1: name: found "{"m" * 57}", accepted: at most 56 characters',
    ),
    "min above max": (
        MINIMAL + "scale:\n  min: 3\n  max: 2\n",
        "model.yaml:6: scale.max: found 2, accepted: `scale.min` (3) or more",
    ),
    "window beyond what Kubernetes takes": (
        MINIMAL + "scale: {down_seconds: 3601}\n",
        "model.yaml:4: scale.down_seconds: found 3601, accepted: 3600 or less",
    ),
    "target of nothing": (
        MINIMAL + "scale: {target: {concurrency: 0}}\n",
        "model.yaml:4: scale.target.concurrency: found 0, accepted: 1 or more",
    ),
    "memory without unit": (
        MINIMAL + "resources:\n  memory: 4\n",
        "model.yaml:5: resources.memory: found 4, accepted: bytes above 0 with a unit, such as 512Mi or 4Gi",
    ),
    "cpu without sense": (
        MINIMAL + "resources: {cpu: many}\n",
        'model.yaml:4: resources.cpu: found "many", accepted: cores above 0 in steps of 0.001, such as 2, 0.5 or "500m"',
    ),
    "image with tag": (
        MINIMAL.replace("/iris", "/iris:3"),
        'model.yaml:3: image: found "registry.example.com/iris:3", accepted: a repository with its registry and without '
        "tag or digest, such as registry.example.com/team/model",
    ),
    "image without registry": (
        MINIMAL.replace("registry.example.com", "risk"),
        'model.yaml:3: image: found "risk/iris", accepted: a repository with its registry and without '
        "tag or digest, such as registry.example.com/team/model",
    ),
    "http without port": (
        MINIMAL + "protocol: http\nhealth: {live: /a, ready: /b}\n",
        "model.yaml:1: port: found nothing, accepted: a value with protocol `http`, because only open-inference has a default",
    ),
    "server and protocol": (
        MINIMAL + "server: vllm\nprotocol: http\n",
        'model.yaml:5: protocol: found "http", accepted: `server` or `protocol`, not both, because a `server` '
        "decides everything that `protocol` does",
    ),
    "unknown server": (
        MINIMAL + "server: mlserver\n",
        "model.yaml:4: server: found \"mlserver\", accepted: 'kserve', 'ray-serve', 'tgi', 'triton' or 'vllm'",
    ),
    "mistake beside a server": (
        MINIMAL + "server: vllm\nresources: {shm: 2}\n",
        "model.yaml:5: resources.shm: found 2, accepted: bytes above 0 with a unit, such as 512Mi or 4Gi",
    ),
    "secret among the arguments": (
        MINIMAL + "args: [--model, /weights, --api-key=abc]\n",
        "model.yaml:4: args: found --api-key, which suggests a secret, accepted: `args` without secrets, because they are "
        "stored and shown in plain text; use `secrets`",
    ),
    "unknown protocol": (
        MINIMAL + "protocol: grpc\n",
        "model.yaml:4: protocol: found \"grpc\", accepted: 'open-inference' or 'http'",
    ),
    "call to itself": (
        MINIMAL + "calls: [iris]\n",
        'model.yaml:4: calls: found ["iris"], accepted: names of other models, because a model does not call itself',
    ),
    "another answer to what is served": (
        MINIMAL.replace("image: registry.example.com/iris\n", "")
        + "build: {serve: 'model:predict'}\nenv: {HOMEPORT_SERVE: 'other:predict'}\n",
        "model.yaml:4: env: found a mapping, accepted: no HOMEPORT_SERVE, because `build.serve` says what is served",
    ),
    "call twice": (MINIMAL + "calls: [a, a]\n", 'model.yaml:4: calls: found ["a", "a"], accepted: each name once'),
    "host name as network": (
        MINIMAL + "egress:\n- {cidr: example.com, port: 443, reason: features}\n",
        'model.yaml:5: egress[0].cidr: found "example.com", accepted: a network such as 203.0.113.0/24 '
        "('example.com' does not appear to be an IPv4 or IPv6 network)",
    ),
    "egress without reason": (
        MINIMAL + "egress:\n- {cidr: 203.0.113.0/24, port: 443}\n",
        "model.yaml:5: egress[0].reason: missing, required: Why the model needs it, for reviewers.",
    ),
    "secret in plain text": (
        MINIMAL + "env: {DB_PASSWORD: hunter2}\n",
        'model.yaml:4: env.DB_PASSWORD: found "DB_PASSWORD", accepted: a name that does not suggest a secret, because '
        "values in `env` are stored and shown in plain text; a secret belongs in `secrets`",
    ),
    "number as variable": (MINIMAL + "env: {WORKERS: 3}\n", "model.yaml:4: env.WORKERS: found 3, accepted: text"),
    "YAML syntax": (
        MINIMAL + "scale: {min: 1\n",
        "model.yaml:5: scale: not YAML: expected ',' or '}', but got '<stream end>'",
    ),
    "key twice": (MINIMAL + "owner: b\n", "model.yaml:4: owner: found owner twice, accepted: each name once"),
    "empty file": ("", "model.yaml: found nothing, accepted: a mapping of fields"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named_with_line_and_field(tmp_path: Path, mistake: str) -> None:
    text, message = MISTAKES[mistake]
    assert problems(tmp_path, text) == [message]


def test_missing_file_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        Model.load(tmp_path / "model.yaml")
    assert str(error.value) == f"{tmp_path}/model.yaml: no such file (looked in {tmp_path})"


def test_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match=r"model.yaml:1: found bytes that are not UTF-8, accepted: UTF-8 text"):
        Model.load(tmp_path / "model.yaml")


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, "name: Iris\nscale: {min: -1}\nmemory: 4Gi\n")
    assert [line.split(": ")[1] for line in found] == ["name", "owner", "build", "scale.min", "memory"]


@pytest.mark.parametrize("name", ["MAX_TOKENS", "TOKENIZER", "MONKEY", "KEYSTONE_URL"])
def test_harmless_variables_pass(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, MINIMAL + f'env: {{{name}: "1"}}\n').env == {name: "1"}


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "registry:5000", "10.0.0.7:5000", "127.0.0.1", "a-b.example.com"]
)
def test_a_registry_has_a_dot_or_a_port_or_is_this_machine(tmp_path: Path, host: str) -> None:
    assert load(tmp_path, MINIMAL.replace("registry.example.com", host)).image == f"{host}/iris"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("replicas", "scale"),
        ("livenessProbe", "health"),
        ("containerPort", "port"),
        ("reqources", "resources"),
        ("startup", "startup_seconds"),
        ("schedule", None),
        ("sidecars", None),
        ("tolerations", None),
    ],
)
def test_a_word_of_kubernetes_gets_its_name_here_and_no_look_alike(
    tmp_path: Path, word: str, meant: str | None
) -> None:
    (told,) = problems(tmp_path, MINIMAL + f"{word}: {{}}\n")
    hint = f"unknown field, perhaps `{meant}` is meant, accepted" if meant else "unknown field, accepted"
    assert told.startswith(f"model.yaml:4: {word}: {hint}")
