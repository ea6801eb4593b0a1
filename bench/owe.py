"""`owe`: outcomes booked into SQLite beside a bare loop that writes as many rows, and a statement over many lines.

Run by itself it is one of its processes, over a folder that is gone afterwards.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from harness import BENCH, Plan, Result, compared, say, worker

from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.sql_book import SqlBook
from attribune.engines.system import SystemClock
from attribune.ledger.offers import read
from attribune.model.activity import Platform
from attribune.model.codec import Record, encode
from attribune.model.control import Change, Product
from attribune.model.ids import (
    AppId,
    ConversionId,
    DeviceId,
    PartnerId,
    Position,
    ProductId,
    RecordId,
    TouchId,
)
from attribune.model.money import Money
from attribune.model.offer import OfferSet, StatementClosed
from attribune.model.outcome import Credit, CreditedEvent, Source
from attribune.model.policy import MatchMethod
from attribune.model.position import Topic
from attribune.model.touch import TouchKind
from attribune.ports import LinesWanted
from attribune.roles.bookkeeper import BookkeeperRole
from attribune.roles.process import seldom_gc
from attribune.settings import Settings

PARTNERS = 40
STATEMENT_LINES = 1_000_000
OFFER = b"""
id = "share"
event = "purchase"
currency = "EUR"

[[deal]]
kind = "revshare"
percent = "30"
"""
#: Tables whose rows are counted and written again.
TABLES = ("lines", "entries", "states")
_PAGE = 1000


def measure(plan: Plan) -> list[Result]:
    """Booked a second, and a statement."""
    pairs = [worker("owe.py", "book", plan.opens * 2) for _ in range(plan.runs)]
    ours, yard = [one["ours"] for one in pairs], [one["bare"] for one in pairs]
    say("book", f"{statistics.median(ours):,.0f}/s, bare {statistics.median(yard):,.0f}/s")
    count = STATEMENT_LINES if plan.runs > 3 else STATEMENT_LINES // 50
    found = worker("owe.py", "statement", count)
    say("statement", f"{found['close_s']:.1f} s to close, {found['read_s']:.1f} s to read")
    return [
        compared("book", "outcomes/s", ours, yard, at_least=0.4),
        Result(
            name="statement",
            value=round(found["close_s"] + found["read_s"], 2),
            unit="s",
            goal_in_words="none",
            met=True,
            runs=1,
            details=found,
        ),
    ]


class OweHouse:
    """A bookkeeper over real engines in a folder that is gone afterwards."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self.now_ms = clock.now_ms()
        self.folder = folder
        self.journal = LmdbJournal(
            folder / "journal", segment_bytes_max=4 << 30, segment_ms=86_400_000, clock=clock
        )
        self.book = SqlBook(folder / "book.db")
        self.role = BookkeeperRole(self.journal, lambda: self.book, clock, Settings())
        self.say(Product(id=ProductId("game"), name="game", currency="EUR"))
        self.say(OfferSet(version=1, offer=read(OFFER)))

    def say(self, *records: object) -> None:
        """People change something."""
        changes = [Change(at_ms=self.now_ms, record=one) for one in records]  # type: ignore[arg-type]
        self._append(Topic.CONTROL, changes)

    def decide(self, count: int, partners: int) -> None:
        """Append purchases."""
        for start in range(0, count, 2000):
            numbers = range(start, min(start + 2000, count))
            self._append(Topic.OUTCOMES, [self._purchase(n, partners) for n in numbers])

    def _append(self, topic: Topic, records: list[Change] | list[CreditedEvent]) -> None:
        self.journal.append([(topic, encode(one)) for one in records])

    def _purchase(self, n: int, partners: int) -> Record:
        credit = Credit(
            touch=TouchId(f"t-{n % 1000}"),
            partner=PartnerId(f"partner-{n % partners}"),
            kind=TouchKind.CLICK,
            method=MatchMethod.REFERRER,
            touch_at_ms=self.now_ms - 60_000,
        )
        return CreditedEvent(
            product=ProductId("game"),
            position=Position(0),
            about=Position(0),
            judged_at_ms=self.now_ms,
            app=AppId("game-android"),
            platform=Platform.ANDROID,
            device=DeviceId(f"d-{n % 1000}"),
            record=RecordId(f"e-{n}"),
            at_ms=self.now_ms,
            country="DE",
            name="purchase",
            revenue=Money(amount_minor=999 + n % 500, currency="EUR"),
            transaction_id=f"tx-{n}",
            source=Source.ATTRIBUTED,
            conversion=ConversionId(f"cv-{n % 1000}"),
            credit=credit,
        )

    def settle(self) -> None:
        """Book to the journal's end."""
        while self.role.step():
            pass

    def close(self) -> None:
        """Let go of everything."""
        self.role.close()
        self.journal.close()


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder beside the benchmarks, since a disk is measured."""
    folder = Path(tempfile.mkdtemp(prefix="owe-", dir=BENCH))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def book(count: int) -> dict[str, float]:
    """Outcomes booked a second, and as a bare loop would write the rows that they gave."""
    with scratch() as folder:
        house = OweHouse(folder)
        house.decide(count, PARTNERS)
        with seldom_gc():  # as in the web role, where it runs
            begun = time.perf_counter()
            house.settle()
            took = time.perf_counter() - begun
        house.close()
        bare = _bare(folder / "book.db", folder / "bare.db", count)
    return {"ours": count / took, "bare": count / bare}


def _bare(from_: Path, to: Path, count: int) -> float:
    """Seconds that writing the same rows takes, in as many transactions."""
    SqlBook(to).close()
    with closing(sqlite3.connect(from_)) as source, closing(sqlite3.connect(to)) as target:
        target.execute("PRAGMA synchronous = NORMAL")
        rows = {name: source.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}
        marks = {name: ", ".join("?" * len(found[0])) for name, found in rows.items()}
        batches = max(1, count // Settings().read_entries_max)
        begun = time.perf_counter()
        for n in range(batches):
            with target:
                for name, found in rows.items():
                    part = found[n * len(found) // batches : (n + 1) * len(found) // batches]
                    target.executemany(f"INSERT INTO {name} VALUES ({marks[name]})", part)
        return time.perf_counter() - begun


def statement(count: int) -> dict[str, float]:
    """Seconds to close a month of one partner and to read its lines, and memory that the process takes for it."""
    with scratch() as folder:
        house = OweHouse(folder)
        house.decide(count, 1)
        house.settle()
        before = _anonymous_mib()
        period = time.strftime("%Y-%m", time.gmtime(house.now_ms / 1000))
        house.say(StatementClosed(partner=PartnerId("partner-0"), period=period))
        begun = time.perf_counter()
        house.settle()
        close_s = time.perf_counter() - begun
        begun, after, lines = time.perf_counter(), 0, 0
        while page := house.book.lines(LinesWanted(partner="partner-0"), after, _PAGE):
            after, lines = page[-1].number, lines + len(page)
        read_s = time.perf_counter() - begun
        grown = _anonymous_mib() - before
        house.close()
    assert lines >= count, lines
    return {"lines": lines, "close_s": close_s, "read_s": read_s, "grown_mib": grown}


def _anonymous_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def main() -> None:
    """One of the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["book", "statement"])
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    print(json.dumps(globals()[given.what](given.count)))


if __name__ == "__main__":
    main()
