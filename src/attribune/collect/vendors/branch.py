"""Branch: its webhooks and its ``eo_*`` exports. Pure.

Source: Branch's help pages on webhooks and its published export columns. A webhook nests what an export writes flat:
``last_attributed_touch_data.~campaign`` is ``last_attributed_touch_data_tilde_campaign``. Times are milliseconds.
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
from attribune.model.activity import ForeignConversion, ForeignKind, ForeignSource, Vendor

_TOUCH: Final = "last_attributed_touch_data_"
#: Branch's fields, as its exports write them → ours.
FIELDS: Final = {
    "user_data_aaid": "ids.gaid",
    "user_data_idfa": "ids.idfa",
    "user_data_idfv": "ids.idfv",
    "user_data_android_id": "ids.android_id",
    "user_data_oaid": "ids.oaid",
    "user_data_developer_identity": "user_id",
    "event_timestamp": "at",
    "timestamp": "at",
    "last_attributed_touch_timestamp": "touch_at",
    "last_attributed_touch_type": "touch_kind",
    "install_activity_timestamp": "installed_at",
    "customer_event_alias": "name",
    "name": "name",
    "event_data_revenue": "amount",
    "event_data_currency": "currency",
    "event_data_transaction_id": "transaction_id",
    f"{_TOUCH}tilde_advertising_partner_name": "network",
    f"{_TOUCH}tilde_channel": "network",
    f"{_TOUCH}tilde_campaign": "campaign",
    f"{_TOUCH}tilde_campaign_id": "campaign_id",
    f"{_TOUCH}tilde_ad_set_name": "adgroup",
    f"{_TOUCH}tilde_ad_set_id": "adgroup_id",
    f"{_TOUCH}tilde_ad_name": "creative",
    f"{_TOUCH}tilde_ad_id": "creative_id",
    f"{_TOUCH}tilde_secondary_publisher": "site_id",
    f"{_TOUCH}tilde_click_id": "partner_click_id",
    f"{_TOUCH}clickid": "partner_click_id",
    f"{_TOUCH}click_id": "partner_click_id",
    f"{_TOUCH}attribune_click": "touch_id",
    "user_data_geo_country_code": "country",
    "user_data_ip": "ip",
    "user_data_user_agent": "user_agent",
    "user_data_app_version": "app_version",
    "user_data_os_version": "os_version",
}

_KINDS: Final = {
    "install": ForeignKind.INSTALL,
    "reinstall": ForeignKind.REINSTALL,
    "open": ForeignKind.SESSION,
    "web_session_start": ForeignKind.SESSION,
}
_NO_CONVERSIONS: Final = frozenset(
    ("click", "impression", "pageview", "branch_cta_view", "sms_sent", "san_touch")
)


def read(row: Row, hearing: Hearing) -> ForeignConversion:
    """One webhook or row. Raises Refused."""
    words = row.mapped(FIELDS)
    said = row.text("name")
    if said is None or said.lower() in _NO_CONVERSIONS:
        raise unknown_kind(said, "name")
    kind = _KINDS.get(said.lower(), ForeignKind.EVENT)
    if kind is not ForeignKind.EVENT:
        words.pop("name", None)
    decided = Decided(kind=kind, source=_source(row, words))
    return heard(
        row, hearing, Vendor.BRANCH, words, decided, money(words, hearing, "amount", "currency")
    )


def name_of(column: str) -> str:
    """The column of an export for a path of a webhook."""
    name = column.strip().strip('"').lower()
    for sign, word in (("~", "tilde_"), ("+", "plus_"), ("$", "dollar_"), (".", "_")):
        name = name.replace(sign, word)
    return name


def _source(row: Row, words: dict[str, str]) -> ForeignSource:
    """``attributed`` says whether anybody was credited; who that was, the touch's data."""
    is_attributed = flag(row.text("attributed"))
    if is_attributed is False:
        return ForeignSource.ORGANIC
    found = source_of(words.get("network"))
    if found is ForeignSource.UNKNOWN and (is_attributed or "touch_at" in words):
        return ForeignSource.ATTRIBUTED
    return found


READER: Final = Reader(Vendor.BRANCH, read, FIELDS, name_of)
