"""The checks of who is credited: each promise a class with its name, its sentence and what breaks it."""

from __future__ import annotations

from attribune.model.codec import Record, decode
from attribune.model.control import Change, Correct
from attribune.model.ids import Position
from attribune.model.outcome import (
    Attribution,
    ConversionKind,
    Credit,
    CreditedEvent,
    CreditedOpen,
    Source,
)
from attribune.model.position import Entry, Topic
from attribune.report.audit import Found, Scope
from attribune.report.placings import Placings
from attribune.report.tally import Tally, short_hash


class OneInstallPerDevice:
    """Installs by device."""

    name = "one_install_per_device"
    sentence = "A device id is installed once."
    sees = (Attribution,)

    def __init__(self, scope: Scope) -> None:
        """Count installs by device, and remember nothing else."""
        self._scope = scope
        self._installs = Tally()

    def see(self, entry: Entry, record: Record) -> None:
        """Take in a conversion that is, or was, an install."""
        del entry
        assert isinstance(record, Attribution)
        device = short_hash(record.product, record.device)
        before = record.previous_kind or record.kind
        if record.kind is ConversionKind.INSTALL:
            self._installs.add(device)
        if record.revision > 1 and before is ConversionKind.INSTALL:
            self._installs.take(device)

    def finish(self) -> Found:
        """Devices installed more than once; only then are their names looked up."""
        found = Found()
        guilty = set(self._installs.repeated())
        for record in _conversions(self._scope, guilty):
            if record.kind is ConversionKind.INSTALL:
                found.say(
                    f"device {record.device} of {record.product} is installed by {record.conversion} too"
                )
        return found


def _conversions(scope: Scope, devices: set[int]) -> list[Attribution]:
    """The first revisions of the conversions of some devices."""
    found: dict[str, Attribution] = {}
    after = scope.journal.start()
    while devices and (batch := scope.journal.read((Topic.OUTCOMES,), after, 5000)):
        for entry in batch:
            record = decode(entry)
            if (
                isinstance(record, Attribution)
                and record.revision == 1
                and short_hash(record.product, record.device) in devices
            ):
                found[record.conversion] = record
        after = batch[-1].position
    return list(found.values())


class InstallsAddUp:
    """Installs and their sources."""

    name = "installs_add_up"
    sentence = "Every conversion is attributed with a winner or has none, and corrections take away what stood."
    sees = (Attribution,)

    def __init__(self, placings: Placings) -> None:
        """Share the memory of placings."""
        self._placings = placings
        self._found = Found()

    def see(self, entry: Entry, record: Record) -> None:
        """Take in a conversion: its source must say what its credit says."""
        assert isinstance(record, Attribution)
        if _contradicts(record.source, record.credit):
            who = record.credit.partner if record.credit else "nobody"
            self._found.say(
                f"outcome {entry.position}: conversion {record.conversion} is {record.source.value} "
                f"and credited to {who}"
            )

    def finish(self) -> Found:
        """Conversions that are both or neither."""
        return _joined(self._found, self._placings.torn[Attribution])


class EventsAddUp:
    """Events and opens and their credit."""

    name = "events_add_up"
    sentence = "Every event and open has one primary credit, and corrections take away what stood."
    sees = (CreditedEvent, CreditedOpen)

    def __init__(self, placings: Placings) -> None:
        """Share the memory of placings."""
        self._placings = placings
        self._found = Found()

    def see(self, entry: Entry, record: Record) -> None:
        """Take in an event or open: its source must say what its credit says."""
        assert isinstance(record, (CreditedEvent, CreditedOpen))
        if isinstance(record, CreditedEvent) and record.customer and record.secondary:
            self._found.say(
                f"outcome {entry.position}: record {record.record} is a customer's, and its device's too"
            )
        if _contradicts(record.source, record.credit):
            who = record.credit.partner if record.credit else "nobody"
            self._found.say(
                f"outcome {entry.position}: record {record.record} is {record.source.value} "
                f"and credited to {who}"
            )

    def finish(self) -> Found:
        """Events and opens whose credits do not add up to one."""
        torn = self._placings.torn
        return _joined(self._found, torn[CreditedEvent], torn[CreditedOpen])


def _contradicts(source: Source, credit: Credit | None) -> bool:
    return (source is Source.ATTRIBUTED) != (credit is not None)


def _joined(*parts: Found) -> Found:
    found = Found()
    for part in parts:
        for sentence in part.listed:
            found.say(sentence)
    found.count = sum(part.count for part in parts)
    return found


