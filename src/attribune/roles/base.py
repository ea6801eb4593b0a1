"""What a role is: an object with a name that runs until it is told to stop and can say where it stands."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol

import structlog

from attribune.model.errors import JournalUnavailable, StoreUnavailable

#: How often running a step that failed is tried again, and how long is waited between.
TRIES_MAX: Final = 60
TRY_AGAIN_S: Final = 1.0

log = structlog.get_logger()


class Role(Protocol):
    """Something that runs for as long as the house does.

    ``state()`` is asked every ``heartbeat_ms`` from another thread. It may give ``position`` (the last entry handled),
    ``lag`` (entries not yet handled), ``is_ready`` (False until it does its work), ``last_error`` (a sentence or None) and
    ``counters`` (whole numbers by name that only grow; each becomes a metric),
    ``keys_used_at_ms`` (by key id) and ``breakers`` (by postback id).
    """

    name: str

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set, then finish what was begun and return."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Where the role stands now."""
        ...


class Stepping(Role, Protocol):
    """A role that reads the journal: ``run`` is steps until told to stop."""

    def step(self) -> int:
        """Handle what is there, up to a batch; how many entries that were. 0 is idle."""
        ...


class Patience:
    """Tries a role's step again that fails for what may pass, such as a full disk."""

    def __init__(self) -> None:
        """Begin without a failure."""
        #: Why the newest step failed; None when it did not.
        self.last_error: str | None = None
        self._failed = 0

    def step(self, role: Stepping, stop: threading.Event) -> int | None:
        """One step of the role; None when it failed, after a wait.

        Raises what the step raised when it failed TRIES_MAX times running, since a process begun anew may do better.
        """
        try:
            taken = role.step()
        except (JournalUnavailable, StoreUnavailable) as fault:
            self._failed += 1
            if self._failed == TRIES_MAX:
                raise
            if self.last_error is None:
                log.warning("step_failed", failed=role.name, reason=fault.message)
            self.last_error = fault.message
            stop.wait(TRY_AGAIN_S)
            return None
        self._failed, self.last_error = 0, None
        return taken


def settle(*roles: Stepping) -> None:
    """Step roles, in this order, until none of them finds anything to do.

    The order matters: what one writes is what the next reads.
    """
    while sum(role.step() for role in roles):
        pass
