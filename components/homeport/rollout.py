"""Rollout: whether a version of a model has what was promised, and what keeps it, as the objects of its namespace show it.

Everything is judged from one look at the cluster: the Deployment, its ReplicaSets, pods and events.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Live = Mapping[str, Any]
"""An object in the cluster, in the form of its API."""

WAIT_VARIABLE = "HOMEPORT_WAIT"
"""Variable that, if it is `false`, lets an update not wait for a version that an earlier update left unfinished. It is for
`pulumi destroy --run-program`, which a program cannot tell from `pulumi up`."""

KINDS = ("deployments", "replicasets", "pods", "events")
"""What a look needs."""

_CRASHES = 2
"""Crashes of a pod that was never ready, after which it is not expected to heal."""

_GONE = re.compile("not found|manifest unknown|does not exist", re.IGNORECASE)
_REFUSED = re.compile("unauthorized|forbidden|denied|authorization|authentication|401|403", re.IGNORECASE)

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CONFIGURATION = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
"""Reasons for which a container waits: pkg/kubelet/images/types.go, pkg/kubelet/kuberuntime of Kubernetes."""

_EVENTS = {
    "FailedMount": "a volume cannot be mounted",
    "FailedAttachVolume": "a volume cannot be attached to the node",
    "FailedCreatePodSandBox": "the node cannot start the pod",
    "FailedCreatePodContainer": "the node cannot start the pod",
}
"""Reasons of events that tell why a pod does not start: pkg/kubelet/events/event.go."""

_KILLED = {0, 137, 143}
"""Exit codes of a program that was told to stop: of its own, or 128 + SIGKILL or SIGTERM."""

_LOG_LINES = 5


@dataclass(frozen=True)
class Cause:
    """What keeps a version from having what was promised."""

    text: str
    """One line: what is the matter, then Kubernetes' own words."""
    final: bool = False
    """Waiting cannot heal it."""


@dataclass(frozen=True)
class Rollout:
    """How far a version is."""

    ready: int
    """New pods that serve."""
    wanted: int
    """Pods that are to serve."""
    done: bool
    """Every pod is a new one and serves, and there are as many as promised."""
    was_done: bool = False
    """Every pod was a new one and served: what is missing now is not the update's doing."""
    causes: tuple[Cause, ...] = ()

    def __str__(self) -> str:
        return f"{self.ready} of {self.wanted} replicas of the new version serve"


def rollout(objects: Iterable[Live], name: str, least: int) -> Rollout:
    """How far the Deployment with a name is.

    Args:
        objects: The objects of its namespace, of the `KINDS`.
        name: Name of the Deployment.
        least: Replicas that must be ready; more are waited for if its autoscaler wants more.
    """
    by_kind: dict[str, list[Live]] = {}
    for each in objects:
        by_kind.setdefault(each["kind"], []).append(each)
    deployment = next((each for each in by_kind.get("Deployment", ()) if each["metadata"]["name"] == name), None)
    if deployment is None:
        return Rollout(0, least, done=False)
    sets = [each for each in by_kind.get("ReplicaSet", ()) if _owned_by(each, deployment)]
    current = next((each for each in sets if _revision(each) == _revision(deployment)), None)
    pods = [each for each in by_kind.get("Pod", ()) if current and _owned_by(each, current)]
    status = deployment.get("status", {})
    wanted = max(least, deployment["spec"].get("replicas", 1))
    ready = current.get("status", {}).get("availableReplicas", 0) if current else 0
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    replaced = status.get("replicas", 0) == status.get("updatedReplicas", 0) == deployment["spec"].get("replicas", 1)
    done = (
        seen and replaced and status.get("availableReplicas", 0) >= wanted and status.get("unavailableReplicas", 0) == 0
    )
    if done or not seen:
        return Rollout(ready, wanted, done)
    was_done = replaced and any(
        each["type"] == "Progressing" and each["reason"] == "NewReplicaSetAvailable"
        for each in status.get("conditions", ())
    )
    causes = [*_asleep(deployment, least), *_not_admitted(current), *_of_pods(pods, by_kind.get("Event", ()))]
    return Rollout(ready, wanted, done, was_done, tuple(causes))


def _owned_by(each: Live, owner: Live) -> bool:
    owners = each["metadata"].get("ownerReferences", ())
    return any(found["uid"] == owner["metadata"]["uid"] for found in owners)


def _revision(each: Live) -> str | None:
    found: str | None = each["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision")
    return found


def _asleep(deployment: Live, least: int) -> list[Cause]:
    """Why a Deployment without a replica gets none.

    https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation
    """
    if least == 0 or deployment["spec"].get("replicas", 1) > 0:
        return []
    text = (
        "no replica runs, and from zero Kubernetes' autoscaler starts none: if KEDA has removed the last one, let KEDA start "
        f"one first, with `scale.min: {least}` beside the target that it counts, and change the target in the next update"
    )
    return [Cause(text, final=True)]


