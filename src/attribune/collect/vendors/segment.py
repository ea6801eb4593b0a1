"""Segment's ``Install Attributed``: what a measurement partner decided, passed on by Segment. Pure.

Source: Segment's public spec of mobile lifecycle events, and its common fields. Rows are messages as Segment's HTTP API or a
warehouse has them; nested fields are joined by points.
"""

from __future__ import annotations

from typing import Final

from attribune.collect.vendors.hearing import (
    Decided,
    Hearing,
    Reader,
    heard,
    source_of,
    unknown_kind,
)
from attribune.collect.vendors.rows import Row, flag
from attribune.model.activity import ForeignConversion, ForeignKind, ForeignSource, Vendor

_CAMPAIGN: Final = "properties.campaign."
#: Segment's fields → ours.
FIELDS: Final = {
    "context.device.id": "vendor_device_id",
    "anonymousid": "vendor_device_id",
    "context.device.advertisingid": "advertising",
    "userid": "user_id",
    "originaltimestamp": "at",
    "timestamp": "at",
    f"{_CAMPAIGN}source": "network",
    "context.campaign.source": "network",
    f"{_CAMPAIGN}name": "campaign",
    "context.campaign.name": "campaign",
    f"{_CAMPAIGN}ad_group": "adgroup",
    f"{_CAMPAIGN}ad_creative": "creative",
    f"{_CAMPAIGN}content": "site_id",
    f"{_CAMPAIGN}click_id": "partner_click_id",
    "properties.click_id": "partner_click_id",
    "properties.attribune_click": "touch_id",
    "context.ip": "ip",
    "context.useragent": "user_agent",
    "context.app.version": "app_version",
    "context.os.version": "os_version",
}
_EVENT: Final = "install attributed"


def read(row: Row, hearing: Hearing) -> ForeignConversion:
    """One message. Raises Refused."""
    words = row.mapped(FIELDS)
    said = row.text("event")
    if said is None or said.lower() != _EVENT:
        raise unknown_kind(said, "event")
    advertising = words.pop("advertising", None)
    if advertising:
        is_ios = (row.text("context.device.type", "context.os.name") or "").lower() == "ios"
        words["ids.idfa" if is_ios else "ids.gaid"] = advertising
    # The measurement partner whose word it is: two of them may tell of one device.
    provider = row.text("properties.provider") or ""
    words["method"] = provider
    if not provider:
        del words["method"]
    is_attributed = flag(row.text("properties.attributed"))
    source = source_of(words.get("network"), is_organic=is_attributed is False)
    if source is ForeignSource.UNKNOWN and "campaign" in words:
        source = ForeignSource.ATTRIBUTED
    decided = Decided(kind=ForeignKind.INSTALL, source=source, distinct=(provider.lower(),))
    return heard(row, hearing, Vendor.SEGMENT, words, decided)


def name_of(column: str) -> str:
    """The path of a field in lower case."""
    return column.strip().strip('"').lower()


READER: Final = Reader(Vendor.SEGMENT, read, FIELDS, name_of)
