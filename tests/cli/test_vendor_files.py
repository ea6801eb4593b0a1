"""Each vendor's file as it comes, and as a spreadsheet leaves it."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path
from typing import NamedTuple

import pytest

from attribune.cli import conversion_files
from attribune.cli.conversion_files import Row, check_columns, opened
from attribune.collect.refuse import Refused
from attribune.collect.vendors import Hearing, read_row
from attribune.model.activity import ForeignConversion, ForeignKind, Platform, Sender, Vendor
from attribune.model.control import App, Product
from attribune.model.errors import Invalid
from attribune.model.ids import AppId, ProductId
from attribune.registry.view import Registry

GAID = "11111111-2222-4333-8444-555555555555"
ZERO = "00000000-0000-0000-0000-000000000000"
NOON_S = 1_772_366_400


class File(NamedTuple):
    """A header and a line of an install whose partner's click is ``c-1``; ``{ID}`` stands for the advertising id."""

    vendor: Vendor
    header: str
    line: str


FILES = [
    File(
        Vendor.ADJUST,
        "{activity_kind},{created_at},{adid},{gps_adid},{network_name},{click_id},[sub1]",
        f"install,{NOON_S},adid-1,{{ID}},Acmé,c-1,{{sub1}}",
    ),
    File(
        Vendor.APPSFLYER,
        "Attributed Touch Type,Install Time,Event Time,Event Name,Media Source,AppsFlyer ID,Advertising ID,IDFA,Original URL",
        "click,2026-03-01 12:00:00,2026-03-01 12:00:00,install,Acmé,1772366400000-1,{ID},(idfa),https://app.appsflyer.com/a?clickid=c-1",
    ),
    File(
        Vendor.BRANCH,
        "name,timestamp,attributed,user_data_aaid,user_data_developer_identity,last_attributed_touch_data_tilde_advertising_partner_name,last_attributed_touch_data_tilde_click_id",
        f"INSTALL,{NOON_S * 1000},true,{{ID}},u-1,Acmé,c-1",
    ),
    File(
        Vendor.KOCHAVA,
        "event_name,date,kochava_device_id,adid,network_name,click_id,device_id",
        f"_install,{NOON_S},KA1,{{ID}},Acmé,c-1,device_id",
    ),
    File(
        Vendor.SINGULAR,
        "event_timestamp_unix_utc,device_id,device_id_type,custom_user_ids,partner,click_id,sub_publisher_id",
        f"{NOON_S},{{ID}},AIFA,u-1,Acmé,c-1,{{psid}}",
    ),
    File(
        Vendor.TENJIN,
        "event,created_at,advertising_id,customer_user_id,ad_network,remote_click_id,site_id,platform",
        "install,2026-03-01 12:00:00 UTC,{ID},u-1,Acmé,c-1,def,android",
    ),
    File(
        Vendor.SEGMENT,
        "event,timestamp,anonymousId,context.device.advertisingId,context.device.type,properties.campaign.source,properties.click_id",
        "Install Attributed,2026-03-01T12:00:00Z,anon-1,{ID},android,Acmé,c-1",
    ),
    File(
        Vendor.IMPACT,
        "ActionId,ActionTrackerName,Status,EventDate,ClickId,Oid,MediaPartnerName",
        "1000.2000.3000,INSTALL,PENDING,2026-03-01T12:00:00Z,c-1,o-1,Acmé",
    ),
]
BY_VENDOR = pytest.mark.parametrize("file", FILES, ids=lambda file: file.vendor)


def rows_of(path: Path, content: bytes, vendor: Vendor) -> list[Row]:
    path.write_bytes(content)
    with opened(path) as source:
        check_columns(source.columns, vendor)
        return list(source.rows)


def told(vendor: Vendor, row: Row) -> ForeignConversion | Refused:
    product = Product(id=ProductId("game"), name="Game", currency="EUR")
    app = App(
        id=AppId("game-android"),
        product=product.id,
        name="Game",
        platform=Platform.ANDROID,
        store_id="com.example.game",
    )
    hearing = Hearing(
        app=app,
        product=product,
        directory=Registry(),
        sender=Sender.OPERATOR,
        received_at_ms=1_795_305_600_000,
        future_max_ms=300_000,
    )
    return read_row(vendor, row, hearing)


