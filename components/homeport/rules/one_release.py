"""Rules about one release: limits exceeded, requirements not met, needs that the environment cannot serve."""

from collections.abc import Callable, Sequence

from homeport.catalogue.clouds import KINDS
from homeport.catalogue.kubernetes import IMAGE_VOLUMES, text
from homeport.nodes import offered
from homeport.release import Release
from homeport.rules.egress import egress_violations
from homeport.rules.images import image_violations
from homeport.rules.names import name_violations
from homeport.rules.teams import team_violations
from homeport.rules.violation import Violation, listed
from homeport.specs.model import Gpu
from homeport.specs.problems import Location
from homeport.specs.quantities import byte_count, millicores


def violations(release: Release) -> list[Violation]:
    """What the environment does not allow: limits exceeded, requirements not met, needs that it cannot serve."""
    return [violation for rule in _RULES for violation in rule(release)]


def _ceilings(release: Release) -> list[Violation]:
    limits, (least, most) = release.environment.limits, release.replicas
    required = release.environment.require.min_replicas
    cpu, memory, gpus = release.cpu, release.memory, release.gpu.count if release.gpu else 0
    shm = release.model.resources.shm
    found: list[Violation] = []
    if limits.replicas is not None and most > limits.replicas:
        message = f"found {most} replicas, accepted: {limits.replicas} or fewer (limits.replicas)"
        found.append(Violation(("scale", "max"), message))
    if least < required:
        message = f"found {least} replicas, accepted: {required} or more (require.min_replicas)"
        found.append(Violation(("scale", "min"), message))
    if limits.cpu is not None and millicores(cpu) * most > millicores(limits.cpu):
        found.append(Violation(("resources", "cpu"), _at_most(cpu, most, limits.cpu, "cpu")))
    if limits.memory is not None and byte_count(memory) * most > byte_count(limits.memory):
        found.append(Violation(("resources", "memory"), _at_most(memory, most, limits.memory, "memory")))
    if limits.gpus is not None and gpus * most > limits.gpus:
        found.append(Violation(("resources", "gpu", "count"), _at_most(gpus, most, limits.gpus, "gpus")))
    tmp, start, drain = release.model.resources.tmp, release.model.startup_seconds, release.model.drain_seconds
    if limits.tmp is not None and byte_count(tmp) > byte_count(limits.tmp):
        message = f"found {tmp}, accepted: {limits.tmp} or less (limits.tmp)"
        found.append(Violation(("resources", "tmp"), message))
    if limits.startup_seconds is not None and start > limits.startup_seconds:
        message = f"found {start}, accepted: {limits.startup_seconds} or less (limits.startup_seconds)"
        found.append(Violation(("startup_seconds",), message))
    if limits.drain_seconds is not None and drain > limits.drain_seconds:
        message = f"found {drain}, accepted: {limits.drain_seconds} or less (limits.drain_seconds)"
        found.append(Violation(("drain_seconds",), message))
    if shm and byte_count(shm) >= byte_count(memory):
        message = f"found {shm}, accepted: less than `resources.memory`, which is {memory} and includes it"
        found.append(Violation(("resources", "shm"), message))
    return found


def _scale(release: Release) -> list[Violation]:
    counted = release.environment.keda.triggers if release.environment.keda else {}
    hint = " (keda.triggers)" if counted else "; other targets need KEDA, which the environment does not have (keda)"
    found = [
        Violation(
            ("scale", "target", target),
            f"found {number}, accepted: the targets {listed(['cpu', 'memory', *counted])}{hint}",
        )
        for target, number in release.model.scale.target.demand.items()
        if target not in counted
    ]
    if release.replicas[0] == 0 and not found and not any(each.from_zero for each in release.triggers.values()):
        waking = listed(target for target, each in counted.items() if each.from_zero)
        other = f"0 needs a target that is counted while no replica runs: {waking} (keda.triggers, from_zero)"
        found.append(Violation(("scale", "min"), f"found 0 replicas, accepted: 1 or more; {other}"))
    return found


def _gpus(release: Release) -> list[Violation]:
    if release.gpu is None:
        return []
    known = KINDS | set(release.environment.accelerators)
    unknown = [
        Violation(
            ("resources", "gpu", "kinds", index),
            f'found "{kind}", which is not a known kind of GPU, accepted: {listed(sorted(known))}',
        )
        for index, kind in enumerate(release.gpu.kinds)
        if kind not in known
    ]
    if unknown:
        return unknown
    place: Location = ("resources", "gpu", "kinds")
    found = ", ".join(f'"{kind}"' for kind in release.gpu.kinds)
    nodes, allowed = offered(release.environment, release.gpu), release.environment.limits.gpu_kinds
    if not set(release.gpu.kinds) & set(nodes):
        part = _part(release.gpu)
        hint = f" (as whole GPUs: {listed(offered(release.environment))})" if part else ""
        message = (
            f"found {found}{part}, which no node of this environment is known to have, accepted: {listed(nodes)}{hint}"
        )
        return [Violation(place, message)]
    if not release.gpu_nodes:
        return [Violation(place, f"found {found}, accepted: {listed(allowed or [])} (limits.gpu_kinds)")]
    resources = dict.fromkeys(each.resource for each in release.gpu_nodes.values())
    if len(resources) > 1:
        message = (
            f"found kinds of {listed(resources)}, accepted: kinds of one resource, because a pod requests only one"
        )
        return [Violation(place, message)]
    return []


def _secrets(release: Release) -> list[Violation]:
    accepted = f"{listed(release.secret_sources)} (secrets.{release.model.name} of the environment)"
    return [
        Violation(("secrets", index, "name"), f'found "{secret.name}", accepted: {accepted}')
        for index, secret in enumerate(release.model.secrets)
        if secret.name not in release.secret_sources
    ]


def _image_volumes(release: Release) -> list[Violation]:
    weights, cluster = release.model.weights, release.environment.cluster
    if weights is None or weights.image is None or cluster.has(IMAGE_VOLUMES) is not False:
        return []
    message = (
        f'found "{weights.image}", accepted: no image, because that needs Kubernetes {text(IMAGE_VOLUMES)}, and the cluster '
        f"has {cluster.version} (cluster.version); `claim` works"
    )
    return [Violation(("weights", "image"), message)]


def _canary(release: Release) -> list[Violation]:
    found: list[Violation] = []
    if release.canary and release.environment.host_of(release.model.name) is None:
        reason = "the environment has no Gateway to split the requests (gateway.name, gateway.host)"
        message = f'found version "{release.canary.version}", accepted: no canary, because {reason}'
        found.append(Violation(("canary",), message, source="live"))
    if release.canary and (release.canary.version, release.canary.weights) == (release.version, release.weights):
        message = f'found "{release.version}", accepted: a version other than the stable one'
        message += ", or other weights" if release.weights else ""
        found.append(Violation(("canary", "version"), message, source="live"))
    return found


def _at_most(each: str | int, replicas: int, limit: str | int, name: str) -> str:
    return f"found {each} for each of {replicas} replicas, accepted: {limit} or less in total (limits.{name})"


def _part(gpu: Gpu) -> str:
    return f" in slices of {gpu.mig}" if gpu.mig else " in time-sliced shares" if gpu.shared else ""


_RULES: Sequence[Callable[[Release], list[Violation]]] = (
    name_violations,
    _ceilings,
    _scale,
    _gpus,
    image_violations,
    _secrets,
    team_violations,
    _image_volumes,
    egress_violations,
    _canary,
)
"""The rules, in the order in which their problems are reported."""
