"""Credentials: the forms in which they are written, and the names that promise one. Data, each row with its source."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A form of credential that can be told from other text."""

    name: str
    pattern: re.Pattern[str]
    source: str


def _token(pattern: str) -> re.Pattern[str]:
    """A word of its own. It begins nowhere within another one, so that long text is searched in one pass."""
    return re.compile(rf"(?<![A-Za-z0-9_-])(?:{pattern})")


FORMS: tuple[Form, ...] = (
    Form(
        "an address with a password",
        # A placeholder, such as `$PASSWORD`, `{password}` or `***`, is none.
        re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,40}://[^\s/?#@:]*:(?![${<*])[^\s/?#@]+@"),
        "https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1",
    ),
    Form(
        "a password or key of a connection",
        re.compile(
            r"(?:^|[\s;&?,])(?:password|passwd|pwd|secret|api[-_]?key|access[-_]?token|accountkey|sharedaccesskey|sig)"
            r"\s*=\s*(?![${<*])[^\s;&,]",
            re.IGNORECASE,
        ),
        "https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS and "
        "https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string",
    ),
    Form(
        "an Authorization header",
        re.compile(r"authorization\s*[:=]\s*(?:basic|bearer|token)\s+(?![${<*])\S", re.IGNORECASE),
        "https://www.rfc-editor.org/rfc/rfc6750#section-2.1 and https://www.rfc-editor.org/rfc/rfc7617#section-2",
    ),
    Form(
        "a private key",
        re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY"),
        "https://www.rfc-editor.org/rfc/rfc7468#section-10 and https://www.rfc-editor.org/rfc/rfc4880#section-6.2",
    ),
    Form(
        "a JSON web token",
        _token(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"),
        "https://www.rfc-editor.org/rfc/rfc7519#section-3",
    ),
    Form(
        "an access key of AWS",
        _token(r"A(?:KIA|SIA)[A-Z2-7]{16}(?![A-Za-z0-9_-])"),
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
)
"""What is refused as a value in plain text. A form that harmless text has too is not here."""

_SECRETS = {"PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL", "CREDENTIALS", "APIKEY"}
_KEYS = {"API", "ACCESS", "PRIVATE", "SIGNING", "ENCRYPTION", "ACCOUNT"}
"""What a key is called that is secret."""
_PLACES = {"FILE", "PATH", "DIR", "FOLDER", "NAME", "ARN"}
"""Last words of names whose value says where a secret is."""
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


def credential(text: str) -> str | None:
    """What kind of credential is in a text, if one of the forms is."""
    return next((form.name for form in FORMS if form.pattern.search(text)), None)


def promises_credential(name: str) -> bool:
    """Whether the name of a variable or an option suggests that its value is a secret: `DB_PASSWORD`, `hf-token`, `apiKey`."""
    words = ["", "", *(word.upper() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))]
    before, last = words[-2:]
    if last in _PLACES:
        return False
    if last == "TOKEN":
        return before not in _TEXT_TOKENS
    return bool(_SECRETS & set(words)) or (last in {"KEY", "KEYS"} and before in _KEYS)
