"""From a partner's data, its settings and the values of one telling to the request that is sent, or why none is. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus, urlsplit

import msgspec

from attribune.model.delivery import TAKING_BACK, Trigger
from attribune.model.errors import Invalid
from attribune.postback.functions import Value
from attribune.postback.partner import (
    Absent,
    Basic,
    Parameter,
    Parameters,
    PartnerData,
    RequestData,
    SettingShape,
)
from attribune.postback.template import Template, allowed, read

#: Longest address that is sent; longer ones are refused by many servers.
URL_CHARACTERS_MAX: Final = 8000
#: Values of which the encoded form is remembered.
_QUOTED_KEPT: Final = 4096
_SETTING: Final = "setting."
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*(?::\d{1,5})?\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
#: What no quoting changes.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*\Z")
#: A piece of a path that is . or .., also for a server that decodes it before it looks for pieces.
_CLIMBS: Final = re.compile(r"(?:/|%2F|%5C|\\)\.{1,2}(?:/|%2F|%5C|\\|\Z)")
_MACRO_OF_HOST: Final = re.compile(r"\{setting\.([a-z0-9_]+)\}")


class Request(NamedTuple):
    """What is sent."""

    method: str
    url: str
    #: Without those that delivery adds.
    headers: dict[str, str]
    body: bytes


class Skipped(NamedTuple):
    """That nothing is sent, and why."""

    reason: str


class Needs(NamedTuple):
    """What must be looked up for a request, beside the outcome."""

    #: The touch that is credited: what else stood on the link.
    touch: bool
    #: The open or event itself: address, user agent, identifiers, parameters.
    record: bool
    #: When the conversion happened that an event belongs to.
    conversion: bool


#: All of it.
EVERYTHING: Final = Needs(touch=True, record=True, conversion=True)
#: Macros that only the open or event itself has a value for.
_OF_RECORD: Final = frozenset(
    {
        "ip",
        "user_agent",
        "model",
        "language",
        "gaid",
        "idfa",
        "idfv",
        "android_id",
        "oaid",
        "app_set_id",
    }
)


#: Macros that tell a part from the whole.
_OF_PART: Final = frozenset(
    {"revenue_undone", "revenue_undone_minor", "revenue_left", "revenue_left_minor"}
)


class _Field(NamedTuple):
    name: str
    template: Template
    absent: Absent
    characters_max: int | None = None


class _Way(NamedTuple):
    """One request, all its templates read."""

    data: RequestData
    #: Scheme and host, in which no macro stands; then the path.
    origin: str
    path: Template
    query: tuple[_Field, ...]
    headers: tuple[_Field, ...]
    form: tuple[_Field, ...]
    json: tuple[_Field, ...]
    basic: tuple[Template, Template] | None

    def filled(self) -> Iterator[tuple[str, tuple[_Field, ...], Callable[[str], str]]]:
        """Where fields stand: what it is called, the fields, and how a value is written there."""
        if self.query:
            yield "query", self.query, _in_query
        if self.headers:
            yield "headers", self.headers, _in_header
        if self.form:
            yield "form", self.form, quote_plus
        if self.json:
            yield "json", self.json, str

    @property
    def macros(self) -> frozenset[str]:
        """The names of all macros that it may use."""
        fields = (*self.query, *self.headers, *self.form, *self.json)
        return self.path.macros.union(*(one.template.macros for one in fields))

    def needs(self) -> Needs:
        """What its macros must be looked up for."""
        used = self.macros
        return Needs(
            touch=any(name.startswith("extra.") for name in used),
            record=any(name in _OF_RECORD or name.startswith("param.") for name in used),
            conversion="conversion_at" in used,
        )


class Prepared:
    """A partner with its settings, ready to render any number of tellings."""

    def __init__(
        self,
        data: PartnerData,
        settings: Mapping[str, str],
        events: Mapping[str, str] | None = None,
    ) -> None:
        """Read every template. Raises Invalid that names the setting or the field that is wrong.

        ``events`` are the operator's own names of events for this partner, beside the partner's.
        """
        self._data = data
        self._events = {**data.events, **(events or {})}
        self._settings = _settings(data, settings)
        self._constants: dict[str, Value | None] = {
            f"{_SETTING}{name}": value for name, value in self._settings.items()
        }
        self._ways = {
            trigger: way
            for request in data.requests
            for way in [self._way(request)]
            for trigger in request.triggers
        }
        self._needs = {trigger: way.needs() for trigger, way in self._ways.items()}
        back = [self._needs[trigger] for trigger in TAKING_BACK if trigger in self._needs]
        if back:
            # Whether it is a part or the whole is known only after looking.
            both = Needs(*map(any, zip(*back, strict=True)))
            self._needs |= dict.fromkeys(TAKING_BACK, both)

    @property
    def triggers(self) -> frozenset[Trigger]:
        """What it has a request for."""
        return frozenset(self._ways)

    def hosts(self) -> dict[str, str]:
        """The hosts that requests go to, without port, each with the setting that names it, or ``url`` of the partner's own."""
        return {
            urlsplit(way.origin).hostname or "": _setting_of_host(way.data.url)
            for way in self._ways.values()
        }

    def origins(self) -> frozenset[str]:
        """Scheme, host and port of each address that requests go to."""
        return frozenset(way.origin for way in self._ways.values())

    def needs(self, trigger: Trigger) -> Needs:
        """What must be looked up to tell of a trigger."""
        return self._needs.get(trigger, EVERYTHING)

    def callback(
        self,
        url: str,
        hosts: Collection[str],
        values: Mapping[str, Value | None],
        *,
        shares: bool = True,
    ) -> Request | Skipped:
        """What is sent to an address that a click carries, read in the partner's dialect; only to one of these hosts."""
        try:
            origin, path, query = _address(url, {})
            own = tuple(_Field(name, self._handed(value), Absent.DROP) for name, value in query)
            data = RequestData(triggers=[], url=url)
            way = _Way(data, origin, self._handed(path), own, (), (), (), None)
        except Invalid as wrong:
            return Skipped(f"the address on the click cannot be called: {wrong.message}")
        host = urlsplit(origin).hostname or ""
        if host not in hosts:
            return Skipped(
                f"the address on the click leads to {host}, which is no callback host of this postback"
            )
        return self._said(way, values, shares=shares)

    def request(
        self, trigger: Trigger, values: Mapping[str, Value | None], *, shares: bool = True
    ) -> Request | Skipped:
        """What is sent for a trigger. ``shares`` is False of a person who does not want partners to be told of them."""
        way = self._ways.get(trigger)
        if trigger is Trigger.PARTIAL_REVERSAL and (why := self._unsaid(way, values)):
            return Skipped(why)
        if way is None:
            return Skipped(f"the partner is not told of {trigger}")
        return self._said(way, values, shares=shares)

    def _unsaid(self, way: _Way | None, values: Mapping[str, Value | None]) -> str | None:
        """Why a part cannot be told; a partner that would take it for the whole is told nothing."""
        undone, left = values.get("revenue_undone"), values.get("revenue_left")
        if way is None and Trigger.REVERSAL not in self._ways:
            return f"the partner is not told of {Trigger.REVERSAL}"
        if left is None and not self._data.own_systems:
            return "how much of it is left is not known, since a refund is in another currency or no longer in the journal; tell the partner by hand"
        if way is None:
            return f"{undone} of it was taken back and {left} is left, and the partner can only be told of the whole; tell it by hand"
        if way.macros.isdisjoint(_OF_PART):
            return f"{undone} of it was taken back and {left} is left, and the request has no {{revenue_undone}} or {{revenue_left}} to say so"
        return None

    def _said(
        self, way: _Way, values: Mapping[str, Value | None], *, shares: bool
    ) -> Request | Skipped:
        told = {
            **values,
            "event_name": self._event_name(values),
            "told_id": _told_id(values),
            **self._constants,
        }
        if not shares:
            limit = self._data.without_sharing
            if limit is None:
                return Skipped("the person does not share, and the partner is then told nothing")
            told = allowed(told, limit)
        return _rendered(way, told)

    def _event_name(self, values: Mapping[str, Value | None]) -> Value | None:
        event = values.get("event") or values.get("kind")
        return self._events.get(str(event), event) if event else None

    def _way(self, data: RequestData) -> _Way:
        origin, path, query = _address(self._url_of(data), self._settings)
        own = tuple(self._field(name, value, "url") for name, value in query)
        return _Way(
            data=data,
            origin=origin,
            path=self._read(path, "url"),
            query=own + tuple(map(_named_in_query, self._fields(data.query, "query"))),
            headers=self._fields(data.headers, "headers"),
            form=self._fields(data.form, "form"),
            json=self._fields(data.json, "json"),
            basic=self._basic(data.basic),
        )

    def _basic(self, data: Basic | None) -> tuple[Template, Template] | None:
        if data is None:
            return None
        return self._read(data.user, "basic.user"), self._read(data.password, "basic.password")

    def _url_of(self, data: RequestData) -> str:
        """The template of the address: the partner's, or the operator's when the data leaves it to a setting."""
        alone = _MACRO_OF_HOST.fullmatch(data.url)
        if alone is None:
            return data.url
        return self._settings[alone.group(1)]

    def _fields(self, parameters: Parameters, what: str) -> tuple[_Field, ...]:
        return tuple(
            self._field(name, value, f"{what}.{name}") for name, value in parameters.items()
        )

    def _field(self, name: str, value: str | Parameter, param: str) -> _Field:
        if self._read(name, param).macros:
            raise Invalid(f"{param}: no macro may stand in the name {name!r}", param=param)
        if isinstance(value, str):
            return _Field(name, self._read(value, param), Absent.DROP)
        return _Field(name, self._read(value.value, param), value.absent, value.characters_max)

    def _handed(self, text: str) -> Template:
        return read(text, self._data.dialect, "callback", is_handed=True)

    def _read(self, text: str, param: str) -> Template:
        template = read(text, self._data.dialect, param)
        unknown = {
            name.removeprefix(_SETTING) for name in template.macros if name.startswith(_SETTING)
        } - self._data.settings.keys()
        if unknown:
            raise Invalid(f"{param}: there is no setting {', '.join(sorted(unknown))}", param=param)
        return template


