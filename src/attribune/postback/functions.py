"""What a macro's value may go through: encodings, hashes, numbers, times. A closed list, checked when a template is read."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote

from attribune.model.errors import Invalid
from attribune.postback.macros import Shape

Value = str | int
_Deed = Callable[[Value, str], Value]

_NUMBERS: Final = frozenset({Shape.WHOLE, Shape.DECIMAL})
_MOMENTS: Final = frozenset({Shape.MOMENT})
_ANY: Final = frozenset(Shape)
_HOUR_MS: Final = 3_600_000
#: The directives that a time may be written with; all of them give digits or separators.
_FORMAT: Final = re.compile(r"(?:%[YmdHMSfyj]|[-/.:_ TZ,]|%%)+\Z")
_DIGITS_MAX: Final = 12
#: Moments of which the words are remembered.
_MOMENTS_KEPT: Final = 4096


class Function(NamedTuple):
    """One step, and what it takes and gives."""

    takes: frozenset[Shape]
    gives: Shape
    apply: _Deed
    help: str
    #: Whether an argument is fine; None when it takes none.
    argument: re.Pattern[str] | None = None


def said(value: Value, shape: Shape) -> str:
    """A value as text, as it stands when no function said how."""
    return str(int(value) // 1000) if shape is Shape.MOMENT else str(value)


def step(name: str, argument: str | None, shape: Shape) -> Function:
    """The function of a step. Raises Invalid when there is none, its argument is wrong, or it does not take the value."""
    function = FUNCTIONS.get(name)
    if function is None:
        raise Invalid(f"there is no function {name!r}; there are {', '.join(FUNCTIONS)}")
    if shape not in function.takes:
        raise Invalid(
            f"{name} takes {' or '.join(sorted(function.takes))}, and is given {shape.value}"
        )
    if (argument is None) != (function.argument is None):
        raise Invalid(f"{name} takes {'no' if argument else 'an'} argument")
    if argument is not None and function.argument and not function.argument.match(argument):
        raise Invalid(f"{argument!r} is no argument of {name}")
    return function


def _digest(name: str) -> _Deed:
    return lambda value, _: hashlib.new(
        name, str(value).encode(), usedforsecurity=False
    ).hexdigest()


def _moment(value: Value, how: str) -> str:
    at_ms = int(value)
    return _written(at_ms if "%f" in how else at_ms - at_ms % 1000, how)


@lru_cache(maxsize=_MOMENTS_KEPT)
def _written(at_ms: int, how: str) -> str:
    """A moment in words; what is told together mostly happened within a few seconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime(how)


def _rounded(value: Value, digits: str) -> Value:
    exponent = Decimal(1).scaleb(-int(digits))
    return format(Decimal(str(value)).quantize(exponent, ROUND_HALF_EVEN), "f")


def _times(value: Value, factor: str) -> Value:
    return format((Decimal(str(value)) * Decimal(factor)).normalize(), "f")


def _text(deed: Callable[[str], str], help_: str) -> Function:
    return Function(frozenset({Shape.TEXT}), Shape.TEXT, lambda value, _: deed(str(value)), help_)


FUNCTIONS: Final[dict[str, Function]] = {
    "lower": _text(str.lower, "In small letters."),
    "upper": _text(str.upper, "In capital letters."),
    "bare": _text(lambda text: text.replace("-", ""), "Without hyphens, as some want ids."),
    "url": _text(
        lambda text: quote(text, safe=""), "Percent-encoded once more, for a URL inside a URL."
    ),
    "base64": _text(lambda text: base64.b64encode(text.encode()).decode(), "Base64 of its UTF-8."),
    "base64url": _text(
        lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
        "The same with the URL's alphabet and without padding.",
    ),
    "md5": Function(_ANY, Shape.TEXT, _digest("md5"), "MD5 of its UTF-8, in hex."),
    "sha1": Function(_ANY, Shape.TEXT, _digest("sha1"), "SHA-1, in hex."),
    "sha256": Function(_ANY, Shape.TEXT, _digest("sha256"), "SHA-256, in hex."),
    "round": Function(
        _NUMBERS,
        Shape.DECIMAL,
        _rounded,
        "To so many decimals, half to even: round:2.",
        re.compile(rf"(?:[0-9]|1[0-{_DIGITS_MAX % 10}])\Z"),
    ),
    "times": Function(
        _NUMBERS,
        Shape.DECIMAL,
        _times,
        "Times a number: times:100.",
        re.compile(r"-?\d{1,9}(?:\.\d{1,9})?\Z", re.ASCII),
    ),
    "unix": Function(_MOMENTS, Shape.WHOLE, lambda v, _: int(v) // 1000, "Seconds since 1970."),
    "unix_ms": Function(_MOMENTS, Shape.WHOLE, lambda v, _: int(v), "Milliseconds since 1970."),
    "iso": Function(
        _MOMENTS,
        Shape.TEXT,
        lambda v, _: _moment(v, "%Y-%m-%dT%H:%M:%SZ"),
        "Such as 2026-03-01T12:00:00Z.",
    ),
    "hour": Function(
        _MOMENTS,
        Shape.MOMENT,
        lambda v, _: int(v) // _HOUR_MS * _HOUR_MS,
        "The beginning of its hour, for those who may not know more.",
    ),
    "format": Function(
        _MOMENTS,
        Shape.TEXT,
        _moment,
        "As written, in UTC: format:%Y-%m-%d.",
        _FORMAT,
    ),
}
