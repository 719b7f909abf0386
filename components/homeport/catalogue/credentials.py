"""Credentials: the forms in which they are written, and the names that promise one. Data, each row with its source."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Form:
    """A form of credential that can be told from other text."""

    name: str
    pattern: re.Pattern[str]
    source: str
    tells: Callable[[re.Match[str]], bool] = bool
    """Whether what matches is one. Default: always."""

    def is_in(self, text: str) -> bool:
        """Whether a text has one. Each pattern reads long text in one pass."""
        return any(map(self.tells, self.pattern.finditer(text)))


def _token(pattern: str, *, after: str = "_-") -> re.Pattern[str]:
    """A word of its own, or the last part of a longer one: `after` has what may be between them."""
    before = "".join(each for each in "_-" if each not in after)
    return re.compile(rf"(?<![A-Za-z0-9{before}])(?:{pattern})")


_PLACEHOLDER = r"(?:\$\{[^{}\s]*\}|\$\([^()\s]*\)|(?-i:\$[A-Z][A-Z0-9_]{2,})|\{[^{}\s]*\}|<[^<>\s]*>|\*+)"
"""What stands for a secret: `$PASSWORD`, `${PASSWORD}`, `{password}`, `<password>` or `***`."""
_QUOTE = r"\\?[\"']"


def _is_assigned(found: re.Match[str]) -> bool:
    yaml = found["first"] is not None and found["space"]
    stated = found["by"] == "=" or found["quoted"] or yaml
    return bool(stated) and (found["name"].lower() in _CONNECTION or promises_credential(found["name"]))


_CONNECTION = {"pwd", "sig", "sharedaccesssignature"}
"""Names in connection strings and links that promise a secret only there."""

FORMS: tuple[Form, ...] = (
    Form(
        "an address with a password",
        re.compile(
            r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,40}://"
            rf"(?:[^\s/?#@:]*:(?!{_PLACEHOLDER}@)[^\s/?#@]+@"
            # A user of the web without a password is a token, unless everybody has its name.
            rf"|(?:(?<=http://)|(?<=https://))(?!(?:{_PLACEHOLDER}|anonymous|git|oauth2|user|username):?@)"
            r"[^\s/?#@:]+:?@)",
            re.IGNORECASE,
        ),
        "https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1",
    ),
    Form(
        "a password or key of a connection",
        # `NAME=value`, `"NAME": value`, and `NAME: value` where a line or a mapping begins.
        re.compile(
            r"(?P<first>(?:^|[\n{,])[ \t]*+(?:-[ \t]++)?)?(?<![\w./-])-{0,2}(?P<name>[A-Za-z_][\w.-]*+)"
            rf"(?P<quoted>{_QUOTE})?[ \t]*+(?P<by>[=:])(?P<space>[ \t]*+)(?:{_QUOTE})?"
            rf"(?=[^\s;&,\"'\\{{}}\[\]<=>])(?!(?:{_PLACEHOLDER}|true|false|null|none)(?:[\s;&,\"'\\}}]|$))"
        ),
        "https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS and "
        "https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string",
        _is_assigned,
    ),
    Form(
        "an Authorization header",
        re.compile(
            rf"authorization(?:{_QUOTE})?\s*[:=]\s*(?:{_QUOTE})?(?:basic|bearer|token)\s+(?!{_PLACEHOLDER})\S"
            # Without its name: all of a text, or of what is in quotes, or what looks like no word.
            rf"|(?:^|[\"'=:])\s*bearer\s+(?!tokens?\b|auth)[\w.~+/=-]++(?=\s*(?:$|{_QUOTE}))"
            r"|\bbearer\s+(?=[\w.~+/-]*[0-9])[\w.~+/=-]{8}|\bbasic\s+[A-Za-z0-9+/]{6,}+=",
            re.IGNORECASE,
        ),
        "https://www.rfc-editor.org/rfc/rfc6750#section-2.1 and https://www.rfc-editor.org/rfc/rfc7617#section-2",
    ),
    Form(
        "a private key",
        re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY"),
        "https://www.rfc-editor.org/rfc/rfc7468#section-10 and https://www.rfc-editor.org/rfc/rfc4880#section-6.2",
    ),
    Form(
        "a JSON web token",
        _token(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+", after=""),
        "https://www.rfc-editor.org/rfc/rfc7519#section-3",
    ),
    Form(
        "an access key of AWS",
        _token(r"A(?:KIA|SIA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids",
    ),
    Form(
        "a token of GitHub",
        _token(r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"),
        "https://docs.github.com/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats",
    ),
    Form(
        "a token of GitLab",
        _token(r"gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|wt|soat|ffct)-[A-Za-z0-9_-]{20,}"),
        "https://docs.gitlab.com/security/tokens/#token-prefixes",
    ),
    Form(
        "a token of Slack",
        _token(r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}"),
        "https://docs.slack.dev/authentication/tokens",
    ),
    Form(
        "a key of OpenAI or Anthropic",
        _token(r"sk-(?:(?:proj|svcacct|admin|ant-[a-z0-9]{3,})-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{32,})"),
        "https://platform.openai.com/docs/api-reference/authentication and https://docs.claude.com/en/api/overview",
    ),
    Form(
        "a token of Hugging Face",
        _token(r"(?:hf|api_org)_[A-Za-z0-9]{30,}"),
        "https://huggingface.co/docs/hub/security-tokens",
    ),
    Form(
        "a key of Google",
        _token(r"AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[A-Za-z0-9_-]{20,}"),
        "https://cloud.google.com/docs/authentication/api-keys",
    ),
    Form("a key of Stripe", _token(r"[sr]k_live_[A-Za-z0-9]{20,}"), "https://docs.stripe.com/keys"),
    Form(
        "a token of a package index",
        _token(r"pypi-AgEI[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{36}"),
        "https://docs.pypi.org/api/secrets/ and https://docs.npmjs.com/about-access-tokens",
    ),
    Form(
        "a token of Vault",
        _token(r"hv[sbr]\.[A-Za-z0-9_-]{20,}"),
        "https://developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes",
    ),
    Form(
        "a token of Docker",
        _token(r"dckr_[po]at_[A-Za-z0-9_-]{20,}"),
        "https://docs.docker.com/security/access-tokens/",
    ),
    Form(
        "a token of DigitalOcean",
        _token(r"do[opr]_v1_[a-f0-9]{40,}"),
        "https://docs.digitalocean.com/reference/api/create-personal-access-token/",
    ),
    Form(
        "a key of SendGrid",
        _token(r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
        "https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys",
    ),
    Form("a key of age", _token(r"AGE-SECRET-KEY-1[0-9A-Z]{20,}"), "https://age-encryption.org/v1"),
)
"""What is refused as a value in plain text. A form that harmless text has too is not here."""

_SECRETS = {"PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL"}
"""Words that promise a secret wherever they are in a name."""
_KEYS = frozenset(
    [
        "ACCESS",
        "ACCOUNT",
        "ADMIN",
        "API",
        "APP",
        "AUTH",
        "COOKIE",
        "DECRYPTION",
        "ENCRYPTION",
        "FERNET",
        "HMAC",
        "JWT",
        "LICENSE",
        "MASTER",
        "PRIVATE",
        "SAS",
        "SECRET",
        "SERVICE",
        "SHARED",
        "SIGNING",
        "STORAGE",
        "SUBSCRIPTION",
        "WEBHOOK",
        "ANTHROPIC",
        "AZURE",
        "COHERE",
        "DATADOG",
        "GEMINI",
        "GOOGLE",
        "GROQ",
        "HF",
        "HUGGINGFACE",
        "LANGSMITH",
        "MISTRAL",
        "NGC",
        "OPENAI",
        "PINECONE",
        "REPLICATE",
        "SENDGRID",
        "STRIPE",
        "TWILIO",
        "WANDB",
    ]
)
"""What a key is called that is secret: what it does, or whose it is."""
_TOKENS = frozenset(
    [
        "ACCESS",
        "API",
        "AUTH",
        "BEARER",
        "BOT",
        "DEPLOY",
        "GITHUB",
        "GITLAB",
        "HF",
        "HUB",
        "HUGGINGFACE",
        "NPM",
        "OAUTH",
        "PERSONAL",
        "PYPI",
        "REFRESH",
        "REGISTRY",
        "SECRET",
        "SERVICE",
        "SESSION",
        "SLACK",
        "VAULT",
        "WANDB",
    ]
)
"""What several tokens are called that are secret; others count text."""
_ONLY_AFTER = {
    "KEY": _KEYS,
    "KEYS": _KEYS,
    "TOKENS": _TOKENS,
    "PAT": frozenset(
        [
            "ADO",
            "AZURE",
            "BITBUCKET",
            "DATABRICKS",
            "DEVOPS",
            "DOCKER",
            "GH",
            "GIT",
            "GITHUB",
            "GITLAB",
            "HF",
            "SNOWFLAKE",
        ]
    ),
    "AUTH": frozenset(["BASIC", "HTTP", "HTTPS", "NPM", "PROXY", "REDIS", "REDISCLI", "REGISTRY"]),
}
"""Last words that promise a secret after these ones only."""
_PLACES = {"FILE", "PATH", "DIR", "FOLDER", "NAME", "ARN"}
"""Last words of names whose value says where a secret is."""
_ABOUT_KEYS = _PLACES | {"COUNT", "ENABLED", "HEADER", "ID", "IDS", "LENGTH", "REQUIRED", "TTL", "TYPE", "URL"}
"""Last words of names whose value says something about a key."""
_WHICH = frozenset(
    [
        "ADMIN",
        "BACKUP",
        "CURRENT",
        "DEFAULT",
        "DEV",
        "EU",
        "LIVE",
        "LOCAL",
        "MAIN",
        "NEW",
        "OLD",
        "PREVIOUS",
        "PRIMARY",
        "PROD",
        "PRODUCTION",
        "QA",
        "READ",
        "RO",
        "RW",
        "SANDBOX",
        "SECONDARY",
        "STAGE",
        "STAGING",
        "TEST",
        "UAT",
        "US",
        "WRITE",
    ]
)
"""Last words, as one letter is, that tell a secret from others of its kind."""
_TEXT_TOKENS = frozenset(
    [
        "AUDIO",
        "BEGIN",
        "BOS",
        "BY",
        "CLS",
        "END",
        "EOS",
        "EOT",
        "FIRST",
        "IMAGE",
        "LAST",
        "MASK",
        "MAX",
        "MIN",
        "NEXT",
        "NUM",
        "PAD",
        "PER",
        "SEP",
        "SPECIAL",
        "START",
        "STOP",
        "UNK",
        "VIDEO",
    ]
)
"""Words before TOKEN in options of model servers that count or name tokens of text
(https://docs.vllm.ai/en/latest/cli/serve/, https://huggingface.co/docs/transformers/main_classes/tokenizer)."""


_PASSES = frozenset(
    [
        "ALL",
        "BACK",
        "BACKWARD",
        "BAND",
        "BY",
        "COM",
        "ENCOM",
        "EVERY",
        "FIRST",
        "FORWARD",
        "FULL",
        "HIGH",
        "IM",
        "LAST",
        "LOW",
        "MAX",
        "MIN",
        "MULTI",
        "N",
        "NEXT",
        "NUM",
        "ONE",
        "OVER",
        "PER",
        "SECOND",
        "SINGLE",
        "SUR",
        "THIRD",
        "TRES",
        "TWO",
        "UNDER",
    ]
)
"""Words, and beginnings of words, before PASS where it means something else."""
_EXCEPT_AFTER = {"TOKEN": _TEXT_TOKENS, "PASS": _PASSES, "PWD": frozenset(["", "OLD"])}
"""Last words that promise a secret except after these ones. Shells have the folder in PWD and OLDPWD."""

_ENDS = tuple(
    sorted(
        {*_SECRETS, *(f"{each}S" for each in _SECRETS), *_ONLY_AFTER, *_EXCEPT_AFTER, "ACCESS", "API"}
        - {"AUTH", "PAT"},
        key=len,
        reverse=True,
    )
)
"""Words that others are joined to: `PGPASSWORD`, `SECRETACCESSKEY`."""
_JOINED = 3
"""The most words that are told apart in a joined one."""


def credential(text: str) -> str | None:
    """What kind of credential is in a text, if one of the forms is."""
    return next((form.name for form in FORMS if form.is_in(text)), None)


def promises_credential(name: str) -> bool:
    """Whether the name of a variable or an option suggests that its value is a secret: `DB_PASSWORD`, `hf-token`, `apiKey`."""
    written = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    words = ["", *(part for word in written for part in _parts(word.upper()))]
    if words[-1] in _PLACES:
        return False
    if any(word.removesuffix("S") in _SECRETS for word in words):
        return True
    if words[-1] not in _ABOUT_KEYS and any(
        word in {"KEY", "KEYS"} and before in _KEYS for before, word in pairwise(words)
    ):
        return True
    while len(words) > 1 and (words[-1] in _WHICH or len(words[-1]) == 1):
        words.pop()
    before, last = ["", *words][-2:]
    if last in _EXCEPT_AFTER:
        return before not in _EXCEPT_AFTER[last]
    return before in _ONLY_AFTER.get(last, ())


def _parts(word: str) -> list[str]:
    """The words that one is joined of, as far as its last ones are known."""
    parts: list[str] = []
    while len(parts) < _JOINED - 1 and (
        end := next((end for end in _ENDS if word.endswith(end) and word != end), None)
    ):
        parts.insert(0, end)
        word = word.removesuffix(end)
    return [word, *parts]
