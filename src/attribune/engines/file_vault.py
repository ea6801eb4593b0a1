"""A vault whose key is a file in the data folder, apart from the journal and so from its backups."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

from attribune.model.errors import StoreUnavailable, VaultLocked

FILE_NAME: Final = "secrets.key"
#: Of threads of one process one makes the key at a time; processes differ in the name of what they make.
_making: Final = threading.Lock()


class FileVault:
    """Seals with a key that is made when it is first needed, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path

    def seal(self, secret: str) -> str:
        """The secret, encrypted and authenticated, as text. Raises StoreUnavailable when no key can be kept."""
        with _making:
            key = self._key() or self._new_key()
        return Fernet(key).encrypt(secret.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """The secret again. Raises VaultLocked when it was sealed with another key, StoreUnavailable."""
        key = self._key()
        if key is None:
            raise VaultLocked(
                f"the key {self._path} that secrets were sealed with is gone; put it back, or set the secrets again"
            )
        try:
            return Fernet(key).decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise VaultLocked from None

    def _key(self) -> bytes | None:
        try:
            return self._path.read_bytes().strip()
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise StoreUnavailable(f"the key {self._path} cannot be read: {fault}") from fault

    def _new_key(self) -> bytes:
        """Make the key; of two who make it at once, both use the one that stands."""
        key = Fernet.generate_key()
        made = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with os.fdopen(
                os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
            ) as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(made, self._path)
            except FileExistsError:
                return self._path.read_bytes().strip()
            finally:
                made.unlink()
        except OSError as fault:
            raise StoreUnavailable(f"the key {self._path} cannot be kept: {fault}") from fault
        return key
