"""An API whose book and facts are kept, and outcomes told to it in the trade's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asking import Api
from ledger.books import Books
from record.house import Geography, read_touch

from attribune.model.codec import encode
from attribune.model.position import Topic
from attribune.registry.view import Registry
from attribune.roles.bookkeeper import BookkeeperRole
from attribune.roles.recorder import RecorderRole, lookups_for

CPA = {"kind": "cpa", "amount": "10.00"}
OFFER = {"id": "x", "event": "purchase", "currency": "EUR", "deal": [CPA], "partner": "Acme"}
SHARE = OFFER | {"id": "s", "event": "sale", "deal": [{"kind": "revshare", "percent": "10"}]}


class Kept:
    """A keeper that steps a bookkeeper and a recorder."""

    def __init__(self, api: Api) -> None:
        self._still = api.keeper
        self.role = BookkeeperRole(api.journal, lambda: api.book, api.clock, api.settings)
        view = Registry()
        lookups = lookups_for(api.journal, view, Geography(), read_touch, api.settings)
        self.recorder = RecorderRole(api.journal, api.facts, view, lookups, api.settings)

    def settle(self) -> None:
        while self.role.step() + self.recorder.step():
            pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._still, name)


def begin(folder: Path) -> Api:
    """A house with an app and three partners."""
    api = Api(folder)
    api.house.keeper = Kept(api)  # type: ignore[assignment]
    app = {"name": "Game", "platform": "android", "store_id": "com.example.game"}
    assert api.ask("POST", "/api/apps", app)[0] == 201
    for name in ("Acme", "Zeta", "Boss"):
        assert api.ask("POST", "/api/partners", {"name": name})[0] == 201
    return api


def told(api: Api, *outcomes: Any) -> None:
    api.journal.append([(Topic.OUTCOMES, encode(one)) for one in outcomes])


def purchase(id_: str, **more: Any) -> Any:
    words = {"at": "2026-03-01 11:00", "transaction_id": f"t-{id_}", **more}
    return Books().of_event(id_, words.pop("name", "purchase"), "100", **words)


def ok(answer: tuple[int, Any]) -> Any:
    assert answer[0] in {200, 201}, answer
    return answer[1]


def refused(answer: tuple[int, Any]) -> tuple[int, str, str | None]:
    status, said = answer
    return status, said["error"]["code"], said["error"]["param"]
