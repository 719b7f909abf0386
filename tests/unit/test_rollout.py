"""What keeps a version, told by objects as the API server, the scheduler and the kubelet write them."""

from typing import Any

import pytest

from homeport.rollout import Cause, rollout

LIMITS = {"cpu": "500m", "memory": "512Mi", "nvidia.com/gpu": "1"}
IMAGE = "registry.example.com/iris:2"


def deployment(wanted: int = 2, generation: int = 2, **status: Any) -> dict[str, Any]:
    metadata = {
        "name": "iris",
        "uid": "d",
        "generation": generation,
        "annotations": {"deployment.kubernetes.io/revision": "2"},
    }
    told = {
        "observedGeneration": 2,
        "replicas": 3,
        "updatedReplicas": 1,
        "availableReplicas": 2,
        "unavailableReplicas": 1,
    }
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": wanted}, "status": told | status}


def replica_set(uid: str = "r", revision: str = "2", **status: Any) -> dict[str, Any]:
    owner = [{"uid": "d"}]
    notes = {"deployment.kubernetes.io/revision": revision}
    return {
        "kind": "ReplicaSet",
        "metadata": {"uid": uid, "ownerReferences": owner, "annotations": notes},
        "status": status,
    }


def pod(container: Any = None, name: str = "p", owner: str = "r", conditions: Any = ()) -> dict[str, Any]:
    container_status = {"image": IMAGE, "restartCount": 0, "started": False} | container if container else None
    spec = {
        "resources": {"requests": LIMITS, "limits": LIMITS},
        "startupProbe": {"periodSeconds": 2, "failureThreshold": 15},
    }
    status = {"conditions": list(conditions), "containerStatuses": [container_status] if container_status else []}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": owner}]},
        "spec": {"containers": [spec]},
        "status": status,
    }


def event(reason: str, message: str, uid: str = "p", at: str = "2026-11-26T10:00:00Z") -> dict[str, Any]:
    return {
        "kind": "Event",
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
        "involvedObject": {"uid": uid},
        "metadata": {},
    }


def causes(*objects: Any) -> tuple[Cause, ...]:
    sets = [] if any(each["kind"] == "ReplicaSet" for each in objects) else [replica_set()]
    return rollout([deployment(), *sets, *objects], "iris", 2).causes


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def crashed(count: int, **ended: Any) -> dict[str, Any]:
    return waiting("CrashLoopBackOff", "back-off 10s") | {"restartCount": count, "lastState": {"terminated": ended}}


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu.",
}
STARTUP = "Startup probe failed: HTTP probe failed with statuscode: 503"

CAUSES: dict[str, tuple[list[Any], Cause]] = {
    "no room": (
        [pod(conditions=[UNSCHEDULABLE])],
        Cause(
            "no node takes a pod of cpu 500m, memory 512Mi, nvidia.com/gpu 1: 0/1 nodes are available: 1 Insufficient cpu."
        ),
    ),
    "quota": (
        [
            replica_set(
                conditions=[
                    {
                        "type": "ReplicaFailure",
                        "status": "True",
                        "message": 'pods "iris-x" is forbidden: exceeded quota: iris, requested: limits.cpu=2, used: '
                        "limits.cpu=3, limited: limits.cpu=4",
                    }
                ]
            )
        ],
        Cause(
            "no new pod fits into the quota of the namespace: exceeded quota: iris, requested: limits.cpu=2, used: "
            "limits.cpu=3, limited: limits.cpu=4"
        ),
    ),
    "larger than the ceiling": (
        [
            replica_set(
                conditions=[
                    {
                        "type": "ReplicaFailure",
                        "status": "True",
                        "message": 'pods "iris-x" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
                    }
                ]
            )
        ],
        Cause(
            "a pod is larger than the namespace allows: maximum cpu usage per Container is 1, but limit is 2",
            final=True,
        ),
    ),
    "Pod Security": (
        [
            replica_set(
                conditions=[
                    {
                        "type": "ReplicaFailure",
                        "status": "True",
                        "message": 'pods "iris-x" is forbidden: violates PodSecurity "restricted:latest": host namespaces',
                    }
                ]
            )
        ],
        Cause('Pod Security refuses the pod: violates PodSecurity "restricted:latest": host namespaces', final=True),
    ),
    "no PriorityClass": (
        [
            replica_set(
                conditions=[
                    {
                        "type": "ReplicaFailure",
                        "status": "True",
                        "message": 'pods "iris-x" is forbidden: no PriorityClass with name urgent was found',
                    }
                ]
            )
        ],
        Cause(
            "the cluster does not have the environment's priority_class: no PriorityClass with name urgent was found",
            final=True,
        ),
    ),
    "no image": (
        [pod(waiting("ErrImagePull", f"failed to resolve reference: {IMAGE}: not found"))],
        Cause(f"the registry has no {IMAGE}: failed to resolve reference: {IMAGE}: not found"),
    ),
    "no image, again": (
        [pod(waiting("ImagePullBackOff", f"Back-off pulling image: {IMAGE}: not found"))],
        Cause(f"the registry has no {IMAGE}: Back-off pulling image: {IMAGE}: not found", final=True),
    ),
    "not permitted": (
        [pod(waiting("ImagePullBackOff", "pull access denied"))],
        Cause(f"the registry does not give out {IMAGE}: pull access denied", final=True),
    ),
    "registry away": (
        [pod(waiting("ImagePullBackOff", "dial tcp: i/o timeout"))],
        Cause(f"{IMAGE} cannot be pulled: dial tcp: i/o timeout"),
    ),
    "crash": (
        [pod(crashed(1, exitCode=3, reason="Error", message="Traceback\nKeyError: 'weights'\n"))],
        Cause("the model crashed with exit code 3; its last lines: Traceback | KeyError: 'weights'"),
    ),
    "crash after a probe": (
        [pod(crashed(1, exitCode=1, reason="Error")), event("Unhealthy", STARTUP)],
        Cause("the model crashed with exit code 1"),
    ),
    "crash, again": (
        [pod(crashed(2, exitCode=3, reason="Error"))],
        Cause("the model crashed with exit code 3", final=True),
    ),
    "out of memory": (
        [pod(crashed(2, exitCode=137, reason="OOMKilled"))],
        Cause("the model needs more memory than 512Mi: it was ended (OOMKilled, exit code 137)", final=True),
    ),
    "not ready": (
        [
            pod({"state": {"running": {}}, "started": True}),
            event("Unhealthy", "Readiness probe failed: statuscode: 503"),
        ],
        Cause("a pod runs but is not ready: Readiness probe failed: statuscode: 503"),
    ),
    "never ready": (
        [
            pod(crashed(2, exitCode=0, reason="Completed")),
            event("Unhealthy", STARTUP),
            event("Killing", "Container model failed startup probe, will be restarted"),
        ],
        Cause(f"the model was not ready within startup_seconds, 30, and was restarted: {STARTUP}", final=True),
    ),
    "no volume": (
        [pod(waiting("ContainerCreating")), event("FailedMount", "MountVolume.SetUp failed:\n no such host")],
        Cause("a volume cannot be mounted: MountVolume.SetUp failed: no such host"),
    ),
    "no sandbox": (
        [pod(waiting("ContainerCreating")), event("FailedCreatePodSandBox", "user namespaces are not supported")],
        Cause("the node cannot start the pod: user namespaces are not supported"),
    ),
    "no secret": (
        [pod(waiting("CreateContainerConfigError", 'secret "iris-token" not found'))],
        Cause('the container cannot be started: secret "iris-token" not found'),
    ),
}


