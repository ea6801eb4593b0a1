"""AppsFlyer: its Push API, its partner postbacks, and the raw data of its Pull API. Pure.

Source: AppsFlyer's published interface descriptions of raw data and its help pages. Times are UTC unless their field says
``_selected_timezone`` or the file was asked for in another zone. Names of the Pull API's columns are the field names of the
Push API in words.
"""

from __future__ import annotations

from functools import lru_cache
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
from attribune.collect.vendors.rows import Row, flag, inner, query_of
from attribune.model.activity import ForeignConversion, ForeignKind, ForeignSource, Vendor
from attribune.model.money import Money
from attribune.model.policy import MatchMethod

#: AppsFlyer's fields → ours. Names in round brackets of a partner postback are whatever its receiver chose; these are usual.
FIELDS: Final = {
    "appsflyer_id": "vendor_device_id",
    "appsflyer_device_id": "vendor_device_id",
    "advertising_id": "ids.gaid",
    "advertiserid": "ids.gaid",
    "gaid": "ids.gaid",
    "idfa": "ids.idfa",
    "idfv": "ids.idfv",
    "android_id": "ids.android_id",
    "oaid": "ids.oaid",
    "amazon_aid": "ids.fire_adid",
    "sha1_advertising_id": "ids.sha1_gaid",
    "sha1_idfa": "ids.sha1_idfa",
    "customer_user_id": "user_id",
    "event_time": "at",
    "event_time_selected_timezone": "at",
    "timestamp": "at",
    "install_time": "installed_at",
    "install_time_selected_timezone": "installed_at",
    "install_unix_ts": "installed_at",
    "attributed_touch_time": "touch_at",
    "attributed_touch_time_selected_timezone": "touch_at",
    "click_time": "touch_at",
    "click_ts": "touch_at",
    "event_name": "name",
    "event_revenue": "amount",
    "event_revenue_currency": "currency",
    "event_revenue_usd": "usd_amount",
    "revenue_in_selected_currency": "selected_amount",
    "selected_currency": "selected_currency",
    "af_order_id": "transaction_id",
    "media_source": "network",
    "campaign": "campaign",
    "af_c_id": "campaign_id",
    "af_adset": "adgroup",
    "af_adset_id": "adgroup_id",
    "af_ad": "creative",
    "af_ad_id": "creative_id",
    "af_siteid": "site_id",
    "af_sub_siteid": "sub_site_id",
    "attributed_touch_type": "touch_kind",
    "match_type": "method",
    "clickid": "partner_click_id",
    "click_id": "partner_click_id",
    "attribune_click": "touch_id",
    "rejected_reason": "rejected_because",
    "reject_reason": "rejected_because",
    "blocked_reason": "rejected_because",
    "country_code": "country",
    "ip": "ip",
    "user_agent": "user_agent",
    "app_version": "app_version",
    "os_version": "os_version",
}

#: Columns of the Pull API whose words are no field name.
_TITLES: Final = {
    "campaign_id": "af_c_id",
    "adset": "af_adset",
    "adset_id": "af_adset_id",
    "ad": "af_ad",
    "ad_id": "af_ad_id",
    "ad_type": "af_ad_type",
    "channel": "af_channel",
    "keywords": "af_keywords",
    "partner": "af_prt",
    "site_id": "af_siteid",
    "sub_site_id": "af_sub_siteid",
    "cost_model": "af_cost_model",
    "cost_value": "af_cost_value",
    "cost_currency": "af_cost_currency",
    "attribution_lookback": "af_attribution_lookback",
    "reengagement_window": "af_reengagement_window",
} | {f"sub_param_{n}": f"af_sub{n}" for n in range(1, 6)}

#: A longer name is no column's.
_TITLE_CHARACTERS_MAX: Final = 128

