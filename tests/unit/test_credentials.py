"""Credentials are told from other text by their form or by their name, and no message shows one."""

import base64
from pathlib import Path

import pytest

from homeport import Model, SpecError
from homeport.catalogue.credentials import FORMS, credential, promises_credential

MODEL = "name: iris\nowner: ds\nimage: registry.example.com/iris\n"

# In parts, so that nobody who scans this repository takes them for real.
SECRETS = {
    "an address with a password": [
        "postgres://gauge:hunter2@db.example.com:5432/tides",
        "redis://:hunter2@cache:6379",
        "use amqps://a:b@c now",
        "mysql+pymysql://u:p%40ss@h/d",
        "HTTPS://u:p@h",
        "redis://:$ecret@h/",
        "redis://:*hunter2@h/",
        "redis://:${A}hunter2@h/",
        "https://hunter2@h/x.git",
        "git+https://hunter2:@h/x.git",
    ],
    "a password or key of a connection": [
        "host=db user=x password=hunter2",
        "Server=db;Pwd=hunter2;",
        "https://api.example.com/v1?api_key=hunter2",
        "AccountName=x;AccountKey=hunter2==",
        "https://x.blob.core.windows.net/c?sv=2024&sig=hunter2",
        '{"password": "hunter2"}',
        '{\\"user\\": \\"u\\", \\"api_key\\":\\"hunter2\\"}',
        "{'token' : 'hunter2'}",
        "password: hunter2",
        "user: u\n  - db_password: hunter2",
        "{user: u, password: hunter2}",
        "client_secret=hunter2",
        "conf=client_secret=hunter2",
        "aws_secret_access_key = hunter2",
        "curl --token=hunter2",
        "x?token=hunter2",
        "password=$hunter2",
        "password=*hunter2",
        "X-Api-Key: hunter2",
        "PGPASSWORD=hunter2 psql",
    ],
    "an Authorization header": [
        "Authorization: Bearer hunter2",
        "authorization: Basic aHVudGVyMg==",
        '{"Authorization": "Bearer hunter"}',
        "Bearer abc",
        "header='bearer abc'",
        "send Bearer hunter2hunter2 along",
        "Basic aHVudGVyMg==",
    ],
    "a private key": ["-----BEGIN " + "PRIVATE KEY-----\nMII", "-----BEGIN " + "OPENSSH PRIVATE KEY-----"],
    "a JSON web token": ["eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"],
    "an access key of AWS": [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "id=ASIA" + "IOSFODNN7EXAMPLE",
        "foo_AKIA" + "IOSFODNN7EXAMPLE",
    ],
    "a token of GitHub": ["ghp_" + "a" * 36, "ghs_" + "B1" * 20, "my_ghp_" + "a" * 36, "github_pat_" + "a" * 40],
    "a token of GitLab": ["glpat-" + "a" * 20],
    "a token of Slack": ["xoxb-" + "1" * 12, "xapp-1-" + "A" * 12],
    "a key of OpenAI or Anthropic": ["sk-" + "a" * 48, "sk-proj-" + "a" * 40, "sk-ant-api03-" + "a" * 40],
    "a token of Hugging Face": ["hf_" + "a" * 34],
    "a key of Google": ["AIza" + "a" * 35, "ya29." + "a" * 30, "GOCSPX-" + "a" * 28],
    "a key of Stripe": ["sk_live_" + "a" * 24],
    "a token of a package index": ["npm_" + "a" * 36, "pypi-AgEI" + "a" * 40],
    "a token of Vault": ["hvs." + "a" * 24, "hvb." + "a" * 24],
    "a token of Docker": ["dckr_pat_" + "a" * 27],
    "a token of DigitalOcean": ["dop_v1_" + "a1" * 32],
    "a key of SendGrid": ["SG." + "a" * 22 + "." + "b" * 43],
    "a key of age": ["AGE-SECRET-KEY-1" + "Q" * 58],
}

