"""From a vendor's words to a foreign conversion: the part that all vendors have in common. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from typing import Any, Final, NamedTuple

from msgspec import Struct, field

from attribune.collect.absent import is_absent_id
from attribune.collect.records import read_money
from attribune.collect.refuse import Refused
from attribune.collect.vendors.rows import Row, decimal, moment
from attribune.model.activity import (
    ForeignConversion,
    ForeignKind,
    ForeignSource,
    Sender,
    Vendor,
)
from attribune.model.control import App, Product
from attribune.model.ids import PartnerId, RecordId, TouchId, UserId, derived
from attribune.model.money import Money
from attribune.model.policy import MatchMethod
from attribune.model.refusal import RefusalReason
from attribune.model.touch import TouchKind
from attribune.ports import Directory

#: The order in which ids are taken for the one that names the device in a composite id.
_NAMING_IDS: Final = ("gaid", "idfa", "idfv", "oaid", "android_id", "fire_adid", "app_set_id")
#: Fields of a row that are kept as they are said.
_TEXTS: Final = (
    "vendor_device_id",
    "transaction_id",
    "network",
    "campaign",
    "campaign_id",
    "adgroup",
    "adgroup_id",
    "creative",
    "creative_id",
    "site_id",
    "sub_site_id",
    "partner_click_id",
    "rejected_because",
    "app_version",
    "os_version",
)
_COUNTRY_CHARACTERS: Final = 2
_TOUCH_KINDS: Final = {
    "click": TouchKind.CLICK,
    "cta_click": TouchKind.CLICK,
    "impression": TouchKind.IMPRESSION,
    "view": TouchKind.IMPRESSION,
    "cta_view": TouchKind.IMPRESSION,
}


class Hearing(Struct, frozen=True, kw_only=True):
    """The circumstances under which a row was told."""

    app: App
    product: Product
    directory: Directory
    sender: Sender
    received_at_ms: int
    future_max_ms: int
    #: What the vendor's names mean here, by ``kind:name`` in lower case: ``network:acme ads`` → ``acme``.
    maps: Mapping[str, str] = field(default_factory=dict)
    #: Of times that state no offset.
    zone: tzinfo = UTC
    #: ``adjust-callback`` …, or ``import``.
    dialect: str = "import"
    ip: str | None = None
    user_agent: str | None = None

    def mapped(self, kind: str, name: str | None) -> str | None:
        """What a name of the vendor's means here, or None when nothing was said of it."""
        return self.maps.get(f"{kind}:{name.lower()}") if name else None


class Decided(NamedTuple):
    """What only the vendor's own module can tell from its words."""

    kind: ForeignKind
    source: ForeignSource
    method: MatchMethod | None = None
    #: What tells two rows apart that have everything in the composite id in common.
    distinct: tuple[str, ...] = ()
    is_primary: bool = True


#: Reads one row of a vendor. Raises Refused, and nothing else.
Read = Callable[[Row, Hearing], ForeignConversion]


class Reader(NamedTuple):
    """How one vendor is read."""

    vendor: Vendor
    read: Read
    #: The vendor's fields → ours, for people to read.
    fields: Mapping[str, str]
    #: The names of a file's or message's columns as the table has them.
    name_of: Callable[[str], str] = str


