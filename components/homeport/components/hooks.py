"""Hooks: before Pulumi creates or deletes an object of a model, look whose it is in the cluster."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pulumi

from homeport.components.kubectl import Kubectl, KubectlError
from homeport.edits import NEEDED, draining, homes, namespaces_in, oversized, shortages
from homeport.errors import HomeportError
from homeport.manifests import Manifest
from homeport.manifests.deployer import BINDING
from homeport.manifests.names import MARK
from homeport.needs import Need, extended, missing, unknown_kind
from homeport.ownership import Live, Name, Owner, foreign, taken
from homeport.promises import PROMISES
from homeport.rules.violation import Violation
from homeport.specs.problems import Problem, SpecError

ADOPT_VARIABLE = "HOMEPORT_ADOPT"
"""Variable that names objects of no one that this update may take over."""

DELETE_VARIABLE = "HOMEPORT_DELETE"
"""Variable that names objects of others that this update may delete together with a model's namespace."""

T = TypeVar("T")

_CONNECTION = ("context", "cluster", "kubeconfig")
"""Settings of a Kubernetes provider that decide to which cluster it goes."""

_LIMITS = {"ResourceQuota", "LimitRange"}

LOOK_SECONDS = 2
"""Seconds between two looks at the cluster during a wait."""

_ATTRIBUTE = "_homeport_hooks"

_STANDING = {"Deployment", *(kind for kind, promise in PROMISES.items() if not promise.only_new)}
"""Kinds of which a lasting trouble is told also by updates that do not change the object."""


class OwnershipError(HomeportError):
    """An object that others made would be changed or deleted."""


class EditError(HomeportError):
    """An edit would take from pods that run what they need."""


Named = Callable[[Violation], Problem]
"""Gives the place of a violation: in a file, or in the arguments of a program."""


@dataclass(frozen=True)
class Declared:
    """What the program declares for one model."""

    manifests: Sequence[Manifest]
    """Its objects, the namespace first."""
    needs: Sequence[Need] = ()
    """The platform's objects that they name."""
    named: Named = lambda violation: Problem(violation.message)
    own_program: bool = False
    """Whether the program may make what is missing itself, before the model."""


