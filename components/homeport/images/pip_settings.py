"""What pip is told in a build: a configuration file, which is a secret of the build.

Not variables: pip expands those that a requirements file names, and what pip starts inherits them.
"""

from collections.abc import Mapping
from configparser import Error, RawConfigParser
from io import StringIO
from typing import Final

from homeport.errors import HomeportError
from homeport.specs.environment import PipVariable

SECRETS = "/run/secrets"
"""Where BuildKit mounts secrets."""
CONFIGURATION: Final = "pip.conf"
"""Name of the secret that is the configuration."""
CERTIFICATES: Final = "PIP_CERT"
"""Name of the secret with the certificates that the configuration refers to, and of their variable."""

_SECTION = "install"
"""Its options go before those of `global`: https://pip.pypa.io/en/stable/topics/configuration/."""


class SettingsError(HomeportError):
    """What pip is to be told is not valid. The text is that of a problem."""


def build_secrets(values: Mapping[PipVariable, str]) -> dict[str, str]:
    """The secrets of a build, each with its content; none if pip is told nothing.

    Args:
        values: For each variable its value; of PIP_CONFIG_FILE and PIP_CERT, the content of the file that it names. What is
            empty is left out. Variables go before the file, as they do for pip.

    Raises:
        SettingsError: The content of PIP_CONFIG_FILE is not a configuration file.
    """
    if not values:
        return {}
    parser = RawConfigParser()
    try:
        parser.read_string(values.get("PIP_CONFIG_FILE", ""))
    except Error as error:
        raise SettingsError(f"found what is no configuration file ({type(error).__name__}), accepted: pip's") from None
    for name, value in values.items():
        if value and name != "PIP_CONFIG_FILE":
            if not parser.has_section(_SECTION):
                parser.add_section(_SECTION)
            option = name.removeprefix("PIP_").lower().replace("_", "-")
            parser.set(_SECTION, option, f"{SECRETS}/{CERTIFICATES}" if name == CERTIFICATES else value)
    text = StringIO()
    parser.write(text)
    certificates = {CERTIFICATES: values[CERTIFICATES]} if CERTIFICATES in values else {}
    return {CONFIGURATION: text.getvalue(), **certificates}