#: ``event_type`` of the Push API → ours.
_TYPES: Final = {
    "install": ForeignKind.INSTALL,
    "organic_install": ForeignKind.INSTALL,
    "install_in_app_event": ForeignKind.EVENT,
    "organic_install_in_app_event": ForeignKind.EVENT,
    "in_app_event": ForeignKind.EVENT,
    "re_engagement": ForeignKind.REENGAGEMENT,
    "re_attribution": ForeignKind.REATTRIBUTION,
    "re_engagement_in_app_event": ForeignKind.EVENT,
    "re_attribution_in_app_event": ForeignKind.EVENT,
    "reinstall": ForeignKind.REINSTALL,
    "organic_reinstall": ForeignKind.REINSTALL,
    "uninstall": ForeignKind.UNINSTALL,
    "organic_uninstall": ForeignKind.UNINSTALL,
}
#: Rows that name no type say it by the name of their event.
_NAMES: Final = {
    "install": ForeignKind.INSTALL,
    "re_engagement": ForeignKind.REENGAGEMENT,
    "re_attribution": ForeignKind.REATTRIBUTION,
    "reinstall": ForeignKind.REINSTALL,
    "uninstall": ForeignKind.UNINSTALL,
    "af_uninstall": ForeignKind.UNINSTALL,
}
_METHODS: Final = {
    "referrer": MatchMethod.REFERRER,
    "gp_referrer": MatchMethod.REFERRER,
    "id_matching": MatchMethod.DEVICE_ID,
    "srn": MatchMethod.CLAIM,
    "probabilistic": MatchMethod.PROBABILISTIC,
    "fp": MatchMethod.PROBABILISTIC,
}
#: Where an event's values name the order.
_ORDERS: Final = ("af_order_id", "order_id", "af_receipt_id", "transaction_id")
#: Where the credited link carries the partner's click id.
_CLICKS: Final = ("clickid", "click_id", "af_click_id")


def read(row: Row, hearing: Hearing) -> ForeignConversion:
    """One message or row. Raises Refused."""
    words = row.mapped(FIELDS)
    kind = _kind(row, words)
    is_rejected = "rejected_because" in words or flag(row.text("is_rejected"))
    if kind is not ForeignKind.EVENT:
        words.pop("name", None)
    _look_inside(row, words)
    decided = Decided(
        kind=ForeignKind.REJECTED if is_rejected else kind,
        source=_source(row, words),
        method=_METHODS.get(words.get("method", "").lower()),
        distinct=(str(kind), words.get("name", "")) if is_rejected else (),
        is_primary=flag(row.text("is_primary_attribution")) is not False,
    )
    return heard(row, hearing, Vendor.APPSFLYER, words, decided, _revenue(words, hearing))


def name_of(column: str) -> str:
    """The field of a column: ``Attributed Touch Time`` is ``attributed_touch_time``, ``Adset`` is ``af_adset``."""
    return _name_of(column) if len(column) <= _TITLE_CHARACTERS_MAX else column.lower()


@lru_cache(maxsize=4096)  # every row has the same columns
def _name_of(column: str) -> str:
    name = column.strip().strip('"()').lower().replace(" ", "_").replace("-", "_")
    return _TITLES.get(name, name)


def _kind(row: Row, words: dict[str, str]) -> ForeignKind:
    said = row.text("event_type")
    if said is not None:
        kind = _TYPES.get(said.lower().replace("-", "_"))
        if kind is None:
            raise unknown_kind(said, "event_type")
        return kind
    name = words.get("name")
    if name is None:
        if "installed_at" in words and "at" not in words:
            return ForeignKind.INSTALL  # a partner's install postback names no event
        raise unknown_kind(None, "event_name")
    return _NAMES.get(name.lower().replace("-", "_"), ForeignKind.EVENT)


def _source(row: Row, words: dict[str, str]) -> ForeignSource:
    said = row.text("event_type", "campaign_type") or ""
    network = words.get("network")
    is_organic = network is None and said.lower().startswith("organic")
    found = source_of(network, is_organic=is_organic)
    # A partner's postback is about its own and names no source.
    if found is ForeignSource.UNKNOWN and "partner_click_id" in words:
        return ForeignSource.ATTRIBUTED
    return found


def _look_inside(row: Row, words: dict[str, str]) -> None:
    """The order of the event's values, and the click id of the credited link."""
    values = inner(row.said.get("event_value"))
    order = next((values[name] for name in _ORDERS if values.get(name)), None)
    if order:
        words.setdefault("transaction_id", order)
    link = query_of(row.said.get("original_url"))
    click = next((link[name] for name in _CLICKS if name in link), None)
    if click:
        words.setdefault("partner_click_id", click)
    if touch := link.get("attribune_click"):
        words.setdefault("touch_id", touch)


def _revenue(words: dict[str, str], hearing: Hearing) -> Money | None:
    """The amount in the event's own currency, else in the one the file was asked for, else in dollars."""
    words["usd"] = "USD"
    for amount, currency in (
        ("amount", "currency"),
        ("selected_amount", "selected_currency"),
        ("usd_amount", "usd"),
    ):
        if amount == "amount" and "currency" not in words and "usd_amount" in words:
            continue
        found = money(words, hearing, amount, currency)
        if found is not None:
            return found
    return None


READER: Final = Reader(Vendor.APPSFLYER, read, FIELDS, name_of)