class Hooks:
    """The hooks of every object that one provider deploys. They run in previews too, and look at each namespace once."""

    def __init__(self, provider: pulumi.ProviderResource, connection: Kubectl | None = None) -> None:
        self.provider, self._stated = provider, connection
        self._declared: dict[str, Declared] = {}
        self._registered: set[str] = set()
        self._answers: dict[tuple[str, ...], asyncio.Future[Any]] = {}
        # Not the threads of the event loop. Pulumi's SDK blocks each of them with a declaration, which waits for a hook.
        self._threads = ThreadPoolExecutor(4, "homeport-hooks")
        self._told = False
        name = provider.pulumi_resource_name
        options = pulumi.ResourceHookOptions(on_dry_run=True)
        # The state has these names, and the engine must find them again to delete an object. So they must never change.
        self._before_create = pulumi.ResourceHook(f"homeport-before-create-{name}", self._creation, options)
        self._before_update = pulumi.ResourceHook(f"homeport-before-update-{name}", self._limit, options)
        self._before_delete = {
            protect: pulumi.ResourceHook(
                f"homeport-before-delete-{'protected-' if protect else ''}{name}", hook, options
            )
            for protect, hook in ((False, self._deletion), (True, self._protected_deletion))
        }

    def of(self, kind: str, *, protect: bool) -> pulumi.ResourceHookBinding:
        """The hooks of an object of a kind, whose namespace may be protected.

        Pulumi itself refuses to delete a protected namespace only after it has deleted everything in it.
        """
        return pulumi.ResourceHookBinding(
            before_create=[self._before_create],
            before_update=[self._before_update] if kind in _LIMITS else [],
            before_delete=[self._before_delete[protect]],
        )

    def declare(self, declared: Declared) -> None:
        """Tell what the program declares for a model."""
        self._declared[Name.of(declared.manifests[0]).home] = declared

    def follow(self, resource: pulumi.Resource) -> None:
        """Notice when the engine has finished with the declaration of an object."""
        resource.urn.apply(self._registered.add)

    async def _creation(self, args: pulumi.ResourceHookArgs) -> None:
        made = args.new_inputs or {}
        name, mark = Name.of(made), _mark(made)
        agreed = _named(ADOPT_VARIABLE)
        declared = self._declared[name.home].manifests
        # A deployer may see the binding that lets it in before it is let in, and the other objects afterwards.
        what, wanted = (str(name), [declared[0], made]) if name.name == BINDING else ("objects", declared)

        def ask(kubectl: Kubectl) -> list[Live]:
            home = kubectl.find(wanted[:1])
            if not home or len(wanted) == 1:
                return home
            try:
                return [*home, *kubectl.find(wanted[1:])]
            except KubectlError:
                if taken(home, name, mark, agreed):
                    return home  # which is reason enough
                raise

        if refused := taken(await self._look(what, name, ask), name, mark, agreed):
            raise OwnershipError(*_creation_refused(refused, mark))
        if not name.namespace:
            model = mark.rpartition("/")[2]
            there = await self._look("homes", name, lambda kubectl: kubectl.namespaces(model))
            if moved := homes(there, made, mark):
                raise EditError(*moved)
        await self._complete(name.home)

    async def _limit(self, args: pulumi.ResourceHookArgs) -> None:
        """Refuse a limit that is too small for the pods that run."""
        new = args.new_inputs or {}
        name = Name.of(new)
        if name.kind == "ResourceQuota":
            quotas = await self._look(f"{name}, used", name, lambda kubectl: kubectl.read([new]))
            found = [line for quota in quotas for line in shortages(quota, new["spec"]["hard"])]
        else:
            pods = await self._look("pods", name, lambda kubectl: kubectl.all(("pods",), name.home))
            found = oversized(pods, new["spec"]["limits"][0].get("max", {}))
        if found:
            raise EditError(
                f"{name} is not changed, because the pods that run or drain have more than it would allow:",
                *(f"  {line}" for line in found),
                "First make the model smaller and run `pulumi up`, then lower `limits` of the environment.",
            )

    async def _complete(self, home: str) -> None:
        """Whether the cluster has what the objects of a model need.

        Raises:
            SpecError: It lacks something that the environment promises.
        """
        declared = self._declared[home]
        lacks = await self._once(lambda: self._lacking(declared), "lacks", home)
        if lacks and declared.own_program and pulumi.runtime.is_dry_run():
            pulumi.log.warn("\n".join(f"{each}, unless this program makes it first" for each in lacks))
        elif lacks:
            raise SpecError(lacks)

    async def _lacking(self, declared: Declared) -> list[Problem]:
        """What the cluster lacks, as far as it tells."""
        try:
            unknown = [kind for kind in extended(declared.manifests) if kind[1] not in await self._served(kind[0])]
            needs = [each for each in declared.needs if each.kind in await self._served(each.api_version)]
        except KubectlError:  # which the look for objects of others has told
            return []
        try:
            references = [each.reference for each in needs]
            there = {live.name for live in await self.ask(lambda kubectl: kubectl.find(references))} if needs else set()
        except KubectlError:  # not everyone may read objects of the platform
            needs = []
        absent = [each for each in needs if Name.of(each.reference) not in there]
        return [declared.named(each) for each in (*(unknown_kind(*each) for each in unknown), *map(missing, absent))]

    async def _served(self, api_version: str) -> set[str]:
        """The kinds of an API version."""
        return await self._once(lambda: self.ask(lambda kubectl: kubectl.kinds(api_version)), "kinds", api_version)

    async def _protected_deletion(self, args: pulumi.ResourceHookArgs) -> None:
        name = Name.of(args.old_inputs or {})
        if self._namespace_goes(args.urn, name):
            raise OwnershipError(
                f"{name} is not deleted, because its namespace is protected: set `protect: false` in the environment, run "
                "`pulumi up`, and then take the model out"
            )
        await self._deletion(args)

    async def _deletion(self, args: pulumi.ResourceHookArgs) -> None:
        old = args.old_inputs or {}
        name, mark, agreed = Name.of(old), _mark(old), _named(DELETE_VARIABLE)
        if f"Namespace/{name.home}" in agreed:
            return
        if self._namespace_goes(args.urn, name):
            # The second look finds what was put there since the first one, while the model's own objects went.
            look = "content" if name.namespace else "content, at last"
            found = await self._look(look, name, lambda kubectl: _losses(kubectl, name.home, mark))
        else:
            found = await self._look(str(name), name, lambda kubectl: kubectl.find([old]))
            found = [live for live in found if live.mark != mark]
        if refused := [live for live in found if str(live.name) not in agreed]:
            raise OwnershipError(*_deletion_refused(refused, name, mark))
        if name.kind in NEEDED and not pulumi.runtime.is_dry_run():
            for home in {name.home, *self._declared.keys() & set(namespaces_in(old.get("spec")))}:
                await self._once(partial(self._drain, home), "drain", home)

    async def _drain(self, home: str) -> None:
        """Wait until no pod in a namespace drains: until then it needs what it was started with."""
        begun, seconds = time.monotonic(), 0
        while left := draining(await self.ask(lambda kubectl: kubectl.all(("pods",), home))):
            if not seconds:
                pulumi.log.info(
                    f"{home}: replicas of the old version drain, for up to {left} seconds; what they need stays"
                )
            seconds = max(seconds, left)
            if time.monotonic() > begun + seconds:  # a node that is lost, whose pods remain
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _namespace_goes(self, urn: str, name: Name) -> bool:
        """Whether the deletion of an object is part of the deletion of its namespace, or is that deletion."""
        if (declared := self._declared.get(name.namespace)) is None:
            return True
        # The engine deletes what the program declares in two cases: for a replacement, whose declaration waits for it, and
        # in `pulumi destroy`, after all declarations.
        return urn in self._registered and name in map(Name.of, declared.manifests)

    async def _look(self, what: str, name: Name, ask: Callable[[Kubectl], list[T]]) -> list[T]:
        """What the cluster answers, which is asked only once; nothing in a preview where it does not answer."""
        try:
            return await self._once(lambda: self.ask(ask), "look", what, name.home)
        except KubectlError as error:
            if pulumi.runtime.is_dry_run():
                self._tell(error)
                return []
            raise OwnershipError(
                f"the cluster does not tell whose {name} is: {error} (to delete the namespace without a look, set "
                f"{DELETE_VARIABLE}=Namespace/{name.home} for one update)"
            ) from None

    async def ask(self, ask: Callable[[Kubectl], T]) -> T:
        """What the provider's cluster answers.

        Raises:
            KubectlError: It did not answer, or refused.
        """
        kubectl = await self._kubectl()
        return await self._in_thread(lambda: ask(kubectl))

    async def standing(self) -> list[Mapping[str, Any]]:
        """The objects of all models that updates wait for, with one call of kubectl: an update without changes must not become slow.

        Raises:
            KubectlError: The cluster did not answer, or refused.
        """
        return await self._once(self._read, "standing")

    async def _read(self) -> list[Mapping[str, Any]]:
        declared = [each.manifests for each in self._declared.values()]
        kubectl = await self._connected()
        return await self._in_thread(lambda: _standing(kubectl, declared))

    async def _once(self, ask: Callable[[], Coroutine[Any, Any, T]], *question: str) -> T:
        """The answer to a question, which is asked only once, however many hooks wait for it."""
        if question not in self._answers:
            self._answers[question] = asyncio.ensure_future(ask())
        answer: T = await self._answers[question]
        return answer

    async def _in_thread(self, ask: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, ask)

    async def _kubectl(self) -> Kubectl:
        """The connection, after one request over it, so that a cluster that does not answer is waited for only once."""
        return await self._once(self._reach, "reach")

    async def _reach(self) -> Kubectl:
        kubectl = await self._connected()
        await self._in_thread(kubectl.reach)
        return kubectl

    async def _connected(self) -> Kubectl:
        """The connection, before any request."""
        if self._stated:
            return self._stated
        return await self._once(self._connection_of_provider, "connection")

    async def _connection_of_provider(self) -> Kubectl:
        outputs: list[pulumi.Output[str | None]] = [pulumi.get(self.provider, key) for key in _CONNECTION]
        if not all(await asyncio.gather(*(output.is_known() for output in outputs))):
            raise KubectlError("the settings of its Kubernetes provider are known only after the update")
        values = await asyncio.gather(*(output.future() for output in outputs))
        return Kubectl(**dict(zip(_CONNECTION, values, strict=True)))

    def _tell(self, error: KubectlError) -> None:
        if not self._told:
            self._told = True
            pulumi.log.warn(f"this preview does not show whether objects of others are in the way: {error}")


