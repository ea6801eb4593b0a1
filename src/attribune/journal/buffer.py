"""The commit buffer: requests that wait for the same disk write share it.

While one commit is being written, what comes in gathers for the next. All who wait for a commit wait on one future, and
one thread does the writing, so a request costs the event loop little more than a list append.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, Final

import structlog

from attribune.model.codec import Record, encode
from attribune.model.errors import AttribuneError, JournalUnavailable
from attribune.model.position import Topic
from attribune.ports import Journal

#: How the writing thread is told to stop.
_STOP: Final = None

#: After a commit that many waited for, the next begins this much later: who has just been answered is on the way back, and
#: one write for all of them costs less than two for half of them each. A lone request never waits for it.
_GATHER_S: Final = 0.0002

log = structlog.get_logger()


class _Commit(asyncio.Future[JournalUnavailable | None]):
    """One commit that many wait for; its result is what went wrong, or None.

    It cannot be cancelled: a request that goes away must take neither the commit nor its neighbours with it, and learns
    of its cancellation when the commit is over.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.entries: list[tuple[Topic, bytes]] = []

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ARG002 - asyncio says what it takes
        """Decline."""
        return False


class CommitBuffer:
    """Keeps records in the journal, many to a disk write. Belongs to one event loop.

    At most ``queue_max`` entries wait, those being written among them; a commit has at most ``entries_max``, unless a
    single call brings more, since the entries of a call stand next to each other.
    """

    def __init__(self, journal: Journal, *, entries_max: int, queue_max: int) -> None:
        self._journal = journal
        self._entries_max = entries_max
        self._queue_max = queue_max
        self._lock = Lock()
        self._commits: SimpleQueue[_Commit | None] = SimpleQueue()
        self._filling: _Commit | None = None
        self._is_closed = False
        self._closing = Event()
        self._thread: Thread | None = None
        #: Entries that wait or are being written.
        self.waiting = 0
        #: Since the start: commits and entries that are durable, commits that failed, calls refused as too many.
        self.commits = 0
        self.entries = 0
        self.failures = 0
        self.overflows = 0

    async def keep(self, records: Sequence[tuple[Topic, Record]]) -> None:
        """Return when all of the records are durable, next to each other in the journal.

        Raises JournalUnavailable when they are not; then none of them is.
        """
        await self.keep_encoded([(topic, encode(record)) for topic, record in records])

    async def keep_encoded(self, entries: Sequence[tuple[Topic, bytes]]) -> None:
        """Return when all of the entries are durable, next to each other. Raises as ``keep`` does."""
        if not entries:
            return
        fault = await self._add(entries)
        if fault is not None:
            raise type(fault)(fault.message) from fault

    async def close(self) -> None:
        """Take nothing more, and return when everything taken has been written or has failed."""
        with self._lock:
            self._is_closed = True
        self._closing.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            # The thread comes to it when it has written all that was put before.
            self._commits.put(_STOP)
            await asyncio.get_running_loop().run_in_executor(None, thread.join)

    def _add(self, entries: Sequence[tuple[Topic, bytes]]) -> _Commit:
        """Put entries into the commit that is filling, or begin one."""
        size = len(entries)
        self._begin()
        with self._lock:
            if self._is_closed:
                raise JournalUnavailable("this process is stopping; send again")
            if self.waiting + size > self._queue_max:
                self.overflows += 1
                raise JournalUnavailable(
                    f"{self.waiting} entries wait for the disk already (commit_queue_max); send again later"
                )
            self.waiting += size
            commit = self._filling
            if commit is not None and len(commit.entries) + size <= self._entries_max:
                commit.entries += entries
                return commit
            commit = _Commit(asyncio.get_running_loop())
            commit.entries += entries
            self._filling = commit
        self._hand_over(commit)
        return commit

    def _begin(self) -> None:
        """Have a thread that writes, before anything waits for it."""
        if self._thread is None and not self._is_closed:
            thread = Thread(target=self._write_all, name="commit-buffer", daemon=True)
            thread.start()
            self._thread = thread

    def _hand_over(self, commit: _Commit) -> None:
        """Let the writing thread have a commit; what comes in until it begins to write still joins it."""
        self._commits.put(commit)

    def _write_all(self) -> None:
        """Write one commit after another; the writing thread's whole life."""
        crowd = 0
        while (commit := self._commits.get()) is not _STOP:
            if crowd > 1:
                self._closing.wait(_GATHER_S)
            try:
                self._write(commit)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return
            crowd = len(commit.entries)

    def _write(self, commit: _Commit) -> None:
        """Write one commit and tell who waits for it. Raises RuntimeError when their loop is closed."""
        with self._lock:
            if self._filling is commit:
                self._filling = None
        fault = self._append(commit.entries)
        with self._lock:
            self.waiting -= len(commit.entries)
        commit.get_loop().call_soon_threadsafe(commit.set_result, fault)

    def _append(self, entries: list[tuple[Topic, bytes]]) -> JournalUnavailable | None:
        try:
            self._journal.append(entries)
        except JournalUnavailable as fault:
            self.failures += 1
            return fault
        except Exception as fault:  # whatever it is, who waits must hear of it
            self.failures += 1
            log.exception("commit_failed", entries=len(entries))
            said = fault.message if isinstance(fault, AttribuneError) else repr(fault)
            wrapped = JournalUnavailable(f"the journal failed: {said}")
            wrapped.__cause__ = fault
            return wrapped
        self.commits += 1
        self.entries += len(entries)
        return None
