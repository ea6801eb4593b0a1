"""The few things that go wrong, one small tree.

AttribuneError            something a person can mend; its message says how
├── JournalUnavailable    the journal cannot take or give entries now
│   └── JournalFull       its disk or its map is full
├── JournalDamaged        an entry is not what was written
├── JournalPruned         what is asked for needs entries that are no longer kept
├── BackupDamaged         a backup is not whole, or not what was written
├── BackupUnavailable     a backup cannot be written or read now
├── StoreUnavailable      a store cannot be opened, read or written now
├── VaultLocked           a secret was sealed with a key that is not here
├── FolderHeld            another process serves this data folder
├── FolderTooNew          the folder was written by a later version
├── NotJudged             a mistake of ours kept a record from being judged
├── NotPrunable           nothing may be pruned now
├── NotFound              no such thing under that id
├── Invalid               a value is not allowed; names the field
├── Conflict              the same id or name with other content
└── Forbidden             the key may not do that
"""

from __future__ import annotations


class AttribuneError(Exception):
    """Something a person can mend; the message says how."""

    #: A short stable name for machines.
    code = "error"

    def __init__(self, message: str | None = None, *, param: str | None = None) -> None:
        """Keep the sentence, and the field that is at fault when one is."""
        super().__init__(message or (self.__doc__ or "").strip())
        self.param = param

    @property
    def message(self) -> str:
        """The sentence that says what to do."""
        return str(self.args[0])


class JournalUnavailable(AttribuneError):
    """The journal cannot take or give entries now; send again after the time that Retry-After says."""

    code = "journal_unavailable"


class JournalFull(JournalUnavailable):
    """The journal's disk or map is full; free some space or raise journal_segment_bytes_max."""

    code = "journal_full"


class JournalDamaged(AttribuneError):
    """An entry of the journal is not what was written; restore the segment from a backup."""

    code = "journal_damaged"


class JournalPruned(AttribuneError):
    """What is asked for needs entries that were pruned; restore a backup into a new folder, where all of them are, and ask there."""

    code = "journal_pruned"


class NotPrunable(AttribuneError):
    """Nothing may be pruned now; the message says what stands against it and what to do."""

    code = "not_prunable"


class BackupDamaged(AttribuneError):
    """The backup is not whole, or not what was written; the message names the file. Restore from another one."""

    code = "backup_damaged"


class BackupUnavailable(AttribuneError):
    """A backup cannot be written or read now; the message says why, and nothing of it was left."""

    code = "backup_unavailable"


class StoreUnavailable(AttribuneError):
    """A store cannot be opened, read or written now; `attribune status` says which and why."""

    code = "store_unavailable"


class VaultLocked(AttribuneError):
    """A secret was sealed with another key than this folder's; put the file secrets.key back, or set the secret again."""

    code = "vault_locked"


class FolderHeld(AttribuneError):
    """Another process serves this data folder; stop it first, or give another --data."""

    code = "folder_held"


class FolderTooNew(AttribuneError):
    """The folder was written by a later version of Attribune; install that version."""

    code = "folder_too_new"


class NotJudged(AttribuneError):
    """A mistake of Attribune's own kept this from being judged, and nothing was changed; `attribune audit` says what to do."""

    code = "not_judged"


class NotFound(AttribuneError):
    """There is no such thing under that id."""

    code = "not_found"


class Invalid(AttribuneError):
    """A value is not allowed."""

    code = "invalid"


class Conflict(AttribuneError):
    """The same id or name stands already with other content."""

    code = "conflict"


class Forbidden(AttribuneError):
    """The key may not do that; use one with the scope that the message names."""

    code = "forbidden"
