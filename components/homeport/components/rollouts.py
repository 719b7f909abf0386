"""Rollouts: an update of a model ends when its replicas serve, and tells meanwhile what keeps them."""

import asyncio
import os
import shlex
import time
from collections.abc import Sequence
from typing import Any

import pulumi

from homeport.components.hooks import LOOK_SECONDS, Hooks
from homeport.components.kubectl import KubectlError
from homeport.errors import HomeportError
from homeport.manifests import Manifest
from homeport.manifests.names import INSTANCE_LABEL, VERSION_LABEL
from homeport.output.text import visible
from homeport.rollout import KINDS, WAIT_VARIABLE, Live, Rollout, autoscaler_causes, rollout


class RolloutError(HomeportError, pulumi.RunError):
    """A version does not have what was promised."""


class Rollouts:
    """Waits for the versions of one model."""

    def __init__(self, component: pulumi.Resource, hooks: Hooks, context: str | None) -> None:
        self._component, self._hooks, self._context = component, hooks, context
        self._changed = False

    def notice(self, hooks: pulumi.ResourceHookBinding) -> None:
        """Notice whether this update changes an object that has these hooks."""

        def changed(_: pulumi.ResourceHookArgs) -> None:
            self._changed = True

        hooks.after_create, hooks.after_update = [changed], [changed]

    def served(self, workload: Any, manifest: Manifest, least: int, seconds: int) -> pulumi.Output[Any]:
        """The workload of a version, once at least so many of its replicas serve.

        If this update changes neither it nor its number of replicas, it is only waited for if an earlier update did not end.

        Args:
            workload: The resource.
            manifest: What it was made from.
            least: Replicas that must serve.
            seconds: Maximum time until the first or the next replica serves.

        Raises:
            RolloutError: That time is over, or what keeps the replicas cannot heal. The error says what it is.
        """

        async def wait(_: Any) -> Any:
            if not pulumi.runtime.is_dry_run() and (self._changed or await self._unfinished(manifest, least)):
                await self._wait(manifest, least, seconds)
            return workload

        waited: pulumi.Output[Any] = workload.metadata.apply(wait)
        return waited

    async def _unfinished(self, manifest: Manifest, least: int) -> bool:
        """Whether an earlier update did not end; a warning if less serves now than was promised."""
        name = manifest["metadata"]["name"]
        try:
            deployments = await self._hooks.deployments()
        except KubectlError as error:
            self._warn(f"whether the replicas of {name} serve is not known: {error}")
            return False
        namespace = manifest["metadata"]["namespace"]
        found = rollout((each for each in deployments if each["metadata"]["namespace"] == namespace), name, least)
        if found.was_done:
            self._warn(f"{name}: {found}; this update does not change that")
        unfinished = not (found.done or found.was_done)
        if unfinished and os.environ.get(WAIT_VARIABLE) == "false":
            self._warn(f"{name}: {found}; an earlier update did not end, and {WAIT_VARIABLE} is false")
            return False
        return unfinished

    async def _wait(self, manifest: Manifest, least: int, seconds: int) -> None:
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        told: set[str] = set()
        best, end = -1, time.monotonic() + seconds
        while True:
            objects, found, causes = await self._look(name, namespace, least)
            for text in causes:
                if text not in told:
                    told.add(text)
                    self._warn(f"{name}: {text}")
            if found.done:
                for cause in autoscaler_causes(objects, name):
                    self._warn(f"{name}: {cause.text}")
                return
            if found.ready > best:
                best, end = found.ready, time.monotonic() + seconds
                pulumi.log.info(f"{name}: {found}", self._component, ephemeral=True)
            cannot_heal = next((cause.text for cause in found.causes if cause.final), None)
            if cannot_heal or time.monotonic() > end:
                why = cannot_heal or "; ".join(causes) or "no reason is known"
                waited = "" if cannot_heal else f" and no further one within {seconds} seconds"
                raise RolloutError(
                    f"{name}: {found}{waited}: {why}",
                    f"to see more, run: {logs_command(manifest, self._context)}",
                    *(() if self._changed else (f"to destroy the stack all the same, set {WAIT_VARIABLE}=false",)),
                )
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, name: str, namespace: str, least: int) -> tuple[Sequence[Live], Rollout, list[str]]:
        """What is there, how far the version is, and what keeps it."""
        try:
            objects = await self._hooks.ask(lambda kubectl: kubectl.all(KINDS, namespace))
        except KubectlError as error:  # a connection may be interrupted for a moment
            return [], Rollout(0, least, done=False), [f"the cluster does not answer: {error}"]
        found = rollout(objects, name, least)
        return objects, found, [cause.text for cause in found.causes]

    def _warn(self, text: str) -> None:
        pulumi.log.warn(visible(text), self._component)  # a model's own log lines are in it


def logs_command(workload: Manifest, context: str | None) -> str:
    """The command that shows the last log lines of the pods of a version."""
    metadata = workload["metadata"]
    labels = {key: metadata["labels"][key] for key in (INSTANCE_LABEL, VERSION_LABEL)}
    there = [f"--context={context}"] if context else []
    which = [f"--namespace={metadata['namespace']}", "--selector=" + ",".join(map("=".join, labels.items()))]
    return shlex.join(["kubectl", "logs", *there, *which, "--tail=20", "--prefix"])
