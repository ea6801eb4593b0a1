"""What a backup must never do: look whole when it is not, give back what was not written, overwrite, or stray."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import lmdb
import msgspec
import pytest

from attribune.backup import files, manifest
from attribune.backup.restore import Restored
from attribune.backup.take import Taken
from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.memory import MemoryClock
from attribune.model.errors import (
    BackupDamaged,
    BackupUnavailable,
    Conflict,
    FolderHeld,
    FolderTooNew,
    Invalid,
    JournalDamaged,
)
from attribune.model.ids import START
from attribune.model.position import Topic
from attribune.roles import folder as folder_
from attribune.wire import backups

TINY = 96 << 10


def open_journal(data: Path) -> LmdbJournal:
    return LmdbJournal(
        data / "journal", segment_bytes_max=TINY, segment_ms=86_400_000, clock=MemoryClock()
    )


def append(journal: LmdbJournal, count: int) -> None:
    for number in range(count):
        topic = Topic.TOUCHES if number % 3 else Topic.CONTROL
        journal.append([(topic, b"%d" % number + b"." * 1000)])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose journal has some segments."""
    folder = folder_.prepare(tmp_path / "data")
    journal = open_journal(folder)
    append(journal, 100)
    assert len(journal.segments()) > 2
    journal.close()
    return folder


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "one"


@pytest.fixture(autouse=True)
def _parent(dest: Path) -> Iterator[None]:
    dest.parent.mkdir()
    yield
    assert not list(dest.parent.glob("*.partial")), "nothing half is left"


def take(data: Path, dest: Path) -> Taken:
    return backups.backup(data, dest, lambda _done, _total: None)


def give(source: Path, data: Path) -> Restored:
    return backups.restore(source, data, lambda _done, _total: None)


def entries(data: Path) -> list[tuple[object, ...]]:
    journal = open_journal(data)
    try:
        return [tuple(entry) for entry in journal.read(tuple(Topic), START, 10_000)]
    finally:
        journal.close()


def test_what_is_given_back_is_what_was_there(data: Path, dest: Path, tmp_path: Path) -> None:
    taken = take(data, dest)
    given = give(dest, tmp_path / "new")
    assert (given.first, given.end) == (taken.first, taken.end) == (1, 100)
    assert entries(tmp_path / "new") == entries(data)
    journal = open_journal(tmp_path / "new")
    append(journal, 1)
    assert journal.end() == 101
    journal.close()


def test_progress_ends_at_the_total(data: Path, dest: Path, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    backups.backup(data, dest, lambda done, total: heard.append((done, total)))
    assert heard == sorted(heard)
    assert heard[0][0] == 0
    assert heard[-1][0] == heard[-1][1]
    heard.clear()
    backups.restore(dest, tmp_path / "new", lambda done, total: heard.append((done, total)))
    assert heard[-1][0] == heard[-1][1]


def flip(file: Path, at: int = 5000) -> None:
    file.chmod(0o600)
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)
        opened.seek(at)
        opened.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("path", ["journal/0000000002/data.mdb", "VERSION"])
def test_a_damaged_file_is_refused_by_name(
    data: Path, dest: Path, tmp_path: Path, path: str
) -> None:
    take(data, dest)
    flip(dest / path, 0 if path == "VERSION" else 5000)
    with pytest.raises(BackupDamaged, match=path):
        give(dest, tmp_path / "new")
    assert {p.name for p in (tmp_path / "new").iterdir()} <= {"lock"}
    with pytest.raises(Invalid):
        folder_.format_of(tmp_path / "new")


@pytest.mark.parametrize("path", ["journal/0000000001/data.mdb", "VERSION"])
def test_a_missing_or_shorter_file_is_refused_by_name(
    data: Path, dest: Path, tmp_path: Path, path: str
) -> None:
    take(data, dest)
    with (dest / path).open("r+b") as opened:
        opened.truncate(1)
    with pytest.raises(BackupDamaged, match=path):
        give(dest, tmp_path / "new")
    (dest / path).unlink()
    with pytest.raises(BackupDamaged, match=path):
        give(dest, tmp_path / "new")
    assert not (tmp_path / "new" / "VERSION").exists()


