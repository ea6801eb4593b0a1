"""Branch: what its clients for phones and browsers and callers of its HTTP API say, in our records. Pure.

Opens are answered with what the link says that led to them; links made here are links of ours.
Sources: Branch's web client on the wire, its open clients for Android and iOS, and the reference of its HTTP API.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Raw

from attribune.collect.dialects import loose
from attribune.collect.dialects.branch_links import link_of, picture
from attribune.collect.dialects.branch_records import GIVEN, Message
from attribune.collect.dialects.branch_words import (
    APP_LINKS,
    BODY_BYTES_MAX,
    BULK,
    EVENTS,
    FINGERPRINT,
    LAST_TOUCH,
    OPENS,
    QR_CODE,
    URL,
    first_of,
    json_body,
    key_of,
    path_of,
)
from attribune.collect.dialects.letter import Heard, Letter, Plain, Secret, Told, hold_to
from attribune.collect.fields import Fields
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, json_answer
from attribune.collect.targets import CLICK_PARAMETER
from attribune.collect.verdict import Judged, Kept, Making
from attribune.model.activity import Open
from attribune.model.control import Change, Door, Link
from attribune.model.ids import DeviceId, LinkId, TouchId, digest, time_of
from attribune.model.policy import MatchMethod
from attribune.model.refusal import RefusalReason

#: Links of one bulk.
BULK_LINKS_MAX: Final = 100
FIELDS: Final = {
    "path: /v1/install, /v1/open": "an open; of a phone that another server has named, a known device too",
    "name, event": "event name; pageview and dismiss are events of that name",
    "branch_sdk_request_unique_id": "id",
    "branch_sdk_request_timestamp": "at",
    "anon_id, randomized_device_token, browser_fingerprint_id; else hardware_id, else the first advertising id": "device.id",
    "google_advertising_id, aaid, idfa, ios_vendor_id, idfv, oaid, android_id, advertising_ids": "gaid, idfa, idfv, oaid, android_id, fire_adid",
    "hardware_id that is real": "android_id, idfv or idfa, by hardware_id_type",
    "identity, developer_identity": "user_id",
    "os, sdk": "device.platform",
    "os_version_android, os_version": "device.os_version",
    "model": "device.model",
    "locale; language, country": "device.locale",
    "opted_in_status": "device.att_status",
    "app_version": "app.version",
    "sdk, sdk_version": "app.sdk",
    "user_data.ip, user_data.user_agent": "ip, user_agent, at a trusted door",
    "install_referrer_extras, apple_attribution_token": "referrers; app_store is their source",
    "clicked_referrer_ts, install_begin_ts, clicked_referrer_server_ts, install_begin_server_ts": "times of the referrer",
    "universal_link_url, android_app_link_url, external_intent_uri, current_url, local_url": "link_opened: the first that is there",
    "event_data.revenue": "revenue.amount, but for events that sell nothing, such as ADD_TO_CART",
    "event_data.currency": "revenue.currency",
    "event_data.transaction_id": "transaction_id",
    "event_data, custom_data, content_items, customer_event_alias, metadata": "params",
    "cpp_level": "measurement and sharing: FULL both, REDUCED and MINIMAL measurement alone, NONE no measurement",
    "tracking_disabled of true": "measurement: false; false says nothing",
    "dma_ad_user_data, disable_ad_network_callouts": "sharing",
    "data, channel, feature, stage, tags of a link": "deep_link_data",
    "campaign, data.~campaign of a link": "campaign",
    "data.$android_url, $ios_url, $desktop_url, $fallback_url of a link": "targets, where the door allows the host",
    "data.$deeplink_path, $android_deeplink_path, $ios_deeplink_path, $canonical_url of a link": "deep_link",
}
_CALLBACK: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,127}\Z", re.ASCII)
_LINK_PATH: Final = "/c/"
_DAYS_MAX: Final = 90
#: Paths of a client that tell us nothing we have a use for.
_QUIET: Final = frozenset(("/v1/deepview", "/v1/cpid", "/v1/logout", "/v1/profile"))


class Branch(Plain):
    """The dialect of Branch's clients and of its HTTP API."""

    name = "branch"
    speakers = "Branch's clients for Android, iOS and the web, and callers of its HTTP API"
    body_bytes_max = BODY_BYTES_MAX
    root_paths = (
        *sorted((OPENS | EVENTS | _QUIET) - {"/v1/event"}),
        URL,
        QR_CODE,
        LAST_TOUCH,
        FINGERPRINT,
        APP_LINKS,
    )
    makes_links = True
    fields = FIELDS

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:  # noqa: ARG002 - nothing is signed
        """Raises Refused when ``branch_key`` is not the door's."""
        hold_to(key_of(letter), door, "branch_key")

    def plain_answer(self, letter: Letter, door: Door) -> Answer | None:  # noqa: ARG002 - the same at every door
        """What browsers ask before anything else, and what tells nothing. A browser gets its id with its first open."""
        path = path_of(letter)
        if path == FINGERPRINT:
            return _script(first_of(letter.query, "callback"))
        if path in _QUIET or path.startswith(APP_LINKS):
            return json_answer({})
        return None

    def asks(self, letter: Letter, door: Door) -> DeviceId | None:
        """The device whose last touch is asked for."""
        if path_of(letter) != LAST_TOUCH:
            return None
        try:
            said = Fields.of(json_body(letter))
            user = said.fields("user_data") or said
            found = loose.first_id(user, ("anon_id", "randomized_device_token", "browser_fingerprint_id", "aaid", "idfa", "idfv", "android_id"), 256)  # fmt: skip
        except (Refused, msgspec.MsgspecError, UnicodeDecodeError):
            found = None
        return DeviceId(found or f"{door.id}-nobody")

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """The verdicts about what a letter tells, or the links that it makes. Raises Refused when it is neither."""
        if letter.method != "POST":
            raise Refused(RefusalReason.MALFORMED, "this path takes POST", status=405)
        path = path_of(letter)
        if path in {URL, QR_CODE}:
            return [_made(json_body(letter), telling, door)]
        if path.startswith(BULK):
            raws = loose.records_of(json_body(letter), "", BULK_LINKS_MAX)
            return _made_each(raws, telling, door)
        if path in OPENS | EVENTS:
            return _told(json_body(letter), telling, door, path)
        raise Refused(RefusalReason.UNKNOWN_RECORD_TYPE, "this path takes nothing", status=404)

    def accept(self, heard: Heard) -> Answer:
        """The answer that a client of a path waits for."""
        path = path_of(heard.letter)
        if path == LAST_TOUCH:
            return json_answer(_last_touch(heard))
        made = [_answer_of(one, heard) for one in heard.verdicts]
        if path.startswith(BULK):
            return json_answer(made)
        refused = heard.first_refused
        if refused is not None:
            return self.refuse(refused, heard.letter)
        if path == URL:
            return json_answer(made[0])
        if path == QR_CODE:
            return self._picture(made[0]["url"], heard.letter)
        if path in OPENS:
            return json_answer(_opened(heard))
        return json_answer({})

    def _picture(self, url: str, letter: Letter) -> Answer:
        try:
            kind, image = picture(url, json_body(letter), 64)
        except Refused as refused:
            return self.refuse(refused, letter)
        return Answer(status=200, headers=[("content-type", kind)], body=image)

    def refuse(self, refused: Refused, letter: Letter) -> Answer:  # noqa: ARG002 - one shape everywhere
        """Branch's error shape, of which its clients show the message; what lies at the client is no 5xx, which would be sent again."""
        said = {"error": {"code": refused.status, "message": refused.message}}
        return json_answer(said, refused.status)

    def sample(self, key: str, now_ms: int) -> Letter:
        """A purchase, as a server tells it."""
        said = {
            "branch_key": key,
            "name": "PURCHASE",
            "branch_sdk_request_unique_id": f"sample-{now_ms}",
            "branch_sdk_request_timestamp": now_ms,
            "user_data": {"os": "Android", "aaid": "11111111-2222-4333-8444-555555555555"},
            "event_data": {
                "transaction_id": f"sample-{now_ms}",
                "revenue": "9.99",
                "currency": "EUR",
            },
        }
        return Letter("POST", "/v2/event/standard", body=msgspec.json.encode(said))


