"""Tenjin: its callbacks and the rows of its raw tables. Pure.

Source: the published columns of Tenjin's raw tables. Its list of callback macros is not public, so a callback is best made
with these names.
"""

from __future__ import annotations

from typing import Final

from attribune.collect.vendors.hearing import (
    Decided,
    Hearing,
    Reader,
    heard,
    money,
    source_of,
)
from attribune.collect.vendors.rows import Row
from attribune.model.activity import ForeignConversion, ForeignKind, ForeignSource, Vendor
from attribune.model.money import Money

#: Tenjin's columns → our fields.
FIELDS: Final = {
    "analytics_installation_id": "vendor_device_id",
    "developer_device_id": "ids.idfv",
    "advertising_id": "ids.advertising",
    "gaid": "ids.gaid",
    "idfa": "ids.idfa",
    "idfv": "ids.idfv",
    "oaid": "ids.oaid",
    "customer_user_id": "user_id",
    "created_at": "at",
    "created": "at",
    "timestamp": "at",
    "acquired_at": "installed_at",
    "acquired": "installed_at",
    "clicked_at": "touch_at",
    "click_time": "touch_at",
    "event": "name",
    "event_name": "name",
    "revenue": "amount",
    "price": "amount",
    "currency": "currency",
    "transaction_id": "transaction_id",
    "order_id": "transaction_id",
    "ad_network": "network",
    "network": "network",
    "ad_network_name": "network",
    "campaign_name": "campaign",
    "campaign": "campaign",
    "source_campaign_id": "campaign_id",
    "campaign_id": "campaign_id",
    "creative_name": "creative",
    "site_id": "site_id",
    "remote_click_id": "partner_click_id",
    "click_id": "partner_click_id",
    "attribune_click": "touch_id",
    "country": "country",
    "ip_address": "ip",
    "user_agent": "user_agent",
    "app_version": "app_version",
    "os_version": "os_version",
}
_INSTALLS: Final = frozenset(("install", "open_install", "acquired"))
_OPENS: Final = frozenset(("open", "connect", "session"))


def read(row: Row, hearing: Hearing) -> ForeignConversion:
    """One callback or row. Raises Refused."""
    words = row.mapped(FIELDS)
    _advertising(row, words)
    kind = _kind(row, words)
    if kind is not ForeignKind.EVENT:
        words.pop("name", None)
    source = source_of(words.get("network"))
    if source is ForeignSource.UNKNOWN and "partner_click_id" in words:
        source = ForeignSource.ATTRIBUTED
    decided = Decided(kind=kind, source=source)
    return heard(row, hearing, Vendor.TENJIN, words, decided, _revenue(words, hearing))


def name_of(column: str) -> str:
    """The name in lower case, without braces."""
    return column.strip().strip('"{}').lower()


def _advertising(row: Row, words: dict[str, str]) -> None:
    """One column holds the advertising id of either system; iPhones write theirs in capitals."""
    said = words.pop("ids.advertising", None)
    if said:
        platform = (row.text("platform") or "").lower()
        is_ios = platform == "ios" or (
            not platform and said == said.upper() and said != said.lower()
        )
        words.setdefault("ids.idfa" if is_ios else "ids.gaid", said)


def _kind(row: Row, words: dict[str, str]) -> ForeignKind:
    said = (words.get("name") or row.text("event_type") or "").lower()
    if said in _INSTALLS or (not said and "installed_at" in words):
        return ForeignKind.INSTALL
    return ForeignKind.SESSION if said in _OPENS else ForeignKind.EVENT


def _revenue(words: dict[str, str], hearing: Hearing) -> Money | None:
    return money(words, hearing, "amount", "currency")


READER: Final = Reader(Vendor.TENJIN, read, FIELDS, name_of)