@pytest.mark.parametrize(("objects", "cause"), CAUSES.values(), ids=CAUSES)
def test_cause_is_told_in_a_line(objects: list[Any], cause: Cause) -> None:
    assert causes(*objects) == (cause,)
    assert "\n" not in cause.text


def test_a_cause_of_several_pods_is_told_once() -> None:
    (cause,) = causes(*(pod(conditions=[UNSCHEDULABLE], name=name) for name in "pq"))
    assert cause.text.endswith("1 Insufficient cpu. (2 pods)")


def test_the_last_event_counts() -> None:
    events = [event("Unhealthy", text, at=f"2026-11-26T10:00:0{index}Z") for index, text in enumerate(["old", "new"])]
    (cause,) = causes(pod({"state": {"running": {}}}), *reversed(events))
    assert cause.text == "a pod runs but is not ready: new"


@pytest.mark.parametrize(
    "other",
    [
        pod(crashed(5, exitCode=1), owner="old"),
        pod(waiting("ContainerCreating")),
        pod(conditions=[{"type": "Ready", "status": "True"}]),
        {**pod(crashed(5, exitCode=1)), "metadata": {**pod()["metadata"], "deletionTimestamp": "2026-11-26T10:00:00Z"}},
        event("FailedMount", "it was so", uid="another"),
    ],
    ids=["of the old version", "starts", "serves", "leaves", "of another pod"],
)
def test_what_is_no_cause(other: Any) -> None:
    assert causes(other) == ()


DONE = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "unavailableReplicas": 0}


@pytest.mark.parametrize(
    ("found", "least", "done"),
    [
        (deployment(**DONE), 2, True),
        (deployment(**DONE), 0, True),
        (deployment(**DONE), 3, False),
        (deployment(3, **DONE), 2, False),
        (deployment(2, 3, **DONE), 2, False),
        (deployment(**DONE | {"replicas": 3}), 2, False),
        (deployment(**DONE | {"availableReplicas": 1, "unavailableReplicas": 1}), 1, False),
        (deployment(0, replicas=0, updatedReplicas=0, availableReplicas=0, unavailableReplicas=0), 0, True),
    ],
    ids=[
        "all",
        "more than promised",
        "autoscaler late",
        "one to come",
        "not seen",
        "an old one",
        "one not ready",
        "none",
    ],
)
def test_a_version_is_done_once_all_is_new_and_as_many_as_promised_serve(found: Any, least: int, done: bool) -> None:
    assert rollout([found, replica_set()], "iris", least).done is done


def test_a_version_that_was_done_is_not_the_updates_doing() -> None:
    lost = DONE | {"availableReplicas": 1, "unavailableReplicas": 1}
    conditions = [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]
    assert rollout([deployment(**lost, conditions=conditions)], "iris", 2).was_done
    assert not rollout([deployment(**lost)], "iris", 2).was_done


def test_progress_is_told_by_the_new_pods_alone() -> None:
    found = rollout(
        [deployment(), replica_set("old", "1", availableReplicas=2), replica_set(availableReplicas=1)], "iris", 2
    )
    assert str(found) == "1 of 2 replicas of the new version serve"


@pytest.mark.parametrize(("least", "asleep"), [(1, True), (0, False)])
def test_a_model_without_a_replica_is_not_waited_for(least: int, asleep: bool) -> None:
    """KEDA has removed the last one, and Kubernetes' autoscaler is to take over."""
    idle = deployment(0, replicas=0, updatedReplicas=0, availableReplicas=0, unavailableReplicas=0)
    causes = rollout([idle], "iris", least).causes
    assert [(each.text.partition(":")[0], each.final) for each in causes] == asleep * [
        ("no replica runs, and from zero Kubernetes' autoscaler starts none", True)
    ]


def test_no_deployment_yet() -> None:
    assert str(rollout([], "iris", 2)) == "0 of 2 replicas of the new version serve"
