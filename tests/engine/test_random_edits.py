"""Random sequences of edits of a live model: after each the cluster has what is rendered, and a fresh stack has the same."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from homeport.specs.problems import SpecError
from tests.engine.editing import Live, edited, key, write
from tests.support import Cluster
from tests.transitions import ABSENT, BASE, FIELDS, Files, Refused, objects, stated

MOVES = {"environment.namespace", "environment.cluster.identifier", "model.name"}
"""Fields that are another model or another home."""

VALUES: Mapping[str, list[Any]] = {
    path: [ABSENT, found.one, found.other] for path, found in FIELDS.items() if path not in MOVES
}


def content(live: Live) -> dict[str, Any]:
    """What every object of ours says, without what the cluster gave it."""
    own = {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "finalizers"}
    addresses = {"clusterIP", "clusterIPs"}
    counted = "deployment.kubernetes.io/revision"
    found = {}
    for each in live.live():
        metadata = {name: value for name, value in each["metadata"].items() if name not in own}
        metadata["annotations"] = {name: value for name, value in metadata["annotations"].items() if name != counted}
        spec = {name: value for name, value in each.get("spec", {}).items() if name not in addresses}
        if each["kind"] == "Deployment":
            spec.pop("replicas")  # the autoscaler's
        rest = {name: value for name, value in each.items() if name not in {"metadata", "spec", "status"}}
        found[key(each)] = {**rest, "metadata": metadata, "spec": spec}
    return found


def allowed(files: Files) -> bool:
    try:
        objects(files)
    except Refused:
        return False
    return True


class Edits(RuleBasedStateMachine):
    """A live model, and what its files state by path."""

    live: Live
    given: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.given = {}
        if self.live.files != BASE:
            self.live.edit(BASE)

    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        """Some fields change at once, with all that they need."""
        given = dict(self.given)
        for path in data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True)):
            given |= {**FIELDS[path].given, path: data.draw(st.sampled_from(VALUES[path]))}
        self._deploy(given)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        """What was stated is left out again."""
        left = data.draw(st.lists(st.sampled_from(sorted(self.given)), min_size=1, max_size=5, unique=True))
        self._deploy({path: value for path, value in self.given.items() if path not in left})

    def _deploy(self, given: dict[str, Any]) -> None:
        files = stated(given)
        if not allowed(files) or files == self.live.files:
            return
        write(self.live.program.folder, files)
        try:
            self.live.wanted()
        except SpecError:  # about files that are not there
            write(self.live.program.folder, self.live.files)
            return
        write(self.live.program.folder, self.live.files)
        self.given = given
        note(str(given))
        self.live.edit(files)

    def teardown(self) -> None:
        """A stack that comes to life from the same files has the same objects."""
        before = content(self.live)
        self.live.program.destroy()
        self.live.program.up()
        assert content(self.live) == before


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_random_edits_are_safe(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    with edited(cluster, tmp_path_factory.mktemp("random")) as live:
        Edits.live = live
        run_state_machine_as_test(
            Edits,
            settings=settings(
                max_examples=4,
                stateful_step_count=20,
                deadline=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