HARMLESS = [
    "https://models.example.com/a@b:c",
    "ssh://git@git.example.com/ml",
    "postgres://db.example.com:5432/tides",
    "postgres://gauge@db.example.com/tides",
    "postgres://gauge:${PASSWORD}@db.example.com/tides",
    "postgres://gauge:{password}@db/tides",
    "postgres://gauge:***@db/tides",
    "s3://bucket/path:with@odd",
    "sha256:" + "a" * 64,
    "sk-learn-model-with-a-long-name",
    "risk-model-0123456789abcdef",
    "huggingface/hf_transfer",
    "meta-llama/Llama-3.1-8B-Instruct",
    "eyJhbGciOiJIUzI1NiJ9",
    "a password is required",
    "password=$(PASSWORD)",
    "^[a-z]+$",
    "AKIA",
    "-----BEGIN CERTIFICATE-----",
    "Bearer tokens are accepted",
    "Bearer authentication",
    "bearer token",
    "Basic model",
    "Bearer $(TOKEN)",
    "https://git@git.example.com/ml",
    "https://${TOKEN}@git.example.com/ml",
    "https://models.example.com/@scope/x",
    "redis://:$PASSWORD@cache",
    "PASSWORD=\nUSER=x",
    "password=***",
    '{"password": null, "token": {"type": "string"}}',
    '{"eos_token": "</s>", "max_tokens": 5, "api_key": "${API_KEY}"}',
    "--eos-token=x --max-token=5",
    "if token == x",
    "registry.example.com/secret:latest",
    "Never reveal the secret: it is a game",
    "password_file=/run/secrets/x",
    "https://keys.example.com/api_key",
    base64.b64encode(bytes(range(48))).decode(),
]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in SECRETS.items() for text in texts])
def test_a_credential_is_told_by_its_form(name: str, text: str) -> None:
    assert credential(text) == name


def test_each_form_has_an_example_and_a_source() -> None:
    assert SECRETS.keys() == {form.name for form in FORMS}
    assert all(form.source.startswith("https://") for form in FORMS)


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_is_none(text: str) -> None:
    assert credential(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a" * 500_000,
        "eyJ" * 150_000,
        "://" * 150_000,
        "a." * 200_000,
        "sk-" * 150_000,
        "eyJ-" * 90_000,
        " password" * 50_000,
        "authorization:" + " " * 400_000,
        "bearer " * 70_000,
        "password" + " " * 400_000,
        '"password"' * 50_000,
        "\n-  " * 120_000,
        "{" * 500_000,
        "a=" * 50_000,
        "ab" * 200_000 + "=x",
        "$(" * 250_000,
        "SG." * 150_000,
        "password={" * 40_000,
    ],
)
def test_long_text_is_searched_in_one_pass(text: str) -> None:
    assert credential(text) is None  # a second pass for each character would take minutes


