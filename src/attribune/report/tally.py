"""Finding what was seen twice among tens of millions of things, in eight bytes each."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

#: Hashes are kept apart by their highest byte, so that only one part in 256 is ever sorted out at a time.
_SHELVES: Final = 256


def short_hash(*words: str | int | None) -> int:
    """64 bits of some words that cannot run into each other."""
    text = "\x1f".join("" if word is None else str(word) for word in words)
    return int.from_bytes(
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )


class Tally:
    """Counts hashes up and down, and says which stand above one."""

    def __init__(self) -> None:
        """Begin empty."""
        self._up = [array("Q") for _ in range(_SHELVES)]
        self._down = [array("Q") for _ in range(_SHELVES)]

    def add(self, hash_: int) -> None:
        """One more."""
        self._up[hash_ >> 56].append(hash_)

    def take(self, hash_: int) -> None:
        """One less."""
        self._down[hash_ >> 56].append(hash_)

    def repeated(self) -> Iterator[int]:
        """Hashes that were counted up more than once, less what was counted down."""
        for up, down in zip(self._up, self._down, strict=True):
            if len(up) < 2:
                continue
            counts = Counter(up)
            counts.subtract(down)
            yield from (hash_ for hash_, count in counts.items() if count > 1)
