"""impact.com: actions, and what changes them. Pure.

Source: impact.com's help pages on event notifications and the life of an action. Each update of an action is a conversion of
its own; a reversal is a rejected one.
"""

from __future__ import annotations

from typing import Final

from attribune.collect.refuse import Refused
from attribune.collect.vendors.hearing import Decided, Hearing, Reader, heard, money
from attribune.collect.vendors.rows import Row
from attribune.model.activity import ForeignConversion, ForeignKind, ForeignSource, Vendor
from attribune.model.refusal import RefusalReason

#: impact.com's fields → ours.
FIELDS: Final = {
    "customerprofileid": "vendor_device_id",
    "customprofileid": "vendor_device_id",
    "googaid": "ids.gaid",
    "appleifa": "ids.idfa",
    "appleifv": "ids.idfv",
    "androidid": "ids.android_id",
    "customerid": "user_id",
    "eventdate": "at",
    "creationdate": "at",
    "referringdate": "touch_at",
    "eventcode": "name",
    "eventtypecode": "name",
    "eventtypename": "name",
    "actiontrackername": "name",
    "actiontrackerid": "name",
    "eventtypeid": "name",
    "amount": "amount",
    "currency": "currency",
    "oid": "transaction_id",
    "orderid": "transaction_id",
    "mediapartnername": "network",
    "mediapartnerid": "network",
    "campaignname": "campaign",
    "campaignid": "campaign_id",
    "adid": "creative_id",
    "subid1": "site_id",
    "subid2": "sub_site_id",
    "clickid": "partner_click_id",
    "referringtype": "method",
    "statusdetail": "rejected_because",
    "dispositioncode": "rejected_because",
    "customercountry": "country",
}
_REVERSED: Final = "reversed"
_INSTALL: Final = "install"


def read(row: Row, hearing: Hearing) -> ForeignConversion:
    """One action as it stands. Raises Refused."""
    words = row.mapped(FIELDS)
    action = row.text("actionid", "id")
    if action is None and "transaction_id" not in words:
        message = "an action needs ActionId or Oid"
        raise Refused(RefusalReason.MISSING_FIELD, message, "ActionId")
    words.setdefault("transaction_id", action or "")
    status = (row.text("status", "state") or "").lower()
    if status == _REVERSED:
        kind = ForeignKind.REJECTED
    else:
        words.pop("rejected_because", None)
        name = words.get("name", "").lower()
        kind = ForeignKind.INSTALL if name == _INSTALL else ForeignKind.EVENT
    decided = Decided(
        kind=kind,
        source=ForeignSource.ATTRIBUTED,  # impact.com knows no action without a partner
        distinct=(status, words.get("amount", "")),
    )
    return heard(
        row, hearing, Vendor.IMPACT, words, decided, money(words, hearing, "amount", "currency")
    )


def name_of(column: str) -> str:
    """The name in lower case, without braces and spaces."""
    return column.strip().strip('"{}').replace(" ", "").replace("_", "").lower()


READER: Final = Reader(Vendor.IMPACT, read, FIELDS, name_of)