def _setting_of_host(url: str) -> str:
    """The first setting in an address's host; ``url`` where none stands in it."""
    rest = url.partition("://")[2] or url
    found = _MACRO_OF_HOST.search(re.split("[/?#]", rest, maxsplit=1)[0])
    return found.group(1) if found else "url"


def _told_id(values: Mapping[str, Value | None]) -> Value | None:
    """One id of what is told. A conversion has a record too, which is not what it was told by."""
    own = values.get("record_id" if values.get("event") else "conversion_id")
    return values.get("transaction_id") or own


def _settings(data: PartnerData, given: Mapping[str, str]) -> dict[str, str]:
    """Every setting that has a value, checked. Raises Invalid."""
    if unknown := sorted(given.keys() - data.settings.keys()):
        known = ", ".join(data.settings) or "none"
        raise Invalid(f"there is no setting {unknown[0]!r}; there are {known}", param=unknown[0])
    found = {}
    for name, setting in data.settings.items():
        value = given.get(name, setting.default)
        if value is None or value == "":
            if setting.required:
                raise Invalid(f"give {name}: {setting.help}", param=name)
            continue
        if _CONTROL.search(value):
            raise Invalid(f"{name} holds a line break or another control character", param=name)
        if setting.shape is SettingShape.HOST and not _HOST.match(value):
            raise Invalid(
                f"{name} is a host name such as track.example.com, not {value!r}", param=name
            )
        if wanted := setting.wrong(value):
            raise Invalid(f"{name} is {wanted}, not {value!r}", param=name)
        found[name] = value
    return found


