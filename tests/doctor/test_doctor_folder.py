"""Folder, journal, views and settings: a healthy folder is well, and each fault that is planted is named."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest
from doctor.patients import OF_THE_MACHINE, SETTINGS, copy_of, make_healthy, said, seen, subject
from fire.test_damaged_views import hurt_answers, hurt_facts, hurt_registry, hurt_store

from attribune.doctor import advice
from attribune.doctor import folder as folder_checks
from attribune.engines.lmdb_journal import LmdbJournal
from attribune.engines.memory import MemoryClock
from attribune.model.codec import encode
from attribune.model.control import Change, Partner
from attribune.model.position import Topic
from attribune.settings import Settings
from attribune.wire import doctoring

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy") / "data"
    make_healthy(folder)
    return folder


@pytest.fixture
def folder(healthy: Path, tmp_path: Path) -> Path:
    """A copy to be hurt."""
    return copy_of(healthy, tmp_path / "data")


def test_a_healthy_folder_is_well_and_stays_as_it_was(folder: Path) -> None:
    before = everything(folder)
    found = doctoring.checkup(folder)
    assert everything(folder) == before
    assert [check.id for check in found.checks] == [
        id_ for group in doctoring.GROUPS.values() for id_ in group
    ]
    ailing = [check for check in found.checks if check.verdict != "ok"]
    assert {check.id for check in ailing} <= OF_THE_MACHINE, ailing
    assert all(check.remedy for check in ailing)


def everything(folder: Path) -> dict[str, tuple]:
    """All that lies in a folder: name, kind, mode, size, when it was written, and what it holds."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, content)
    return found


# --- the folder


def test_a_folder_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    place = tmp_path / "none" / "data"
    assert "fail: " in said(seen(place, "format"))
    assert seen(place, "disk_space").verdict in {"ok", "warn"}
    for id_ in ("owner", "permissions", "holder", "leftovers", "sizes", "backup", "journal"):
        assert seen(place, id_).verdict == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "words"), [("99", "install the version"), ("x", "format")])
def test_a_format_that_is_not_ours(folder: Path, text: str, words: str) -> None:
    (folder / "VERSION").write_text(text)
    assert words in said(seen(folder, "format"))
    assert seen(folder, "format").verdict == "fail"


@pytest.mark.parametrize(("mode", "verdict"), [(0o644, "ok"), (0o600, "fail")])
def test_settings_may_be_the_administrators_if_the_house_can_read_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mode: int, verdict: str
) -> None:
    (folder / "attribune.toml").chmod(mode)
    claim(monkeypatch, "attribune.toml")
    assert seen(folder, "owner").verdict == verdict


def test_a_file_of_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(monkeypatch, "registry.db")
    found = seen(folder, "owner")
    assert found.verdict == "fail"
    assert "1 of user 4242 (registry.db …)" in found.seen
    assert "chown -R" in found.remedy