@pytest.mark.parametrize(
    "name",
    [
        *("DB_PASSWORD", "PASSWORD", "db-passwd", "SECRET", "CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "MY_CREDENTIALS"),
        *(
            "API_KEY",
            "OPENAI_API_KEY",
            "--api-key",
            "apiKey",
            "server.api_key",
            "APIKEY",
            "ACCESS_KEY_2",
            "SIGNING_KEY",
        ),
        *("TOKEN", "HF_TOKEN", "--hf-token", "authToken", "GITHUB_TOKEN_2", "API_KEYS"),
        *("PGPASSWORD", "MYSQL_PWD", "SSHPASS", "REDISCLI_AUTH", "DB_PASS", "DBPASSWORD", "ACCESSTOKEN", "AUTHTOKEN"),
        *("CLIENTSECRET", "SECRETKEY", "PASSWORDS", "SECRETS", "HF_TOKENS", "API_KEY_PROD", "API_KEY_V2", "GITHUB_PAT"),
        *("OPENAI_KEY", "MASTER_KEY", "SECRETACCESSKEY", "awssecretaccesskey", "--dbpassword", "smtpPass", "DBPWD"),
        *(
            "API_KEY_OPENAI",
            "HF_TOKEN_STAGING",
            "TOKEN_V2",
            "DB_PASS_PROD",
            "pgPassword",
            "SUPABASE_SERVICE_KEY",
            "PASS",
        ),
        *("APIKEYS", "AccountKey", "SharedAccessKey", "ACCESSKEY", "GITHUBTOKEN", "ROOT_PASSWD", "BASIC_AUTH"),
    ],
)
def test_a_name_promises_a_secret(name: str) -> None:
    assert promises_credential(name)


@pytest.mark.parametrize(
    "name",
    [
        *("MAX_TOKENS", "TOKENIZER", "MONKEY", "KEYSTONE_URL", "KEY", "", "_", "tokens"),
        *("--long-prefill-token-threshold", "--return_token_type_ids", "--max-token-len", "--max-token", "--eos-token"),
        *("--pad-token-id", "DB_PASSWORD_FILE", "--api-key-path", "SECRETS_DIR", "TOKEN_URL", "PRIMARY_KEY"),
        *(
            "KEY_COLUMN",
            "TOKENIZERS_PARALLELISM",
            "KEYBOARD",
            "HOTKEY",
            "SORT_KEYS",
            "S3_KEY",
            "PUBLIC_KEY",
            "CACHE_KEY",
        ),
        *("PWD", "OLDPWD", "OLD_PWD", "COMPASS", "BYPASS", "LOW_PASS", "HIGHPASS", "FORWARD_PASS", "NUM_PASSES"),
        *(
            "PASSTHROUGH",
            "PASSES",
            "AUTHOR",
            "AUTH_MODE",
            "USE_AUTH",
            "PATTERN",
            "FILE_PAT",
            "PATH",
            "SECRETARY",
            "COMPAT",
        ),
        *("--max-num-batched-tokens", "--num-speculative-tokens", "MAX_NEW_TOKENS", "maxtokens", "TOKENS", "MAXTOKEN"),
        *("AWS_ACCESS_KEY_ID", "API_KEY_HEADER", "API_KEY_FILE", "API_KEY_REQUIRED", "PARTITION_KEY", "FEATURE_KEYS"),
        *("PGPASSFILE", "PASSWORDFILE", "SSL_KEY_PATH", "OPENAI_API_BASE", "AZURE_REGION", "MODEL_VERSION", "V", "A_B"),
    ],
)
def test_a_name_that_counts_or_leads_to_a_file_does_not(name: str) -> None:
    assert not promises_credential(name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("env: {URL: 'postgres://u:hunter2@db/x'}", "4: env.URL: found an address with a password, accepted: a value "),
        ("args:\n- --model\n- ghp_hunter2" + "a" * 36, "6: args[1]: found a token of GitHub, accepted: a value "),
        ("args: [--api-key=hunter2]", "4: args: found --api-key, which suggests a secret, accepted: `args` without "),
        (
            "args: [server.token=hunter2]",
            "4: args: found server.token, which suggests a secret, accepted: `args` without ",
        ),
        ("args: [--conf=client_secret=hunter2]", "4: args[0]: found a password or key of a connection, accepted: a "),
        (
            'env: {CONF: \'{"password": "hunter2"}\'}',
            "4: env.CONF: found a password or key of a connection, accepted: ",
        ),
        ("args: [--token, hunter2]", "4: args: found --token, which suggests a secret, accepted: `args` without "),
        ("port: 'https://u:hunter2@h'", "4: port: found an address with a password, accepted: a whole number"),
    ],
)
def test_no_message_shows_what_was_found(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(f"{MODEL}{text}\n")
    with pytest.raises(SpecError) as caught:
        Model.load(file)
    assert str(caught.value).startswith(f"{file}:{told}")
    assert "hunter2" not in str(caught.value)
