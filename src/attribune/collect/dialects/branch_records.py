"""What Branch's clients tell, in our records: opens with their referrers, events, and what the person allows. Pure."""

from __future__ import annotations

from typing import Any, Final

from attribune.collect.dialects import loose
from attribune.collect.dialects.branch_words import inner
from attribune.collect.fields import TEXT_CHARACTERS_MAX, Fields, missing
from attribune.collect.records import Telling, read_money, when
from attribune.collect.refuse import Refused
from attribune.collect.verdict import Kept
from attribune.model.activity import (
    Consent,
    Device,
    Event,
    KnownDevice,
    Open,
    Platform,
    Referrer,
    ReferrerSource,
)
from attribune.model.control import Door
from attribune.model.ids import DeviceId, RecordId, derived
from attribune.model.money import Money
from attribune.model.position import Topic

#: Events whose ``revenue`` says what something is worth, not what was paid.
NO_REVENUE: Final = frozenset(
    (
        "ADD_TO_CART",
        "ADD_TO_WISHLIST",
        "VIEW_CART",
        "INITIATE_PURCHASE",
        "ADD_PAYMENT_INFO",
        "SPEND_CREDITS",
        "VIEW_ITEM",
        "VIEW_ITEMS",
        "SEARCH",
        "SHARE",
    )
)
#: What a retry of the same message says anew.
_VOLATILE: Final = frozenset(("retryNumber", "instrumentation", "branch_key"))
#: Names of a device, the surest first: ``anon_id`` is the client's own of an installation, the others are given by a server.
_DEVICE: Final = (
    "anon_id",
    "randomized_device_token",
    "device_fingerprint_id",
    "browser_fingerprint_id",
)
#: How the ids begin that are given here, to who has none.
GIVEN: Final = "brd_"
_IDS: Final = {
    "google_advertising_id": "gaid",
    "aaid": "gaid",
    "idfa": "idfa",
    "ios_vendor_id": "idfv",
    "idfv": "idfv",
    "oaid": "oaid",
    "android_id": "android_id",
}
_ADVERTISING: Final = {"aaid": "gaid", "oaid": "oaid", "fire": "fire_adid", "idfa": "idfa"}
_HARDWARE: Final = {"android_id": "android_id", "vendor_id": "idfv", "idfa": "idfa"}
_LINKS: Final = (
    "universal_link_url",
    "android_app_link_url",
    "external_intent_uri",
    "current_url",
    "local_url",
)
_STORES: Final = {
    "playstore": ReferrerSource.PLAY,
    "appgallery": ReferrerSource.HUAWEI,
    "galaxystore": ReferrerSource.SAMSUNG,
    "getapps": ReferrerSource.XIAOMI,
}
_REFERRER_TIMES: Final = {
    "clicked_referrer_ts": "click_at_ms",
    "install_begin_ts": "install_begin_at_ms",
    "clicked_referrer_server_ts": "click_server_at_ms",
    "install_begin_server_ts": "install_begin_server_at_ms",
}
#: Levels of ``setConsumerProtectionAttributionLevel``: may the device be measured, may partners be told. Of who is not measured
#: nobody is told, whatever they said of it before.
_LEVELS: Final = {
    "FULL": (True, True),
    "REDUCED": (True, False),
    "MINIMAL": (True, False),
    "NONE": (False, None),
}
_ALLOWS: Final = (
    "cpp_level",
    "tracking_disabled",
    "dma_ad_user_data",
    "disable_ad_network_callouts",
)
_ALLOWS_HINTS: Final = tuple(name.encode() for name in _ALLOWS)
#: Says whether Europe's Digital Markets Act holds for the person; where it does not, its words mean nothing.
_EEA: Final = "dma_eea"
_YES: Final = frozenset((b"true", b"1", b'"true"', b'"1"'))
_NO: Final = frozenset((b"false", b"0", b'"false"', b'"0"'))


