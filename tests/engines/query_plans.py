"""How SQLite finds what a view asks it for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa


def steps_of(engine: sa.Engine, ask: Callable[[], object]) -> list[str]:
    """How SQLite finds what is asked."""
    asked: list[tuple[str, Any]] = []

    def hear(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    with engine.connect() as connection:
        sa.event.listen(engine, "before_cursor_execute", hear)
        ask()
        sa.event.remove(engine, "before_cursor_execute", hear)
        return [
            row[3]
            for statement, values in asked
            if statement.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
