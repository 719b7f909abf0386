"""Rules about teams: who may own a model, keep its spec in a folder, have its name and call it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from homeport.release import Release
from homeport.rules.violation import Violation, listed
from homeport.specs.environment import Environment


def team_violations(release: Release) -> list[Violation]:
    """An owner that is no team here, a name that is another team's, calls of models that do not let this one in."""
    return [*_owner(release), *_calls(release)]


def team_folders(environment: Environment, path: Path) -> dict[str, Path]:
    """The folders of teams, to which links lead; `path` is that of the environment's file."""
    stated = {name: team.folder for name, team in environment.teams.items()}
    return {name: (path.parent / folder).resolve() for name, folder in stated.items() if folder}


def folder_violations(release: Release, spec: Path, folders: Mapping[str, Path]) -> Iterator[Violation]:
    """A spec outside the folder of its owner or in another team's, and grants to a team without a folder.

    Args:
        release: The model's release.
        spec: Its `model.yaml`. If it is a link, both it and where it leads must be in the folder.
        folders: Those of `team_folders`.
    """
    teams, owner = release.environment.teams, release.model.owner
    fields = release.environment.granted.get(release.model.name)
    if owner in teams and owner not in folders and fields:
        message = f"missing `folder`, required: the team's {release.model.name} is in {listed(fields)}"
        yield Violation(("teams", owner), message, source="environment")
    for place in (spec.parent.resolve(), spec.resolve().parent):
        around = [name for name, folder in folders.items() if place.is_relative_to(folder)]
        nearest = max(around, key=lambda name: len(folders[name].parts), default=None)
        if nearest and folders[nearest] != folders.get(owner):
            accepted = f"{nearest} (teams.{nearest}.folder)"
            yield Violation(("owner",), f'found "{owner}" in the folder of {nearest}, accepted: {accepted}')
            return
        if not nearest and owner in folders:
            accepted = f"a spec in {teams[owner].folder} (teams.{owner}.folder)"
            yield Violation(("owner",), f'found "{owner}" outside the folder of that team, accepted: {accepted}')
            return


def _owner(release: Release) -> list[Violation]:
    teams, model = release.environment.teams, release.model
    if teams and model.owner not in teams:
        return [Violation(("owner",), f'found "{model.owner}", accepted: {listed(teams)} (teams)')]
    holder = release.environment.holders.get(model.name, model.owner)
    if holder != model.owner:
        message = f'found "{model.owner}", accepted: {holder}, whose name {model.name} is (teams.{holder}.models)'
        return [Violation(("owner",), message)]
    return []


def _calls(release: Release) -> Iterator[Violation]:
    model, peers = release.model, {peer.name: peer for peer in release.peers}
    live = listed(sorted(peers))
    for index, name in enumerate(model.calls):
        if name not in peers:
            message = f'found "{name}", which is not live here, accepted: {live}'
            yield Violation(("calls", index), message)
        elif not peers[name].lets_in(model):
            accepted = f"models of {model.owner}, and those whose `callers` name {model.owner}"
            message = f'found "{name}" of {peers[name].owner}, accepted: {accepted}'
            yield Violation(("calls", index), message)
