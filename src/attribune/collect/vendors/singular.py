"""Singular: its postbacks and its user-level exports. Pure.

Source: Singular's support pages on postback macros and on its user-level schemas. Times are UTC; ``_unix`` ones are seconds.
The fields of a postback are its macros in lower case; the receiver may name them otherwise.
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
from attribune.collect.vendors.rows import Row, flag, inner
from attribune.model.activity import ForeignConversion, ForeignKind, ForeignSource, Vendor
from attribune.model.policy import MatchMethod

#: Singular's macros and columns → our fields.
FIELDS: Final = {
    "aifa": "ids.gaid",
    "gaid": "ids.gaid",
    "idfa": "ids.idfa",
    "idfv": "ids.idfv",
    "andi": "ids.android_id",
    "android_id": "ids.android_id",
    "oaid": "ids.oaid",
    "gaid_md5": "ids.md5_gaid",
    "idfa_md5": "ids.md5_idfa",
    "gaid_sha_1": "ids.sha1_gaid",
    "idfa_sha_1": "ids.sha1_idfa",
    "singular_device_id": "vendor_device_id",
    "sdid": "vendor_device_id",
    "custom_user_id": "user_id",
    "custom_user_ids": "user_id",
    "adjusted_timestamp_unix_utc": "at",
    "event_timestamp_unix_utc": "at",
    "adjusted_timestamp": "at",
    "event_timestamp": "at",
    "utcm": "at",
    "utc": "at",
    "time": "at",
    "install_utc": "installed_at",
    "install_time": "installed_at",
    "touchpoint_timestamp_unix_utc": "touch_at",
    "touchpoint_timestamp": "touch_at",
    "click_utc": "touch_at",
    "click_time": "touch_at",
    "evtname": "name",
    "event_name": "name",
    "name": "name",
    "amount": "amount",
    "revenue": "amount",
    "currency": "currency",
    "converted_revenue": "converted_amount",
    "converted_currency": "converted_currency",
    "purchase_transaction_id": "transaction_id",
    "transaction_id": "transaction_id",
    "partner": "network",
    "singular_partner_name": "network",
    "network": "network",
    "campaign_name": "campaign",
    "singular_campaign_name": "campaign",
    "pcn": "campaign",
    "campaign_id": "campaign_id",
    "cid": "campaign_id",
    "pcid": "campaign_id",
    "sub_campaign_name": "adgroup",
    "pscn": "adgroup",
    "sub_campaign_id": "adgroup_id",
    "pscid": "adgroup_id",
    "creative_name": "creative",
    "pcrn": "creative",
    "creative_id": "creative_id",
    "pcrid": "creative_id",
    "publisher_name": "site_id",
    "psn": "site_id",
    "publisher_id": "site_id",
    "psid": "site_id",
    "sub_publisher_name": "sub_site_id",
    "sub_publisher_id": "sub_site_id",
    "click_id": "partner_click_id",
    "cl": "partner_click_id",
    "clid": "partner_click_id",
    "attribune_click": "touch_id",
    "method": "method",
    "fraud_reason": "rejected_because",
    "attribution_country": "country",
    "country": "country",
    "touchpoint_ip": "touch_ip",
    "event_ip": "ip",
    "attribution_ip": "ip",
    "app_version": "app_version",
    "os_version": "os_version",
}
_REJECTED: Final = frozenset(("rejected",))
_INSTALLS: Final = frozenset(("__install__", "install", "__start__"))


def read(row: Row, hearing: Hearing) -> ForeignConversion:
    """One postback or row. Raises Refused."""
    words = row.mapped(FIELDS)
    words.pop("touch_ip", None)
    _device(row, words)
    is_return = flag(row.text("is_reengagement", "is_re_eng"))
    is_view = flag(row.text("is_view_through", "is_viewthrough"))
    name = words.get("name", "")
    if not name or name.lower() in _INSTALLS:
        words.pop("name", None)
        kind = ForeignKind.REENGAGEMENT if is_return else ForeignKind.INSTALL
    else:
        kind = ForeignKind.EVENT
    status = (row.text("fraud_status") or "").lower()
    if status in _REJECTED:
        distinct: tuple[str, ...] = (str(kind), name)
        kind = ForeignKind.REJECTED
    else:
        distinct = ()
        words.pop("rejected_because", None)  # what is suspicious still counts
    if "touch_at" in words:
        words["touch_kind"] = "impression" if is_view else "click"
    decided = Decided(
        kind=kind,
        source=_source(words),
        method=_method(words, is_guess=flag(row.text("is_fingerprinted"))),
        distinct=distinct,
    )
    revenue = money(words, hearing, "amount", "currency") or money(
        words, hearing, "converted_amount", "converted_currency"
    )
    return heard(row, hearing, Vendor.SINGULAR, words, decided, revenue)


def name_of(column: str) -> str:
    """The name in lower case, without the braces and the network of a macro (``{cl?Network}``)."""
    return column.strip().strip('"{}').partition("?")[0].lower()


def _device(row: Row, words: dict[str, str]) -> None:
    """The device of an export stands in one column, and what it is in another; users may be a JSON list."""
    kind, said = row.text("device_id_type"), row.text("device_id")
    ours = FIELDS.get((kind or "").lower(), "")
    if said and ours.startswith("ids."):
        words.setdefault(ours, said)
    elif said:
        words.setdefault("vendor_device_id", said)
    users = words.get("user_id", "")
    if users.startswith("["):
        words["user_id"] = inner(f'{{"u":{users}}}').get("u.0", users)


def _source(words: dict[str, str]) -> ForeignSource:
    found = source_of(
        words.get("network"), is_organic=words.get("network", "").lower() == "unattributed"
    )
    if found is ForeignSource.UNKNOWN and "partner_click_id" in words:
        return ForeignSource.ATTRIBUTED
    return found


def _method(words: dict[str, str], *, is_guess: bool | None) -> MatchMethod | None:
    said = words.get("method", "").lower()
    if is_guess or "fingerprint" in said or "probabilistic" in said:
        return MatchMethod.PROBABILISTIC
    if "referrer" in said:
        return MatchMethod.REFERRER
    return MatchMethod.DEVICE_ID if "device" in said or "deterministic" in said else None


READER: Final = Reader(Vendor.SINGULAR, read, FIELDS, name_of)