def test_a_manifest_cut_anywhere_is_refused(data: Path, dest: Path, tmp_path: Path) -> None:
    take(data, dest)
    file = dest / manifest.FILE_NAME
    whole = file.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 3):
        file.write_bytes(whole[:size])
        with pytest.raises(BackupDamaged, match=r"manifest\.json"):
            give(dest, tmp_path / "new")
    file.unlink()
    with pytest.raises(BackupDamaged, match="no whole backup"):
        give(dest, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_changed_manifest_is_refused(data: Path, dest: Path, tmp_path: Path) -> None:
    take(data, dest)
    file = dest / manifest.FILE_NAME
    said = json.loads(file.read_bytes())
    said["created_at_ms"] += 1
    file.write_text(json.dumps(said))
    with pytest.raises(BackupDamaged, match="checksum"):
        give(dest, tmp_path / "new")


def changed(dest: Path, **values: object) -> None:
    """Write the manifest anew with other values and the checksum that fits them."""
    said = json.loads((dest / manifest.FILE_NAME).read_bytes()) | values
    whole = msgspec.convert(said, manifest.Manifest)
    (dest / manifest.FILE_NAME).write_bytes(manifest.encode(whole))


def test_a_manifest_may_not_lead_out_of_the_folder(data: Path, dest: Path, tmp_path: Path) -> None:
    take(data, dest)
    said = json.loads((dest / manifest.FILE_NAME).read_bytes())
    changed(dest, files=[*said["files"], {"path": "../out", "bytes": 1, "sha256": "0"}])
    with pytest.raises(BackupDamaged, match="no backup holds"):
        give(dest, tmp_path / "new")
    assert not (tmp_path / "out").exists()


def test_a_segment_that_lacks_is_refused(data: Path, dest: Path, tmp_path: Path) -> None:
    take(data, dest)
    said = json.loads((dest / manifest.FILE_NAME).read_bytes())
    changed(dest, segments=[said["segments"][0], *said["segments"][2:]])
    with pytest.raises(BackupDamaged, match="does not begin at"):
        give(dest, tmp_path / "new")


@pytest.mark.parametrize("what", ["format", "folder_format"])
def test_a_backup_of_a_later_version_is_refused(
    data: Path, dest: Path, tmp_path: Path, what: str
) -> None:
    take(data, dest)
    changed(dest, **{what: 99})
    with pytest.raises(FolderTooNew, match="later"):
        give(dest, tmp_path / "new")


def test_a_link_is_no_file_of_a_backup(data: Path, dest: Path, tmp_path: Path) -> None:
    take(data, dest)
    shutil.copy(dest / "VERSION", tmp_path / "elsewhere")
    (dest / "VERSION").unlink()
    (dest / "VERSION").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BackupDamaged, match="VERSION"):
        give(dest, tmp_path / "new")


def test_nothing_is_written_over(data: Path, dest: Path, tmp_path: Path) -> None:
    take(data, dest)
    with pytest.raises(Invalid, match="not empty"):
        take(data, dest)
    for name in ("VERSION", "journal", "notes.txt"):
        other = tmp_path / f"other-{name}"
        other.mkdir()
        (other / name).write_text("mine")
        with pytest.raises(Invalid, match=f"holds data already .{name}"):
            give(dest, other)
        assert (other / name).read_text() == "mine"
    with pytest.raises(Invalid, match="data folder itself"):
        take(data, data / "backup")
    with pytest.raises(Invalid, match="no folder"):
        take(data, tmp_path / "not" / "mounted")
    with pytest.raises(Invalid, match="no data folder"):
        take(tmp_path, dest.parent / "two")


def test_a_held_folder_is_not_restored_into(data: Path, dest: Path, tmp_path: Path) -> None:
    take(data, dest)
    new = tmp_path / "new"
    new.mkdir()
    with folder_.held(new, "a test"), pytest.raises(FolderHeld, match="a test"):
        give(dest, new)
    assert {p.name for p in new.iterdir()} == {"lock"}


def test_settings_that_stand_are_left(data: Path, dest: Path, tmp_path: Path) -> None:
    (data / "attribune.toml").write_text("port = 1\n")
    take(data, dest)
    assert not give(dest, tmp_path / "new").kept_settings
    assert (tmp_path / "new/attribune.toml").read_text() == "port = 1\n"
    (tmp_path / "set").mkdir()
    (tmp_path / "set/attribune.toml").write_text("port = 2\n")
    assert give(dest, tmp_path / "set").kept_settings
    assert (tmp_path / "set/attribune.toml").read_text() == "port = 2\n"


