"""What other measurement partners tell: rows as their documentation and their receivers show them, and rubbish."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from front import GAME, registry
from hypothesis import given
from hypothesis import strategies as st

from attribune.collect.refuse import Refused
from attribune.collect.vendors import READERS, UNREADABLE, Hearing, read_row
from attribune.collect.vendors.rows import flat, moment, says_nothing
from attribune.model.activity import ForeignConversion, ForeignKind, ForeignSource, Sender, Vendor
from attribune.model.codec import decode, encode
from attribune.model.money import Money
from attribune.model.policy import MatchMethod
from attribune.model.position import Entry, Topic
from attribune.model.refusal import RefusalReason
from attribune.model.touch import TouchKind

NOW = 1_795_305_600_000
NOON = 1_772_366_400_000  # 2026-03-01 12:00 UTC
GAID = "11111111-2222-4333-8444-555555555555"
DIRECTORY = registry()

APPSFLYER_TITLES = [
    "Attributed Touch Type",
    "Attributed Touch Time",
    "Install Time",
    "Event Time",
    "Event Name",
    "Event Value",
    "Event Revenue",
    "Event Revenue Currency",
    "Event Revenue USD",
    "Event Source",
    "Is Receipt Validated",
    "Partner",
    "Media Source",
    "Channel",
    "Keywords",
    "Campaign",
    "Campaign ID",
    "Adset",
    "Adset ID",
    "Ad",
    "Ad ID",
    "Ad Type",
    "Site ID",
    "Sub Site ID",
    "Sub Param 1",
    "Sub Param 2",
    "Sub Param 3",
    "Sub Param 4",
    "Sub Param 5",
    "Cost Model",
    "Cost Value",
    "Cost Currency",
    "Contributor 1 Partner",
    "Contributor 1 Media Source",
    "Contributor 1 Campaign",
    "Contributor 1 Touch Type",
    "Contributor 1 Touch Time",
    "Contributor 2 Partner",
    "Contributor 2 Media Source",
    "Contributor 2 Campaign",
    "Contributor 2 Touch Type",
    "Contributor 2 Touch Time",
    "Contributor 3 Partner",
    "Contributor 3 Media Source",
    "Contributor 3 Campaign",
    "Contributor 3 Touch Type",
    "Contributor 3 Touch Time",
    "Region",
    "Country Code",
    "State",
    "City",
    "Postal Code",
    "DMA",
    "IP",
    "WIFI",
    "Operator",
    "Carrier",
    "Language",
    "AppsFlyer ID",
    "Advertising ID",
    "IDFA",
    "Android ID",
    "Customer User ID",
    "IMEI",
    "IDFV",
    "Platform",
    "Device Type",
    "OS Version",
    "App Version",
    "SDK Version",
    "App ID",
    "App Name",
    "Bundle ID",
    "Is Retargeting",
    "Retargeting Conversion Type",
    "Attribution Lookback",
    "Reengagement Window",
    "Is Primary Attribution",
    "User Agent",
    "HTTP Referrer",
    "Original URL",
]


def hearing(**more: Any) -> Hearing:
    app = DIRECTORY.app("game-android")
    words = {
        "app": app,
        "product": DIRECTORY.product(GAME),
        "directory": DIRECTORY,
        "sender": Sender.OPERATOR,
        "received_at_ms": NOW,
        "future_max_ms": 3_600_000,
    }
    return Hearing(**(words | more))


def read(vendor: Vendor, row: dict[str, str], **more: Any) -> ForeignConversion:
    found = read_row(vendor, row, hearing(**more))
    assert isinstance(found, ForeignConversion), found
    assert decode(Entry(1, Topic.ACTIVITY, encode(found))) == found
    return found


def refused(vendor: Vendor, row: dict[str, str], **more: Any) -> Refused:
    found = read_row(vendor, row, hearing(**more))
    assert isinstance(found, Refused), found
    assert found.message
    return found


# --- Adjust

ADJUST = {
    "activity_kind": "install",
    "created_at": str(NOON // 1000),
    "adid": "ad0123456789abcdef0123456789abcd",
    "gps_adid": GAID,
    "idfa": "",
    "tracker_name": "Acme Ads::Spring::Reindeers::320x70_en",
    "is_organic": "0",
    "match_type": "device_tag",
    "click_time": str(NOON // 1000 - 60),
    "impression_based": "0",
    "click_id": "c-1",
    "country": "de",
    "nonce": "xyz",
}


def test_adjust_callback() -> None:
    found = read(Vendor.ADJUST, ADJUST)
    assert found.kind is ForeignKind.INSTALL
    assert found.source is ForeignSource.ATTRIBUTED
    assert (found.network, found.campaign, found.adgroup, found.creative) == (
        "Acme Ads",
        "Spring",
        "Reindeers",
        "320x70_en",
    )
    assert found.vendor_device_id == ADJUST["adid"]
    assert found.ids == {"gaid": GAID}
    assert found.occurred_at_ms == NOON
    assert found.touch_at_ms == NOON - 60_000
    assert found.touch_kind is TouchKind.CLICK
    assert (found.method_said, found.method) == ("device_tag", MatchMethod.DEVICE_ID)
    assert found.partner_click_id == "c-1"
    assert found.country == "DE"
    assert found.extra["nonce"] == '"xyz"'


def test_adjusts_csv_is_its_callback() -> None:
    """The header of a file is the literal placeholder in braces; parameters of the app stand in brackets."""
    row = {f"{{{name}}}": value for name, value in ADJUST.items()} | {"[user_id]": "u-1"}
    found = read(Vendor.ADJUST, row)
    assert found.id == read(Vendor.ADJUST, ADJUST).id
    assert found.user_id == "u-1"
    first_of_two = {"{gps_adid||idfa}" if n == "gps_adid" else n: v for n, v in ADJUST.items()}
    assert read(Vendor.ADJUST, first_of_two).ids == {"gaid": GAID}


def test_adjust_milliseconds_and_seconds_are_one_moment() -> None:
    fine = ADJUST | {"created_at_milli": str(NOON + 123)}
    assert read(Vendor.ADJUST, fine).id == read(Vendor.ADJUST, ADJUST).id


def test_the_vendors_own_id_names_the_device_first() -> None:
    """A callback may carry more identifiers than a file."""
    fewer = {name: value for name, value in ADJUST.items() if name != "gps_adid"}
    assert read(Vendor.ADJUST, fewer).id == read(Vendor.ADJUST, ADJUST).id


def test_adjust_event() -> None:
    row = ADJUST | {
        "activity_kind": "event",
        "event": "e1e2e3",
        "event_name": "Purchase",
        "revenue_float": "12.5",
        "currency": "usd",
        "order_id": "o-1",
    }
    found = read(Vendor.ADJUST, row)
    assert (found.kind, found.name, found.transaction_id) == (ForeignKind.EVENT, "Purchase", "o-1")
    assert found.revenue == Money(amount_minor=1250, currency="USD")
    mapped = read(Vendor.ADJUST, row, maps={"event:e1e2e3": "purchase"})
    assert mapped.name == "purchase"
    token = read(Vendor.ADJUST, {n: v for n, v in row.items() if n != "event_name"})
    assert token.name == "e1e2e3"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("rejected install", ForeignKind.REJECTED),
        ("reattribution", ForeignKind.REATTRIBUTION),
        ("reattribution reinstall", ForeignKind.REATTRIBUTION),
        ("updated attribution", ForeignKind.UPDATE),
        ("session", ForeignKind.SESSION),
        ("uninstall", ForeignKind.UNINSTALL),
    ],
)
def test_adjust_kinds(said: str, kind: ForeignKind) -> None:
    assert read(Vendor.ADJUST, ADJUST | {"activity_kind": said}).kind is kind


def test_an_install_and_its_rejection_are_two() -> None:
    row = ADJUST | {"activity_kind": "rejected_install", "rejection_reason": "anonymous_ip"}
    found = read(Vendor.ADJUST, row)
    assert found.id != read(Vendor.ADJUST, ADJUST).id
    assert found.rejected_because == "anonymous_ip"


def test_adjusts_clicks_are_no_conversions() -> None:
    found = refused(Vendor.ADJUST, ADJUST | {"activity_kind": "click"})
    assert found.reason is RefusalReason.UNKNOWN_RECORD_TYPE


def test_adjust_organic() -> None:
    row = ADJUST | {"is_organic": "1", "tracker_name": "Organic"}
    assert read(Vendor.ADJUST, row).source is ForeignSource.ORGANIC


# --- AppsFlyer

APPSFLYER = {
    "Attributed Touch Type": "click",
    "Attributed Touch Time": "2026-03-01 11:00:00",
    "Install Time": "2026-03-01 12:00:00",
    "Event Time": "2026-03-01 12:00:00",
    "Event Name": "install",
    "Media Source": "acme_int",
    "Campaign": "Spring",
    "Campaign ID": "c1",
    "Adset": "set",
    "Ad": "ad",
    "Site ID": "s1",
    "Country Code": "DE",
    "AppsFlyer ID": "1772366400000-1234567",
    "Advertising ID": GAID,
    "IDFA": "00000000-0000-0000-0000-000000000000",
    "Customer User ID": "N/A",
    "Is Primary Attribution": "true",
    "Sub Param 1": "x",
    "Original URL": "https://app.appsflyer.com/com.game?pid=acme_int&clickid=c-1&af_sub1=x",
}
PUSH = {
    "event_type": "install",
    "event_name": "install",
    "event_time": "2026-03-01 12:00:00.898",
    "appsflyer_id": "1772366400000-1234567",
    "advertising_id": GAID,
    "media_source": "acme_int",
    "campaign": "Spring",
    "match_type": "srn",
    "event_value": "{}",
}


def test_the_81_columns() -> None:
    assert len(APPSFLYER_TITLES) == 81
    assert set(APPSFLYER) <= set(APPSFLYER_TITLES)
    found = read(Vendor.APPSFLYER, dict.fromkeys(APPSFLYER_TITLES, "") | APPSFLYER)
    assert found.kind is ForeignKind.INSTALL
    assert found.name is None
    assert (found.network, found.campaign, found.campaign_id) == ("acme_int", "Spring", "c1")
    assert (found.adgroup, found.creative, found.site_id) == ("set", "ad", "s1")
    assert found.ids == {"gaid": GAID}
    assert found.user_id is None
    assert found.partner_click_id == "c-1"
    assert found.touch_at_ms == NOON - 3_600_000
    assert found.extra["af_sub1"] == '"x"'


def test_push_and_pull_are_one() -> None:
    assert read(Vendor.APPSFLYER, PUSH).id == read(Vendor.APPSFLYER, APPSFLYER).id


@pytest.mark.parametrize(
    ("said", "method"),
    [
        ("srn", MatchMethod.CLAIM),
        ("SRN", MatchMethod.CLAIM),
        ("fp", MatchMethod.PROBABILISTIC),
        ("id_matching", MatchMethod.DEVICE_ID),
        ("referrer", MatchMethod.REFERRER),
        ("new", None),
    ],
)
def test_appsflyer_methods(said: str, method: MatchMethod | None) -> None:
    assert read(Vendor.APPSFLYER, PUSH | {"match_type": said}).method is method


def test_restricted_is_never_organic() -> None:
    row = {**APPSFLYER, "Media Source": "restricted", "Original URL": "", "Campaign": ""}
    assert read(Vendor.APPSFLYER, row).source is ForeignSource.RESTRICTED
    push = PUSH | {"media_source": "restricted", "event_type": "organic-install"}
    assert read(Vendor.APPSFLYER, push).source is ForeignSource.RESTRICTED


def test_appsflyer_organic() -> None:
    organic = PUSH | {"media_source": "organic", "event_type": "organic-install"}
    assert read(Vendor.APPSFLYER, organic).source is ForeignSource.ORGANIC
    del organic["media_source"]
    assert read(Vendor.APPSFLYER, organic).source is ForeignSource.ORGANIC
    silent = {name: value for name, value in PUSH.items() if name != "media_source"}
    assert read(Vendor.APPSFLYER, silent).source is ForeignSource.UNKNOWN


def test_appsflyer_event_with_its_order() -> None:
    row = PUSH | {
        "event_type": "install-in-app-event",
        "event_name": "af_purchase",
        "event_value": json.dumps({"af_order_id": "o-1", "af_quantity": 2}),
        "event_revenue": "12.5",
        "event_revenue_currency": "EUR",
        "event_revenue_usd": "13.9",
    }
    found = read(Vendor.APPSFLYER, row)
    assert found.kind is ForeignKind.EVENT
    assert found.transaction_id == "o-1"
    assert found.revenue == Money(amount_minor=1250, currency="EUR")
    only_usd = {n: v for n, v in row.items() if n != "event_revenue_currency"}
    assert read(Vendor.APPSFLYER, only_usd).revenue == Money(amount_minor=1390, currency="USD")


def test_double_attribution_is_two_rows_and_one_primary() -> None:
    second = APPSFLYER | {"Is Primary Attribution": "false"}
    found = read(Vendor.APPSFLYER, second)
    assert not found.is_primary
    assert found.id != read(Vendor.APPSFLYER, APPSFLYER).id


def test_appsflyer_rejected_postback() -> None:
    row = {
        "clickid": "c-1",
        "install_time": "2026-03-01 12:00:00",
        "reject_reason": "site_blacklist",
        "is_rejected": "1",
        "appsflyer_id": "(appsflyer-device-id)",
        "advertising_id": "(advertiserId)",
    }
    found = read(Vendor.APPSFLYER, row)
    assert found.kind is ForeignKind.REJECTED
    assert found.rejected_because == "site_blacklist"
    assert found.source is ForeignSource.ATTRIBUTED
    assert found.vendor_device_id is None
    assert not found.ids


def test_a_file_of_another_time_zone() -> None:
    found = read(Vendor.APPSFLYER, APPSFLYER, zone=ZoneInfo("Europe/Berlin"))
    assert found.occurred_at_ms == NOON - 3_600_000
    offset = APPSFLYER | {"Event Time": "2026-03-01 13:00:00.000+0100"}
    assert read(Vendor.APPSFLYER, offset).occurred_at_ms == NOON


# --- the others


def test_branch_webhook_and_export() -> None:
    said = {
        "name": "INSTALL",
        "timestamp": NOON,
        "attributed": True,
        "user_data": {"aaid": GAID, "developer_identity": "u-1", "os": "ANDROID", "geo_country_code": "DE"},
        "last_attributed_touch_type": "CTA_CLICK",
        "last_attributed_touch_timestamp": NOON - 5000,
        "last_attributed_touch_data": {
            "~campaign": "Spring",
            "~advertising_partner_name": "Acme",
            "~secondary_publisher": "s1",
            "clickid": "c-1",
            "$3p": "a_acme",
        },
    }  # fmt: skip
    found = read(Vendor.BRANCH, flat(said))
    assert (found.kind, found.network, found.campaign) == (ForeignKind.INSTALL, "Acme", "Spring")
    assert (found.site_id, found.partner_click_id) == ("s1", "c-1")
    assert found.touch_kind is TouchKind.CLICK
    assert found.user_id == "u-1"
    export = {
        "name": "INSTALL",
        "timestamp": str(NOON),
        "user_data_aaid": GAID,
        "user_data_developer_identity": "u-1",
        "last_attributed_touch_data_tilde_campaign": "Spring",
        "last_attributed_touch_data_tilde_advertising_partner_name": "Acme",
    }
    assert read(Vendor.BRANCH, export).id == found.id
    assert read(Vendor.BRANCH, flat(said | {"attributed": False})).source is ForeignSource.ORGANIC


def test_branch_purchase() -> None:
    row = {
        "name": "PURCHASE",
        "event_timestamp": str(NOON),
        "user_data.idfa": GAID.upper(),
        "event_data.revenue": "9.99",
        "event_data.currency": "USD",
        "event_data.transaction_id": "o-1",
        "last_attributed_touch_data.~campaign": "${(last_attributed_touch_data.~campaign)!}",
    }
    found = read(Vendor.BRANCH, row)
    assert (found.kind, found.name, found.campaign) == (ForeignKind.EVENT, "PURCHASE", None)
    assert found.revenue == Money(amount_minor=999, currency="USD")
    assert refused(Vendor.BRANCH, row | {"name": "CLICK"}).reason is (
        RefusalReason.UNKNOWN_RECORD_TYPE
    )


def test_kochava_postback() -> None:
    row = {
        "event_name": "_install",
        "date": str(NOON // 1000),
        "kochava_device_id": "KA1",
        "adid": GAID,
        "network_name": "Acme Ads",
        "click_id": "c-1",
        "device_id": "device_id",
    }
    found = read(Vendor.KOCHAVA, row)
    assert (found.kind, found.network, found.source) == (
        ForeignKind.INSTALL,
        "Acme Ads",
        ForeignSource.ATTRIBUTED,
    )
    assert "device_id" not in found.extra
    event = row | {"event_name": "Purchase", "event_value": "5", "currency": "EUR"}
    assert read(Vendor.KOCHAVA, event).revenue == Money(amount_minor=500, currency="EUR")
    assert read(Vendor.KOCHAVA, row | {"network_name": "organic"}).source is ForeignSource.ORGANIC


def test_singular_postback_and_export() -> None:
    postback = {"utc": str(NOON // 1000), "aifa": GAID, "partner": "Acme", "{cl?Network}": "c-1", "sub1": "{sub1}"}  # fmt: skip
    found = read(Vendor.SINGULAR, postback)
    assert (found.kind, found.partner_click_id) == (ForeignKind.INSTALL, "c-1")
    assert "sub1" not in found.extra
    export = {
        "event_timestamp_unix_utc": str(NOON // 1000),
        "device_id": GAID,
        "device_id_type": "AIFA",
        "is_view_through": "true",
        "touchpoint_timestamp": "2026-03-01 11:00:00",
        "partner": "Acme",
        "is_fingerprinted": "false",
        "custom_user_ids": '["u-1","u-2"]',
    }
    export_found = read(Vendor.SINGULAR, export)
    assert export_found.id == found.id
    assert export_found.touch_kind is TouchKind.IMPRESSION
    assert export_found.user_id == "u-1"
    again = read(Vendor.SINGULAR, export | {"is_reengagement": "true"})
    assert again.kind is ForeignKind.REENGAGEMENT
    bad = read(Vendor.SINGULAR, export | {"fraud_status": "rejected", "fraud_reason": "ips"})
    assert (bad.kind, bad.rejected_because) == (ForeignKind.REJECTED, "ips")
    fishy = read(Vendor.SINGULAR, export | {"fraud_status": "suspicious", "fraud_reason": "ips"})
    assert (fishy.kind, fishy.rejected_because) == (ForeignKind.INSTALL, None)
    guess = read(Vendor.SINGULAR, export | {"is_fingerprinted": "true"})
    assert guess.method is MatchMethod.PROBABILISTIC


def test_tenjin_row() -> None:
    row = {
        "event": "purchase",
        "created_at": "2026-03-01 12:00:00 UTC",
        "advertising_id": GAID.replace("1", "A").upper(),
        "revenue": "1.5",
        "currency": "EUR",
        "ad_network": "Acme",
        "remote_click_id": "c-1",
        "site_id": "def",
    }
    found = read(Vendor.TENJIN, row)
    assert found.kind is ForeignKind.EVENT
    assert set(found.ids) == {"idfa"}
    assert (found.site_id, found.occurred_at_ms) == (None, NOON)
    assert read(Vendor.TENJIN, row | {"platform": "android"}).ids.keys() == {"gaid"}


def test_segment_install_attributed() -> None:
    said = {
        "type": "track",
        "event": "Install Attributed",
        "userId": "u-1",
        "timestamp": "2026-03-01T12:00:00.000Z",
        "context": {"device": {"id": "d-1", "advertisingId": GAID, "type": "android"}},
        "properties": {"provider": "Kochava", "campaign": {"source": "Acme Ads", "name": "Spring", "ad_group": "g"}},
    }  # fmt: skip
    found = read(Vendor.SEGMENT, flat(said))
    assert (found.network, found.campaign, found.adgroup) == ("Acme Ads", "Spring", "g")
    assert (found.method_said, found.ids) == ("Kochava", {"gaid": GAID})
    other = read(Vendor.SEGMENT, flat(said | {"properties": {"provider": "Adjust"}}))
    assert other.id != found.id
    assert refused(Vendor.SEGMENT, flat(said | {"event": "Order Completed"}))


def test_impact_action_and_its_reversal() -> None:
    row = {
        "ActionId": "1000.1",
        "ActionTrackerName": "purchase",
        "Status": "PENDING",
        "EventDate": "2026-03-01T12:00:00Z",
        "Amount": "12.50",
        "Currency": "EUR",
        "ClickId": "AbC",
        "Oid": "o-1",
        "MediaPartnerName": "Acme Ads",
        "StatusDetail": "{StatusDetail}",
    }
    found = read(Vendor.IMPACT, row)
    assert (found.kind, found.name, found.transaction_id) == (ForeignKind.EVENT, "purchase", "o-1")
    assert found.partner_click_id == "AbC"
    undone = read(Vendor.IMPACT, row | {"Status": "REVERSED", "StatusDetail": "ITEM_RETURNED"})
    assert (undone.kind, undone.rejected_because) == (ForeignKind.REJECTED, "ITEM_RETURNED")
    assert undone.id != found.id
    assert refused(Vendor.IMPACT, {"EventDate": "2026-03-01"})


# --- what holds for all


def test_maps_name_partners() -> None:
    found = read(Vendor.ADJUST, ADJUST, maps={"network:acme ads": "acme"})
    assert found.mapped_partner == "acme"
    wrong = refused(Vendor.ADJUST, ADJUST, maps={"network:acme ads": "nobody"})
    assert wrong.reason is RefusalReason.UNKNOWN_PARTNER


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"created_at": "soon"}, RefusalReason.BAD_TIME),
        ({"created_at": "12"}, RefusalReason.BAD_TIME),
        ({"created_at": str(NOW // 1000 + 90_000)}, RefusalReason.IN_THE_FUTURE),
        ({"created_at": ""}, RefusalReason.MISSING_FIELD),
        ({"adid": "", "gps_adid": "0000", "click_id": ""}, RefusalReason.MISSING_FIELD),
        ({"activity_kind": ""}, RefusalReason.MISSING_FIELD),
        ({"revenue_float": "much", "currency": "EUR"}, RefusalReason.BAD_AMOUNT),
        ({"revenue_float": "1", "currency": "XXX"}, RefusalReason.UNKNOWN_CURRENCY),
        ({"campaign_name": "x" * 5000}, RefusalReason.TOO_LARGE),
        ({f"n{n}": "x" for n in range(2000)}, RefusalReason.TOO_LARGE),
    ],
)
def test_rows_that_cannot_be_understood(changed: dict[str, str], reason: RefusalReason) -> None:
    assert refused(Vendor.ADJUST, ADJUST | changed).reason is reason


def test_a_line_that_is_no_row() -> None:
    assert refused(Vendor.ADJUST, {UNREADABLE: "x"}).reason is RefusalReason.MALFORMED


@pytest.mark.parametrize(
    "said",
    ["", "{gps_adid}", "{idfa||gps_adid}", "${(user_data.os)!}", "(clickid)", "[user_id]", "{cl?Network}", "{{app_id}}", "def", "N/A", "null", "$$sdk(x)"],
)  # fmt: skip
def test_nothing_said(said: str) -> None:
    assert says_nothing(said)


@pytest.mark.parametrize("said", ["NA", "0", "Spring {2026} sale", "None", "[US] Spring", "a"])
def test_something_said(said: str) -> None:
    assert not says_nothing(said)


@pytest.mark.parametrize(
    "said",
    ["1772366400", "1772366400000", "1772366400000000", "2026-03-01T12:00:00Z", "2026-03-01 12:00:00", "2026-03-01 13:00:00 +0100", "2026-03-01 12:00:00.000 UTC"],
)  # fmt: skip
def test_moments(said: str) -> None:
    assert moment(said, "at") == NOON


def test_the_receipt_changes_no_id() -> None:
    later = read(Vendor.ADJUST, ADJUST, received_at_ms=NOW + 86_400_000)
    assert later.id == read(Vendor.ADJUST, ADJUST).id


@pytest.mark.parametrize("vendor", Vendor)
def test_every_vendor_has_a_reader_and_a_table(vendor: Vendor) -> None:
    reader = READERS[vendor]
    assert reader.vendor is vendor
    assert len(reader.fields) > 15
    assert all(name == reader.name_of(name) for name in reader.fields)


TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["1", "0", "true", "1772366400", "2026-03-01 12:00:00", "EUR", "1e400", "NaN", "-Infinity", "9" * 400, "{", '{"a":[1', "install", "event", "{x}", "\x00", "\ud800"]),
)  # fmt: skip


@given(st.data())
def test_no_row_is_a_fault(data: st.DataObject) -> None:
    """Whatever a vendor or a broken file says is a conversion that can be journaled, or a refusal with its reason."""
    vendor = data.draw(st.sampled_from(list(Vendor)))
    names = st.one_of(
        st.sampled_from(sorted(READERS[vendor].fields)),
        st.sampled_from(["activity_kind", "event_type", "name", "event", "status", "event_value", "original_url", "device_id", "device_id_type"]),
        st.text(max_size=8),
    )  # fmt: skip
    row = data.draw(st.dictionaries(names, TEXTS, max_size=12))
    found = read_row(vendor, row, hearing())
    if isinstance(found, ForeignConversion):
        assert read_row(vendor, row, hearing()).id == found.id
        encode(found)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
        max_leaves=30,
    )
)  # fmt: skip
def test_any_json_is_a_row(said: Any) -> None:
    row = flat({"a": said})
    assert all(isinstance(value, str) for value in row.values())
