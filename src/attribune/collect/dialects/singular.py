"""Singular: what its web SDK and its server-to-server API say, in our records. Pure.

Sources: Singular's web SDK on the wire, and the public reference of its server-to-server endpoints.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from decimal import Decimal
from hashlib import sha1
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from attribune.collect.dialects import loose
from attribune.collect.dialects.letter import Heard, Letter, Plain, Secret, hold_to
from attribune.collect.fields import TEXT_CHARACTERS_MAX, Fields, missing
from attribune.collect.records import Telling, corrected, read_money
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, json_answer
from attribune.collect.verdict import Judged, Kept, Verdict
from attribune.model.activity import (
    Consent,
    Device,
    Event,
    KnownDevice,
    Open,
    Referrer,
    ReferrerSource,
)
from attribune.model.control import Door
from attribune.model.ids import DeviceId
from attribune.model.money import Money
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason

BODY_BYTES_MAX: Final = 256 * 1024
#: The event by which the web SDK says that a page was visited.
PAGE_VISIT: Final = "__PAGE_VISIT__"
FIELDS: Final = {
    "path: /api/v1/launch": "an open",
    "n": "event name; __PAGE_VISIT__ that begins a session is an open",
    "event_id": "id",
    "current_device_time; utime": "at",
    "sdid, u; of servers also idfa, aifa, andi": "device.id",
    "idfa, idfv, aifa, andi, oaid, asid": "idfa, idfv, gaid, android_id, oaid, app_set_id",
    "custom_user_id": "user_id",
    "p": "device.platform",
    "ve, os": "device.os_version",
    "mo": "device.model",
    "lc": "device.locale",
    "app_v": "app.version",
    "sdk": "app.sdk",
    "ip, ua": "ip, user_agent, at a trusted door",
    "amt; payload.e.r": "revenue.amount",
    "cur; payload.e.pcc": "revenue.currency",
    "purchase_transaction_id": "transaction_id",
    "install_ref": "referrers",
    "openuri; web_page_url, web_url": "link_opened",
    "e": "params",
    "att_authorization_status": "device.att_status",
    "data_sharing_options.limit_data_sharing": "sharing, reversed",
    "dnt of 1": "sharing: false; 0 says nothing",
    "install_time of a launch": "a device known before, where the door is told installed:before=DAY",
}

_PATHS: Final = {
    "/api/v1/event": "web",
    "/api/v1/launch": "launch",
    "/api/v1/evt": "evt",
    "/api/v2/evt": "evt",
}
_IDS: Final = {
    "idfa": "idfa",
    "idfv": "idfv",
    "aifa": "gaid",
    "andi": "android_id",
    "oaid": "oaid",
    "asid": "app_set_id",
}
_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,18})?\Z", re.ASCII)
_YES: Final = frozenset(("1", "true"))
#: Seconds since the epoch.
_WHOLE: Final = re.compile(r"[1-9][0-9]{8,9}\Z", re.ASCII)
_SHA1: Final = "&h="
#: ``__PAGE_VISIT__`` looks like a macro.
_LITERAL: Final = frozenset(("n",))


class Singular(Plain):
    """The dialect of Singular's web SDK and of servers that speak its API."""

    name = "singular"
    speakers = "Singular's web SDK, and servers that speak its API"
    body_bytes_max = BODY_BYTES_MAX
    root_paths = ("/api/v1/event", "/api/v1/launch", "/api/v1/evt", "/api/v2/evt")
    holds_to_secret = True
    fields = FIELDS

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:
        """Raises Refused when ``a`` is not the door's key or, with a secret, query or payload are not signed with it."""
        hold_to(_pairs(letter).get("a"), door, "a")
        key = secret()
        if key is not None and _PATHS.get(letter.path.rstrip("/")) == "web":
            _check_signatures(letter, key)

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """The verdicts about the open or event, and the consent that stands beside it. Raises Refused."""
        kind = _PATHS.get(letter.path.rstrip("/"))
        if kind is None:
            raise Refused(
                RefusalReason.UNKNOWN_RECORD_TYPE, "this path takes no events", status=404
            )
        said = _Said(letter, telling, door, kind)
        raw = letter.query.encode() + b"\n" + letter.body
        try:
            verdict: Verdict = said.record()
        except Refused as refused:
            verdict = refused.bare()
        opened = verdict.record if isinstance(verdict, Kept) else None
        known = said.known() if isinstance(opened, Open) else None
        found = (said.consent(), known, verdict)
        return [Judged(one, raw) for one in found if one is not None]

    def accept(self, heard: Heard) -> Answer:  # noqa: ARG002 - the same whatever was refused
        """Exactly what the SDK waits for: anything else would keep the event at the head of its queue for ever."""
        return json_answer({"status": "ok"})

    def refuse(self, refused: Refused, letter: Letter) -> Answer:  # noqa: ARG002 - one shape everywhere
        """What Singular answers: 200 with an error's status, but for a wrong key, which a person must mend."""
        status = refused.status if refused.status in {401, 403, 503} else 200
        said = {"status": "ok" if status == 200 else "error", "reason": refused.message}
        return json_answer(said, status)

    def sample(self, key: str, now_ms: int) -> Letter:
        """An event with revenue, as a server tells it."""
        said = {
            "a": key,
            "n": "purchase",
            "p": "Android",
            "i": "com.example.game",
            "aifa": "11111111-2222-4333-8444-555555555555",
            "is_revenue_event": "true",
            "amt": "9.99",
            "cur": "EUR",
            "event_id": f"sample-{now_ms}",
            "utime": str(now_ms // 1000),
        }
        return Letter("GET", "/api/v1/evt", urlencode(said))


def _pairs(letter: Letter) -> dict[str, str]:
    """What query and form say; the query first. Raises Refused."""
    said = loose.pairs(letter.query, _LITERAL)
    if letter.body[:1] in {b"{", b""}:
        return said
    return loose.pairs(letter.body, _LITERAL) | said


def _check_signatures(letter: Letter, secret: str) -> None:
    """Hold query and payload to the secret, as the web SDK signs both. Raises Refused."""
    query, _, said = f"?{letter.query}".rpartition(_SHA1)
    right = sha1(f"{secret}{query}".encode()).hexdigest()  # noqa: S324 - theirs
    if not _is_same(right, said):
        raise _bad_signature("h", "the query is not signed with the secret of this door")
    fields = Fields.of(letter.body)
    payload, signature = fields.text("payload", BODY_BYTES_MAX), fields.text("signature", 64)
    right = sha1(f"{secret}{payload or ''}".encode()).hexdigest()  # noqa: S324 - theirs
    if not _is_same(right, signature or ""):
        raise _bad_signature("signature", "the payload is not signed with the secret of this door")


def _is_same(right: str, said: str) -> bool:
    """Whether a signature is the right one. Bytes are compared: of texts that are not ASCII nothing can be said."""
    return hmac.compare_digest(right.encode(), said.lower().encode("utf-8", "replace"))


def _bad_signature(param: str, message: str) -> Refused:
    return Refused(RefusalReason.BAD_SIGNATURE, message, param)


class _Said:
    """One letter while it is read."""

    def __init__(self, letter: Letter, telling: Telling, door: Door, kind: str) -> None:
        """Raises Refused when the parameters cannot be read."""
        self._door, self._kind = door, kind
        self._query = _pairs(letter)
        for name in ("a", "h"):
            self._query.pop(name, None)
        self._payload = _payload(letter.body, telling) if letter.body[:1] == b"{" else Fields({})
        self._most = telling.settings.id_characters_max
        at, unit_path = self._take("utime") or self._take("current_device_time"), "utime"
        self._at = loose.moment(Fields({unit_path: msgspec.Raw(_number(at))}), unit_path) if at else None  # fmt: skip
        lag = self._take("lag")
        if self._at is not None and lag and _SECONDS.match(lag):
            # The SDK says how long the event has waited with it.
            sent = self._at + int(Decimal(lag) * 1000)
            telling = corrected(telling, sent, "current_device_time")
        self._telling = telling
        self._seed = "&".join(f"{k}={v}" for k, v in sorted(self._query.items()))
        self._extra: dict[str, str] = {}
        self._id = self._take_id("event_id")
        self._app_version, self._sdk = self._take("app_v"), self._take("sdk")
        self._device = self._find_device()
        self._user = self._take_id("custom_user_id")

    def record(self) -> Kept:
        """The open or event. Raises Refused."""
        name = self._take("n")
        device = self._device
        if device is None and self._user is None:
            raise missing("sdid", "or idfa, aifa, andi or custom_user_id")
        frame = self._frame("sgl")
        is_visit = (
            name == PAGE_VISIT and self._query.get("is_first_page_visit_in_session") == "true"
        )
        if device is not None and (self._kind == "launch" or is_visit):
            return Kept(Topic.ACTIVITY, self._open(frame))
        if name is None:
            raise missing("n", "the event's name")
        arguments = self._arguments()
        event = Event(
            **frame,
            name=self._door.event(name),
            revenue=self._revenue(arguments),
            transaction_id=self._take_id("purchase_transaction_id"),
            params=arguments,
            implies_open=self._door.implies_open,
            extra=self._rest(),
        )
        return Kept(Topic.ACTIVITY, event)

    def consent(self) -> Kept | None:
        """What the person lets be shared, when it is said of a device."""
        limits = self._limits()
        if limits is None or self._device is None:
            return None
        try:
            return Kept(Topic.ACTIVITY, Consent(**self._frame("sglc"), sharing=not limits))
        except Refused:
            return None  # the record beside it is refused for the same reason

    def _limits(self) -> bool | None:
        """Whether sharing is limited. A device's ``dnt`` of 0 is no word of its person's, and takes nothing back."""
        if self._query.get("dnt") in _YES:
            return True
        said = self._query.get("data_sharing_options")
        try:
            return Fields.of(said.encode()).flag("limit_data_sharing") if said else None
        except (Refused, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def known(self) -> Kept | None:
        """That the app was on the device before its installations were ours to count, where its launch says since when it is."""
        before, installed = (
            self._door.mapped("installed", "before"),
            self._query.get("install_time"),
        )
        if before is None or installed is None or not _WHOLE.match(installed):
            return None
        until_ms = loose.at_ms(loose.json_of(f"{before}T00:00:00Z").encode(), "installed:before")
        if int(installed) * 1000 >= until_ms:
            return None
        frame = self._frame("sglk")
        return Kept(Topic.ACTIVITY, KnownDevice(**frame))

    def _frame(self, kind: str) -> dict[str, Any]:
        id_ = self._id if kind == "sgl" else None
        return loose.frame(
            self._telling,
            record=id_ or loose.known_by(kind, self._door, self._seed, self._at, self._telling),
            at=self._at,
            path="utime",
            device=self._device,
            user=self._user,
            stated=(self._query.get("ip"), self._query.get("ua")),
            is_trusted=self._door.is_trusted,
            app_version=self._app_version,
            sdk=self._sdk,
        )

    def _open(self, frame: dict[str, Any]) -> Open:
        referrers: tuple[Referrer, ...] = ()
        said = self._query.pop("install_ref", None)
        if said is not None:
            referrers = (Referrer(source=ReferrerSource.PLAY, value=said),)
        link = self._take("openuri") or self._take("web_page_url")
        if link is None and loose.is_text(self._payload, "web_url"):
            link = self._payload.text("web_url", 4096)
        return Open(**frame, referrers=referrers, link_opened=link, extra=self._rest())

    def _arguments(self) -> dict[str, str]:
        """The event's attributes, which stand in the query as JSON or in the payload."""
        said = self._query.pop("e", None)
        if said is None and loose.is_text(self._payload, "e"):
            said = self._payload.text("e", BODY_BYTES_MAX)
        if said is not None and said.startswith("{"):
            return Fields.checked(said.encode(), self._telling.settings.json_depth_max, "e").rest()
        return self._payload.mapping("e")

    def _revenue(self, arguments: dict[str, str]) -> Money | None:
        amount, currency = self._take("amt"), self._take("cur")
        if amount is None and "r" in arguments:
            holder = Fields({name: msgspec.Raw(arguments[name].encode()) for name in ("r", "pcc") if name in arguments})  # fmt: skip
            amount = loose.amount(holder, "r")
            currency = currency or loose.word(holder, "pcc")
        if amount is None:
            return None
        code = (currency or self._telling.speaker.product.currency).upper()
        may_be_negative = self._telling.speaker.is_server
        return read_money(loose.decimal(amount), code, "amt", may_be_negative=may_be_negative)

    def _find_device(self) -> Device | None:
        """The device by the SDK's own id, else by the first that a server says."""
        ids = {ours: said for theirs, ours in _IDS.items() if (said := self._take_id(theirs))}
        # `k` says what kind of id `u` is.
        kind = self._take("k")
        if kind is not None:
            self._extra["k"] = loose.json_of(kind)
        own, named = self._take_id("sdid"), self._take_id("u")
        id_ = own or named or next(iter(ids.values()), None)
        if id_ is None:
            return None
        platform = loose.runs_on(self._telling, self._extra, {"p": self._take("p")})
        return Device(
            id=DeviceId(id_),
            platform=platform,
            os_version=self._take("ve"),
            model=self._take("mo"),
            ids=ids,
            att_status=self._take("att_authorization_status"),
            locale=self._take("lc"),
            timezone=self._take("timezone"),
        )

    def _take(self, name: str) -> str | None:
        """A text on one line; what is none is left to the rest."""
        value = self._query.get(name)
        if value is None or len(value) > TEXT_CHARACTERS_MAX or not value.isprintable():
            return None
        return self._query.pop(name)

    def _take_id(self, name: str) -> str | None:
        return Fields({name: self._query.pop(name, None)}).identifier(name, self._most)

    def _rest(self) -> dict[str, str]:
        said = {name: loose.json_of(value) for name, value in self._query.items()}
        return self._extra | said | self._payload.rest("payload.")


def _payload(body: bytes, telling: Telling) -> Fields:
    """The payload that the web SDK sends as JSON inside of a text. Raises Refused."""
    said = Fields.of(body).text("payload", BODY_BYTES_MAX)
    if said is None:
        return Fields({})
    return Fields.checked(said.encode(), telling.settings.json_depth_max, "payload")


def _number(text: str) -> bytes:
    return text.encode() if text.replace(".", "", 1).isdigit() else loose.json_of(text).encode()
