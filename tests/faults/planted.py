"""Bugs planted on purpose, to see that the checkers find them and after how many seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from unittest.mock import patch

from attribune.attribute.desk import Desk
from attribune.attribute.transcript import Transcript
from attribune.journal.buffer import CommitBuffer
from attribune.model.position import Topic
from attribune.ports import NOW
from attribune.postback.dispatch import Desk as TellingDesk
from attribune.registry.view import Versions
from attribune.roles.attributor import AttributorRole
from attribune.roles.bookkeeper import BookkeeperRole
from attribune.roles.postbacker import PostbackerRole
from attribune.roles.recorder import RecorderRole

Plant = Callable[[], AbstractContextManager[Any]]


def barrier_one_too_far() -> AbstractContextManager[Any]:
    """The attributor goes on one place behind the last entry it has judged, whether or not that was judged."""
    keep = AttributorRole._keep
    return patch.object(AttributorRole, "_keep", lambda self, place: keep(self, place + 1))


def touch_read_one_too_late() -> AbstractContextManager[Any]:
    """An activity entry is judged before the touch that was appended just before it, if both come in one batch."""

    def swapped(journal: Any, topics: Any, after: Any, limit: int) -> Any:
        entries = journal.read(topics, after, limit)
        for n in range(len(entries) - 1):
            if (entries[n].topic, entries[n + 1].topic) == (Topic.TOUCHES, Topic.ACTIVITY):
                entries[n : n + 2] = entries[n + 1], entries[n]
        return entries

    return _attributor_reads(swapped)


def change_in_force_one_too_early() -> AbstractContextManager[Any]:
    """What a link says is in force for the touch just before the change, when that touch is read again later."""
    at = Versions.at

    def too_early(self: Any, name: str, position: Any = NOW) -> Any:
        return at(self, name, position if position == NOW else position + 2)

    return patch.object(Versions, "at", too_early)


def recorder_reaches_beyond_what_it_read() -> AbstractContextManager[Any]:
    """The recorder asks for the journal's end after it has read, and so steps over what came in between."""
    step = RecorderRole.step

    def late(self: Any) -> int:
        taken = step(self)
        if taken < self._settings.read_entries_max:
            self._read = max(self._read, self._journal.end())
        return taken

    return patch.object(RecorderRole, "step", late)


def position_not_committed() -> AbstractContextManager[Any]:
    """The attributor's state is committed without the position it stands at."""
    commit = Desk.commit

    def forgetful(self: Any, position: Any) -> None:
        stood, keep = self._store.position(), self._store.commit
        with patch.object(self._store, "commit", lambda writes, _: keep(writes, stood)):
            commit(self, position)

    return patch.object(Desk, "commit", forgetful)


def position_committed_before_outcomes() -> AbstractContextManager[Any]:
    """State and position are committed first, and the outcomes are appended after that."""
    write, keep = AttributorRole._write, AttributorRole._keep
    waiting: dict[int, list[bytes]] = {}

    def later(self: Any, outcomes: list[bytes]) -> None:
        waiting[id(self)] = outcomes

    def first(self: Any, position: Any) -> None:
        keep(self, position)
        write(self, waiting.pop(id(self)))

    return patch.multiple(AttributorRole, _write=later, _keep=first)


def outcomes_appended_again() -> AbstractContextManager[Any]:
    """After a crash the attributor does not look for outcomes that stand already."""
    return patch.object(Transcript, "is_at_end", lambda _: True)


def records_appended_again() -> AbstractContextManager[Any]:
    """The commit buffer appends a second time when it does not know whether the first was heard."""
    append = CommitBuffer._append

    def stubborn(self: Any, told: Any) -> Any:
        return append(self, told) and append(self, told)

    return patch.object(CommitBuffer, "_append", stubborn)


def answered_before_it_is_durable() -> AbstractContextManager[Any]:
    """The commit buffer answers although the append failed."""
    append = CommitBuffer._append

    def hopeful(self: Any, told: Any) -> None:
        append(self, told)

    return patch.object(CommitBuffer, "_append", hopeful)


def bookkeeper_reaches_beyond_what_it_read() -> AbstractContextManager[Any]:
    """The bookkeeper asks for the journal's end after it has read, and so steps over what came in between."""
    step = BookkeeperRole._step

    def late(self: Any) -> int:
        taken = step(self)
        if taken < self._settings.read_entries_max:
            self._read = max(self._read, self._journal.end())
        return taken

    return patch.object(BookkeeperRole, "_step", late)


def postbacker_hands_out_what_is_not_read_back() -> AbstractContextManager[Any]:
    """What came of a delivery is journaled, and its row is handed out again before that has been read back."""
    keep = TellingDesk.journal

    def hasty(self: Any, came: Any) -> None:
        keep(self, came)
        for one in came:
            self.release(one.postback, [one.delivery])
        self._hasty = bool(came)

    catch_up = TellingDesk.catch_up

    def later(self: Any) -> None:
        if not getattr(self, "_hasty", False):
            catch_up(self)
        self._hasty = False

    return patch.multiple(TellingDesk, journal=hasty, catch_up=later)


def outbox_reaches_beyond_what_it_read() -> AbstractContextManager[Any]:
    """The postbacker takes a look at the journal's end for having read up to it."""
    look = PostbackerRole._next

    def beyond(self: Any) -> Any:
        page = look(self)
        if page is not None and len(page.planned) + len(page.came) < 2:
            self._position = max(self._position, self._journal.end())
        return page

    return patch.object(PostbackerRole, "_next", beyond)


@contextmanager
def _attributor_reads(read: Callable[..., Any]) -> Iterator[None]:
    """Let the attributor read the journal in another way while the block runs."""
    init = AttributorRole.__init__

    class Reading:
        def __init__(self, journal: Any) -> None:
            self._journal = journal

        def __getattr__(self, name: str) -> Any:
            return getattr(self._journal, name)

        def read(self, topics: Any, after: Any, limit: int) -> Any:
            return read(self._journal, topics, after, limit)

    def begun(self: Any, journal: Any, *rest: Any) -> None:
        init(self, Reading(journal), *rest)

    with patch.object(AttributorRole, "__init__", begun):
        yield


PLANTED: Final[tuple[Plant, ...]] = (
    barrier_one_too_far,
    touch_read_one_too_late,
    change_in_force_one_too_early,
    recorder_reaches_beyond_what_it_read,
    position_not_committed,
    position_committed_before_outcomes,
    outcomes_appended_again,
    records_appended_again,
    answered_before_it_is_durable,
    bookkeeper_reaches_beyond_what_it_read,
    postbacker_hands_out_what_is_not_read_back,
    outbox_reaches_beyond_what_it_read,
)
