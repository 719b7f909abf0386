"""Rules about names: a model's name leads to a namespace, a host and Pulumi's names, and none of them is another's."""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from homeport.release import Release
from homeport.rules.violation import Violation, listed
from homeport.specs.fields import HOST_NAME


def name_violations(release: Release) -> list[Violation]:
    """A name that is too long for its namespace or host, or that leads to a place that is reserved."""
    return [*_lengths(release), *_reserved(release)]


def joined_names(releases: Iterable[Release]) -> Iterator[tuple[str, Violation]]:
    """Secrets of two models whose objects would have one name in Pulumi, because the parts of the names join.

    Each violation is of the model that comes first with it.
    """
    named: dict[tuple[str, str], tuple[str, str]] = {}
    for release in releases:
        for index, secret in enumerate(release.model.secrets):
            if not (source := release.secret_sources.get(secret.name)):
                continue
            kind = "secret" if source.config else "externalsecret"
            name = f"{release.model.name}-{kind}-{secret.name}"
            model, other = named.setdefault((kind, name), (release.model.name, secret.name))
            if model != release.model.name:
                message = (
                    f'found "{secret.name}", whose object is called {name} in Pulumi, as that of {other} of {model} is, '
                    "accepted: another name for the secret or the model"
                )
                yield release.model.name, Violation(("secrets", index, "name"), message)


def _lengths(release: Release) -> list[Violation]:
    length, host = len(release.namespace), release.environment.host_of(release.model.name)
    found: list[Violation] = []
    if length > 63:
        message = (
            f'found "{release.model.name}", whose namespace {release.namespace} has {length} characters, '
            "accepted: at most 63"
        )
        found.append(Violation(("name",), message))
    if host and (len(host) > 253 or not re.fullmatch(HOST_NAME, host)):
        message = (
            f'found "{release.model.name}", whose host name is {host}, accepted: at most 63 characters in each part '
            "of the host name, 253 in total"
        )
        found.append(Violation(("name",), message))
    return found


def _reserved(release: Release) -> list[Violation]:
    environment, name, namespace = release.environment, release.model.name, release.namespace
    taken = environment.reserved_namespaces
    own = environment.limits.reserved  # for the platform's own names, which may be hosts
    for each, by in taken.items():
        if fnmatchcase(namespace, each) or (each in own and fnmatchcase(name, each)):
            accepted = listed(f"{each} ({by})" for each, by in taken.items())
            message = (
                f'found "{name}" with the namespace {namespace}, which is reserved ({by}), accepted: a name and a '
                f"namespace other than {accepted}"
            )
            return [Violation(("name",), message)]
    return []
