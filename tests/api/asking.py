"""An API over memory engines, asked without a socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attribune.api.app import create
from attribune.api.calling import InProcess
from attribune.api.house import House
from attribune.collect.rehearsal import Rehearsal
from attribune.engines.memory import MemoryBook, MemoryJournal, MemoryOutbox, MemoryVault
from attribune.engines.memory_facts import MemoryFacts
from attribune.engines.system import MemoryClock, SystemChance
from attribune.model.status import Disk, Forgetting, Progress, RoleState, RoleStatus, Status
from attribune.registry.view import Registry
from attribune.settings import Settings

ROLES = (
    RoleStatus(
        role="collector-1", state=RoleState.RUNNING, counters={"clicks": 7}, position=3, lag=2
    ),
    RoleStatus(role="attributor", state=RoleState.STALE, restarts=4, last_error='a "bad"\nthing'),
)

DISK = Disk(
    free_bytes=1000,
    total_bytes=4000,
    used_bytes={"journal": 300, "facts": 20},
    growth_bytes_per_day=None,
    full_in_s=None,
    journal_start=0,
    journal_begun_at_ms=5,
    prunable_bytes=0,
)

FORGETTING = Forgetting(
    waiting=0, waiting_since_ms=None, looked_to=0, scrubbed_at_ms=None, scrubbed_through=0
)


class StillKeeper:
    """Keeps nothing, and says what it is told to."""

    def __init__(self) -> None:
        self.roles = ROLES
        self.known = DISK
        self.forgotten = FORGETTING
        self.rebuilt: list[str] = []

    def settle(self) -> None:
        pass

    def settle_decisions(self) -> None:
        pass

    def settle_outbox(self) -> None:
        pass

    def lag(self) -> int:
        return 0

    def status(self) -> Status:
        return Status(
            data="/data",
            version="0",
            is_serving=True,
            is_ready=all(role.state is RoleState.RUNNING for role in self.roles),
            journal_end=5,
            lag=2,
            collector_url=None,
            web_url=None,
            roles=self.roles,
        )

    def forgetting(self) -> Forgetting:
        return self.forgotten

    def disk(self) -> Disk:
        return self.known

    def keys_used_at_ms(self) -> dict[str, int]:
        return {}

    def replay(self, policy: object, product: object) -> Any:
        raise AssertionError("not asked here")

    def audit(self) -> Any:
        raise AssertionError("not asked here")

    def rebuild(self, view: str) -> None:
        self.rebuilt.append(view)

    def progress(self, view: str) -> Progress:
        return Progress(view=view, is_done=False, position=1, end=5)


class Api:
    """The application and what stands behind it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        (folder / "run").mkdir(exist_ok=True)
        self.settings = Settings(**settings)
        self.journal = MemoryJournal()
        self.facts = MemoryFacts()
        self.book = MemoryBook()
        self.outbox = MemoryOutbox()
        self.vault = MemoryVault()
        self.keeper = StillKeeper()
        self.clock = MemoryClock()
        self.folder = folder
        self.open()

    def open(self) -> None:
        """As a process that has just started: only the folder and the journal are as they were."""
        self.house = House(
            folder=self.folder,
            settings=self.settings,
            base_url="https://go.example.com",
            clock=self.clock,
            chance=SystemChance(),
            journal=self.journal,
            registry=Registry(),
            keeper=self.keeper,
            enricher=self._none,
            facts=lambda: self.facts,
            book=lambda: self.book,
            outbox=lambda: self.outbox,
            vault=self.vault,
            dialects=Rehearsal(),
        )
        self.app = create(self.house)
        self._operator = InProcess(self.app)

    @staticmethod
    def _none() -> Any:
        raise AssertionError("no verb here needs it")

    def ask(
        self, method: str, target: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """As the operator, or from outside when a key is given (an empty one sends no header)."""
        sent = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        all_ = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            all_.setdefault("content-type", "application/json")
        if key:
            all_["authorization"] = f"Bearer {key}"
        sender = self._operator if key is None else Outside(self.app)
        status, answer = sender.send(method, target, sent, all_)
        try:
            return status, json.loads(answer)
        except ValueError:
            return status, answer.decode()

    def key(self, *scopes: str) -> str:
        status, answer = self.ask("POST", "/api/keys", {"kind": "api", "scopes": list(scopes)})
        assert status == 201
        return answer["key"]["secret"]


class Outside(InProcess):
    """A caller that came over the network."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._app = app