def _not_admitted(current: Live | None) -> list[Cause]:
    """Why no new pod is admitted: the condition of the ReplicaSet, which has the API server's words."""
    conditions = current.get("status", {}).get("conditions", ()) if current else ()
    return [
        _refusal(condition["message"])
        for condition in conditions
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True"
    ]


def _refusal(message: str) -> Cause:
    words = message.partition("forbidden: ")[2] or message
    if words.startswith("exceeded quota"):
        return Cause(f"no new pod fits into the quota of the namespace: {words}")
    if "usage per" in words:
        return Cause(f"a pod is larger than the namespace allows: {words}", final=True)
    if "no PriorityClass" in words:
        return Cause(f"the cluster does not have the environment's priority_class: {words}", final=True)
    if "violates PodSecurity" in words:
        return Cause(f"Pod Security refuses the pod: {words}", final=True)
    return Cause(f"no new pod is admitted: {words}")


def _of_pods(pods: Sequence[Live], events: Iterable[Live]) -> list[Cause]:
    """What keeps the pods, each cause once, with how many it keeps."""
    last: dict[tuple[str, str], str] = {}
    for event in sorted(events, key=lambda each: str(each.get("lastTimestamp") or each.get("eventTime") or "")):
        last[event["involvedObject"].get("uid", ""), event["reason"]] = event.get("message", "")
    found = Counter(cause for pod in pods for cause in _of_pod(pod, last))
    return [
        cause if count == 1 else Cause(f"{cause.text} ({count} pods)", cause.final) for cause, count in found.items()
    ]


def _of_pod(pod: Live, events: Mapping[tuple[str, str], str]) -> list[Cause]:
    uid, status = pod["metadata"]["uid"], pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"] or _is_ready(status):
        return []
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return [Cause(f"no node takes a pod of {_size(pod)}: {condition.get('message', condition.get('reason'))}")]
    for reason, words in _EVENTS.items():
        # Events remain, so they count only while no container has started.
        if (uid, reason) in events and not any(each.get("started") for each in status.get("containerStatuses", ())):
            return [Cause(f"{words}: {_line(events[uid, reason])}")]
    return [cause for each in status.get("containerStatuses", ()) for cause in _of_container(pod, each, events)]


def _of_container(pod: Live, container: Live, events: Mapping[tuple[str, str], str]) -> list[Cause]:
    state, uid = container.get("state", {}), pod["metadata"]["uid"]
    waiting: Mapping[str, Any] = state.get("waiting", {})
    reason, message = waiting.get("reason", ""), _line(waiting.get("message", ""))
    if reason in _IMAGE:
        return [_image(container["image"], reason, message)]
    if reason in _CONFIGURATION:
        return [Cause(f"the container cannot be started: {message or reason}", final=reason == "RunContainerError")]
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
    probe = events.get((uid, "Unhealthy"), "")
    if ended:
        killed = ended.get("exitCode") in _KILLED and ended.get("reason") != "OOMKilled"
        by_probe = killed and "failed startup probe" in events.get((uid, "Killing"), "")
        return [_ended(pod, container, ended, probe if by_probe else "")]
    if probe and "running" in state:
        return [Cause(f"a pod runs but is not ready: {_line(probe)}")]
    return []


def _image(image: str, reason: str, message: str) -> Cause:
    # The kubelet waits longer each time (ImagePullBackOff), after it tried at least twice.
    again = reason == "ImagePullBackOff"
    if reason == "InvalidImageName":
        return Cause(f"{image} is not the name of an image: {message}", final=True)
    if _REFUSED.search(message):
        return Cause(f"the registry does not give out {image}: {message}", final=again)
    if _GONE.search(message):
        return Cause(f"the registry has no {image}: {message}", final=again)
    return Cause(f"{image} cannot be pulled: {message or reason}")


def _ended(pod: Live, container: Live, ended: Live, probe: str) -> Cause:
    """Why a container has ended; `probe` is the last answer of the probe that ended it, if one did."""
    count, lines = container.get("restartCount", 0), _last_lines(ended.get("message", ""))
    final = count >= _CRASHES
    said = f"; its last lines: {lines}" if lines else ""
    if ended.get("reason") == "OOMKilled":
        memory = pod["spec"]["containers"][0]["resources"]["limits"].get("memory")
        return Cause(f"the model needs more memory than {memory}: it was ended (OOMKilled, exit code 137){said}", final)
    if probe:
        probes = pod["spec"]["containers"][0]["startupProbe"]
        seconds = probes["periodSeconds"] * probes["failureThreshold"]
        return Cause(
            f"the model was not ready within startup_seconds, {seconds}, and was restarted: {_line(probe)}{said}", final
        )
    return Cause(f"the model crashed with exit code {ended.get('exitCode')}{said}", final)


def _is_ready(status: Mapping[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))


def _size(pod: Live) -> str:
    requests = pod["spec"]["containers"][0]["resources"]["requests"]
    return ", ".join(f"{name} {amount}" for name, amount in requests.items())


def _last_lines(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-_LOG_LINES:])


def _line(text: str) -> str:
    return " ".join(text.split())
