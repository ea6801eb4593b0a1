"""What clients have made at doors, such as links: how much of it a minute, and nothing twice.

The keys that make it ship inside apps, so each door has a limit. The registry learns of what was made a moment later; until then
this remembers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from attribune.collect.refuse import Refused
from attribune.collect.verdict import Judged, Making
from attribune.model.control import Door, Link
from attribune.model.ids import DoorId, LinkId
from attribune.model.policy import MINUTE_MS
from attribune.model.refusal import RefusalReason
from attribune.ports import Directory

#: Links that are remembered until the registry knows them.
_REMEMBERED_MAX: Final = 10_000


class Makings:
    """Counts what each door makes in a minute, and remembers what was made just now."""

    def __init__(self, directory: Directory, links_per_min_max: int) -> None:
        """Begin with nothing made."""
        self._directory = directory
        self._most = links_per_min_max
        self._minute = 0
        self._counts: dict[DoorId, int] = {}
        self._made: OrderedDict[LinkId, Link] = OrderedDict()

    def judge(self, door: Door, judged: Judged, now_ms: int) -> Judged:
        """The same; a refusal when the door has made enough in this minute, or the link was just made with other words."""
        verdict = judged.verdict
        if not isinstance(verdict, Making):
            return judged
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        count = self._counts[door.id] = self._counts.get(door.id, 0) + 1
        if count > self._most:
            message = f"at most {self._most} links may be made here a minute; send again later"
            return Judged(Refused(RefusalReason.TOO_MANY_RECORDS, message, status=429), judged.raw)
        link = verdict.change.record
        made = self._made.get(link.id) if isinstance(link, Link) else None
        if made is not None and self._directory.link(made.id) is None and made != link:
            message = "a link of this name was made a moment ago and says something else"
            return Judged(Refused(RefusalReason.BAD_ID, message, status=409), judged.raw)
        return judged

    def is_news(self, judged: Judged) -> bool:
        """Whether a record is to be kept: all but what stands as it is already."""
        verdict = judged.verdict
        link = verdict.change.record if isinstance(verdict, Making) else None
        if not isinstance(link, Link):
            return True
        return link not in (self._directory.link(link.id), self._made.get(link.id))

    def note(self, judged: Iterable[Judged]) -> None:
        """Remember what is durable now."""
        for verdict, _ in judged:
            if isinstance(verdict, Making) and isinstance(link := verdict.change.record, Link):
                self._made[link.id] = link
                if len(self._made) > _REMEMBERED_MAX:
                    self._made.popitem(last=False)
