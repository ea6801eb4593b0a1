"""What the native wire and the dialects have in common: times that are believed, money, devices, and a record's frame. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, structs

from attribune.collect.fields import Fields, missing
from attribune.collect.refuse import Refused
from attribune.collect.speaker import Speaker
from attribune.collect.words import WORDS, Sort
from attribune.model.activity import Device, Platform, Referrer, ReferrerSource
from attribune.model.ids import AppId, DeviceId
from attribune.model.money import (
    AMOUNT_MINOR_MAX,
    BadAmount,
    Money,
    UnknownCurrency,
    decimal_text,
    money,
)
from attribune.model.refusal import RefusalReason
from attribune.ports import Directory
from attribune.settings import Settings

#: Store referrers of one record.
REFERRERS_MAX: Final = 16
#: A clock may be wrong by years; what lies further ahead than this is no clock's time.
SENT_AHEAD_MS_MAX: Final = 20 * 365 * 86_400_000
#: A store's way to say that it does not know a time: Play sends 0, some SDKs -1.
UNKNOWN_TIMES: Final = frozenset((b"0", b"-1"))
#: Our names of the ids that a device object may have, by the names that are accepted.
DEVICE_IDS: Final = {
    name: word.field for name, word in WORDS.items() if word.sort is Sort.DEVICE_ID
} | {"app_set_id": "app_set_id"}
#: What the app object says of the app, and the fields of a record that it becomes.
APP_TEXTS: Final = {"version": "app_version", "build": "app_build", "sdk": "sdk"}
_AMOUNT: Final = 'a decimal in a string, such as "12.50"'
DEVICE_TEXTS: Final = ("os_version", "model", "att_status", "locale", "timezone")
# Looked up once: a member of an enum costs more to look up than a text to read.
_OTHER: Final = Platform.OTHER
_OTHER_SOURCE: Final = ReferrerSource.OTHER
PLATFORMS: Final = {known.value: known for known in Platform}
SOURCES: Final = {known.value: known for known in ReferrerSource}
_REFERRER_TIMES: Final = (
    "click_at",
    "install_begin_at",
    "click_server_at",
    "install_begin_server_at",
)


class Telling(Struct, frozen=True, kw_only=True):
    """The circumstances under which a record was told."""

    speaker: Speaker
    directory: Directory
    settings: Settings
    received_at_ms: int
    #: Of the connection; None when unknown.
    ip: str | None
    user_agent: str | None
    #: Receipt minus ``sent_at``: how far the sender's clock is behind ours. None when it did not say.
    behind_ms: int | None = None
    #: The language it was told in.
    dialect: str = "native"

    @property
    def age_max_ms(self) -> int:
        """The oldest time that this sender may state."""
        settings = self.settings
        return (
            settings.server_key_age_max_ms
            if self.speaker.is_server
            else settings.app_key_age_max_ms
        )


def corrected(telling: Telling, sent_at_ms: int | None, path: str) -> Telling:
    """The circumstances with what ``sent_at`` says of the sender's clock. Raises Refused when it cannot be a clock's."""
    if sent_at_ms is None:
        return telling
    behind_ms = telling.received_at_ms - sent_at_ms
    if -behind_ms > SENT_AHEAD_MS_MAX:
        raise Refused(
            RefusalReason.BAD_TIME, f"{path} lies years ahead; send milliseconds of a clock", path
        )
    return structs.replace(telling, behind_ms=behind_ms)


class When(Struct, frozen=True, kw_only=True):
    """When something happened, as we believe it and as it was said."""

    occurred_at_ms: int
    #: None when what was said is believed as it is.
    given_at_ms: int | None = None


def when(at_ms: int | None, telling: Telling, path: str) -> When:
    """The time of a record: as said, corrected by ``sent_at``, and never after receipt.

    Raises Refused when it lies further in the past than the sender may state, or further ahead than skew can explain.
    """
    now_ms = telling.received_at_ms
    if at_ms is None:
        return When(occurred_at_ms=now_ms)
    corrected_ms = at_ms + (telling.behind_ms or 0)
    future_max_ms = telling.settings.future_max_ms
    if corrected_ms - now_ms > future_max_ms:
        raise Refused(
            RefusalReason.IN_THE_FUTURE,
            f"{path} lies more than {future_max_ms // 1000} s ahead; set the clock, or send sent_at",
            path,
        )
    if now_ms - corrected_ms > telling.age_max_ms:
        raise Refused(
            RefusalReason.TOO_OLD,
            f"{path} is older than the {telling.age_max_ms // 86_400_000} days that this key may state",
            path,
        )
    occurred_ms = min(corrected_ms, now_ms)
    return When(occurred_at_ms=occurred_ms, given_at_ms=at_ms if occurred_ms != at_ms else None)


def read_money(amount: str, currency: str, path: str, *, may_be_negative: bool = False) -> Money:
    """An amount that may stand in a record. Raises Refused, naming the part that is wrong."""
    try:
        read = money(amount, currency)
    except UnknownCurrency:
        raise Refused(
            RefusalReason.UNKNOWN_CURRENCY,
            f"{path}.currency {currency[:8]!r} is not one of ISO 4217; send three capital letters such as EUR",
            f"{path}.currency",
        ) from None
    except BadAmount:
        raise Refused(
            RefusalReason.BAD_AMOUNT,
            f'{path}.amount must be a decimal in a string, such as "12.50", of at most {decimal_text(AMOUNT_MINOR_MAX, currency)}',
            f"{path}.amount",
        ) from None
    if amount.startswith("-") and not may_be_negative:
        raise Refused(
            RefusalReason.BAD_AMOUNT,
            f"{path}.amount must not be negative unless a server key tells an event, such as a day's net revenue; "
            "send a refund as an event `refund` of its own",
            f"{path}.amount",
        )
    return read


def revenue(
    fields: Fields, name: str, default_currency: str, *, may_be_negative: bool = False
) -> Money | None:
    """``{"amount": "12.50", "currency": "EUR"}``, or None when absent. Without a currency it is the product's."""
    inner = fields.fields(name)
    if inner is None:
        return None
    path = fields.path(name)
    amount = inner.text("amount", wanted=_AMOUNT)
    if amount is None:
        raise missing(f"{path}.amount", _AMOUNT)
    currency = inner.text("currency") or default_currency
    return read_money(amount, currency, path, may_be_negative=may_be_negative)