def is_host(text: str) -> bool:
    """Whether a text is a host's name or IPv4 address, without a port."""
    return ":" not in text and bool(_HOST.match(text))


def _address(text: str, settings: Mapping[str, str]) -> tuple[str, str, list[tuple[str, str]]]:
    """Origin, template of the path, and (name, template) of each parameter. Raises Invalid."""
    scheme, between, rest = text.partition("://")
    if scheme not in {"http", "https"} or not between:
        raise Invalid("url: it begins with https:// or http://", param="url")
    end = min((rest.find(sign) for sign in "/?#" if sign in rest), default=len(rest))
    host = _MACRO_OF_HOST.sub(lambda found: settings.get(found.group(1), ""), rest[:end])
    if not _HOST.match(host):
        raise Invalid(
            f"url: {rest[:end]!r} is no host; only {{setting.…}} macros may stand in it",
            param="url",
        )
    path, _, query = rest[end:].partition("?")
    if "#" in rest[end:]:
        raise Invalid("url: what stands behind # is never sent; leave it out", param="url")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return f"{scheme}://{host}", path or "/", [(name, value) for name, _, value in pairs]


def _rendered(way: _Way, values: Mapping[str, Value | None]) -> Request | Skipped:
    path = _path(way.path, values)
    if isinstance(path, Skipped):
        return path
    parts: dict[str, list[tuple[str, str]]] = {}
    for what, fields, mark in way.filled():
        pairs, reason = _pairs(fields, values, mark)
        if reason:
            return Skipped(reason)
        parts[what] = pairs
    if way.data.one_of:
        sent = {name for pairs in parts.values() for name, _ in pairs}
        for names in way.data.one_of:
            if sent.isdisjoint(names):
                return Skipped(f"none of {', '.join(names)} has a value")
    query = "&".join([f"{name}={value}" for name, value in parts.get("query", ())])
    url = f"{way.origin}{path}?{query}" if query else way.origin + path
    if len(url) > URL_CHARACTERS_MAX:
        return Skipped(
            f"the address would have {len(url)} characters; at most {URL_CHARACTERS_MAX} are sent"
        )
    headers = dict(parts.get("headers", ()))
    if way.basic is not None:
        headers["authorization"] = _authorization(way.basic, values)
    body, kind = _body(way, parts)
    if kind:
        headers["content-type"] = kind
    return Request(way.data.method, url, headers, body)


