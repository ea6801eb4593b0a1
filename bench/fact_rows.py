"""Fact rows that ClickHouse makes of numbers, in the engine's own table and in a plain one beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec
from house import Registered

from attribune.engines.clickhouse_facts import ClickhouseFacts
from attribune.engines.fact_columns import COLUMNS
from attribune.settings import Settings

PARTNERS, CAMPAIGNS, DAYS = 40, 500, 60
#: Rows of an insert.
_CHUNK = 1_000_000

#: A column that is not named here has its type's default. ``n`` is the row's number.
_VALUES = {
    "position": "n + 7",
    "sign": "1",
    "kind": "multiIf(n % 100 < 90, 'click', n % 100 < 94, 'open', n % 100 < 97, 'install', 'event')",
    "product": "{product:String}",
    "app": "{app:String}",
    "platform": "'android'",
    "source": "if(n % 100 < 90, '', if(n % 3 = 0, 'organic', 'attributed'))",
    "partner": f"concat('partner-', toString(cityHash64(n) % {PARTNERS}))",
    "link": f"concat('link-', toString(cityHash64(n, 1) % {CAMPAIGNS}))",
    "campaign": f"concat('campaign-', toString(cityHash64(n, 1) % {CAMPAIGNS}))",
    "site_id": "concat('site-', toString(cityHash64(n, 2) % 3000))",
    "country": "arrayElement(['DE', 'FR', 'US', 'JP', 'BR', 'IN', NULL], 1 + cityHash64(n, 3) % 7)",
    "os_version": "toString(8 + n % 8)",
    "event": "if(n % 100 >= 97, 'purchase', NULL)",
    "is_primary": "true",
    "amount_minor": "if(n % 100 >= 97, cityHash64(n, 4) % 9000, 0)",
    "currency": "if(n % 100 >= 97, 'EUR', '')",
    "at_ms": "1760000000000 + n * 500",
    "received_at_ms": "1760000000000 + n * 500",
    "day": f"toDate32('2025-09-01') + intDiv(n * {DAYS}, {{records:UInt64}})",
    "own_day": f"toDate32('2025-09-01') + intDiv(n * {DAYS}, {{records:UInt64}})",
    "about": "n + 7",
    "device": "if(n % 100 < 90, NULL, hex(cityHash64(n, 5)))",
    "touch": "if(n % 100 < 90, hex(cityHash64(n, 6)), NULL)",
    "revision": "1",
    "handles": "[cityHash64(n, 7), cityHash64(n, 8), cityHash64(n, 9)]",
}
#: The same columns and types, sorted alike; no codecs, no index, no promise to the disk.
_PLAIN_COLUMNS = ", ".join(
    f"{name} {column.type.partition(' CODEC')[0]}" for name, column in COLUMNS.items()
)
PLAIN = f"""
CREATE TABLE plain ({_PLAIN_COLUMNS})
ENGINE = MergeTree ORDER BY (product, day, kind, position, ordinal)
"""


def opened(folder: Path, threads: int = 2) -> ClickhouseFacts:
    """The facts of a folder."""
    return ClickhouseFacts(
        folder, memory_bytes_max=Settings().facts_memory_bytes_max, threads=threads
    )


def fill_facts(folder: Path, records: int, known: Registered) -> None:
    """As many rows as records, with the places of the journal's touches, in both tables, merged to one part each."""
    facts = opened(folder)
    ask = facts._writer.command  # rows by the million are no verb of the port
    ask(PLAIN)
    names = ", ".join(_VALUES)
    for begin in range(0, records, _CHUNK):
        given = {**msgspec.to_builtins(known), "records": records, "begin": begin}
        given["size"] = min(_CHUNK, records - begin)
        ask(
            f"INSERT INTO facts ({names}) SELECT {', '.join(_VALUES.values())} "
            "FROM (SELECT number AS n FROM numbers({begin:UInt64}, {size:UInt64}))",
            parameters=given,
        )
    ask("INSERT INTO plain SELECT * FROM facts")
    for table in ("facts", "plain"):
        ask(f"OPTIMIZE TABLE {table} FINAL")
    facts.close()
