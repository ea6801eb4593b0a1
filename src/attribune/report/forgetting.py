"""Whether whom a handle names was forgotten: the request is found by hashes, and it is all that is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from attribune.model.codec import decode
from attribune.model.ids import DeviceId, forgotten
from attribune.model.outcome import Noted
from attribune.model.position import Topic
from attribune.ports import Directory, Facts, Journal
from attribune.report.moment import moment
from attribune.report.stories import ToldForgotten

#: Requests to forget the same person that are looked at.
_REQUESTS_MAX: Final = 10


class Sources(Protocol):
    """Where it is looked up."""

    @property
    def facts(self) -> Facts:
        """The rows of requests to forget."""
        ...

    @property
    def journal(self) -> Journal:
        """What they say."""
        ...

    @property
    def directory(self) -> Directory:
        """The products."""
        ...

    @property
    def handle_hash(self) -> Callable[[str], int]:
        """How rows are found."""
        ...


def of(handle: str, sources: Sources) -> tuple[ToldForgotten, ...]:
    """The products that were asked to forget whom a handle names, each with the first time."""
    told = []
    word = handle.strip()
    for product in sorted({app.product for app in sources.directory.all_apps()}):
        names = {forgotten(product, DeviceId(one)) for one in (word, word.lower())}
        said = [noted for name in sorted(names) for noted in _requests(name, sources)]
        times = [one.judged_at_ms for one in said if one.product == product]
        if times:
            first = min(times)
            told.append(ToldForgotten(product=product, at=moment(first), at_ms=first))
    return tuple(told)


def _requests(name: str, sources: Sources) -> list[Noted]:
    found = []
    for row in sources.facts.trace(sources.handle_hash(name), _REQUESTS_MAX):
        entry = sources.journal.get(Topic.OUTCOMES, row.position)
        record = decode(entry) if entry else None
        if isinstance(record, Noted) and record.forgets:
            found.append(record)
    return found
