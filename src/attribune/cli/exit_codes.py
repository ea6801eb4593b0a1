"""What the exit codes of commands mean; ``attribune help exit-codes`` shows this table."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
NOT_ALLOWED: Final = 4
CONFLICT: Final = 5
HELD: Final = 6
TOO_NEW: Final = 7
UNAVAILABLE: Final = 8
FORBIDDEN: Final = 9
DOES_NOT_ADD_UP: Final = 10
UNWELL: Final = 11
INTERRUPTED: Final = 130

#: The exit code of each error code; every other error is FAILED.
CODES: Final[dict[str, int]] = {
    "not_found": NOT_FOUND,
    "journal_pruned": NOT_FOUND,
    "invalid": NOT_ALLOWED,
    "not_prunable": NOT_ALLOWED,
    "conflict": CONFLICT,
    "idempotency_mismatch": CONFLICT,
    "idempotency_in_progress": CONFLICT,
    "folder_held": HELD,
    "folder_too_new": TOO_NEW,
    "journal_unavailable": UNAVAILABLE,
    "journal_full": UNAVAILABLE,
    "store_unavailable": UNAVAILABLE,
    "backup_unavailable": UNAVAILABLE,
    "unavailable": UNAVAILABLE,
    "too_many_exports": UNAVAILABLE,
    "unauthorized": FORBIDDEN,
    "forbidden": FORBIDDEN,
}

#: The same for people.
MEANINGS: Final[dict[int, str]] = {
    OK: "done",
    FAILED: "failed; the message says why",
    USAGE: "the command line cannot be read; see --help",
    NOT_FOUND: "there is no such thing, or it was pruned",
    NOT_ALLOWED: "a value is not allowed, the message names the field; or nothing may be pruned now",
    CONFLICT: "the same name or id stands with other content",
    HELD: "another process holds the data folder",
    TOO_NEW: "a later version of Attribune wrote the data folder",
    UNAVAILABLE: "the journal, a store or a backup cannot be used now",
    FORBIDDEN: "the key may not do that",
    DOES_NOT_ADD_UP: "the audit found something that does not add up",
    UNWELL: "the doctor found something that must be done",
    INTERRUPTED: "interrupted",
}
