"""Reads a followed link into a touch. Pure and quick: every reader of the journal calls it for every hit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from operator import attrgetter
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from attribune.collect.absent import SUSPECTS, is_absent, is_absent_id
from attribune.collect.words import (
    NAMES,
    PARAMETERS_MAX,
    VALUE_CHARACTERS_MAX,
    WORDS,
    Sort,
)
from attribune.model.control import Link
from attribune.model.money import BadAmount, Money, UnknownCurrency, money
from attribune.model.policy import DAY_MS, HOUR_MS, MINUTE_MS
from attribune.model.touch import LinkHit, Touch, TouchOrigin

#: The words of a touch that a link may store; what it stores wins over the query.
LINK_FIELDS: Final = tuple(name for name in NAMES if name != "partner_click_id")
#: Longest window that a link or a server may ask for.
LOOKBACK_MS_MAX: Final = 366 * DAY_MS

_stored: Final = attrgetter(*LINK_FIELDS)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_LOOKBACK: Final = re.compile(r"(\d{1,12})(ms|[dhms]?)\Z", re.ASCII)
_UNITS_MS: Final = {"": 1, "ms": 1, "s": 1000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_YES: Final = frozenset(("true", "1", "yes"))


class Sorted:
    """Parameters sorted into what they mean."""

    __slots__ = ("extra", "fields", "ids", "not_kept", "shelves", "steering", "taken")

    def __init__(self) -> None:
        #: Fields of ``words.NAMES``.
        self.fields: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.steering: dict[str, str] = {}
        self.extra: dict[str, str] = {}
        self.not_kept: list[str] = []
        #: Of each field the rank of the name that it was taken from, and the name.
        self.taken: dict[str, tuple[int, str]] = {}
        self.shelves: dict[Sort, dict[str, str]] = {
            Sort.NAME: self.fields,
            Sort.DEVICE_ID: self.ids,
            Sort.STEERING: self.steering,
            Sort.FREE: self.extra,
        }

    def back_to_extra(self, field: str, value: str) -> None:
        """Keep a value that does not count under the name that it came with."""
        self.extra[self.taken[field][1]] = value


def read_touch(hit: LinkHit, link: Link) -> Touch:
    """The touch that a followed link is, under the link as it stood then.

    Values the link stores win; the query's are then kept in ``extra``. Steering fields count from a trusted or signed hit,
    or where the link opens them. A trusted hit comes from a server, whose own address and user agent say nothing of a
    person; a signed one comes from a person.
    """
    pairs, not_kept = parse_query(hit.query)
    told = sort_words(pairs)
    told.not_kept.extend(not_kept)
    fields = touch_fields(told, link, may_steer=hit.trusted or hit.signed)
    if not hit.trusted:
        fields.setdefault("ip", hit.ip)
        fields.setdefault("user_agent", hit.user_agent)
        fields.setdefault("language", hit.language)
        fields.setdefault("model", hit.model)
        fields.setdefault("os_version", hit.os_version)
    return Touch(
        id=hit.id,
        kind=hit.kind,
        origin=TouchOrigin.S2S if hit.trusted else TouchOrigin.REDIRECT,
        received_at_ms=hit.received_at_ms,
        occurred_at_ms=hit.received_at_ms,
        signature_fault=hit.signature_fault,
        **fields,
    )


def touch_fields(told: Sorted, link: Link, *, may_steer: bool) -> dict[str, Any]:
    """What sorted parameters and their link say of a touch, as its fields."""
    _prefer_stored(told, link)
    fields = _steer(told, link, may_steer=may_steer) if told.steering else {}
    if link.is_retargeting:
        fields["is_retargeting"] = True
    fields |= told.fields
    fields["product"] = link.product
    fields["partner"] = link.partner
    fields["link"] = link.id
    fields["deep_link"] = link.deep_link
    fields["ids"] = told.ids
    fields["extra"] = told.extra
    fields["not_kept"] = tuple(told.not_kept)
    return fields


def parse_query(query: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The parameters of a raw query in order, and the names of those that cannot be kept.

    Not kept: a value longer than 2,048 characters, one that is not UTF-8 or holds control characters, and everything
    beyond the 64th. A value is never cut or mended: half an id is a wrong id.
    """
    pairs: list[tuple[str, str]] = []
    not_kept: list[str] = []
    if not query:
        return pairs, not_kept
    plain = "%" not in query and "+" not in query
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if not name:
            if value:
                not_kept.append("")
            continue
        if not plain:
            if "%" in name or "+" in name:
                name = _decoded(name) or name
            if "%" in value or "+" in value:
                decoded = _decoded(value)
                if decoded is None:
                    not_kept.append(name)
                    continue
                value = decoded
        if (
            len(value) > VALUE_CHARACTERS_MAX
            or len(pairs) >= PARAMETERS_MAX
            or (not value.isprintable() and _CONTROL.search(value))
        ):
            not_kept.append(name)
        else:
            pairs.append((name, value))
    return pairs, not_kept


