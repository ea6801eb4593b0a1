"""Doors of other measurement partners on a real socket: keys, signatures, what is kept and what is answered."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256

import pytest
from front import Front, front

from attribune.engines.memory import MemoryVault
from attribune.model.activity import Vendor
from attribune.model.control import Door
from attribune.model.ids import AppId, DoorId
from attribune.model.position import Topic
from attribune.report.door_log import heard

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

HASH = sha256(b"wk_vendor").hexdigest()


def door(id_: str, dialect: str, **more) -> Door:
    return Door(id=DoorId(id_), app=AppId("game-android"), dialect=dialect, sha256=HASH, **more)


DOORS = (
    door("adj", "adjust-callback", maps={"network:ACME": "acme"}),
    door("af", "appsflyer-push"),
    door("koch", "kochava-postback"),
    door("far", "branch-webhook", allowed_networks=("192.0.2.0/24",)),
    door("signed", "singular-postback", sealed_secret=MemoryVault().seal("s3cret")),
)
INSTALL = (
    "activity_kind=install&created_at=1772366400&adid=ad-1&network_name=Acme&gps_adid={gps_adid}"
)


@pytest.fixture(scope="module")
def doors():
    with front(*DOORS) as running:
        yield running


def test_a_callback_is_kept_with_its_source(doors: Front):
    before = doors.end()
    answer = doors.ask("GET", f"/in/adjust-callback/adj?key=wk_vendor&{INSTALL}")
    assert (answer.status, answer.json) == (200, {"message": "success", "accepted": 1, "refused": 0})  # fmt: skip
    (record,) = doors.since(Topic.ACTIVITY, before)
    assert (record.vendor, record.dialect, record.mapped_partner) == (Vendor.ADJUST, "adjust-callback", "acme")  # fmt: skip
    assert record.ids == {}
    assert "key" not in record.extra


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/in/adjust-callback/adj/wk_vendor", {}),
        ("/in/adjust-callback/adj", {"X-Attribune-Key": "wk_vendor"}),
        ("/in/adjust-callback/adj", {"Authorization": "Bearer wk_vendor"}),
    ],
)
def test_where_a_key_may_stand(doors: Front, path: str, headers: dict[str, str]):
    assert doors.ask("GET", f"{path}?{INSTALL}", None, headers).status == 200


@pytest.mark.parametrize("place", ["?key=wk_wrong&", "/wk_wrong?", "?"])
def test_a_wrong_key_is_refused_and_not_kept(doors: Front, place: str):
    before = doors.end()
    assert doors.ask("GET", f"/in/adjust-callback/adj{place}{INSTALL}").status == 401
    (refusal,) = doors.since(Topic.REFUSED, before)
    assert refusal.reason == "unknown_key"
    assert "wk_wrong" not in refusal.query + refusal.path


def test_a_row_that_cannot_be_understood_is_kept_and_answered_200(doors: Front):
    before = doors.end()
    answer = doors.ask("GET", "/in/adjust-callback/adj?key=wk_vendor&activity_kind=click&x=1")
    assert (answer.status, answer.json["refused"]) == (200, 1)
    (refusal,) = doors.since(Topic.REFUSED, before)
    assert refusal.reason == "unknown_record_type"
    assert json.loads(refusal.body) == {"activity_kind": "click", "x": "1"}
    assert "wk_vendor" not in refusal.query


def test_json_one_or_many_and_forms(doors: Front):
    row = {"event_type": "install", "event_name": "install", "event_time": "2026-03-01 12:00:00.000", "appsflyer_id": "1-1", "media_source": "x"}  # fmt: skip
    before = doors.end()
    url = "/in/appsflyer-push/af?key=wk_vendor"
    assert doors.ask("POST", url, json.dumps(row).encode()).json["accepted"] == 1
    both = json.dumps([row, row | {"appsflyer_id": "1-2"}]).encode()
    assert doors.ask("POST", url, both).json["accepted"] == 2
    form = b"event_name=_install&date=1772366400&kochava_device_id=k1&network_name=Acme"
    assert doors.ask("POST", "/in/kochava-postback/koch?key=wk_vendor", form).json["accepted"] == 1
    ids = [record.id for record in doors.since(Topic.ACTIVITY, before)]
    assert len(ids) == 4
    assert ids[0] == ids[1]


@pytest.mark.parametrize("body", [b"{", b"[1]", b"[[]]", b"{\x80}", b'"x"'[:1] + b"{"])
def test_bodies_that_are_none(doors: Front, body: bytes):
    answer = doors.ask("POST", "/in/appsflyer-push/af?key=wk_vendor", body)
    assert answer.status in {200, 400}
    assert answer.status == 400 or answer.json["accepted"] == 0


def test_only_from_the_vendors_addresses(doors: Front):
    answer = doors.ask("GET", "/in/branch-webhook/far?key=wk_vendor&name=INSTALL")
    assert (answer.status, answer.json["error"]["code"]) == (403, "forbidden_for_key")


def test_a_signature_where_there_is_a_secret(doors: Front):
    query = "key=wk_vendor&utc=1772366400&aifa=a1&partner=Acme"
    url = f"/in/singular-postback/signed?{query}"
    right = hmac.new(b"s3cret", query.encode(), sha256).hexdigest()
    assert doors.ask("GET", url).status == 401
    assert doors.ask("GET", url, None, {"X-Attribune-Signature": "0" * 64}).status == 401
    assert doors.ask("GET", url, None, {"X-Attribune-Signature": f"sha256={right}"}).status == 200
    assert doors.ask("GET", f"{url}&more=1", None, {"X-Attribune-Signature": right}).status == 401


def test_what_nobody_signed_stands_in_no_row(doors: Front):
    body = json.dumps({"utc": "1772366400", "evtname": "buy", "aifa": "38400000-8cf0-41bd-b23e-10b96e4ef00d"}).encode()  # fmt: skip
    signature = hmac.new(b"s3cret", body, sha256).hexdigest()
    url = "/in/singular-postback/signed?key=wk_vendor&amount=999&currency=EUR&partner=acme"
    before = doors.end()
    answer = doors.ask("POST", url, body, {"X-Attribune-Signature": signature})
    assert answer.json["accepted"] == 1
    (record,) = doors.since(Topic.ACTIVITY, before)
    assert (record.name, record.revenue, record.network) == ("buy", None, None)
    unsigned = doors.ask("POST", "/in/appsflyer-push/af?key=wk_vendor&media_source=x", json.dumps({"event_name": "install", "event_time": "2026-03-01 12:00:00.000", "appsflyer_id": "1-9"}).encode())  # fmt: skip
    assert unsigned.json["accepted"] == 1
    assert doors.since(Topic.ACTIVITY, before)[-1].network == "x"


def test_the_log_says_what_a_vendor_told(doors: Front):
    doors.ask("GET", f"/in/adjust-callback/adj?key=wk_vendor&{INSTALL}")
    doors.ask("GET", "/in/adjust-callback/adj?key=wk_vendor&activity_kind=event&event_name=buy&created_at=1772366401&adid=ad-1")  # fmt: skip
    newest, before = heard(
        doors.journal, doors.role._registry, doors.role._registry.door(DoorId("adj")), 2
    )
    assert [(row.type, row.name) for row in (newest, before)] == [("foreign", "event buy"), ("foreign", "install")]  # fmt: skip