class Message:
    """One open or event while it is read."""

    def __init__(self, raw: bytes, telling: Telling, door: Door, path: str) -> None:
        """Take its fields. Raises Refused when they are no object."""
        self._fields = Fields.checked(raw, telling.settings.json_depth_max)
        self._telling, self._door, self._path = telling, door, path
        self._most = telling.settings.id_characters_max
        self._extra: dict[str, str] = {}
        self._raw = raw
        self._fields.raw("branch_key")
        self._said = self._fields
        if "user_data" in self._fields.names():
            self._said = inner(self._fields, "user_data")
        self._at = self._time()
        self._request = loose.id_of(self._fields, "branch_sdk_request_unique_id", self._most)
        self._user = loose.first_id(self._said, ("identity", "developer_identity"), self._most)
        if self._said is not self._fields and self._user is None:
            self._user = loose.first_id(
                self._fields, ("identity", "developer_identity"), self._most
            )
        self._runs_on = self._platform()
        self.device = self._find_device()
        sdk, version = loose.word(self._said, "sdk"), loose.word(self._said, "sdk_version")
        self._words = {
            "app_version": loose.word(self._said, "app_version"),
            "sdk": f"{sdk}{version or ''}" if sdk else None,
        }
        self._stated = (loose.word(self._said, "ip"), loose.word(self._said, "user_agent"))

    def open(self) -> Kept:
        """The open, whose answer waits for the decision. Raises Refused."""
        device = self.device or self._stranger()
        frame = self._frame("bro", device)
        link = next((said for name in _LINKS if (said := self._link(name))), None)
        opened = Open(
            **frame, referrers=self._referrers(), link_opened=link, extra=self._rest("user_data.")
        )
        return Kept(Topic.ACTIVITY, opened, wants_attribution=True)

    def known(self) -> Kept | None:
        """That the app was there before, of a device which another server has named: ours names it as it names itself."""
        device, token = self.device, self._token
        if device is None or token is None or token == device.id or token.startswith(GIVEN):
            return None
        if device.platform not in {Platform.ANDROID, Platform.IOS}:
            return None
        frame = {**self._frame("brk", device), "id": RecordId(derived("brk", self._door.id, device.id, token))}  # fmt: skip
        return Kept(Topic.ACTIVITY, KnownDevice(**frame))

    def event(self) -> Kept:
        """The event. Raises Refused when neither device nor user is known."""
        if self.device is None and self._user is None:
            raise missing("user_data", "a device's id, or developer_identity")
        fields = self._fields
        name = fields.text("name", self._most) or fields.text("event", self._most)
        if name is None:
            if not self._path.startswith("/v1/") or self._path == "/v1/event":
                raise missing("name", "the event's name")
            name = self._path.removeprefix("/v1/")
        data = inner(fields, "event_data")
        transaction = loose.id_of(data, "transaction_id", self._most)
        revenue = None if name in NO_REVENUE else self._revenue(data)
        params = inner(fields, "custom_data").rest()
        for said, value in data.rest().items():
            if said in params:
                params[f"custom_data.{said}"] = params[said]
            params[said] = value
        for said in ("content_items", "customer_event_alias", "metadata"):
            if (value_ := fields.raw(said)) is not None:
                params[said] = value_.decode()
        event = Event(
            **self._frame("bre", self.device),
            name=self._door.event(name),
            revenue=revenue,
            transaction_id=transaction,
            params=params,
            implies_open=self._door.implies_open,
            extra=self._rest("user_data."),
        )
        return Kept(Topic.ACTIVITY, event)

    def consent(self) -> Kept | None:
        """What the person allows, where the letter says so; what was said stays in the record's ``extra`` too."""
        if not any(name in self._raw for name in _ALLOWS_HINTS):
            return None
        said = {**self._peek(self._said), **self._peek(self._fields)}
        level = said.get("cpp_level", b"").decode("utf-8", "replace").strip('"').upper()
        measurement, sharing = _LEVELS.get(level, (None, None))
        if (
            said.get("tracking_disabled") in _YES
        ):  # no is what pages say by default, and nobody's word
            measurement, sharing = False, None
        ads = said.get("dma_ad_user_data")
        if ads in _YES | _NO and said.get(_EEA) not in _NO:
            sharing = sharing is not False and ads in _YES
        if said.get("disable_ad_network_callouts") in _YES:
            sharing = False
        if measurement is None and sharing is None:
            return None
        device = self.device or self._stranger()
        frame = self._frame("brc", device)
        return Kept(Topic.ACTIVITY, Consent(**frame, measurement=measurement, sharing=sharing))

    def _peek(self, fields: Fields) -> dict[str, bytes]:
        found = {}
        for name in (*_ALLOWS, _EEA):
            raw = fields.raw(name)
            if raw is not None:
                found[name] = raw
                fields.put_back(name, raw)
        return found

    def _content(self) -> str:
        """What is said, without what a retry says anew."""
        said = self._fields.raws().items()
        return "&".join(f"{k}={bytes(v)!r}" for k, v in sorted(said) if k not in _VOLATILE)

    def _time(self) -> int | None:
        """The client's time; one that cannot be right is kept and not believed, since its client would drop what is refused."""
        name = "branch_sdk_request_timestamp"
        raw = self._fields.raw(name)
        if raw is None:
            return None
        try:
            at = loose.at_ms(raw.strip(b'"'), name)
            when(at, self._telling, name)
        except Refused:
            self._extra[name] = raw.decode()
            return None
        return at

    def _frame(self, kind: str, device: Device | None) -> dict[str, Any]:
        request = self._request
        record = (
            RecordId(derived(kind, self._door.id, request))
            if request
            else loose.known_by(kind, self._door, self._content(), self._at, self._telling)
        )
        return loose.frame(
            self._telling,
            record=record,
            at=self._at,
            path="branch_sdk_request_timestamp",
            device=device,
            user=self._user,
            stated=self._stated,
            is_trusted=self._door.is_trusted,
            **self._words,
        )

    def _stranger(self) -> Device:
        """A device that has no id yet: it gets one here, and carries it from now on."""
        if self.device is None:
            telling = self._telling
            circumstances = (telling.ip or "", telling.user_agent or "", self._content())
            own = self._request or str(telling.received_at_ms)
            id_ = derived(GIVEN.removesuffix("_"), self._door.id, own, *circumstances)
            self.device = self._made(id_, {})
        return self.device

    def _find_device(self) -> Device | None:
        ids = self._ids()
        own = loose.first_id(self._said, _DEVICE, self._most)
        if own is None and self._said is not self._fields:
            own = loose.first_id(self._fields, _DEVICE, self._most)
        self._token = loose.id_of(self._said, "randomized_device_token", self._most)
        if self._token and own != self._token:
            self._extra["randomized_device_token"] = loose.json_of(self._token)
        hardware = loose.id_of(self._said, "hardware_id", self._most)
        kind = loose.word(self._said, "hardware_id_type")
        real = self._said.raw("is_hardware_id_real")
        if hardware and kind in _HARDWARE and real in _YES:
            ids.setdefault(_HARDWARE[kind], hardware)
        elif kind:
            self._extra["hardware_id_type"] = loose.json_of(kind)
            if real is not None:
                self._extra["is_hardware_id_real"] = real.decode()
        if own is None:
            own = hardware or next(iter(ids.values()), None)
        elif hardware and hardware not in ids.values():
            self._extra["hardware_id"] = loose.json_of(hardware)
        return None if own is None else self._made(own, ids)

    def _ids(self) -> dict[str, str]:
        ids: dict[str, str] = {}
        for theirs, ours in _IDS.items():
            if said := loose.id_of(self._said, theirs, self._most):
                ids.setdefault(ours, said)
        advertising = self._said.fields("advertising_ids")
        if advertising is not None:
            for theirs, ours in _ADVERTISING.items():
                if said := loose.id_of(advertising, theirs, self._most):
                    ids.setdefault(ours, said)
            self._extra |= advertising.rest("advertising_ids.")
        return ids

    def _made(self, id_: str, ids: dict[str, str]) -> Device:
        said = self._said
        language, country = loose.word(said, "language"), loose.word(said, "country")
        locale = loose.word(said, "locale") or "_".join(filter(None, (language, country))) or None
        shown = loose.word(said, "os_version_android")
        return Device(
            id=DeviceId(id_),
            platform=self._runs_on,
            os_version=shown or loose.word(said, "os_version"),
            model=loose.word(said, "model"),
            ids=ids,
            att_status=loose.word(said, "opted_in_status"),
            locale=locale,
            timezone=loose.word(said, "timezone"),
        )

    def _platform(self) -> Platform:
        raw = self._said.raw("sdk")
        if raw is not None:
            self._said.put_back("sdk", raw)
            if raw.startswith(b'"web'):
                return Platform.WEB
        return loose.runs_on(self._telling, self._extra, {"os": loose.word(self._said, "os")})

    def _link(self, name: str) -> str | None:
        """An address that opened the app, once the first is found the others are kept as said."""
        return (
            self._said.text(name, TEXT_CHARACTERS_MAX) if loose.is_text(self._said, name) else None
        )

    def _referrers(self) -> tuple[Referrer, ...]:
        said, found = self._said, []
        store = (loose.word(said, "app_store") or "").lower()
        source = _STORES.get(store, ReferrerSource.OTHER if store else self._store_of(self.device))
        if "is_meta_ct" in said.names():
            source = ReferrerSource.META
        if store and store not in _STORES:
            self._extra["app_store"] = loose.json_of(store)
        times = {
            ours: at for theirs, ours in _REFERRER_TIMES.items() if (at := self._second(theirs))
        }
        value = said.text("install_referrer_extras", 1 << 16) if loose.is_text(said, "install_referrer_extras") else None  # fmt: skip
        if value is not None:
            found.append(Referrer(source=source, value=value, **times))
        elif times:
            self._extra |= {theirs: str(times[ours]) for theirs, ours in _REFERRER_TIMES.items() if ours in times}  # fmt: skip
        token = said.text("apple_attribution_token", 1 << 14) if loose.is_text(said, "apple_attribution_token") else None  # fmt: skip
        if token is not None:
            found.append(Referrer(source=ReferrerSource.APPLE, value=token))
        return tuple(found)

    def _store_of(self, device: Device | None) -> ReferrerSource:
        is_android = device is not None and device.platform is Platform.ANDROID
        return ReferrerSource.PLAY if is_android else ReferrerSource.OTHER

    def _second(self, name: str) -> int | None:
        """A time in seconds as milliseconds; 0 is Play's way to say that it does not know."""
        raw = self._said.raw(name)
        if raw is None:
            return None
        text = raw.strip(b'"')
        if not text.isdigit() or len(text) > 11 or int(text) < 946_684_800:
            if text.strip(b"0-"):
                self._said.put_back(name, raw)
            return None
        return int(text) * 1000

    def _revenue(self, data: Fields) -> Money | None:
        said = loose.amount(data, "revenue")
        if said is None:
            return None
        currency = loose.word(data, "currency") or self._telling.speaker.product.currency
        may_be_negative = self._telling.speaker.is_server
        return read_money(
            said, currency.upper(), "event_data.revenue", may_be_negative=may_be_negative
        )

    def _rest(self, prefix: str) -> dict[str, str]:
        found = self._extra | self._fields.rest()
        return found if self._said is self._fields else found | self._said.rest(prefix)
