"""Kochava: its custom postbacks, by GET or POST. Pure.

Source: Kochava's support pages on custom postbacks, and receivers of them. Its macros are put under names that the receiver
chooses; these are the usual ones. An install is the event ``_install``.
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
from attribune.model.policy import MatchMethod

#: Kochava's fields → ours.
FIELDS: Final = {
    "kochava_device_id": "vendor_device_id",
    "adid": "ids.gaid",
    "idfa": "ids.idfa",
    "idfv": "ids.idfv",
    "android_id": "ids.android_id",
    "user_id": "user_id",
    "event_date": "at",
    "event_time": "at",
    "timestamp": "at",
    "date": "at",
    "usertime": "at",
    "install_date": "installed_at",
    "install_time": "installed_at",
    "click_date": "touch_at",
    "click_time": "touch_at",
    "event_name": "name",
    "event": "name",
    "revenue": "amount",
    "event_value": "value",
    "currency": "currency",
    "order_id": "transaction_id",
    "transaction_id": "transaction_id",
    "network_name": "network",
    "network": "network",
    "campaign_name": "campaign",
    "campaign": "campaign",
    "campaign_id": "campaign_id",
    "creative_id": "creative_id",
    "creative": "creative",
    "site_id": "site_id",
    "sub_site_id": "sub_site_id",
    "click_id": "partner_click_id",
    "tid": "partner_click_id",
    "attribune_click": "touch_id",
    "matched_by": "method",
    "match_type": "method",
    "country": "country",
    "ip": "ip",
    "ip_address": "ip",
    "user_agent": "user_agent",
    "ua": "user_agent",
    "device_ua": "user_agent",
    "app_version": "app_version",
    "device_ver": "os_version",
}
_METHODS: Final = {
    "referrer": MatchMethod.REFERRER,
    "click_id": MatchMethod.REFERRER,
    "device": MatchMethod.DEVICE_ID,
    "device_id": MatchMethod.DEVICE_ID,
    "adid": MatchMethod.DEVICE_ID,
    "idfa": MatchMethod.DEVICE_ID,
    "modeled": MatchMethod.PROBABILISTIC,
    "fingerprint": MatchMethod.PROBABILISTIC,
    "ip": MatchMethod.PROBABILISTIC,
}
_INSTALL: Final = frozenset(("_install", "install"))
#: Kochava names nobody, or says so, where no tracker won.
_NOBODY: Final = frozenset(("organic", "unattributed"))


def read(row: Row, hearing: Hearing) -> ForeignConversion:
    """One postback. Raises Refused."""
    words = row.mapped(FIELDS)
    is_install = words.get("name", "").lower() in _INSTALL or (
        "name" not in words and "installed_at" in words
    )
    if is_install:
        words.pop("name", None)
    network = words.get("network", "")
    source = source_of(network, is_organic=network.lower() in _NOBODY)
    if source is ForeignSource.UNKNOWN and "partner_click_id" in words:
        source = ForeignSource.ATTRIBUTED  # only a won click has one
    kind = ForeignKind.INSTALL if is_install else ForeignKind.EVENT
    decided = Decided(
        kind=kind, source=source, method=_METHODS.get(words.get("method", "").lower())
    )
    revenue = money(words, hearing, "amount", "currency")
    if revenue is None and "currency" in words:
        revenue = money(words, hearing, "value", "currency")  # a value with a currency is money
    return heard(row, hearing, Vendor.KOCHAVA, words, decided, revenue)


def name_of(column: str) -> str:
    """The name, without the braces of a macro."""
    return column.strip().strip('"{}').lower()


READER: Final = Reader(Vendor.KOCHAVA, read, FIELDS, name_of)