def hooks_of(provider: pulumi.ProviderResource, connection: Kubectl | None = None) -> Hooks:
    """The hooks of a provider. A hook can be registered only once in a program.

    Args:
        provider: The provider.
        connection: What the provider was told, if it is known. Pulumi knows the settings of a new provider only after the
            preview.
    """
    found: Hooks | None = getattr(provider, _ATTRIBUTE, None)
    if found is None:
        found = Hooks(provider, connection)
        setattr(provider, _ATTRIBUTE, found)
    return found


def _standing(kubectl: Kubectl, declared: Sequence[Sequence[Manifest]]) -> list[Mapping[str, Any]]:
    """What is waited for of models, of each of which the objects are declared, the namespace first."""

    def wanted(models: Iterable[Sequence[Manifest]]) -> list[Manifest]:
        return [each for made in models for each in made if each["kind"] in _STANDING]

    try:
        return kubectl.read(wanted(declared))
    except KubectlError:
        # In the namespace of a new model, a deployer may not even read that nothing is there.
        there = {live.name for live in kubectl.find([made[0] for made in declared])}
        return kubectl.read(wanted(made for made in declared if Name.of(made[0]) in there))


def _losses(kubectl: Kubectl, namespace: str, mark: str) -> list[Live]:
    """What would be lost with a namespace: the objects of others, and the namespace itself if it is another's now."""
    there = kubectl.find([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
    if not there or there[0].leaving:
        return []
    return [*(each for each in there if each.mark != mark), *foreign(kubectl.content(namespace), mark)]


def _mark(manifest: Mapping[str, Any]) -> str:
    return str(manifest["metadata"]["annotations"][MARK])


def _named(variable: str) -> set[str]:
    return set(re.split(r"[\s,]+", os.environ.get(variable, "")))


def _creation_refused(refused: Sequence[Live], mark: str) -> list[str]:
    free = [each for each in refused if each.owner(mark) is Owner.NO_ONE]
    lines = [f"these objects exist, and {mark} did not make them, so nothing is created or changed:", *_listed(refused)]
    if len(free) < len(refused):
        lines.append("Choose another name for the model or its namespace, or let those who manage them give them up.")
    else:
        lines.append(
            "Choose another name for the model or its namespace. To take them over, name them for one update: "
            f"{ADOPT_VARIABLE}={','.join(str(each.name) for each in free)}"
        )
    return lines


def _deletion_refused(refused: Sequence[Live], name: Name, mark: str) -> list[str]:
    return [
        f"{name} is not deleted, because these objects, which {mark} did not make, would be lost:",
        *_listed(refused),
        "Move them to another namespace. To delete them too, name them for one update: "
        f"{DELETE_VARIABLE}={','.join(str(each.name) for each in refused)}",
    ]


def _listed(found: Iterable[Live]) -> list[str]:
    return [f"  {each}" for each in found]
