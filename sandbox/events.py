"""The events of `pulumi up --json` as plain lines for a log, where Pulumi's own display would be hundreds of dots.

Source of the events: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

_DONE = {
    "create": "created",
    "create-replacement": "created anew",
    "update": "updated",
    "delete": "deleted",
    "delete-replaced": "deleted the previous",
    "read": "read",
    "refresh": "refreshed",
    "import": "imported",
}
"""Operations that change a resource; `same` changes nothing, and `replace` consists of two others."""
_STACK = "pulumi:pulumi:Stack"
_PROVIDER = "pulumi:providers:"
_SHORT = 160
"""Maximum characters of a provider's message while it waits; its last message is printed in full."""


class Log:
    """The state of one update, from its events so far."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}
        """URN -> start of the current operation."""
        self._components: set[str] = set()
        self._said: dict[str, str] = {}
        """URN -> last message of its provider."""

    def read(self, line: str) -> list[str]:
        """The lines to print for a `line` of Pulumi's output."""
        try:
            event = json.loads(line)
        except ValueError:
            return [line.rstrip()]
        return [text for text in self._lines(event) if text] if isinstance(event, Mapping) else [line.rstrip()]

    def doing(self) -> str:
        """A line about the operations that are not finished."""
        waiting = [
            _name(urn) + (f" ({textwrap.shorten(said, _SHORT)})" if (said := self._said.get(urn)) else "")
            for urn in self._begun.keys() - self._components
        ]
        return f"waiting for {', '.join(sorted(waiting))}" if waiting else "waiting for pulumi"

    def _lines(self, event: Mapping[str, Any]) -> Iterator[str]:
        at = event.get("timestamp", 0)
        if step := _step(event, "resourcePreEvent"):
            self._begun[step["urn"]] = at
            # A component waits for its children, which have their own lines.
            if not (step["new"] or step["old"]).get("custom"):
                self._components.add(step["urn"])
        elif step := _step(event, "resOutputsEvent"):
            seconds = at - self._end(step["urn"], at)
            yield f"{_DONE[step['op']]} {_name(step['urn'])}" + (f" after {seconds}s" if seconds else "")
        elif step := _step(event, "resOpFailedEvent"):
            self._end(step["urn"], at)
            yield f"failed to {step['op']} {_name(step['urn'])}"
        elif diagnostic := event.get("diagnosticEvent"):
            urn, message = diagnostic.get("urn", ""), diagnostic["message"].strip()
            if diagnostic.get("ephemeral"):
                self._said[urn] = message or self._said.get(urn, "")
            elif diagnostic["severity"] in {"warning", "error"}:
                yield (
                    f"{diagnostic['severity']}: {_name(urn)}: {message}"
                    if urn
                    else f"{diagnostic['severity']}: {message}"
                )
            elif diagnostic["severity"] != "debug":
                yield message
        for kind, field in (("stdoutEvent", "message"), ("policyEvent", "message"), ("errorEvent", "error")):
            if told := event.get(kind):
                yield told[field].strip()

    def _end(self, urn: str, at: int) -> int:
        """Start of the operation that ends now."""
        self._said.pop(urn, None)
        return self._begun.pop(urn, at)


def _step(event: Mapping[str, Any], kind: str) -> Any:
    """The change of a resource, if the event is of this kind and changes something."""
    step = event.get(kind, {}).get("metadata")
    return step if step and step["op"] in _DONE and step["type"] != _STACK else None


def _name(urn: str) -> str:
    """`Deployment iris`, from `urn:pulumi:dev::homeport::homeport:index:ModelService$kubernetes:apps/v1:Deployment::iris`."""
    _, _, kind, name = urn.split("::", 3)
    return f"{'provider' if kind.startswith(_PROVIDER) else kind.rpartition(':')[2]} {name}"
