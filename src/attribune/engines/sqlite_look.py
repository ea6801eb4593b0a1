"""A look at the registry's file by who changes nothing: not even the files beside it that SQLite makes for readers."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from attribune.model.errors import StoreUnavailable
from attribune.model.ids import START, Position

#: How long its pages are checked. Seconds.
CHECK_S: Final = 3.0
#: Instructions of SQLite between two looks at the clock.
_STEPS: Final = 100_000
#: A file whose last changes lie beside it is copied to be read; a larger one is not.
COPIED_BYTES_MAX: Final = 1 << 30


def look(path: Path) -> Position:
    """Up to where a registry that nobody has open is complete, as far as its pages could be checked. Raises StoreUnavailable."""
    beside = path.with_name(f"{path.name}-wal")
    if not beside.exists() or not beside.stat().st_size:
        return _read(path, path)
    if path.stat().st_size > COPIED_BYTES_MAX:
        raise StoreUnavailable(
            f"the registry {path} was left open and is too large to be copied for a look; serve the folder, it is mended then"
        )
    with tempfile.TemporaryDirectory(prefix="attribune-look-") as room:
        copy = Path(room) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(beside, copy.with_name(beside.name))
        return _read(copy, path)


def _read(file: Path, shown: Path) -> Position:
    immutable = "&immutable=1" if file == shown else ""
    try:
        with closing(
            sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw{immutable}", uri=True)
        ) as db:
            found = _checked(db)
            if found != "ok":
                raise StoreUnavailable(_said(shown, found))
            row = db.execute("SELECT position FROM control_position").fetchone()
    except sqlite3.Error as fault:
        raise StoreUnavailable(_said(shown, str(fault))) from fault
    return Position(row[0]) if row else START


def _checked(db: sqlite3.Connection) -> str:
    """What SQLite says of its pages; ``ok`` too when it takes longer than it may."""
    give_up = time.monotonic() + CHECK_S
    db.set_progress_handler(lambda: int(time.monotonic() > give_up), _STEPS)
    try:
        return str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as fault:
        if "interrupted" in str(fault):
            return "ok"
        raise
    finally:
        db.set_progress_handler(None, 0)


def _said(path: Path, why: str) -> str:
    return f"the registry {path} cannot be used: {why}; make it again with `attribune rebuild registry`"