def heard(
    row: Row,
    hearing: Hearing,
    vendor: Vendor,
    words: dict[str, str],
    decided: Decided,
    revenue: Money | None = None,
) -> ForeignConversion:
    """The conversion that a row tells of. Raises Refused."""
    at_ms = _happened_at(words, hearing)
    for absent in [one for one, value in words.items() if _is_id(one) and is_absent_id(value)]:
        del words[absent]  # also those that a vendor's module found elsewhere
    ids = {name[4:]: value for name, value in words.items() if name.startswith("ids.")}
    name = words.get("name")
    if decided.kind is ForeignKind.EVENT and name is None:
        raise Refused(RefusalReason.MISSING_FIELD, "a row about an event needs its name", "name")
    name = hearing.mapped("event", name) or name
    named = _named_by(words, ids)
    if named is None:
        raise Refused(
            RefusalReason.MISSING_FIELD,
            "a row needs an id of its device, install, user, click or transaction",
            "device",
        )
    identity = (
        str(vendor),
        hearing.app.id,
        named,
        str(decided.kind),
        name or "" if decided.kind is ForeignKind.EVENT else "",
        str(at_ms // 1000),
        words.get("transaction_id", ""),
        *decided.distinct,
        *(() if decided.is_primary else ("secondary",)),
    )
    country = words.get("country")
    return ForeignConversion(
        id=RecordId(derived("fc", *identity)),
        product=hearing.product.id,
        app=hearing.app.id,
        sender=hearing.sender,
        received_at_ms=hearing.received_at_ms,
        occurred_at_ms=min(at_ms, hearing.received_at_ms),
        given_at_ms=at_ms if at_ms > hearing.received_at_ms else None,
        user_id=UserId(words["user_id"]) if "user_id" in words else None,
        ip=words.get("ip"),
        user_agent=words.get("user_agent"),
        dialect=hearing.dialect,
        vendor=vendor,
        kind=decided.kind,
        source=decided.source,
        ids=ids,
        name=name,
        revenue=revenue,
        touch_kind=_touch_kind(words),
        touch_at_ms=_optional_moment(words, "touch_at", hearing),
        installed_at_ms=_optional_moment(words, "installed_at", hearing),
        method_said=words.get("method"),
        method=decided.method,
        touch_id=TouchId(words["touch_id"]) if "touch_id" in words else None,
        mapped_partner=_mapped_partner(words.get("network"), hearing),
        country=country.upper() if country and len(country) == _COUNTRY_CHARACTERS else None,
        is_primary=decided.is_primary,
        extra=row.rest(),
        **_texts(words),
    )


def _is_id(name: str) -> bool:
    return name.startswith("ids.") or name == "vendor_device_id"


def money(words: Mapping[str, str], hearing: Hearing, amount: str, currency: str) -> Money | None:
    """The amount under one of our names in the currency under another, else the product's; None when nothing is said. Raises Refused."""
    said = words.get(amount)
    if said is None:
        return None
    code = (words.get(currency) or hearing.product.currency).upper()
    return read_money(decimal(said), code, amount, may_be_negative=True)


def source_of(network: str | None, *, is_organic: bool | None = None) -> ForeignSource:
    """What a vendor decided by the network it names. What is restricted was brought by somebody, and is never organic."""
    word = (network or "").lower()
    if word == "restricted":
        return ForeignSource.RESTRICTED
    if is_organic or word == "organic":
        return ForeignSource.ORGANIC
    if word:
        return ForeignSource.ATTRIBUTED
    return ForeignSource.UNKNOWN


def unknown_kind(said: str | None, param: str) -> Refused:
    """Why a row is no conversion."""
    if said is None:
        message = f"a row needs {param}, which says what it is about"
        return Refused(RefusalReason.MISSING_FIELD, message, param)
    message = f"{said[:64]!r} is no conversion; send installs, returns and events"
    return Refused(RefusalReason.UNKNOWN_RECORD_TYPE, message, param)


def _happened_at(words: Mapping[str, str], hearing: Hearing) -> int:
    name = "at" if "at" in words else "installed_at"
    said = words.get(name)
    if said is None:
        raise Refused(RefusalReason.MISSING_FIELD, "a row needs the time when it happened", "at")
    at_ms = moment(said, name, hearing.zone)
    if at_ms - hearing.received_at_ms > hearing.future_max_ms:
        message = f"{said[:32]} lies ahead; state the file's time zone if it is not UTC"
        raise Refused(RefusalReason.IN_THE_FUTURE, message, name)
    return at_ms


def _optional_moment(words: Mapping[str, str], name: str, hearing: Hearing) -> int | None:
    """A time beside the record's own: what cannot be read there (such as a 0 for none) says nothing."""
    said = words.get(name)
    if said is None:
        return None
    try:
        return moment(said, name, hearing.zone)
    except Refused:
        return None


def _named_by(words: Mapping[str, str], ids: Mapping[str, str]) -> str | None:
    """What names the device or the install: the vendor's own id first, since every message of a vendor carries it."""
    own = words.get("vendor_device_id")
    if own:
        return f"own={own.lower()}"
    for kind in (*_NAMING_IDS, *sorted(ids)):
        if kind in ids:
            return f"{kind}={ids[kind].lower()}"
    for kind in ("user_id", "partner_click_id", "touch_id", "transaction_id"):
        if kind in words:
            return f"{kind}={words[kind]}"
    return None


def _mapped_partner(network: str | None, hearing: Hearing) -> PartnerId | None:
    said = hearing.mapped("network", network)
    if said is None:
        return None
    partner = PartnerId(said)
    if hearing.directory.partner(partner) is None:
        message = f"the map of {str(network)[:64]!r} names {said[:64]!r}, which is no partner's id"
        raise Refused(RefusalReason.UNKNOWN_PARTNER, message, "network")
    return partner


def _touch_kind(words: Mapping[str, str]) -> TouchKind | None:
    return _TOUCH_KINDS.get(words.get("touch_kind", "").lower())


def _texts(words: Mapping[str, str]) -> dict[str, Any]:
    return {name: words[name] for name in _TEXTS if name in words}