WAYS = {
    "as it comes": lambda text: text.encode(),
    "windows": lambda text: text.replace("\n", "\r\n").encode(),
    "excel's utf-8": lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "sep": lambda text: b"sep=;\r\n" + text.replace(",", ";").encode(),
    "excel's unicode text": lambda text: (
        codecs.BOM_UTF16_LE + text.replace(",", "\t").encode("utf-16-le")
    ),
    "big end first": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "packed": lambda text: gzip.compress(codecs.BOM_UTF16_LE + text.encode("utf-16-le")),
}


@BY_VENDOR
@pytest.mark.parametrize("way", WAYS)
def test_a_file_says_the_same_however_it_was_saved(tmp_path: Path, file: File, way: str) -> None:
    text = f"{file.header}\n{file.line.replace('{ID}', GAID)}\n"
    [row] = rows_of(tmp_path / "file", WAYS[way](text), file.vendor)
    found = told(file.vendor, row)
    assert isinstance(found, ForeignConversion), found
    assert (found.network, found.partner_click_id) == ("Acmé", "c-1")
    assert found.occurred_at_ms == NOON_S * 1000
    assert found.kind is ForeignKind.INSTALL
    assert list(found.ids.values()) == ([] if file.vendor is Vendor.IMPACT else [GAID])
    assert not {"[sub1]", "sub1", "idfa", "device_id", "psid"} & found.extra.keys()


@BY_VENDOR
@pytest.mark.parametrize("said", [ZERO, "", "{gps_adid}", "(advertiserId)", "N/A", "0"])
def test_an_id_that_says_nothing_is_none(tmp_path: Path, file: File, said: str) -> None:
    text = f"{file.header}\n{file.line.replace('{ID}', said)}\n"
    [row] = rows_of(tmp_path / "file", text.encode(), file.vendor)
    found = told(file.vendor, row)
    assert isinstance(found, ForeignConversion), found
    assert found.ids == {}
    assert ZERO not in str(found)


@pytest.mark.parametrize("said", ["0", ZERO, "{adid}"])
def test_devices_without_an_id_of_the_vendor_s_are_not_one_device(said: str) -> None:
    row = {"{activity_kind}": "install", "{created_at}": str(NOON_S), "{adid}": said}
    one, other = (told(Vendor.ADJUST, row | {"{click_id}": click}) for click in ("c-1", "c-2"))
    assert isinstance(one, ForeignConversion)
    assert isinstance(other, ForeignConversion)
    assert one.id != other.id
    assert one.vendor_device_id is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04rest of a workbook", "save it as CSV"),
        ("a,b\n".encode("utf-16-le"), "neither UTF-8 nor UTF-16"),
        ("{activity_kind},{network_name}\ninstall,Frühling\n".encode("cp1252"), "UTF-8"),
        (b"Attributed Touch Type,Install Time\nclick,2026\n", "is --from right"),
        (b"install,1772366400,adid-1\n", "the header"),
    ],
)
def test_what_is_no_such_file_is_said_before_a_row_is_told(tmp_path: Path, content: bytes, sentence: str) -> None:  # fmt: skip
    with pytest.raises(Invalid, match=sentence):
        rows_of(tmp_path / "file", content, Vendor.ADJUST)


def test_a_sign_that_is_cut_where_the_sniffing_ends_is_none_the_less_text(tmp_path: Path) -> None:
    head = b"{activity_kind},{network_name}\ninstall,"
    filler = b"x" * (conversion_files._SNIFFED - len(head) - 1)
    [row] = rows_of(tmp_path / "file", head + filler + "é\n".encode(), Vendor.ADJUST)
    assert row["{network_name}"].endswith("xé")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"sep=,\n", b"{activity_kind},{adid}\n"])
def test_a_file_without_rows_has_none(tmp_path: Path, content: bytes) -> None:
    assert rows_of(tmp_path / "file", content, Vendor.ADJUST) == []