def claim(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let a file seem to be another user's."""
    real = folder_checks._status

    def claimed(entry: os.DirEntry[str]) -> os.stat_result | None:
        status = real(entry)
        if status is not None and entry.name == name:
            values = list(status)
            values[4] = 4242
            return os.stat_result(values)
        return status

    monkeypatch.setattr(folder_checks, "_status", claimed)


def test_a_caller_who_is_not_the_owner(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 4242)
    assert "fail: the folder belongs to" in said(seen(folder, "owner"))
    assert "sudo -u" in seen(folder, "owner").remedy


def test_a_folder_that_may_not_be_read_is_not_taken_for_one_that_nobody_serves(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctoring.folder_, "holder", denied)
    for id_ in ("holder", "settings", "roles", "doors"):
        assert seen(folder, id_).verdict == "fail"
    assert "user that owns" in seen(folder, "holder").remedy


@pytest.mark.parametrize(
    ("mode", "verdict", "words"),
    [
        (0o700, "ok", "only its owner"),
        (0o750, "warn", "chmod 0700"),
        (0o755, "fail", "everybody on this machine"),
        (0o711, "fail", "registry.db"),
    ],
)
def test_modes_of_the_folder(folder: Path, mode: int, verdict: str, words: str) -> None:
    (folder / "registry.db").chmod(0o644)
    folder.chmod(mode)
    assert (found := seen(folder, "permissions")).verdict == verdict
    assert words in said(found)


def test_a_folder_to_pass_through_with_nothing_to_read(folder: Path) -> None:
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    folder.chmod(0o711)
    assert seen(folder, "permissions").verdict == "warn"


@contextmanager
def held_by(folder: Path, host: str, doing: str = "attribune serve") -> Iterator[None]:
    words = {"pid": os.getpid(), "host": host, "doing": doing, "since": "2026-11-01T00:00:00Z"}
    with (folder / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(json.dumps(words))
        lock.flush()
        yield


def test_who_holds_the_folder(folder: Path) -> None:
    assert seen(folder, "holder").seen == "nobody"
    with held_by(folder, os.uname().nodename, "command `attribune audit`"):
        assert (
            f"ok: command `attribune audit` (process {os.getpid()} on {os.uname().nodename}"
            in said(seen(folder, "holder"))
        )
        assert not subject(folder).is_served
    with held_by(folder, "elsewhere"):
        assert "warn: attribune serve" in said(seen(folder, "holder"))
        assert "on another machine" in seen(folder, "holder").seen
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert seen(folder, "holder").seen == "roles started by hand"


def dead_pid() -> int:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def plant_socket(run: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        before = Path.cwd()
        os.chdir(run)
        try:
            one.bind("admin.sock")
        finally:
            os.chdir(before)


LEFT: list[tuple[str, Callable[[Path], object]]] = [
    ("replay-x1", lambda run: (run / "replay-x1").mkdir()),
    (".web.json.", lambda run: (run / f".web.json.{dead_pid()}").write_text("{")),
    ("restart/attributor", lambda run: (run / "restart" / "attributor").write_text("store")),
    ("admin.sock", plant_socket),
]


@pytest.mark.parametrize(("name", "plant"), LEFT, ids=[name for name, _ in LEFT])
def test_what_was_left_behind(folder: Path, name: str, plant: Callable[[Path], object]) -> None:
    plant(folder / "run")
    found = seen(folder, "leftovers")
    assert found.verdict == "warn"
    assert f"run/{name}" in found.seen
    assert "rm -r" in found.remedy


def test_sizes_are_those_on_the_disk(folder: Path) -> None:
    (folder / "facts" / "large").write_bytes(os.urandom(3 << 20))
    assert "facts 3." in seen(folder, "sizes").seen
    assert "journal " in seen(folder, "sizes").seen


@pytest.mark.parametrize(
    ("age_ms", "verdict", "words"),
    [
        (3_600_000, "ok", "60 minutes"),
        (2 * DAY_MS, "warn", "attribune backup"),
        (9 * DAY_MS, "fail", "9 days"),
        (-DAY_MS, "warn", "future"),
    ],
)
def test_the_age_of_the_newest_backup(folder: Path, age_ms: int, verdict: str, words: str) -> None:
    note = folder / "run" / "backup.json"
    told = json.loads(note.read_text())
    told["created_at_ms"] = time.time_ns() // 1_000_000 - age_ms
    note.write_text(json.dumps(told))
    assert (found := seen(folder, "backup")).verdict == verdict
    assert words in said(found)


def test_no_backup_and_one_that_cannot_be_read(folder: Path) -> None:
    (folder / "run" / "backup.json").write_text("nonsense")
    assert "cannot be read" in seen(folder, "backup").seen
    (folder / "run" / "backup.json").unlink()
    assert "warn: none is known -> attribune backup" in said(seen(folder, "backup"))


# --- settings


@pytest.mark.parametrize("text", ["colour = 1\n", "port = 70000\n", "port = \n", "\xff\xfe"])
def test_settings_that_cannot_be_read(folder: Path, text: str) -> None:
    (folder / "attribune.toml").write_bytes(text.encode("latin-1"))
    found = seen(folder, "settings")
    assert found.verdict == "fail"
    assert "attribune.toml" in said(found)
    assert seen(folder, "memory").verdict in {"ok", "warn"}


def test_a_name_in_the_environment_that_nobody_reads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTRIBUNE_PROXYHOPS", "secret value")
    found = seen(folder, "settings")
    assert (found.verdict, "ATTRIBUNE_PROXYHOPS" in found.seen) == ("warn", True)
    assert "secret value" not in said(found)


def test_what_is_not_as_by_default_is_listed(folder: Path) -> None:
    assert seen(folder, "settings").seen == "not as by default: public_url, proxy_hops"


#: (check, settings, verdict, words)
ADVICE = [
    ("fights", {"body_bytes_max": 32 << 20, "bodies_bytes_max": 1 << 20}, "fail", "bodies_bytes"),
    ("fights", {"record_bytes_max": 4096, "body_bytes_max": 2048}, "fail", "no record"),
    ("fights", {"commit_entries_max": 4096, "commit_queue_max": 64}, "fail", "no commit"),
    ("fights", {"restart_wait_ms": 5000, "restart_wait_max_ms": 100}, "fail", "restart_wait_ms"),
    ("fights", {"app_key_age_max_ms": 2, "server_key_age_max_ms": 1}, "fail", "than a server"),
    ("fights", {"log_level": "loud"}, "fail", "'loud'"),
    ("fights", {"port": 8080, "web_port": 8080}, "fail", "cannot start"),
    ("fights", {"port": 0, "web_port": 0}, "ok", ""),
    ("public_url", {}, "warn", "set public_url"),
    ("public_url", {"public_url": "go.example.com"}, "fail", "https://go.example.com"),
    ("public_url", {"public_url": "https://go.example.com:nonsense"}, "fail", "address"),
    ("public_url", {"public_url": "https://go.example.com/?a=1"}, "fail", "address"),
    ("public_url", {"public_url": "https://me:hunter2@example.com"}, "fail", "leave them out"),
    ("public_url", {"public_url": "http://go.example.com"}, "warn", "TLS"),
    ("public_url", {"public_url": "https://127.0.0.1:8080"}, "warn", "nobody outside"),
    ("public_url", {"public_url": "https://go.example.com"}, "ok", ""),
    ("proxies", {"public_url": "https://go.example.com"}, "fail", "set proxy_hops"),
    ("proxies", {"host": "0.0.0.0", "proxy_hops": 1}, "warn", "set host to 127.0.0.1"),
    ("proxies", {"host": "93.184.216.34", "proxy_hops": 1}, "warn", "past the proxy"),
    ("proxies", {"host": "10.1.2.3", "proxy_hops": 1}, "ok", ""),
    ("proxies", {"host": "0.0.0.0"}, "ok", ""),
    ("web_port", {"web_host": "0.0.0.0"}, "warn", "web_host"),
    ("web_port", {"web_host": "::"}, "warn", "web_host"),
    ("web_port", {"web_host": "192.168.1.4"}, "ok", ""),
]


@pytest.mark.parametrize(("id_", "values", "verdict", "words"), ADVICE)
def test_settings_that_are_unwise(
    tmp_path: Path, id_: str, values: dict[str, object], verdict: str, words: str
) -> None:
    about = subject(tmp_path)._replace(settings=Settings(**values))
    found = advice.CHECKS[id_](about)
    assert found.verdict == verdict, found
    assert words in said(found)
    assert "hunter2" not in said(found)


# --- the journal


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    """A folder whose journal has four segments."""
    folder = tmp_path / "many"
    journal = open_journal(folder)
    for number in range(8):
        journal.append([(Topic.CONTROL, change(1_700_000_000_000 + number))])
    journal.close()
    assert len(list((folder / "journal").iterdir())) > 3
    return folder


def open_journal(folder: Path) -> LmdbJournal:
    # Each segment is old as soon as it has an entry.
    return LmdbJournal(
        folder / "journal", segment_bytes_max=1 << 20, segment_ms=0, clock=MemoryClock()
    )


def change(at_ms: int) -> bytes:
    return encode(Change(at_ms=at_ms, record=Partner(id="acme", name="acme", kind="network")))


def hurt_state(folder: Path) -> None:
    env = lmdb.open(str(folder / "journal" / "0000000002"), max_dbs=9, map_size=1 << 30)
    with env.begin(write=True) as txn:
        txn.put(b"state", b"garbage" * 5, db=env.open_db(b"meta", txn=txn))
    env.close()


def hurt_count(folder: Path) -> None:
    env = lmdb.open(str(folder / "journal" / "0000000002"), max_dbs=9, map_size=1 << 30)
    with env.begin(write=True) as txn:
        cursor = txn.cursor(env.open_db(b"control", txn=txn))
        assert cursor.first()
        assert cursor.delete()
    env.close()


def cut(folder: Path) -> None:
    file = folder / "journal" / "0000000001" / "data.mdb"
    os.truncate(file, file.stat().st_size // 2 // 4096 * 4096)


def garble(folder: Path) -> None:
    (folder / "journal" / "0000000003" / "data.mdb").write_bytes(b"garbage" * 4000)


def lose_one(folder: Path) -> None:
    for file in (folder / "journal" / "0000000002").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("hurt", "words"),
    [
        (cut, "cut short"),
        (garble, "0000000003 is damaged"),
        (hurt_state, "0000000002"),
        (hurt_count, "0000000002 holds 0 entries and should hold 1"),
        (lose_one, "one is missing"),
    ],
)
def test_a_damaged_segment(segments: Path, hurt: Callable[[Path], None], words: str) -> None:
    assert seen(segments, "journal").verdict == "ok"
    hurt(segments)
    found = seen(segments, "journal")
    assert found.verdict == "fail"
    assert words in found.seen
    assert "attribune restore" in found.remedy


def test_entries_from_the_future(segments: Path) -> None:
    assert "days ago" in seen(segments, "moments").seen
    journal = open_journal(segments)
    journal.append([(Topic.CONTROL, change(time.time_ns() // 1_000_000 + 3 * DAY_MS))])
    journal.close()
    found = seen(segments, "moments")
    assert found.verdict == "fail"
    assert "2 days from now" in found.seen or "3 days from now" in found.seen
    assert "timedatectl" in found.remedy


# --- the views


def hurt_part(folder: Path) -> None:
    part = folder / "facts/store/abc/abcdef/20260301_1_1_0"
    part.mkdir(parents=True)
    (part / "checksums.txt").write_text("")


def lose_rows(folder: Path) -> None:
    next((folder / "store").glob("MANIFEST*")).unlink()


def cut_answers(folder: Path) -> None:
    os.truncate(folder / "answers" / "data.mdb", 4096)


@pytest.mark.parametrize(
    ("hurt", "view"),
    [
        (hurt_store, "stores"),
        (lose_rows, "stores"),
        (hurt_answers, "stores"),
        (cut_answers, "stores"),
        (hurt_registry, "registry"),
        (hurt_facts, "facts"),
        (hurt_part, "facts"),
    ],
)
def test_a_damaged_view(folder: Path, hurt: Callable[[Path], None], view: str) -> None:
    assert seen(folder, view).verdict == "ok"
    hurt(folder)
    found = seen(folder, view)
    assert found.verdict == "fail"
    assert found.remedy == f"attribune rebuild {view} --data {folder}"


def test_a_registry_that_was_left_open_is_read_with_its_last_changes(folder: Path) -> None:
    import sqlite3  # noqa: PLC0415  # of this test alone

    one = sqlite3.connect(folder / "registry.db")
    one.execute("PRAGMA wal_autocheckpoint = 0")
    one.execute("UPDATE control_position SET position = 3")
    one.commit()
    assert (folder / "registry.db-wal").stat().st_size
    before = everything(folder)
    assert seen(folder, "registry").seen == "registry.db at entry 3"
    assert everything(folder) == before
    one.close()


def test_views_that_are_ahead_of_the_journal(folder: Path, segments: Path) -> None:
    for file in (folder / "journal" / "0000000001").iterdir():
        file.unlink()
    assert "the journal is older" in seen(folder, "registry").seen
    assert "the journal is older" in seen(folder, "stores").seen


def test_views_that_are_not_there_are_made_from_the_journal(folder: Path) -> None:
    (folder / "registry.db").unlink()
    assert "not there yet" in seen(folder, "registry").seen
    assert seen(folder, "registry").verdict == "ok"


# --- whatever happens


def test_it_comes_back_when_a_file_hangs(folder: Path) -> None:
    (folder / "attribune.toml").unlink()
    os.mkfifo(folder / "attribune.toml")
    begun = time.monotonic()
    found = {check.id: check for check in doctoring.checkup(folder, wait_s=5).checks}
    assert time.monotonic() - begun < 15
    assert found["settings"].verdict == "fail"
    assert "no answer within 5 s" in found["settings"].seen


def test_a_check_that_fails_itself_hides_no_other(folder: Path, monkeypatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("oh")

    checks = {"one": broken, "two": folder_checks.CHECKS["sizes"]}
    one, two = doctoring.look(checks, subject(folder))
    assert (one.verdict, "RuntimeError: oh" in one.seen) == ("fail", True)
    assert two.verdict == "ok"


def test_who_is_killed_while_looking_is_named() -> None:
    assert "SIGBUS" in doctoring._why(-7, 5)
    assert "code 1" in doctoring._why(1, 5)


def test_the_settings_of_the_healthy_folder_are_what_the_advice_is_given_on(folder: Path) -> None:
    assert (folder / "attribune.toml").read_text() == SETTINGS
