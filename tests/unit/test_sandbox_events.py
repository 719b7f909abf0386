"""What a log tells of an update: events as `pulumi up --json` of 3.259 prints them, without inputs and outputs."""

import json
from typing import Any

from sandbox.events import Log

URN = "urn:pulumi:dev::homeport::"
SERVICE = f"{URN}homeport:index:ModelService::iris"
DEPLOYMENT = f"{URN}homeport:index:ModelService$kubernetes:apps/v1:Deployment::iris-deployment"
PROVIDER = f"{URN}pulumi:providers:kubernetes::cluster"
STACK = f"{URN}pulumi:pulumi:Stack::homeport-dev"


def step(kind: str, operation: str, urn: str, at: int = 100, *, custom: bool = True) -> str:
    state = {"type": urn.split("::")[2].rpartition("$")[2], "urn": urn} | ({"custom": True} if custom else {})
    both = {"old": state, "new": None} if operation == "delete" else {"old": None, "new": state}
    metadata = {"op": operation, "urn": urn, "type": state["type"], **both, "provider": ""}
    return json.dumps({"sequence": 1, "timestamp": at, kind: {"metadata": metadata}})


def diagnostic(severity: str, message: str, urn: str = "", *, ephemeral: bool = False) -> str:
    event: dict[str, Any] = {
        "message": f"{message}\n",
        "color": "never",
        "severity": severity,
        "prefix": f"{severity}: ",
    }
    event |= ({"urn": urn} if urn else {}) | ({"ephemeral": True} if ephemeral else {})
    return json.dumps({"sequence": 1, "timestamp": 100, "diagnosticEvent": event})


def told(*lines: str) -> list[str]:
    log = Log()
    return [text for line in lines for text in log.read(line)]


def test_one_line_for_each_resource_and_how_long_it_took() -> None:
    assert told(
        step("resourcePreEvent", "create", STACK, custom=False),
        step("resourcePreEvent", "create", PROVIDER),
        step("resOutputsEvent", "create", PROVIDER),
        step("resourcePreEvent", "create", SERVICE, custom=False),
        step("resourcePreEvent", "update", DEPLOYMENT, 101),
        step("resOutputsEvent", "update", DEPLOYMENT, 114),
        step("resOutputsEvent", "create", SERVICE, 115, custom=False),
        step("resOutputsEvent", "create", STACK, 115, custom=False),
        '{"sequence": 9, "timestamp": 115, "summaryEvent": {"result": "succeeded", "resourceChanges": {"create": 3}}}',
        '{"sequence": 10, "timestamp": 115, "cancelEvent": {}}',
    ) == [
        "created provider cluster",
        "updated Deployment iris-deployment after 13s",
        "created ModelService iris after 15s",
    ]


def test_what_stays_as_it_is_is_not_told() -> None:
    assert told(step("resourcePreEvent", "same", DEPLOYMENT), step("resOutputsEvent", "same", DEPLOYMENT)) == []


def test_replacement_and_deletion() -> None:
    assert told(
        step("resourcePreEvent", "create-replacement", DEPLOYMENT),
        step("resOutputsEvent", "create-replacement", DEPLOYMENT),
        step("resourcePreEvent", "replace", DEPLOYMENT),
        step("resOutputsEvent", "replace", DEPLOYMENT),
        step("resourcePreEvent", "delete", SERVICE),
        step("resOutputsEvent", "delete", SERVICE),
    ) == ["created anew Deployment iris-deployment", "deleted ModelService iris"]


def test_failures_are_told_in_full() -> None:
    cause = "1 error occurred:\n\t* [ProgressDeadlineExceeded] " + "the ReplicaSet has timed out progressing. " * 20
    assert told(
        step("resourcePreEvent", "create", DEPLOYMENT),
        diagnostic("error", cause, DEPLOYMENT),
        diagnostic("warning", "deprecated"),
        step("resOpFailedEvent", "create", DEPLOYMENT),
        diagnostic("error", "update failed"),
    ) == [
        f"error: Deployment iris-deployment: {cause.strip()}",
        "warning: deprecated",
        "failed to create Deployment iris-deployment",
        "error: update failed",
    ]


def test_what_programs_print_is_told_and_what_is_for_debugging_is_not() -> None:
    assert told(
        diagnostic("info", "hello", STACK),
        diagnostic("info#err", "a warning of Python", STACK),
        diagnostic("debug", "registering resource"),
        json.dumps({"stdoutEvent": {"message": "SIGTERM received; cancelling.\n", "color": "never"}}),
        json.dumps({"errorEvent": {"error": "the plugin has gone"}}),
        "warning: no event at all\n",
        "3\n",
    ) == [
        "hello",
        "a warning of Python",
        "SIGTERM received; cancelling.",
        "the plugin has gone",
        "warning: no event at all",
        "3",
    ]


def test_what_is_waited_for_is_the_resource_and_its_last_word_in_short() -> None:
    log = Log()
    assert log.doing() == "waiting for pulumi"
    log.read(step("resourcePreEvent", "create", SERVICE, custom=False))
    log.read(step("resourcePreEvent", "create", DEPLOYMENT))
    assert log.doing() == "waiting for Deployment iris-deployment"
    assert log.read(diagnostic("info", "0/1 pods\navailable", DEPLOYMENT, ephemeral=True)) == []
    log.read(diagnostic("info", "", DEPLOYMENT, ephemeral=True))
    assert log.doing() == "waiting for Deployment iris-deployment (0/1 pods available)"
    log.read(diagnostic("warning", "back-off restarting " * 50, DEPLOYMENT, ephemeral=True))
    assert len(log.doing()) < 250
    log.read(step("resOutputsEvent", "create", DEPLOYMENT))
    assert log.doing() == "waiting for pulumi"