def device_ids(fields: Fields, characters_max: int) -> dict[str, str]:
    """Advertising, vendor and app-set ids of a device object, by our names."""
    ids: dict[str, str] = {}
    for name in fields.names():
        field = DEVICE_IDS.get(name)
        if field is None:
            continue
        value = fields.identifier(name, characters_max)
        if value is not None:
            ids.setdefault(field, value)
    return ids


def platform(said: str | None, app_platform: Platform) -> Platform:
    """The platform by its name; the app's own when nothing is said, OTHER when the name is none of ours."""
    if said is None:
        return app_platform
    return PLATFORMS.get(said.lower(), _OTHER)


def device(fields: Fields | None, telling: Telling, extra: dict[str, str]) -> Device | None:
    """The device object of a record, or None when it carries no id. What is unknown in it goes to ``extra``."""
    if fields is None:
        return None
    most = telling.settings.id_characters_max
    id_ = fields.identifier("id", most)
    said = fields.text("platform", most)
    read = platform(said, telling.speaker.app.platform)
    if read is _OTHER and said is not None and said.lower() != _OTHER:
        extra["device.platform"] = said
    ids = device_ids(fields, most)
    if id_ is None:
        extra |= {f"device.{name}": value for name, value in ids.items()} | fields.rest("device.")
        return None
    found = Device(
        id=DeviceId(id_),
        platform=read,
        ids=ids,
        **fields.texts(DEVICE_TEXTS, most),
    )
    extra |= fields.rest("device.")
    return found


def referrers(fields: Fields, extra: dict[str, str]) -> tuple[Referrer, ...]:
    """The store referrers of a record."""
    found = []
    for index, inner in enumerate(fields.each("referrers", REFERRERS_MAX)):
        said = inner.text("source", 64)
        source = _source(said)
        if source is _OTHER_SOURCE and said:
            extra[f"referrers[{index}].source"] = said
        # A referrer may be as long as its record: half of one would be a wrong one.
        value = inner.text("value", 1 << 20)
        times = inner.times(_REFERRER_TIMES, UNKNOWN_TIMES)
        if value is not None:
            found.append(Referrer(source=source, value=value, **times))
    return tuple(found)


def _source(said: str | None) -> ReferrerSource:
    return SOURCES.get((said or "").lower(), _OTHER_SOURCE)


def spoken_app(said: str | None, telling: Telling, path: str) -> AppId:
    """The app that a record is of. Raises Refused when the key may not speak for it."""
    speaker = telling.speaker
    if said is None or said == speaker.app.id:
        return speaker.app.id
    other = telling.directory.app(AppId(said)) if speaker.is_server else None
    if other is None or other.product != speaker.product.id:
        raise Refused(
            RefusalReason.FORBIDDEN_FOR_KEY,
            f"{path} names another app than this key speaks for; use that app's own key",
            path,
        )
    return other.id
