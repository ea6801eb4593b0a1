"""The commit buffer: requests share disk writes, and none is told *kept* before it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from threading import Thread

import pytest
from journal.slow_journal import SlowJournal

from attribune.engines.memory import MemoryJournal
from attribune.journal.buffer import CommitBuffer
from attribune.model.codec import decode, encode
from attribune.model.errors import JournalFull, JournalUnavailable
from attribune.model.ids import START, LinkId, Position, TouchId
from attribune.model.position import Topic
from attribune.model.touch import LinkHit, TouchKind


def buffer(journal: MemoryJournal, entries_max: int = 100, queue_max: int = 1000) -> CommitBuffer:
    return CommitBuffer(journal, entries_max=entries_max, queue_max=queue_max)


def hit(number: int) -> LinkHit:
    return LinkHit(
        id=TouchId(f"t{number}"), kind=TouchKind.CLICK, link=LinkId("l"), received_at_ms=number
    )


def one(number: int) -> list[tuple[Topic, bytes]]:
    return [(Topic.TOUCHES, b"%d" % number)]


def payloads(journal: MemoryJournal) -> list[bytes]:
    return [entry.payload for entry in journal.read(Topic, START, 100_000)]


async def held(journal: SlowJournal, keeps: CommitBuffer) -> asyncio.Task[None]:
    """Begin a commit that does not end before it is allowed to."""
    journal.allowed.clear()
    journal.begun.clear()
    task = asyncio.create_task(keeps.keep_encoded(one(0)))
    assert await asyncio.to_thread(journal.begun.wait, 10)
    return task


async def settle() -> None:
    """Let every task run up to where it waits."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_kept_record_is_in_the_journal():
    async def journey() -> None:
        journal = MemoryJournal()
        keeps = buffer(journal)
        await keeps.keep([(Topic.TOUCHES, hit(1)), (Topic.TOUCHES, hit(2))])
        assert [decode(e) for e in journal.read([Topic.TOUCHES], START, 9)] == [hit(1), hit(2)]
        await keeps.keep_encoded([(Topic.TOUCHES, encode(hit(3)))])
        assert journal.end() == 3
        assert (keeps.commits, keeps.entries, keeps.waiting) == (2, 3, 0)
        await keeps.close()

    asyncio.run(journey())


def test_nobody_is_told_before_the_disk_has_it():
    async def journey() -> None:
        journal = SlowJournal()
        keeps = buffer(journal)
        task = await held(journal, keeps)
        await asyncio.sleep(0.02)
        assert not task.done()
        assert journal.end() == START
        journal.allowed.set()
        await task
        assert journal.end() == 1
        await keeps.close()

    asyncio.run(journey())


def test_requests_that_wait_share_one_commit():
    async def journey() -> None:
        journal = SlowJournal()
        keeps = buffer(journal)
        first = await held(journal, keeps)
        tasks = [asyncio.create_task(keeps.keep_encoded(one(n))) for n in range(1, 51)]
        await settle()
        assert keeps.waiting == 51
        journal.allowed.set()
        await asyncio.gather(first, *tasks)
        assert journal.sizes == [1, 50]
        assert payloads(journal) == [b"%d" % n for n in range(51)]
        await keeps.close()

    asyncio.run(journey())


def test_a_commit_has_a_limit_and_a_call_is_never_cut():
    async def journey() -> None:
        journal = SlowJournal()
        keeps = buffer(journal, entries_max=10)
        first = await held(journal, keeps)
        calls = [one(1) * 4, one(2) * 4, one(3) * 4, one(4) * 25, one(5)]
        tasks = [asyncio.create_task(keeps.keep_encoded(call)) for call in calls]
        await settle()
        journal.allowed.set()
        await asyncio.gather(first, *tasks)
        assert journal.sizes == [1, 8, 4, 25, 1]
        await keeps.close()

    asyncio.run(journey())


def test_a_full_queue_refuses_at_once_and_takes_again_later():
    async def journey() -> None:
        journal = SlowJournal()
        keeps = buffer(journal, queue_max=10)
        first = await held(journal, keeps)
        waiting = asyncio.create_task(keeps.keep_encoded(one(1) * 9))
        await settle()
        with pytest.raises(JournalUnavailable, match="commit_queue_max"):
            await asyncio.wait_for(keeps.keep_encoded(one(2)), 1)
        assert keeps.overflows == 1
        journal.allowed.set()
        await asyncio.gather(first, waiting)
        await keeps.keep_encoded(one(3) * 10)
        assert b"2" not in payloads(journal)
        assert keeps.waiting == 0
        await keeps.close()

    asyncio.run(journey())


class PickyJournal(SlowJournal):
    """Takes no commit with a bad entry in it."""

    def append(self, entries: Sequence[tuple[Topic, bytes]]) -> Sequence[Position]:
        places = [payload for _, payload in entries]
        if b"13" in places:
            raise JournalFull("no room")
        return super().append(entries)