@pytest.mark.parametrize("after_bytes", [0, 40_000, 150_000, 250_000])
def test_a_full_disk_leaves_nothing_that_looks_whole(
    data: Path, dest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_bytes: int
) -> None:
    """The kernel's answer is the one thing that cannot be had without a disk of its own."""
    room, write = [after_bytes], os.write

    def full(handle: int, piece: bytes) -> int:
        room[0] -= len(piece)
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, piece)

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "write", full)
        with pytest.raises(BackupUnavailable, match=r"No space left.*free some space"):
            take(data, dest)
    assert not list(dest.parent.iterdir())
    take(data, dest)
    room[0] = after_bytes
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "write", full)
        with pytest.raises(BackupUnavailable, match="No space left"):
            give(dest, tmp_path / "new")
    assert {p.name for p in (tmp_path / "new").iterdir()} <= {"lock"}


def test_what_a_killed_backup_left_is_no_backup_and_is_cleared_away(
    data: Path, dest: Path, tmp_path: Path
) -> None:
    take(data, dest)
    partial = dest.with_name("one.partial")
    dest.rename(partial)
    (partial / manifest.FILE_NAME).unlink()  # it is written last
    with pytest.raises(BackupDamaged, match="no whole backup"):
        give(partial, tmp_path / "new")
    assert take(data, dest).end == 100
    partial.mkdir()
    (partial / "diary.txt").write_text("mine")
    shutil.rmtree(dest)
    with pytest.raises(Invalid, match=r"diary\.txt"):
        take(data, dest)
    assert (partial / "diary.txt").read_text() == "mine"
    shutil.rmtree(partial)


def test_two_backups_to_one_place_are_told_apart(data: Path, dest: Path) -> None:
    partial = dest.with_name("one.partial")
    partial.mkdir()
    handle = os.open(partial, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(Conflict, match="another backup"):
        take(data, dest)
    os.close(handle)
    partial.rmdir()


def test_closed_segments_are_linked_from_an_earlier_backup(data: Path, dest: Path) -> None:
    first = take(data, dest)
    journal = open_journal(data)
    append(journal, 60)
    journal.close()
    second = take(data, dest.with_name("two"))
    assert first.linked_bytes == 0 < second.linked_bytes < second.bytes
    assert second.copied_bytes + second.linked_bytes == second.bytes
    one, two = (
        dest / "journal/0000000001/data.mdb",
        dest.with_name("two") / "journal/0000000001/data.mdb",
    )
    assert one.samefile(two)
    assert (second.end, second.segments > first.segments) == (160, True)


def test_a_damaged_earlier_copy_is_not_linked(data: Path, dest: Path, tmp_path: Path) -> None:
    take(data, dest)
    flip(dest / "journal/0000000001/data.mdb")
    second = take(data, dest.with_name("two"))
    assert second.copied_bytes > 0
    give(dest.with_name("two"), tmp_path / "new")
    assert entries(tmp_path / "new") == entries(data)


def test_a_segment_that_was_rewritten_is_copied_again(data: Path, dest: Path) -> None:
    take(data, dest)
    os.utime(data / "journal/0000000001/data.mdb")
    take(data, dest.with_name("two"))
    one, two = (
        dest / "journal/0000000001/data.mdb",
        dest.with_name("two") / "journal/0000000001/data.mdb",
    )
    assert not one.samefile(two)


def test_a_segment_that_lost_entries_is_not_backed_up(data: Path, dest: Path) -> None:
    env = lmdb.open(str(data / "journal/0000000001"), max_dbs=8)
    with env.begin(write=True) as txn:
        txn.delete((5).to_bytes(8, "big"), db=env.open_db(b"touches", txn=txn))
    env.close()
    with pytest.raises(JournalDamaged, match="0000000001"):
        take(data, dest)
    assert not dest.exists()


def test_a_segment_that_is_only_being_made_is_left_out(data: Path, dest: Path) -> None:
    (data / "journal/0000000099").mkdir()
    (data / "journal/0000000100").mkdir()
    (data / "journal/0000000100/data.mdb").touch()
    assert take(data, dest).end == 100


def test_the_data_folder_takes_note_of_its_backup(data: Path, dest: Path) -> None:
    taken = take(data, dest)
    said = json.loads((data / "run/backup.json").read_bytes())
    assert said == {
        "path": str(dest),
        "created_at_ms": taken.created_at_ms,
        "bytes": taken.bytes,
        "end": 100,
    }
    assert taken.is_noted


def test_a_segment_that_was_cut_short_is_named_and_nothing_is_left(data: Path) -> None:
    file = data / "journal" / "0000000002" / "data.mdb"
    os.truncate(file, file.stat().st_size // 2 // 4096 * 4096)
    with pytest.raises(JournalDamaged, match="cut short"):
        backups.backup(data, data.parent / "copy", lambda *_: None)
    assert not [path for path in data.parent.iterdir() if path.name.startswith("copy")]
