"""TOML that somebody else wrote, read into what is wanted of it, at a price that its size bounds."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

#: Longest line. A key of many parts costs the square of their number.
LINE_BYTES_MAX: Final = 4096


class BadToml(ValueError):
    """The text is no TOML, or not of the wanted shape; its words say what is wrong."""


def read(text: bytes, type_: type[T]) -> T:
    """Read a text in UTF-8, with or without a byte order mark. Raises BadToml."""
    if any(len(line) > LINE_BYTES_MAX for line in text.splitlines()):
        raise BadToml(f"a line has at most {LINE_BYTES_MAX} bytes")
    try:
        return msgspec.toml.decode(text.removeprefix(b"\xef\xbb\xbf"), type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise BadToml(str(fault)) from fault
    except RecursionError:
        raise BadToml("values lie too deep in each other") from None