def test_a_failure_is_told_to_all_of_its_commit_and_to_nobody_else():
    async def journey() -> None:
        journal = PickyJournal()
        keeps = buffer(journal, entries_max=3)
        first = await held(journal, keeps)
        tasks = [asyncio.create_task(keeps.keep_encoded(one(n))) for n in (12, 13, 14, 15)]
        await settle()
        journal.allowed.set()
        told = await asyncio.gather(first, *tasks, return_exceptions=True)
        assert [told[0], told[4]] == [None, None]
        assert [(type(f), str(f)) for f in told[1:4]] == [(JournalFull, "no room")] * 3
        assert len({id(f) for f in told[1:4]}) == 3, "each its own, or their traces pile up"
        assert payloads(journal) == [b"0", b"15"]
        assert (keeps.commits, keeps.entries, keeps.failures, keeps.waiting) == (2, 2, 1, 0)
        await keeps.close()

    asyncio.run(journey())


class BrokenJournal(MemoryJournal):
    def append(self, entries: Sequence[tuple[Topic, bytes]]) -> Sequence[Position]:
        raise ZeroDivisionError("a mistake of ours")


def test_whatever_goes_wrong_is_heard_by_who_waits():
    async def journey() -> None:
        keeps = buffer(BrokenJournal())
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match="a mistake of ours"):
                await asyncio.wait_for(keeps.keep_encoded(one(1)), 5)
        await keeps.close()

    asyncio.run(journey())


def test_a_writing_thread_that_cannot_begin_leaves_nobody_waiting(monkeypatch):
    """The system may have no thread left: who asks hears of it, and the next is served when it has one again."""

    def no_thread(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def journey() -> None:
        journal = MemoryJournal()
        keeps = buffer(journal)
        with monkeypatch.context() as patch:
            patch.setattr(Thread, "start", no_thread)
            with pytest.raises(RuntimeError):
                await asyncio.wait_for(keeps.keep_encoded(one(1)), 5)
        await asyncio.wait_for(keeps.keep_encoded(one(2)), 5)
        assert payloads(journal) == [b"2"]
        assert keeps.waiting == 0
        await keeps.close()

    asyncio.run(journey())


def test_who_goes_away_takes_nobody_with_them():
    async def journey() -> None:
        journal = SlowJournal()
        keeps = buffer(journal)
        first = await held(journal, keeps)
        leaver, stayer = (asyncio.create_task(keeps.keep_encoded(one(n))) for n in (1, 2))
        await settle()
        leaver.cancel()
        await settle()
        assert not stayer.done()
        journal.allowed.set()
        await asyncio.gather(first, stayer)
        with contextlib.suppress(asyncio.CancelledError):
            await leaver
        assert leaver.cancelled()
        assert payloads(journal) == [b"0", b"1", b"2"], "what was taken is written all the same"
        await keeps.close()

    asyncio.run(journey())


def test_closing_writes_what_was_taken_and_takes_no_more():
    async def journey() -> None:
        journal = SlowJournal()
        keeps = buffer(journal, entries_max=2)
        first = await held(journal, keeps)
        tasks = [asyncio.create_task(keeps.keep_encoded(one(n))) for n in range(1, 8)]
        await settle()
        closing = asyncio.create_task(keeps.close())
        await settle()
        assert not closing.done()
        with pytest.raises(JournalUnavailable, match="stopping"):
            await keeps.keep_encoded(one(9))
        journal.allowed.set()
        await closing
        await asyncio.gather(first, *tasks)
        assert len(payloads(journal)) == 8
        assert keeps._thread is None
        await keeps.close()

    asyncio.run(journey())


def test_keeping_nothing_is_nothing():
    async def journey() -> None:
        journal = MemoryJournal()
        keeps = buffer(journal)
        await keeps.keep([])
        assert keeps.commits == 0
        await keeps.close()

    asyncio.run(journey())


def test_many_tasks_keep_much_and_all_of_it_stands_once():
    async def journey() -> None:
        journal = MemoryJournal()
        keeps = buffer(journal, entries_max=64, queue_max=4096)

        async def work(name: int) -> None:
            for n in range(50):
                await keeps.keep_encoded(
                    [(Topic.TOUCHES, b"%d %d %d" % (name, n, i)) for i in (0, 1)]
                )

        await asyncio.gather(*(work(name) for name in range(40)))
        await keeps.close()
        seen = payloads(journal)
        assert len(seen) == len(set(seen)) == keeps.entries == 4000
        assert all(a[:-1] == b[:-1] for a, b in zip(seen[::2], seen[1::2], strict=True))
        assert keeps.commits < 2000
        for name in range(40):
            own = [p for p in seen if p.startswith(b"%d " % name)]
            assert own == sorted(own, key=lambda p: [int(part) for part in p.split()])

    asyncio.run(journey())
