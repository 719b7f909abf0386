"""Rollouts: an update of a model ends when it has what was promised, and tells meanwhile what keeps it from that."""

import asyncio
import os
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pulumi

from homeport.components.hooks import LOOK_SECONDS, Hooks
from homeport.components.kubectl import KubectlError
from homeport.errors import HomeportError
from homeport.manifests import Manifest
from homeport.manifests.names import INSTANCE_LABEL, VERSION_LABEL
from homeport.manifests.resource import Resource
from homeport.output.text import visible
from homeport.ownership import Name
from homeport.promises import PROMISES, Promise
from homeport.rollout import KINDS, WAIT_VARIABLE, Cause, Rollout, rollout

TELL_SECONDS = 10
"""Seconds after which an update tells what it waits for: most controllers have answered by then."""


class RolloutError(HomeportError, pulumi.RunError):
    """A version does not have what was promised."""


class Rollouts:
    """Waits for the versions of one model."""

    def __init__(self, component: pulumi.Resource, hooks: Hooks, context: str | None) -> None:
        self._component, self._hooks, self._context = component, hooks, context
        self._created: set[str] = set()
        self._updated: set[str] = set()
        self._deciding: set[str] = set()

    def notice(self, resource: Resource, hooks: pulumi.ResourceHookBinding) -> None:
        """Notice whether this update creates or changes an object, which has these hooks."""

        def created(_: pulumi.ResourceHookArgs) -> None:
            self._created.add(resource.name)

        def updated(_: pulumi.ResourceHookArgs) -> None:
            self._updated.add(resource.name)

        hooks.after_create, hooks.after_update = [created], [updated]
        if resource.replicas:
            self._deciding.add(resource.name)

    @property
    def _changed(self) -> bool:
        """Whether this update changes what runs, or how many."""
        return bool(self._deciding & (self._created | self._updated))

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

    def kept(self, child: Any, resource: Resource, served: Sequence[Any], workload: Resource) -> pulumi.Output[Any]:
        """An object with one of the `PROMISES`, once it is kept; after all versions serve.

        Args:
            child: The resource.
            resource: What it was made from.
            served: Known once all versions serve.
            workload: The Deployment whose replicas it decides, if it decides any.

        Raises:
            RolloutError: The promise is required, and was not kept in time or cannot be. The error says why.
        """
        promise = PROMISES[resource.manifest["kind"]]

        async def wait(_: Any) -> Any:
            if not pulumi.runtime.is_dry_run():
                await self._keep(promise, resource, workload)
            return child

        waited: pulumi.Output[Any] = pulumi.Output.all(child.metadata, *served).apply(wait)
        return waited

    async def _unfinished(self, manifest: Manifest, least: int) -> bool:
        """Whether an earlier update did not end; a warning if less serves now than was promised."""
        name = manifest["metadata"]["name"]
        try:
            there = await self._hooks.standing()
        except KubectlError as error:
            self._warn(f"whether the replicas of {name} serve is not known: {error}")
            return False
        namespace = manifest["metadata"]["namespace"]
        here = [each for each in there if each["metadata"]["namespace"] == namespace]
        if ("Deployment", name) not in {(each["kind"], each["metadata"]["name"]) for each in here}:
            return self._gone(f"Deployment.apps/{namespace}/{name}")
        found = rollout(here, name, least)
        serving = f"{name}: {found.ready} of {found.wanted} replicas serve"
        if found.was_done:
            self._warn(f"{serving}; this update does not change that")
        unfinished = not (found.done or found.was_done)
        if unfinished and os.environ.get(WAIT_VARIABLE) == "false":
            self._warn(f"{serving}; an earlier update did not end, and {WAIT_VARIABLE} is false")
            return False
        return unfinished

    def _gone(self, what: str) -> bool:
        """Tell that an object of an earlier update is no longer there. Pulumi does not see that without a refresh."""
        text = f"{what} does not exist, although this stack has made it: someone deleted it, or its namespace"
        if os.environ.get(WAIT_VARIABLE) != "false":
            raise RolloutError(text, f"to make it again, run: homeport recover --stack={pulumi.get_stack()}")
        self._warn(text)
        return False

    async def _wait(self, manifest: Manifest, least: int, seconds: int) -> None:
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        told: set[str] = set()
        best, end = -1, time.monotonic() + seconds
        while True:
            found, causes = await self._look(name, namespace, least)
            for text in causes:
                if text not in told:
                    told.add(text)
                    self._warn(f"{name}: {text}")
            if found.ready > best:
                best, end = found.ready, time.monotonic() + seconds
                pulumi.log.info(f"{name}: {found}", self._component, ephemeral=True)
            if found.done:
                return
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

    async def _look(self, name: str, namespace: str, least: int) -> tuple[Rollout, list[str]]:
        """How far the version is, and what keeps it."""
        try:
            objects = await self._hooks.ask(lambda kubectl: kubectl.all(KINDS, namespace))
        except KubectlError as error:  # a connection may be interrupted for a moment
            return Rollout(0, least, done=False), [_silence(error)]
        found = rollout(objects, name, least)
        return found, [cause.text for cause in found.causes]

    async def _keep(self, promise: Promise, resource: Resource, workload: Resource) -> None:
        if resource.name in self._created or (resource.name in self._updated and not promise.only_new):
            await self._wait_for(promise, resource.manifest)
            if promise.brings and (least := promise.brings(resource.manifest)):
                await self._wait(workload.manifest, least, workload.seconds or 0)
        elif not promise.only_new:
            await self._look_at(promise, resource.manifest)

    async def _wait_for(self, promise: Promise, manifest: Manifest) -> None:
        name = manifest["metadata"]["name"]
        if promise.api and not await self._serves(promise.api):
            self._warn(
                f"{name}: the update does not wait until {promise.what}: the cluster does not serve {promise.api}"
            )
            return
        begun, told = time.monotonic(), set[str]()
        pulumi.log.info(f"{name}: waiting until {promise.what}", self._component, ephemeral=True)
        while causes := await self._causes(promise, manifest):
            cannot_heal = next((cause.text for cause in causes if cause.final), None)
            passed = time.monotonic() - begun
            if cannot_heal or passed > promise.seconds:
                waited = "" if cannot_heal else f" (waited {promise.seconds} seconds)"
                why = cannot_heal or "; ".join(cause.text for cause in causes)
                if promise.required:
                    raise RolloutError(f"{name}: {why}{waited}")
                self._warn(f"{name}: {why}{waited}")
                return
            if promise.required and passed > TELL_SECONDS:
                for text in (cause.text for cause in causes if cause.text not in told):
                    told.add(text)
                    self._warn(f"{name}: {text}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _causes(self, promise: Promise, manifest: Manifest) -> list[Cause]:
        """What keeps an object from what it promises."""
        try:
            found = await self._hooks.ask(lambda kubectl: kubectl.read([manifest]))
        except KubectlError as error:
            return [Cause(_silence(error))]
        return [cause for each in found for cause in promise.keeps(each)]

    async def _look_at(self, promise: Promise, manifest: Manifest) -> None:
        """A warning if an object does not have what it promised, though this update does not change it."""
        with suppress(KubectlError):  # whose warning another gives
            for each in await self._hooks.standing():
                if Name.of(each) == Name.of(manifest):
                    for cause in promise.keeps(each):
                        self._warn(f"{manifest['metadata']['name']}: {cause.text}; this update does not change that")

    async def _serves(self, api_version: str) -> bool:
        try:
            return bool(await self._hooks.ask(lambda kubectl: kubectl.kinds(api_version)))
        except KubectlError:
            return True  # the wait tells why it does not answer

    def _warn(self, text: str) -> None:
        pulumi.log.warn(visible(text), self._component)  # a model's own log lines are in it


def _silence(error: KubectlError) -> str:
    return f"the cluster does not answer: {error}"


def logs_command(workload: Manifest, context: str | None) -> str:
    """The command that shows the last log lines of the pods of a version."""
    metadata = workload["metadata"]
    labels = {key: metadata["labels"][key] for key in (INSTANCE_LABEL, VERSION_LABEL)}
    there = [f"--context={context}"] if context else []
    which = [f"--namespace={metadata['namespace']}", "--selector=" + ",".join(map("=".join, labels.items()))]
    return shlex.join(["kubectl", "logs", *there, *which, "--tail=20", "--prefix"])
