"""The attributor: reads control, touches and activity in the journal's order and appends what it decides.

Outcomes are appended first, then state and position are committed together. After a crash it decides again from its
committed position and appends only what is not there yet; what stands there and differs is counted, and an audit failure. A
record that a mistake of ours keeps from being judged is set aside, logged with the mistake, and an audit failure until it is
told again.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import structlog

from attribune.attribute.attributor import Attributor
from attribune.attribute.transcript import Transcript, compare, set_aside
from attribune.attribute.turn import Mistake, Said
from attribune.model.codec import Record, decode, encode
from attribune.model.control import Change, Tick
from attribune.model.ids import START, DeviceId, Position
from attribune.model.outcome import Attribution, Noted
from attribune.model.position import Entry, Topic
from attribune.pipeline import ATTRIBUTE
from attribune.ports import Answers, Clock, Journal
from attribune.registry.view import Registry
from attribune.roles.registrar import lead
from attribune.settings import Settings

log = structlog.get_logger("attributor")

#: Mistakes of one batch that are logged one by one; the rest are counted.
_LOGGED_MAX: Final = 10


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
        lead(registry, journal, self.position, self._read_entries_max)
        # They stand behind what was committed; older outcomes may have been pruned.
        lost_after = max(attributor.desk.meta.outcomes_end, self.position)
        #: Outcomes appended by a batch whose state was lost.
        self._transcript = Transcript(journal, lost_after, journal.end(), self._read_entries_max)
        self._has_answers = answers.position() > START
        self._catch_answers_up()

    def step(self) -> int:
        """Judge what is there, up to a limit, and say how many entries that were."""
        end = self._journal.end()
        entries = self._journal.read(ATTRIBUTE.reads, self.position, self._read_entries_max)
        if not entries:
            self.reached = max(self.reached, end)
            return 0
        # Only as they are journaled: what a batch keeps alive, the interpreter's collector looks at again and again.
        outcomes: list[bytes] = []
        for entry in entries:
            record = decode(entry)
            if isinstance(record, Change):
                self._registry.apply(entry.position, record)
            outcomes += [said.payload for said in self._judge(entry, record)]
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
            "counters": {
                "entries": self._entries,
                "outcomes": self._appended,
                "set_aside": meta.set_aside,
                "as_recorded": self._attributor.as_recorded,
            },
        }

    def _judge(self, entry: Entry, record: Record) -> list[Said]:
        """The outcomes of an entry that do not stand yet; those of a batch that was lost in a crash do."""
        transcript = self._transcript
        if transcript.is_at_end():
            return self._attributor.judge(entry, record)
        stood = transcript.of(entry.position)
        said = self._attributor.judge(entry, record, set_aside(stood), stood)
        found = compare(said, stood, is_last=transcript.is_at_end())
        if found.differences:
            log.error("decided differently", position=entry.position, new=str(said)[:500])
        if stood or found.differences:
            end = stood[-1].position if stood else self._attributor.desk.meta.outcomes_end
            self._attributor.wrote(end, found.differences)
        return found.missing

    def _write(self, outcomes: list[bytes]) -> None:
        if outcomes:
            entries = [(Topic.OUTCOMES, payload) for payload in outcomes]
            self._attributor.wrote(self._journal.append(entries)[-1], 0)
            self._appended += len(entries)

    def _keep(self, position: Position) -> None:
        answers = self._attributor.answers()
        self._log(self._attributor.mistakes())
        self._attributor.commit(position)
        end = self._attributor.desk.meta.outcomes_end
        if answers or (end and not self._has_answers):
            self._answers.put(answers, end)
            self._has_answers = True
        self.position = position
        self.reached = max(self.reached, position)

    def _log(self, mistakes: list[Mistake]) -> None:
        for mistake in mistakes[:_LOGGED_MAX]:
            log.error("a mistake of Attribune's own", what=mistake.what, exc_info=mistake.fault)
        if len(mistakes) > _LOGGED_MAX:
            log.error("more mistakes", count=len(mistakes) - _LOGGED_MAX)

    def _catch_answers_up(self) -> None:
        """Give the answers that a crash kept from being written, told by the outcomes since.

        Answers that are behind the oldest entry that is kept lack nothing: only what was read is pruned, and outcomes that
        make no answer move no position. Those without any position were removed: then JournalPruned is raised.
        """
        position = self._answers.position()
        if position > START:
            position = max(position, self._journal.start())
        end = self._attributor.desk.meta.outcomes_end
        while position < end:
            entries = self._journal.read((Topic.OUTCOMES,), position, self._read_entries_max)
            if not entries:
                return
            answers = {}
            for entry in entries:
                record = decode(entry)
                if entry.position <= end and isinstance(record, Attribution | Noted):
                    for device in _told(record):
                        body = self._attributor.answer(record.product, device)
                        answers[record.product, device] = body
            position = entries[-1].position
            self._answers.put(answers, min(position, end))


def _told(outcome: Attribution | Noted) -> list[DeviceId]:
    """The devices whose answer an outcome may have changed."""
    named = [outcome.device] if outcome.device else []
    if isinstance(outcome, Noted) and outcome.forgets:
        named += outcome.forgets.devices
    return named


def _change(record: Record) -> Change:
    assert isinstance(record, Change), "topic control holds changes"
    return record
