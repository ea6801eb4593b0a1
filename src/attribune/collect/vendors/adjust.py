"""Adjust: its callbacks and its CSV uploads, whose columns are the same placeholders. Pure.

Source: Adjust's help pages on callbacks, placeholders and CSV uploads. Times are seconds since 1970 unless they say
``_milli``; a placeholder without data is left out of a callback.
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
    unknown_kind,
)
from attribune.collect.vendors.rows import Row, flag
from attribune.model.activity import ForeignConversion, ForeignKind, Vendor
from attribune.model.money import Money
from attribune.model.policy import MatchMethod

#: Adjust's placeholders → our fields.
FIELDS: Final = {
    "adid": "vendor_device_id",
    "gps_adid": "ids.gaid",
    "idfa": "ids.idfa",
    "idfv": "ids.idfv",
    "android_id": "ids.android_id",
    "oaid": "ids.oaid",
    "fire_adid": "ids.fire_adid",
    "google_app_set_id": "ids.app_set_id",
    "gps_adid_md5": "ids.md5_gaid",
    "idfa_md5_hex": "ids.md5_idfa",
    "idfa_md5": "ids.md5_idfa",
    "android_id_md5": "ids.md5_android_id",
    "user_id": "user_id",
    "external_device_id": "user_id",
    "created_at_milli": "at",
    "created_at": "at",
    "installed_at": "installed_at",
    "click_time": "touch_at",
    "engagement_time": "touch_at",
    "impression_time": "touch_at",
    "event_name": "name",
    "event": "event",
    "event_token": "event",
    "revenue_float": "amount",
    "currency": "currency",
    "reporting_revenue": "reporting_amount",
    "reporting_currency": "reporting_currency",
    "revenue_usd": "usd_amount",
    "order_id": "transaction_id",
    "transaction_id": "transaction_id",
    "network_name": "network",
    "campaign_name": "campaign",
    "adgroup_name": "adgroup",
    "creative_name": "creative",
    "tracker_name": "tracker",
    "match_type": "method",
    "click_id": "partner_click_id",
    "clickid": "partner_click_id",
    "attribune_click": "touch_id",
    "rejection_reason": "rejected_because",
    "country": "country",
    "ip_address": "ip",
    "user_agent": "user_agent",
    "app_version": "app_version",
    "os_version": "os_version",
}

#: ``activity_kind`` → ours. Clicks, impressions and costs are no conversions.
_KINDS: Final = {
    "install": ForeignKind.INSTALL,
    "event": ForeignKind.EVENT,
    "session": ForeignKind.SESSION,
    "reattribution": ForeignKind.REATTRIBUTION,
    "reinstall": ForeignKind.REINSTALL,
    "reattribution_reinstall": ForeignKind.REATTRIBUTION,
    "uninstall": ForeignKind.UNINSTALL,
    "rejected_install": ForeignKind.REJECTED,
    "rejected_reattribution": ForeignKind.REJECTED,
    "attribution_update": ForeignKind.UPDATE,
    "updated_attribution": ForeignKind.UPDATE,
}
#: Words of a match type; the first that it contains says what it is.
_METHODS: Final = (
    ("referrer", MatchMethod.REFERRER),
    ("reftag", MatchMethod.REFERRER),
    ("device", MatchMethod.DEVICE_ID),
    ("finger", MatchMethod.PROBABILISTIC),
    ("probab", MatchMethod.PROBABILISTIC),
)
_LEVELS: Final = ("network", "campaign", "adgroup", "creative")


def read(row: Row, hearing: Hearing) -> ForeignConversion:
    """One callback or row. Raises Refused."""
    words = row.mapped(FIELDS)
    said = row.text("activity_kind")
    kind = _kind(said, words)
    token = words.pop("event", None)
    words.setdefault("name", token or "")
    if not words["name"]:
        del words["name"]
    elif mapped := hearing.mapped("event", token):
        words["name"] = mapped
    _split_tracker(words)
    is_organic = flag(row.text("is_organic"))
    is_view = flag(row.text("impression_based"))
    if words.get("touch_at"):
        words["touch_kind"] = "impression" if is_view else "click"
    rejected = said.replace(" ", "_") if said and kind is ForeignKind.REJECTED else ""
    decided = Decided(
        kind=kind,
        source=source_of(words.get("network"), is_organic=is_organic),
        method=_method(words.get("method")),
        distinct=(rejected,) if rejected else (),
    )
    return heard(row, hearing, Vendor.ADJUST, words, decided, _revenue(words, hearing))


def name_of(column: str) -> str:
    """The placeholder in a header's braces, or the callback parameter in its brackets."""
    return column.strip().strip('"').strip("{}[]").partition("||")[0].lower()


def _kind(said: str | None, words: dict[str, str]) -> ForeignKind:
    if said is None:
        if "event" in words or "name" in words:
            return ForeignKind.EVENT
        raise unknown_kind(said, "activity_kind")
    kind = _KINDS.get(said.lower().replace(" ", "_"))
    if kind is None:
        raise unknown_kind(said, "activity_kind")
    return kind


def _split_tracker(words: dict[str, str]) -> None:
    """``Network1::Christmas::Reindeers::320x70_en`` says what the single fields would."""
    parts = words.pop("tracker", "").split("::")
    for level, part in zip(_LEVELS, parts, strict=False):
        if part:
            words.setdefault(level, part)


def _method(said: str | None) -> MatchMethod | None:
    word = (said or "").lower()
    return next((method for part, method in _METHODS if part in word), None)


def _revenue(words: dict[str, str], hearing: Hearing) -> Money | None:
    """The amount as the app sent it, else as reported, else in dollars."""
    words["usd"] = "USD"
    for amount, currency in (
        ("amount", "currency"),
        ("reporting_amount", "reporting_currency"),
        ("usd_amount", "usd"),
    ):
        found = money(words, hearing, amount, currency)
        if found is not None:
            return found
    return None


READER: Final = Reader(Vendor.ADJUST, read, FIELDS, name_of)
