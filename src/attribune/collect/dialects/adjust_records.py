"""What the letters of Adjust's clients mean, in our records. Pure.

Sources: Adjust's open SDKs (web 5.8.3, Android 5.4.6, iOS 5.6.2) as they behave on the wire, and its public pages on
server-to-server calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

import msgspec
from msgspec import Raw

from attribune.collect.address import plain_address
from attribune.collect.dialects.adjust_device import device_of
from attribune.collect.dialects.adjust_times import read_time
from attribune.collect.dialects.forms import Form
from attribune.collect.dialects.letter import Letter, bearer_of
from attribune.collect.dialects.loose import decimal, json_of
from attribune.collect.fields import checked_json, missing
from attribune.collect.records import Telling, corrected, read_money, when
from attribune.collect.refuse import Refused
from attribune.collect.verdict import Kept
from attribune.model.activity import (
    Activity,
    Consent,
    Event,
    Evidence,
    Forget,
    KnownDevice,
    Open,
    Platform,
    Referrer,
    ReferrerSource,
    Sender,
)
from attribune.model.control import Door
from attribune.model.ids import RecordId, derived, digest
from attribune.model.money import DECIMALS, Money
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason

#: What a retry changes, and so says nothing of what the message is.
RETRIED: Final = frozenset(
    [
        *("sent_at", "retry_count", "first_error", "last_error", "wait_total", "wait_time"),
        *("enqueue_size", "queue_size", "attempts", "last_interval", "control_params"),
    ]
)
#: Which API of a store handed the referrer over.
REFERRER_APIS: Final = {
    "google": ReferrerSource.PLAY,
    "huawei_ads": ReferrerSource.HUAWEI,
    "huawei_app_gallery": ReferrerSource.HUAWEI,
    "samsung": ReferrerSource.SAMSUNG,
    "xiaomi": ReferrerSource.XIAOMI,
    "vivo": ReferrerSource.VIVO,
    "honor": ReferrerSource.HONOR,
    "meta": ReferrerSource.META,
}
#: Times of a referrer by our names.
REFERRER_TIMES: Final = {
    "click_time": "click_at_ms",
    "install_begin_time": "install_begin_at_ms",
    "click_time_server": "click_server_at_ms",
    "install_begin_time_server": "install_begin_server_at_ms",
}
#: What an event says beside its own parameters, and what people want to see of it.
EVENT_PARAMS: Final = (
    *("product_id", "source", "ad_impressions_count", "ad_revenue_network", "ad_revenue_unit"),
    *("ad_revenue_placement", "sales_region", "transaction_date", "billing_store"),
)
#: How older versions of the SDKs say no to sharing.
NO_SHARING: Final = "/disable_third_party_sharing"
#: Amounts of Play's subscriptions are in millionths.
MICROS: Final = 6

#: In the place of a partner: what is said of it holds for all.
EVERYBODY: Final = "all"

#: Activity that partners are told of here, and what stands above such in Adjust's settings.
SHARED_KINDS: Final = (
    *("all", "session", "install", "reinstall", "reattribution", "reattribution_reinstall"),
    *("update", "event", "ad_revenue", "subscription"),
)
#: Partners whom one choice may name.
PARTNERS_MAX: Final = 64
_FLAGS: Final = {b"true": True, b'"true"': True, b"false": False, b'"false"': False}
_MICROS_AMOUNT: Final = re.compile(r"\d{1,18}\Z", re.ASCII)
_MINUTE_MS: Final = 60_000
_ALLOWED: Final = {"enable": True, "disable": False}
_object: Final = msgspec.json.Decoder(dict[str, Raw])


class Message:
    """One letter while it is read."""

    __slots__ = (
        "_device",
        "_door",
        "_extra",
        "_form",
        "_is_server",
        "_letter",
        "_path",
        "_telling",
    )

    def __init__(self, letter: Letter, path: str, telling: Telling, door: Door) -> None:
        """Take its parameters. Raises Refused when they are none."""
        self._letter = letter
        self._path = path
        self._door = door
        self._form = form = Form.of(letter.query, letter.body)
        form.drop(("app_token",))
        sent = form.take("sent_at")
        sent_at_ms = read_time(sent) if sent else None
        #: Who says the door's secret is a server, and so is whoever speaks at a trusted door.
        #: A door without a secret has nothing to hold a Bearer to, so there it proves nothing.
        proved = door.sealed_secret is not None and bearer_of(letter) is not None
        self._is_server = door.is_trusted or proved
        if self._is_server:
            speaker = msgspec.structs.replace(telling.speaker, sender=Sender.SERVER)
            telling = msgspec.structs.replace(telling, speaker=speaker)
        self._telling = corrected(telling, sent_at_ms, "sent_at")
        self._extra: dict[str, str] = {}

    def read(self) -> list[Kept]:
        """The record that it is, and before a session of an existing user that it is one. Raises Refused."""
        telling, form = self._telling, self._form
        # Made before anything is taken: a record is known by all that its message says.
        content = form.said(RETRIED)
        self._device = device_of(
            form, telling.settings.id_characters_max, telling.speaker.app.platform
        )
        record = _READERS[self._path](self, content)
        first = isinstance(record, Open) and self._is_first
        kept = Kept(Topic.ACTIVITY, record, wants_attribution=first, looks_up=not first)
        known = self._known(record) if isinstance(record, Open) else None
        return [Kept(Topic.ACTIVITY, known), kept] if known else [kept]

    def _known(self, opened: Open) -> KnownDevice | None:
        """That the app was on the device before its installations were ours to count.

        Every session of a device says the same of it, so their order does not matter.
        """
        before, installed = (
            self._door.mapped("installed", "before"),
            self._form.look("installed_at"),
        )
        if before is None or installed is None:
            return None
        at_ms, until_ms = read_time(installed), read_time(f"{before}T00:00:00Z")
        if at_ms is None or until_ms is None or at_ms >= until_ms:
            return None
        return KnownDevice(
            id=RecordId(derived("adj", "known", opened.id)),
            product=opened.product,
            app=opened.app,
            sender=opened.sender,
            received_at_ms=opened.received_at_ms,
            occurred_at_ms=opened.occurred_at_ms,
            device=opened.device,
            dialect=opened.dialect,
        )

    @property
    def _is_first(self) -> bool:
        """Whether a session says that it is the first one; a server's does not say."""
        return self._form.look("session_count") in {None, "1"}

    def _frame(self, content: str, id_: str | None = None) -> dict[str, Any]:
        telling, form = self._telling, self._form
        record_id = RecordId(id_ or self._id(content))
        at = when(self._happened_ms(), telling, "created_at")
        return {
            "id": record_id,
            "product": telling.speaker.product.id,
            "app": telling.speaker.app.id,
            "sender": telling.speaker.sender,
            "received_at_ms": telling.received_at_ms,
            "occurred_at_ms": at.occurred_at_ms,
            "given_at_ms": at.given_at_ms,
            "device": self._device,
            "app_version": form.word("app_version_short") or form.word("app_version"),
            "app_build": form.word("app_version"),
            "sdk": self._sdk(),
            "dialect": telling.dialect,
            **self._address(),
        }

    def _id(self, content: str) -> str:
        """Derived from what is said. What a server tells without a time is told apart by the minute of its receipt."""
        form, now_ms = self._form, self._telling.received_at_ms
        named = ("created_at_unix", "created_at", "transaction_id", "order_id")
        minute = "" if any(map(form.look, named)) else str(now_ms // _MINUTE_MS)
        return derived("adj", self._telling.speaker.app.id, self._path, content, minute)

    def _sdk(self) -> str | None:
        said = str(self._letter.headers.get("client-sdk") or "")
        return said if 0 < len(said) <= 64 and said.isprintable() else None

    def _happened_ms(self) -> int | None:
        for name in ("created_at_unix", "created_at"):
            said = self._form.look(name)
            if said is None:
                continue
            at_ms = read_time(said)
            if at_ms is None:
                message = f"{name} must be a time such as 2026-11-21T23:43:40.607Z+0000"
                raise Refused(RefusalReason.BAD_TIME, message, name)
            self._form.take(name)
            return at_ms
        return None

    def _address(self) -> dict[str, str | None]:
        """Where it came from: as stated by a sender who is believed, else as the connection says."""
        telling, form = self._telling, self._form
        if not self._is_server:
            return {"ip": telling.ip, "user_agent": telling.user_agent}
        said = form.take("ip_address") or self._letter.headers.get("x-adjust-forwarded-for")
        address = plain_address(str(said)) if said else None
        return {"ip": address, "user_agent": form.word("user_agent")}

    # --- what each path tells

    def open(self, content: str) -> Open:
        """The app was started."""
        frame = self._frame(content)
        return Open(**frame, extra=self._rest())

    def evidence(self, content: str) -> Evidence:
        """A referrer, an opened link or a token of Apple's, told apart from the session it belongs to."""
        frame, form = self._frame(content), self._form
        source = form.look("source")
        link = form.take("deeplink") if source == "deeplink" else None
        found = None if link else self._referrer(source)
        referrers = (found,) if found else ()
        return Evidence(**frame, referrers=referrers, link_opened=link, extra=self._rest())

    def _referrer(self, source: str | None) -> Referrer | None:
        form = self._form
        if source == "apple_ads":
            value, kind = form.take("attribution_token"), ReferrerSource.APPLE
        elif source == "reftag":
            value, kind = form.take("raw_referrer") or form.take("referrer"), ReferrerSource.PLAY
        else:
            value = form.take("referrer")
            api = form.look("referrer_api") or ("google" if source == "install_referrer" else "")
            kind = REFERRER_APIS.get(api, ReferrerSource.OTHER)
        if value is None:
            return None
        times: dict[str, Any] = {}
        for name, ours in REFERRER_TIMES.items():
            said = form.look(name)
            if said and (at_ms := read_time(said)):
                form.take(name)
                times[ours] = at_ms
        return Referrer(source=kind, value=value, **times)

    def event(self, content: str) -> Event:
        """Something happened in the app, perhaps with revenue."""
        form = self._form
        token = form.look("event_token")
        if token is None:
            raise missing("event_token", "the event's token")
        once = form.look("deduplication_id")
        # The SDK tells a device's event once by this id, so whatever tells it again is the same record.
        parts = (self._telling.speaker.app.id, self._device.id, token, once or "")
        frame = self._frame(content, derived("adj", *parts) if once else None)
        revenue = self._revenue(form.take("revenue"))
        return self._told(frame, self._door.event(token), revenue)

    def ad_revenue(self, content: str) -> Event:
        """An ad was shown in the app, and earned something.

        An impression earns parts of a cent, and so is rounded up as often as its part is large, by its own id: the sums of
        many are right. The exact amount is the parameter ``revenue``.
        """
        frame = self._frame(content)
        said = self._form.look("revenue")
        rounded = self._revenue(said)
        revenue = rounded and _fair(
            Decimal(decimal(said or "0")), rounded.currency, str(frame["id"])
        )
        return self._told(frame, self._mapped("ad_revenue"), revenue, ("revenue",))

    def subscription(self, content: str) -> Event:
        """A store's subscription was bought or goes on. On Android the amount is in millionths."""
        frame = self._frame(content)
        said = self._form.take("revenue")
        if said and self._device.platform is Platform.ANDROID and _MICROS_AMOUNT.match(said):
            said = f"{Decimal(said).scaleb(-MICROS):f}"
        return self._told(frame, self._mapped("subscription"), self._revenue(said))

    def verification(self, content: str) -> Event:
        """The app asks whether a purchase is genuine. It is no purchase, so its amount is only a parameter."""
        frame = self._frame(content)
        shown = ("transaction_id", "event_token", "revenue", "currency")
        return self._told(frame, self._mapped("purchase_verification"), None, shown, is_deal=False)

    def sharing(self, content: str) -> Consent:
        """Whether partners may be told, and single ones. The options of single partners are kept."""
        frame, said = self._frame(content), self._form.take("sharing")
        partners = self._partners()
        everybody = partners.pop(EVERYBODY, None)
        sharing = everybody if said is None else _allowed(said, "sharing")
        if self._path == NO_SHARING or everybody is False:
            sharing = False
        for nested in ("granular_third_party_sharing_options", "partner_sharing_settings"):
            self._keep_json(nested)
        return Consent(**frame, sharing=sharing, partners=partners, extra=self._rest())

    def _partners(self) -> dict[str, bool]:
        """Which partners may be told. One that may not be told of some kind of activity is told of none."""
        settings = self._json_look("partner_sharing_settings")
        found = {}
        for name, raw in list(settings.items())[:PARTNERS_MAX]:
            kinds = _object.decode(raw) if raw[:1] == b"{" else {}
            said = [_FLAGS.get(bytes(kinds[kind])) for kind in SHARED_KINDS if kind in kinds]
            if not {True, False}.isdisjoint(said):
                found[self._door.mapped("network", name) or name] = False not in said
        return found

    def measurement(self, content: str) -> Consent:
        """Whether the person may be measured."""
        frame, said = self._frame(content), self._form.take("measurement")
        if said is None:
            raise missing("measurement", "enable or disable")
        return Consent(**frame, measurement=_allowed(said, "measurement"), extra=self._rest())

    def forget(self, content: str) -> Forget:
        """The person asks to be forgotten: nothing of this device is measured any more, and views let go of it."""
        return Forget(**self._frame(content), extra=self._rest())

    # --- what several of them have

    def _told(
        self,
        frame: dict[str, Any],
        name: str,
        revenue: Money | None,
        shown: tuple[str, ...] = (),
        *,
        is_deal: bool = True,
    ) -> Event:
        form = self._form
        transaction = self._transaction() if is_deal else None
        params = self._own_params()
        for word in (*EVENT_PARAMS, *shown):
            said = form.take(word)
            if said is not None:
                params.setdefault(word, json_of(said))
        return Event(
            **frame,
            name=name,
            revenue=revenue,
            transaction_id=transaction,
            params=params,
            implies_open=self._door.implies_open,
            extra=self._rest(),
        )

    def _transaction(self) -> str | None:
        form, most = self._form, self._telling.settings.id_characters_max
        return form.identifier("transaction_id", most) or form.identifier("order_id", most)

    def _own_params(self) -> dict[str, str]:
        """The app's own parameters; a partner's of a name that is taken has ``partner_params.`` before it."""
        params = self._json_object("callback_params")
        for name, value in self._json_object("partner_params").items():
            params[f"partner_params.{name}" if name in params else name] = value
        return params

    def _json_object(self, name: str) -> dict[str, str]:
        """A parameter that holds an object; what is none is kept as it is."""
        found = self._json_look(name)
        if found:
            self._form.take(name)
        return {key: value.decode() for key, value in found.items()}

    def _json_look(self, name: str) -> dict[str, bytes]:
        """The members of a parameter that holds an object; it stays unread."""
        said = self._form.look(name)
        raw = self._checked(said) if said is not None else None
        if raw is None or raw[:1] != b"{":
            return {}
        return {key: bytes(value) for key, value in _object.decode(raw).items()}

    def _keep_json(self, name: str) -> None:
        """Keep a parameter that holds JSON as JSON, and not as text with JSON in it."""
        said = self._form.look(name)
        raw = self._checked(said) if said is not None else None
        if raw is not None:
            self._form.take(name)
            self._extra[name] = raw.decode()

    def _checked(self, said: str) -> bytes | None:
        try:
            return checked_json(said.strip().encode(), self._telling.settings.json_depth_max)
        except Refused:
            return None

    def _mapped(self, name: str) -> str:
        return self._door.event(name)

    def _revenue(self, said: str | None) -> Money | None:
        if said is None:
            return None
        currency = self._form.take("currency") or self._telling.speaker.product.currency
        is_server = self._telling.speaker.is_server
        return read_money(decimal(said), currency.upper(), "revenue", may_be_negative=is_server)

    def _rest(self) -> dict[str, str]:
        form, device = self._form, self._device
        for name in ("callback_params", "partner_params"):
            self._keep_json(name)
        if device.platform is not Platform.OTHER:
            form.drop(("os_name", "platform"))
        form.drop(("s2s", "user_agent", "ip_address") if self._is_server else ("s2s",))
        return form.rest() | self._extra


def _fair(amount: Decimal, currency: str, id_: str) -> Money:
    """An amount in minor units, rounded up as often as its part of one is large: the id says whether it is."""
    exact = amount.scaleb(DECIMALS[currency])
    whole = exact.to_integral_value(ROUND_FLOOR)
    draw = int.from_bytes(digest("round", id_, size=8))
    up = (exact - whole) * 2**64 > draw
    return Money(amount_minor=int(whole) + up, currency=currency)


def _allowed(said: str, name: str) -> bool:
    if said not in _ALLOWED:
        raise Refused(RefusalReason.WRONG_TYPE, f"{name} must be enable or disable", name)
    return _ALLOWED[said]


_READERS: Final[dict[str, Callable[[Message, str], Activity]]] = {
    "/session": Message.open,
    "/event": Message.event,
    "/sdk_click": Message.evidence,
    "/sdk_info": Message.evidence,
    "/ad_revenue": Message.ad_revenue,
    "/v2/purchase": Message.subscription,
    "/verify": Message.verification,
    "/third_party_sharing": Message.sharing,
    NO_SHARING: Message.sharing,
    "/measurement_consent": Message.measurement,
    "/gdpr_forget_device": Message.forget,
}
#: Every path that tells something.
TELLING_PATHS: Final = frozenset(_READERS)
