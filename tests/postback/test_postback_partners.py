"""The partners that are shipped: each says what its own cases say, and what its source asks for."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from attribune.model.delivery import Trigger
from attribune.model.errors import Invalid, NotFound
from attribune.postback import folders
from attribune.postback.folders import Case, PartnerFolder
from attribune.postback.render import Prepared, Request, Skipped

FOLDERS = {name: folders.find(name) for name in folders.names()}
CASES = [(folder, case) for folder in FOLDERS.values() for case in folder.cases]

#: What impact's Conversions API requires, its keys of events and of attribution, and how long they may be.
IMPACT_REQUIRED = {"CampaignId", "EventDate", "OrderId"}
IMPACT_EVENT_KEYS = {"ActionTrackerId", "EventTypeId", "EventTypeCode"}
IMPACT_ATTRIBUTION_KEYS = {
    *("ClickId", "CustomerId", "CustomProfileId", "CustomClickId", "PromoCode", "MediaId"),
    *("MediaPartnerId", "UniqueUrl", "CallerId", "GoogAId", "AndroidId", "AppleIfa", "AppleIfv"),
}
IMPACT_KNOWN = {
    *IMPACT_REQUIRED,
    *IMPACT_EVENT_KEYS,
    *IMPACT_ATTRIBUTION_KEYS,
    *("CurrencyCode", "PropertyId", "AppPackage", "AppInstallRef", "AppVer", "DeviceMfr"),
    *("DeviceModel", "IpAddress", "TrackingConsent", "Amount"),
}
IMPACT_LENGTHS = {"ClickId": 64, "OrderId": 64, "CustomerId": 255}
IMPACT_DISPOSITIONS = {
    *("REJECTED", "CONS_INFO_INVALID", "CONS_ERROR", "CONS_FRAUD", "ITEM_RETURNED"),
    *("ITEM_OUT_OF_STOCK", "ORDER_ERROR", "PUB_ACT_DISPUTE", "NOT_COMPLIANCE_TERMS"),
    *("MP_RETURNED", "OTHER", "CREDITED_DIFFERENT_MP", "ADV_ACT_DISPUTE", "TEST_ACTION"),
}


def test_these_are_shipped() -> None:
    assert set(FOLDERS) == {
        *("affise", "callback", "everflow", "generic-get", "generic-json"),
        *("impact", "track360", "tune", "webhook"),
    }


@pytest.mark.parametrize(("folder", "case"), CASES, ids=lambda one: one.name)
def test_each_case_comes_out_as_it_says(folder: PartnerFolder, case: Case) -> None:
    assert folders.fails(folder, case) is None


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=lambda one: one.name)
def test_a_partner_has_cases_for_what_it_is_told_of_and_words_for_people(folder) -> None:
    words = (folder.path / "README.md").read_text()
    assert words.startswith(f"# {folder.data.title}\n")
    for name in folder.data.settings:
        assert f"`{name}`" in words
    told = {case.trigger for case in folder.cases if case.sends}
    for request in folder.data.requests:
        assert told & set(request.triggers), f"no case shows {request.triggers}"


def impact(**values: object) -> dict[str, list[str]]:
    settings = {"account_sid": "s", "auth_token": "t", "campaign_id": "1", "app_id": "2"}
    given = {"at": 0, "conversion_id": "k", "record_id": "r", "event": "e", **values}
    trigger = Trigger.EVENT if "revenue" in values else Trigger.INSTALL
    found = Prepared(FOLDERS["impact"].data, settings).request(trigger, given)
    assert isinstance(found, Request), found
    return parse_qs(found.body.decode())


@pytest.mark.parametrize(
    "values",
    [
        {"partner_click_id": "c"},
        {"gaid": "g"},
        {"user_id": "u", "revenue": "1.00", "currency": "EUR"},
        {"idfa": "i", "idfv": "v", "android_id": "a", "ip": "192.0.2.1", "app_version": "1"},
    ],
)
def test_impact_is_sent_what_its_api_asks_for_and_nothing_that_it_does_not_know(values) -> None:
    sent = impact(**values)
    assert sent.keys() >= IMPACT_REQUIRED
    assert len(sent.keys() & IMPACT_EVENT_KEYS) == 1
    assert sent.keys() & IMPACT_ATTRIBUTION_KEYS
    assert sent.keys() <= IMPACT_KNOWN
    assert ("Amount" in sent) == ("CurrencyCode" in sent)
    assert all(len(value) <= IMPACT_LENGTHS.get(name, 255) for name, (value,) in sent.items())
    for name, (value,) in sent.items():
        assert re.fullmatch(IMPACT_TYPES.get(name, ".+"), value), name


#: Of what impact's Conversions API types or limits, what each is.
IMPACT_TYPES = {
    "CampaignId": r"\d+",
    "ActionTrackerId": r"\d+",
    "EventTypeId": r"\d+",
    "EventDate": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "Amount": r"\d+(\.\d+)?",
    "CurrencyCode": r"[A-Z]{3}",
}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("campaign_id", "abc", "campaign_id is a whole number, not 'abc'"),
        ("app_id", "1.5", "app_id is a whole number"),
        ("disposition", "FOO", "disposition is one of REJECTED, "),
        ("disposition", "ORDER_UPDATE", "disposition is one of REJECTED, "),
        ("modification", "because of it", "modification is a reason code such as ORDER_UPDATE"),
    ],
)
def test_impacts_settings_are_what_its_api_takes(name: str, value: str, says: str) -> None:
    data = FOLDERS["impact"].data
    settings = {"account_sid": "IR1", "auth_token": "t", "campaign_id": "1", "app_id": "2"}
    with pytest.raises(Invalid, match=re.escape(says)) as wrong:
        Prepared(data, {**settings, name: value})
    assert wrong.value.param == name
    assert set(data.settings["disposition"].one_of) == IMPACT_DISPOSITIONS
    for code in IMPACT_MODIFICATION["Reason"].split("|"):
        Prepared(data, {**settings, "modification": code})


def test_impact_learns_no_name_of_a_person() -> None:
    (customer,) = impact(user_id="anna@example.org")["CustomerId"]
    assert "anna" not in customer


#: What impact's Actions API takes to lower an amount and to reverse, and what each of them is.
IMPACT_MODIFICATION = {
    "ActionTrackerId": r"\d+",
    "OrderId": r".{1,64}",
    "Reason": "|".join(
        (
            *("ORDER_UPDATE", "ITEM_RETURNED", "CONS_FRAUD", "CONS_ERROR", "ORDER_ERROR"),
            *("PUB_ACT_DISPUTE", "ADV_ACT_DISPUTE", "NOT_COMPLIANCE_TERMS", "ITEM_OUT_OF_STOCK"),
            *("TEST_ACTION", "PARTNER_NOT_ACTIVE", "CREDITED_DIFFERENT_MP", "OTHER"),
        )
    ),
    "Amount": r"\d+(\.\d+)?",
}
IMPACT_REVERSAL = {
    "ActionTrackerId": r"\d+",
    "OrderId": r".{1,64}",
    "DispositionCode": "|".join(IMPACT_DISPOSITIONS),
}


@pytest.mark.parametrize(
    ("trigger", "method", "types"),
    [
        (Trigger.PARTIAL_REVERSAL, "PUT", IMPACT_MODIFICATION),
        (Trigger.REVERSAL, "DELETE", IMPACT_REVERSAL),
    ],
)
@pytest.mark.parametrize(
    "values", [{"transaction_id": "o1"}, {"record_id": "r1"}, {"transaction_id": "o" * 64}]
)
def test_impacts_actions_are_changed_by_what_its_api_asks_for(
    trigger, method, types, values
) -> None:
    settings = {"account_sid": "s", "auth_token": "t", "campaign_id": "1", "app_id": "2"}
    prepared = Prepared(FOLDERS["impact"].data, settings)
    given = {"event": "purchase", "revenue_undone": "2.50", "revenue_left": "10.00", **values}
    found = prepared.request(trigger, given)
    assert isinstance(found, Request), found
    assert (found.method, urlsplit(found.url).path) == (method, "/Advertisers/s/Actions")
    assert found.headers["content-type"] == "application/x-www-form-urlencoded"
    assert not urlsplit(found.url).query
    sent = {name: value for name, (value,) in parse_qs(found.body.decode()).items()}
    assert sent.keys() == types.keys()
    for name, value in sent.items():
        assert re.fullmatch(types[name], value), name
    too_long = prepared.request(trigger, given | {"transaction_id": "o" * 65})
    assert isinstance(too_long, Skipped)
    assert "the partner takes 64" in too_long.reason


@pytest.mark.parametrize("name", ["affise", "impact"])
@pytest.mark.parametrize(
    "values",
    [
        {"kind": "install"},
        {"kind": "event", "event": "purchase"},
        {"kind": "event", "event": "purchase", "transaction_id": "o1"},
    ],
    ids=str,
)
def test_what_is_taken_back_has_the_number_that_it_was_told_with(name, values) -> None:
    folder = FOLDERS[name]
    settings = {
        one: "1" for one, setting in folder.data.settings.items() if setting.default is None
    }
    prepared = Prepared(folder.data, settings)
    given = {"at": 0, "conversion_id": "k1", "record_id": "r1", "partner_click_id": "c", **values}
    told = prepared.request(Trigger(values["kind"]), given)
    undone = prepared.request(Trigger.REVERSAL, given)
    assert isinstance(told, Request)
    assert isinstance(undone, Request)
    number = "action_id" if name == "affise" else "OrderId"
    told_as, undone_as = (
        parse_qs(one.body.decode() or urlsplit(one.url).query)[number] for one in (told, undone)
    )
    assert told_as == undone_as


@pytest.mark.parametrize(
    ("body", "is_success"),
    [("success=true;", True), ("success=false; err_msg=Invalid Trans. ID #1;", False)],
)
def test_tunes_200_is_no_yes_by_itself(body: str, is_success: bool) -> None:
    pattern = FOLDERS["tune"].data.success.body
    assert (pattern in body) is is_success


def test_an_operators_own_folder_is_read_by_the_same_rules(tmp_path: Path) -> None:
    (tmp_path / "partner.toml").write_text(
        'title = "Mine"\nsource = "me"\n[[requests]]\ntriggers = ["install"]\n'
        'url = "https://mine.example/?c={partner_click_id}"\n'
    )
    assert folders.find(str(tmp_path)).cases == []
    (tmp_path / "cases.toml").write_text(
        '[[case]]\nname = "one"\ntrigger = "install"\nvalues = { partner_click_id = "1" }\n'
        'sends = { url = "https://mine.example/?c=2" }\n'
    )
    folder = folders.find(str(tmp_path))
    assert folders.fails(folder, folder.cases[0]) == (
        "url is 'https://mine.example/?c=1', not 'https://mine.example/?c=2'"
    )
    with pytest.raises(NotFound):
        folders.find("../partners/tune/../nothing")
    (tmp_path / "partner.toml").write_bytes(b"\xff")
    with pytest.raises(Invalid):
        folders.find(str(tmp_path))
