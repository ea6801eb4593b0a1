"""The attributor: reads control, touches and activity in the journal's order and appends what it decides.

Outcomes are appended first, then state and position are committed together. After a crash it decides again from its
committed position and appends only what is not there yet; what stands there and differs is counted, and an audit failure.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import structlog

from attribune.attribute.attributor import Attributor
from attribune.model.codec import Record, decode, encode
from attribune.model.control import Change, Tick
from attribune.model.ids import Position
from attribune.model.outcome import Attribution, Noted
from attribune.model.position import Entry, Topic
from attribune.pipeline import ATTRIBUTE
from attribune.ports import Answers, Clock, Journal
from attribune.registry.view import Registry
from attribune.settings import Settings

log = structlog.get_logger("attributor")


class AttributorRole:
    """One attributor over one journal; the only writer of its store, of the answers and of topic ``outcomes``."""

    name = "attributor"

    def __init__(
        self,
        journal: Journal,
        registry: Registry,
        attributor: Attributor,
        answers: Answers,
        clock: Clock,
        settings: Settings,
    ) -> None:
        """Go on from where the store stands.

        ``registry`` is this role's own: it holds the history up to some place, and is led on from there in order.
        """
        self._journal = journal
        self._registry = registry
        self._attributor = attributor
        self._answers = answers
        self._clock = clock
        self._tick_ms = settings.tick_ms
        self._ticked_ms = 0
        self._read_entries_max = settings.read_entries_max
        self._poll_s = settings.poll_ms / 1000
        #: The newest entry judged.
        self.position = attributor.desk.position
        #: Up to which place nothing is left to judge, whatever topics stand there.
        self.reached = self.position
        self._entries = 0
        self._appended = 0
        self._lead_registry()
        self._standing = self._outcomes_after(attributor.desk.meta.outcomes_end)
        self._catch_answers_up()

    def step(self) -> int:
        """Judge what is there, up to a limit, and say how many entries that were."""
        end = self._journal.end()
        entries = self._journal.read(ATTRIBUTE.reads, self.position, self._read_entries_max)
        if not entries:
            self.reached = max(self.reached, end)
            return 0
        outcomes: list[bytes] = []
        for entry in entries:
            record = decode(entry)
            if isinstance(record, Change):
                self._registry.apply(entry.position, record)
            outcomes += map(encode, self._attributor.judge(entry, record))
        self._write(outcomes)
        self._keep(entries[-1].position)
        self._entries += len(entries)
        return len(entries)

    def run(self, stop: threading.Event) -> None:
        """Judge until told to stop."""
        while not stop.is_set():
            if not self.step():
                self.tick()
                stop.wait(self._poll_s)

    def tick(self) -> None:
        """Journal that time has passed, when something waits for that and nothing else is said."""
        now_ms = self._clock.now_ms()
        if self._attributor.desk.next_due > now_ms or now_ms - self._ticked_ms < self._tick_ms:
            return
        self._ticked_ms = now_ms
        tick = Change(at_ms=now_ms, record=Tick(at_ms=now_ms))
        self._journal.append([(Topic.CONTROL, encode(tick))])

    def state(self) -> dict[str, Any]:
        """Where it stands, for status and metrics."""
        meta = self._attributor.desk.meta
        return {
            "position": self.reached,
            "lag": max(0, self._journal.end() - self.reached),
            "differences": meta.differences,
            "counters": {"entries": self._entries, "outcomes": self._appended},
        }

    def _write(self, outcomes: list[bytes]) -> None:
        """Append the outcomes that do not stand yet; those of a batch that was lost in a crash do."""
        fresh = []
        differences = 0
        end = self._attributor.desk.meta.outcomes_end
        for payload in outcomes:
            if not self._standing:
                fresh.append((Topic.OUTCOMES, payload))
                continue
            stood = self._standing.popleft()
            end = stood.position
            if stood.payload != payload:
                differences += 1
                log.error("decided differently", position=stood.position, new=str(payload)[:500])
        if fresh:
            end = self._journal.append(fresh)[-1]
            self._appended += len(fresh)
        self._attributor.wrote(end, differences)

    def _keep(self, position: Position) -> None:
        answers = self._attributor.answers()
        self._attributor.commit(position)
        if answers:
            self._answers.put(answers, self._attributor.desk.meta.outcomes_end)
        self.position = position
        self.reached = max(self.reached, position)

    def _lead_registry(self) -> None:
        """Bring the registry to the committed position; the changes after it come in order with the rest."""
        while self._registry.position < self.position:
            entries = self._journal.read(
                (Topic.CONTROL,), self._registry.position, self._read_entries_max
            )
            entries = [entry for entry in entries if entry.position <= self.position]
            if not entries:
                return
            for entry in entries:
                self._registry.apply(entry.position, _change(decode(entry)))

    def _outcomes_after(self, position: Position) -> deque[Entry]:
        """Outcomes appended by a batch whose state was lost."""
        found: deque[Entry] = deque()
        while entries := self._journal.read((Topic.OUTCOMES,), position, self._read_entries_max):
            found += entries
            position = entries[-1].position
        return found

    def _catch_answers_up(self) -> None:
        """Give the answers that a crash kept from being written, told by the outcomes since."""
        position = self._answers.position()
        end = self._attributor.desk.meta.outcomes_end
        while position < end:
            entries = self._journal.read((Topic.OUTCOMES,), position, self._read_entries_max)
            if not entries:
                return
            answers = {}
            for entry in entries:
                record = decode(entry)
                if entry.position <= end and isinstance(record, Attribution | Noted):
                    device = record.device
                    if device:
                        body = self._attributor.answer(record.product, device)
                        answers[record.product, device] = body
            position = entries[-1].position
            self._answers.put(answers, min(position, end))


def _change(record: Record) -> Change:
    assert isinstance(record, Change), "topic control holds changes"
    return record