def _path(template: Template, values: Mapping[str, Value | None]) -> str | Skipped:
    path = template.say(values, _quoted)
    if path is None:
        absent = template.fill(values).absent
        return Skipped(f"{absent[0]} has no value, and it stands in the address")
    if _CLIMBS.search(path):
        return Skipped("a value would make the path lead elsewhere, by . or .. in it")
    return path


def _pairs(
    fields: tuple[_Field, ...], values: Mapping[str, Value | None], mark: Callable[[str], str]
) -> tuple[list[tuple[str, str]], str | None]:
    """(name, text) of what is sent, and why nothing may be sent at all."""
    pairs = []
    for name, template, absent, most in fields:
        text = template.say(values, mark)
        if text is None:
            filled = template.fill(values, mark)
            if absent is Absent.SKIP:
                return [], f"{filled.absent[0]} has no value, and {name} needs one"
            if absent is Absent.DROP:
                continue
            text = filled.text
        if most is not None and (size := len(template.fill(values).text)) > most:
            return [], f"{name} would have {size} characters, and the partner takes {most}"
        pairs.append((name, text))
    return pairs, None


def _body(way: _Way, parts: Mapping[str, list[tuple[str, str]]]) -> tuple[bytes, str | None]:
    if way.form:
        pairs = (f"{quote_plus(name)}={value}" for name, value in parts["form"])
        return "&".join(pairs).encode(), "application/x-www-form-urlencoded"
    if way.json:
        return msgspec.json.encode(dict(parts["json"])), "application/json"
    return b"", None


def _authorization(basic: tuple[Template, Template], values: Mapping[str, Value | None]) -> str:
    user, password = (template.fill(values).text for template in basic)
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _named_in_query(field: _Field) -> _Field:
    """A parameter whose name is as it stands in a query; those of an address are so already."""
    return field._replace(name=quote(field.name, safe="~$[]"))


def _in_query(value: str) -> str:
    # Most values are plain, and seeing that costs a tenth of quoting them.
    return value if _PLAIN.match(value) else _quoted(value)


@lru_cache(maxsize=_QUOTED_KEPT)
def _quoted(value: str) -> str:
    """A value percent-encoded; names of campaigns come again and again."""
    return quote(value, safe="")


def _in_header(value: str) -> str:
    return _CONTROL.sub(" ", value)