class TouchWinsOnce:
    """Touches and what they won."""

    name = "touch_wins_once"
    sentence = "A touch wins one conversion, unless the policy or a person says otherwise."
    sees = (Attribution,)

    def __init__(self, scope: Scope) -> None:
        """Count wins by touch."""
        self._scope = scope
        self._wins = Tally()
        #: Conversions that a person gave to somebody: the person's word stands.
        self._given: set[int] = set()

    def see(self, entry: Entry, record: Record) -> None:
        """Take in a conversion: its winner wins, the one before is free again."""
        del entry
        assert isinstance(record, Attribution)
        _, policy = self._scope.directory.policy(record.product, record.as_of)
        if not policy.one_touch_one_conversion:
            return
        conversion = short_hash(record.conversion)
        before = record.previous_kind or record.kind
        if record.revision > 1 and conversion not in self._given:
            self._count(record.previous, before, self._wins.take)
        if record.cause and record.cause.kind == "person":
            self._given.add(conversion)
        if conversion not in self._given:
            self._count(record.credit, record.kind, self._wins.add)

    @staticmethod
    def _count(credit: Credit | None, kind: ConversionKind, count: object) -> None:
        # A reinstall keeps the source that brought the device: its touch wins nothing anew.
        if credit and kind is not ConversionKind.REINSTALL:
            assert callable(count)
            count(short_hash(credit.touch))

    def finish(self) -> Found:
        """Touches that won more than one; only then are they looked up."""
        found = Found()
        guilty = set(self._wins.repeated())
        after = self._scope.journal.start()
        while guilty and (batch := self._scope.journal.read((Topic.OUTCOMES,), after, 5000)):
            for entry in batch:
                record = decode(entry)
                if not isinstance(record, Attribution) or record.credit is None:
                    continue
                if short_hash(record.credit.touch) in guilty:
                    found.say(f"touch {record.credit.touch} wins {record.conversion} too")
            after = batch[-1].position
        return found


class CorrectionsHaveCauses:
    """Later revisions and why they were made."""

    name = "corrections_have_causes"
    sentence = "Every later revision names the entry that caused it."
    sees = (Attribution, CreditedOpen, CreditedEvent)

    def __init__(self, scope: Scope) -> None:
        """Look causes up in the journal."""
        self._scope = scope
        self._found = Found()

    def see(self, entry: Entry, record: Record) -> None:
        """Take in a later revision."""
        assert isinstance(record, (Attribution, CreditedOpen, CreditedEvent))
        if record.revision == 1:
            return
        cause = record.cause
        if cause is None:
            self._found.say(f"outcome {entry.position} is a correction without a cause")
        elif cause.position > record.position or not self._exists(cause.position):
            self._found.say(
                f"outcome {entry.position} is caused by entry {cause.position}, which is not there"
            )
        elif cause.kind == "person" and not self._is_said(cause.position, record):
            self._found.say(
                f"outcome {entry.position} is said to be a person's, and entry {cause.position} says no such thing"
            )

    def finish(self) -> Found:
        """Corrections out of nowhere."""
        return self._found

    def _exists(self, position: Position) -> bool:
        """Whether an entry stands there, or stood there for all that can be known."""
        return position <= self._scope.journal.start() or any(
            self._scope.journal.get(topic, position) is not None
            for topic in (Topic.ACTIVITY, Topic.CONTROL, Topic.TOUCHES)
        )

    def _is_said(self, position: Position, record: Record) -> bool:
        entry = self._scope.journal.get(Topic.CONTROL, position)
        if entry is None:
            return False
        change = decode(entry)
        assert isinstance(change, Change)
        said = change.record
        if not isinstance(said, Correct):
            return False
        return not isinstance(record, Attribution) or said.conversion == record.conversion


class DecisionsRepeat:
    """Decisions made again."""

    name = "decisions_repeat"
    sentence = "Decided again under the rules in force, everything comes out as it stands."
    sees = ()

    def __init__(self, scope: Scope) -> None:
        """Take what the attributor's side says."""
        self._scope = scope

    def see(self, entry: Entry, record: Record) -> None:
        """Nothing: the decisions are made again by whoever can."""

    def finish(self) -> Found:
        """Decisions that came out differently."""
        found = Found()
        if self._scope.differences:
            found.say(
                f"{self._scope.differences} decisions came out differently when made again after a crash"
            )
        if start := self._scope.journal.start():
            found.not_made = f"it needs every entry, and those up to {start} were pruned; restore a backup into a new folder and audit that"
        elif self._scope.decisions_repeat:
            for sentence in self._scope.decisions_repeat():
                found.say(sentence)
        return found