def _decoded(text: str) -> str | None:
    """Percent-decoded text, or None when it is not UTF-8."""
    if "%" not in text:
        return text.replace("+", " ")
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError:
        return None


def sort_words(pairs: Iterable[tuple[str, str]]) -> Sorted:
    """Sort parameters by what they mean; absent ones say nothing.

    Of several names for one field the first of the table is taken and the others stay under their own name. A name said
    twice with different values keeps the first and is named in ``not_kept``.
    """
    told = Sorted()
    extra, taken, shelves, device_id = told.extra, told.taken, told.shelves, Sort.DEVICE_ID
    for name, value in pairs:
        # Most values are told from absent ones by their first sign; the rest is looked at closely.
        if not value or (value[0] in SUSPECTS and is_absent(value)):
            continue
        word = WORDS.get(name)
        if word is None:
            if extra.setdefault(name, value) != value:
                told.not_kept.append(name)
            continue
        field, sort, rank = word
        if sort is device_id and is_absent_id(value):
            continue
        stands = taken.get(field)
        shelf = shelves[sort]
        if stands is None or rank < stands[0]:
            if stands is not None:
                told.back_to_extra(field, shelf[field])
            shelf[field], taken[field] = value, (rank, name)
        elif rank > stands[0]:
            extra.setdefault(name, value)
        elif shelf[field] != value:
            told.not_kept.append(name)
    return told


def _prefer_stored(told: Sorted, link: Link) -> None:
    fields = told.fields
    for field, stored in zip(LINK_FIELDS, _stored(link), strict=True):
        if stored is None:
            continue
        said = fields.get(field)
        if said is not None and said != stored:
            told.back_to_extra(field, said)
        fields[field] = stored


def _steer(told: Sorted, link: Link, *, may_steer: bool) -> dict[str, Any]:
    """The steering that counts, as fields of a touch; all other goes back into ``extra``, under its own name."""
    opens = link.opens
    if not may_steer:
        for field in tuple(told.steering):
            if field not in opens and told.taken[field][1] not in opens:
                told.back_to_extra(field, told.steering.pop(field))
    return _steering_fields(told)


def _steering_fields(told: Sorted) -> dict[str, Any]:
    """Steering as fields of a touch; what cannot be read is kept in ``extra``."""
    steering = told.steering
    fields: dict[str, Any] = {}
    for field, value in steering.items():
        match field:
            case "click_lookback" | "view_lookback":
                read: Any = lookback_ms(value)
                name = f"{field}_ms"
            case "is_retargeting":
                read, name = value.lower() in _YES, field
            case "ip":
                read, name = _address(value), field
            case "cost" | "cost_currency":
                continue
            case _:
                read, name = value, field
        if read is None:
            told.back_to_extra(field, value)
        else:
            fields[name] = read
    _read_cost(told, fields)
    return fields


def _read_cost(told: Sorted, fields: dict[str, Any]) -> None:
    amount, currency = told.steering.get("cost"), told.steering.get("cost_currency")
    cost = _money(amount, currency)
    if cost is not None:
        fields["cost"] = cost
        return
    if amount is not None:
        told.back_to_extra("cost", amount)
    if currency is not None:
        told.back_to_extra("cost_currency", currency)


def _money(amount: str | None, currency: str | None) -> Money | None:
    if amount is None or currency is None:
        return None
    try:
        read = money(amount, currency.upper())
    except (BadAmount, UnknownCurrency):
        return None
    return read if read.amount_minor >= 0 else None


def lookback_ms(text: str) -> int | None:
    """A window such as ``7d``, ``12h``, ``30m``, ``45s`` or milliseconds; None when it is none or longer than a year."""
    found = _LOOKBACK.match(text)
    if found is None:
        return None
    ms = int(found[1]) * _UNITS_MS[found[2]]
    return ms if ms <= LOOKBACK_MS_MAX else None


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None