def _script(callback: str | None) -> Answer:
    """A call of the page's own function, whose name is held to be one."""
    if callback is None or not _CALLBACK.match(callback):
        message = "callback must be the name of a function"
        return json_answer({"error": {"code": 400, "message": message}}, 400)
    headers = [
        ("content-type", "application/javascript; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
    ]
    return Answer(status=200, headers=headers, body=f'/**/{callback}("");'.encode())


def _made(raw: bytes, telling: Telling, door: Door) -> Judged:
    try:
        link = link_of(raw, telling, door)
    except Refused as refused:
        return Judged(refused.bare(), raw)
    return Judged(Making(Change(at_ms=telling.received_at_ms, record=link, door=door.id)), raw)


def _made_each(raws: Iterable[Raw], telling: Telling, door: Door) -> Iterable[Judged]:
    """A link for each body; one that gives another's alias to something else is refused, though neither is kept yet."""
    seen: dict[LinkId, Link] = {}
    for raw in raws:
        judged = _made(bytes(raw), telling, door)
        made = judged.verdict.change.record if isinstance(judged.verdict, Making) else None
        if isinstance(made, Link) and seen.setdefault(made.id, made) != made:
            message = "this alias is taken by another link of this letter; choose another"
            judged = Judged(Refused(RefusalReason.BAD_ID, message, "alias", status=409), judged.raw)
        yield judged


def _told(raw: bytes, telling: Telling, door: Door, path: str) -> Iterable[Judged]:
    """The record, behind the consent that stands beside it."""
    try:
        told = Message(raw, telling, door, path)
        consent = told.consent() if told.device or path in OPENS else None
        known = told.known() if path == "/v1/open" else None
        record = told.open() if path in OPENS else told.event()
    except Refused as refused:
        return [Judged(refused.bare(), raw)]
    return [Judged(one, raw) for one in (consent, known, record) if one is not None]


def _answer_of(verdict: Any, heard: Heard) -> dict[str, Any]:
    """A link that was made, or why not."""
    if isinstance(verdict, Refused):
        return {"error": {"code": verdict.status, "message": verdict.message}}
    if isinstance(verdict, Making) and isinstance(verdict.change.record, Link):
        return {"url": _address(heard, verdict.change.record.id)}
    return {}


def _address(heard: Heard, link: str) -> str:
    return f"{heard.base_url}{_LINK_PATH}{link}"


def _opened(heard: Heard) -> dict[str, Any]:
    """What an open is answered: ids, and the data of the link that led to it as JSON inside of a text."""
    opened = next(v.record for v in heard.verdicts if isinstance(v, Kept) and isinstance(v.record, Open))  # fmt: skip
    device = opened.device.id
    session, bundle = _digits(opened.product, opened.id), _digits(opened.product, opened.app, device)  # fmt: skip
    data = _data(heard, opened)
    link = data.get("~referring_link")
    return {
        "session_id": session,
        "identity_id": bundle,
        "randomized_bundle_token": bundle,
        "randomized_device_token": device,
        "browser_fingerprint_id": device,
        "device_fingerprint_id": device,
        "link": link or heard.base_url,
        "referring_link": link,
        "identity": opened.user_id,
        "has_app": False,
        "data": msgspec.json.encode(data).decode(),
    }


def _digits(*parts: str) -> str:
    return str(int.from_bytes(digest(*parts, size=8), "big") >> 1)


def _data(heard: Heard, opened: Open) -> dict[str, Any]:
    """What the app is told of the link that this open came by."""
    is_first = _is_first(heard, opened)
    said: dict[str, Any] = {"+clicked_branch_link": False, "+is_first_session": is_first}
    told = heard.told
    if told is not None and (told.forgotten or not told.measurement):
        return said
    direct = _direct(heard, opened)
    if direct is not None:
        return said | _words(heard, direct, None)
    click = _click(opened.link_opened)
    if told is None or told.attribution.is_organic or told.attribution.link is None:
        return said | _other_link(opened)
    if is_first or (click is not None and time_of(click) == told.attribution.click_at):
        return said | _words(heard, None, told)
    return said | _other_link(opened)


def _is_first(heard: Heard, opened: Open) -> bool:
    if path_of(heard.letter) == "/v1/install":
        return True
    # A browser that had been here says who it is; one that had not was named just now.
    return opened.device.id.startswith(GIVEN) and GIVEN.encode() not in heard.letter.body


def _direct(heard: Heard, opened: Open) -> Link | None:
    """The link whose own address opened the app, without a click on the way."""
    if not opened.link_opened or heard.directory is None:
        return None
    try:
        path = urlsplit(opened.link_opened).path
    except ValueError:
        return None
    if not path.startswith(_LINK_PATH):
        return None
    link = heard.directory.link(LinkId(path.removeprefix(_LINK_PATH)))
    return link if link is not None and link.product == opened.product else None


def _click(address: str | None) -> TouchId | None:
    if not address or CLICK_PARAMETER not in address:
        return None
    try:
        found = parse_qs(urlsplit(address).query, max_num_fields=256).get(CLICK_PARAMETER)
    except ValueError:
        return None
    return TouchId(found[0].lower()) if found else None


def _other_link(opened: Open) -> dict[str, Any]:
    return {"+non_branch_link": opened.link_opened} if opened.link_opened else {}


def _words(heard: Heard, link: Link | None, told: Told | None) -> dict[str, Any]:
    """A link's own words, and ours of it: from the link itself, or from what is decided."""
    found: dict[str, Any] = {"+clicked_branch_link": True}
    if link is not None:
        id_, deep_link = str(link.id), link.deep_link
        ours = {"campaign": link.campaign, "ad_set_name": link.adgroup, "creative_name": link.creative, "channel": link.partner}  # fmt: skip
        data = {name: Raw(value.encode()) for name, value in link.deep_link_data.items()}
        found["+click_timestamp"] = heard.now_ms // 1000
        found["+match_guaranteed"] = True
    else:
        assert told is not None, "one of both is known"
        credit, deep_link, data = told.attribution, told.deep_link, told.deep_link_data
        id_ = credit.link or ""
        ours = {"campaign": credit.campaign, "ad_set_name": credit.adgroup, "creative_name": credit.creative, "channel": credit.partner}  # fmt: skip
        if credit.click_at is not None:
            found["+click_timestamp"] = credit.click_at // 1000
        found["+match_guaranteed"] = credit.method != MatchMethod.PROBABILISTIC
    found |= {f"~{name}": said for name, said in ours.items() if said}
    if deep_link:
        found["$deeplink_path"] = deep_link
    found |= {name: value for name, value in data.items() if name[:1] != "+"}
    return found | {"~id": id_, "~referring_link": _address(heard, id_)}


def _last_touch(heard: Heard) -> dict[str, Any]:
    """The touch that a device is credited to, in the words of Branch's clients."""
    told, credit = heard.told, heard.told.attribution if heard.told else None
    touched: dict[str, Any] = {}
    if told is not None and credit is not None and not credit.is_organic and told.measurement:
        words = _words(heard, None, told)
        touched = {name: value for name, value in words.items() if name[:1] == "~"}
        touched["+click_timestamp"] = words.get("+click_timestamp")
    days = "30"
    try:
        user = Fields.of(json_body(heard.letter)).fields("user_data")
        days = (loose.word(user, "attribution_window") if user else None) or days
    except (Refused, msgspec.MsgspecError, UnicodeDecodeError):
        pass
    window = min(int(days), _DAYS_MAX) if days.isdecimal() and len(days) < 6 else 30
    return {"last_attributed_touch_data": touched, "attribution_window": window}
