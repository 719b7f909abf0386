"""Values of secrets from the configuration of the Pulumi stack, which keeps them encrypted."""

from base64 import b64encode

import pulumi
from pulumi.runtime.config import is_config_secret

from homeport.release import Release
from homeport.rules.violation import Violation


def secret_values(release: Release) -> dict[str, pulumi.Output[str]]:
    """Values by name, in base64. They stay Pulumi secrets: encrypted in the state and hidden in the output.

    The release must have no `config_violations`.
    """
    config = pulumi.Config()
    return {name: config.require_secret(key).apply(_base64) for name, key in _keys(release).items()}


def config_violations(release: Release) -> list[Violation]:
    """The values that a release needs and the stack's configuration lacks as secrets, each with the command to set it."""
    places = {secret.name: index for index, secret in enumerate(release.model.secrets)}
    messages = {name: _refusal(key) for name, key in _keys(release).items()}
    return [Violation(("secrets", places[name]), message) for name, message in messages.items() if message]


def _refusal(key: str) -> str | None:
    """Why the value of a key cannot be used, and what to do; None if it can be used."""
    config = pulumi.Config()
    known, hidden = bool(config.get(key)), is_config_secret(config.full_key(key))
    if known and hidden:
        return None
    found = "in plain text" if known else "no value"
    command = f"pulumi config set --secret {key} --stack {pulumi.get_stack()}"
    return f"found {found} in the stack's configuration ({config.full_key(key)}): run `{command}`"


def _keys(release: Release) -> dict[str, str]:
    """Configuration keys by name of the secret."""
    sources = ((secret.name, release.secret_sources[secret.name].config) for secret in release.model.secrets)
    return {name: key for name, key in sources if key}


def _base64(value: str) -> str:
    return b64encode(value.encode()).decode()
