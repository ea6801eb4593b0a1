"""What SDKs that ask are told, on LMDB: written by the attributor, read by every collector."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Final

import lmdb

from attribune.engines.lmdb_carried import sync
from attribune.engines.lmdb_copy import cut_short
from attribune.engines.lmdb_scrubbed import SUFFIX, exchange
from attribune.engines.lmdb_segment import DRIVER
from attribune.model.errors import FolderTooNew, StoreUnavailable
from attribune.model.ids import START, DeviceId, Position, ProductId, device_digest

FORMAT: Final = 1
#: Address space; disk is taken as answers come. A billion answers fit.
MAP_BYTES: Final = 256 << 30
READERS_MAX: Final = 512
#: Shorter than any answer's key.
_POSITION_KEY: Final = b"position"
_position = struct.Struct(">BQ")


def _key(product: ProductId, device: DeviceId) -> bytes:
    """Sixteen bytes, since a device's id may be longer than LMDB's keys."""
    return device_digest(product, device)


class LmdbAnswers:
    """Answers in a folder; any number of readers beside one writer, one object per process.

    Commits keep the file whole at a power cut but may lose the last ones; the attributor then puts them again from the
    position. Raises StoreUnavailable, FolderTooNew.
    """

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        self._is_closed = False
        #: None after LMDB gave it up.
        self._env: lmdb.Environment | None = self._open()
        try:
            self.position()
        except BaseException:
            self.close()
            raise

    def get(self, product: ProductId, device: DeviceId) -> bytes | None:
        """The encoded answer, or None when nothing is decided yet."""
        return self._read(_key(product, device))

    def put(
        self, answers: Mapping[tuple[ProductId, DeviceId], bytes | None], position: Position
    ) -> None:
        """Keep the newest answers and the position they come from, all or nothing; None takes an answer away."""
        # In order of key LMDB finds neighbours on pages that it has at hand.
        pairs = sorted(((_key(*who), answer) for who, answer in answers.items()), key=itemgetter(0))
        env = self._usable()
        try:
            with env.begin(write=True) as txn:
                for key, answer in pairs:
                    if answer is None:
                        txn.delete(key)
                    else:
                        txn.put(key, answer)
                txn.put(_POSITION_KEY, _position.pack(FORMAT, position))
        except lmdb.Error as fault:
            if isinstance(fault, (lmdb.PanicError, lmdb.BadTxnError)):
                self._let_go()  # after a page that could not be written LMDB wants to be opened anew
            raise self._said(fault) from fault

    def position(self) -> Position:
        """Up to which outcome the answers are complete."""
        return _read_position(self._folder, self._read(_POSITION_KEY))

    def close(self) -> None:
        """Let go of files and locks."""
        self._is_closed = True
        self._let_go()

    def _let_go(self) -> None:
        env, self._env = self._env, None
        if env is not None:
            env.close()

    def _open(self) -> lmdb.Environment:
        env = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            env = lmdb.open(
                str(self._folder),
                map_size=MAP_BYTES,
                max_readers=READERS_MAX,
                mode=0o600,
                metasync=False,
                lib_version=0,
            )
            env.reader_check()
        except DRIVER as fault:
            if env is not None:
                env.close()
            raise self._said(fault) from fault
        return env

    def _usable(self) -> lmdb.Environment:
        if self._is_closed:
            raise StoreUnavailable(f"the answers {self._folder} are closed")
        if self._env is None:
            self._env = self._open()
        return self._env

    def _read(self, key: bytes) -> bytes | None:
        env = self._usable()
        try:
            with _begun(env) as txn:
                return txn.get(key)
        except lmdb.Error as fault:
            raise self._said(fault) from fault

    def _said(self, fault: lmdb.Error | OSError) -> StoreUnavailable:
        return _said(self._folder, fault)


def compact(folder: Path) -> None:
    """Leave no answer of before in free pages; nobody may have the answers open. Raises StoreUnavailable."""
    beside = folder.with_name(folder.name + SUFFIX)
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o700)
        env = lmdb.open(str(folder), map_size=MAP_BYTES, lib_version=0)
        try:
            env.copy(str(beside), compact=True)
        finally:
            env.close()
        sync(beside)
        exchange(beside, folder)
        sync(folder.parent)
        shutil.rmtree(beside)
    except DRIVER as fault:
        raise _said(folder, fault) from fault


def _begun(env: lmdb.Environment) -> lmdb.Transaction[bytes]:
    try:
        return env.begin()
    except lmdb.ReadersFullError:
        # Slots of killed readers stay taken until somebody looks.
        env.reader_check()
        return env.begin()


def look(path: Path) -> Position:
    """Up to where answers that nobody has open are complete; changes nothing. Raises StoreUnavailable, FolderTooNew."""
    try:
        env = lmdb.open(
            str(path), readonly=True, create=False, lock=False, map_size=MAP_BYTES, lib_version=0
        )
        try:
            if lack := cut_short(env):
                raise lmdb.CorruptedError(lack)
            with env.begin() as txn:
                return _read_position(path, txn.get(_POSITION_KEY))
        finally:
            env.close()
    except lmdb.Error as fault:
        raise _said(path, fault) from fault


def _read_position(folder: Path, raw: bytes | None) -> Position:
    if raw is None:
        return START
    version, position = _position.unpack(raw)
    if version > FORMAT:
        raise FolderTooNew(
            f"the answers {folder} have format {version}, this version reads {FORMAT}; install the later one"
        )
    return Position(position)


def _said(folder: Path, fault: lmdb.Error | OSError) -> StoreUnavailable:
    damage = ""
    if isinstance(fault, lmdb.CorruptedError | lmdb.PageNotFoundError | lmdb.InvalidError):
        damage = "; they are damaged: make them again with `attribune rebuild stores`"
    return StoreUnavailable(f"the answers {folder} cannot be used now: {fault}{damage}")
