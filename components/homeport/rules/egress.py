"""Rules about destinations outside the cluster: what can be enforced here, and what the environment allows."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from homeport.catalogue.addresses import allowed_in
from homeport.release import Release
from homeport.rules.violation import Violation, listed
from homeport.specs.model import Egress


def egress_violations(release: Release) -> list[Violation]:
    """Hosts where only networks can be enforced, and destinations beyond `limits.egress`."""
    return [*_hosts(release), *_limits(release)]


def _hosts(release: Release) -> Iterator[Violation]:
    if release.environment.network.plugin:
        return
    reason = "a `cidr`, because NetworkPolicy has no host names; `host` needs `network.plugin` in the environment"
    for index, egress in enumerate(release.model.egress):
        if egress.host:
            yield Violation(("egress", index, "host"), f'found "{egress.host}", accepted: {reason}')


def _limits(release: Release) -> Iterator[Violation]:
    allowed = release.environment.limits.egress
    if allowed is None:
        return
    for index, egress in enumerate(release.model.egress):
        if not _within(egress, allowed):
            field, found = ("host", egress.host) if egress.host else ("cidr", egress.cidr)
            message = f'found "{found}", accepted: {listed(allowed)} (limits.egress)'
            yield Violation(("egress", index, field), message)


def _within(egress: Egress, allowed: Sequence[str]) -> bool:
    if egress.host:
        return any(fnmatchcase(egress.host, each) for each in allowed)
    return any(allowed_in(str(egress.cidr), each) for each in allowed if "/" in each)
