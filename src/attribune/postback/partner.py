"""What a partner wants to hear, as data: ``partners/<name>/partner.toml``, read and checked here. Pure.

A partner's folder holds ``partner.toml``, ``cases.toml`` (what it is told in given cases, which is tested) and ``README.md``. One that
a user writes is read by the same rules; nobody needs Python for it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field

from attribune.model import toml
from attribune.model.delivery import Trigger
from attribune.model.errors import Invalid
from attribune.postback.dialects import Dialect
from attribune.postback.macros import Reach

#: Parameters of a request, headers among them.
PARAMETERS_MAX: Final = 100
REQUESTS_MAX: Final = 20
SETTINGS_MAX: Final = 40
CHOICES_MAX: Final = 100


class Absent(StrEnum):
    """What becomes of a parameter when one of its macros has no value."""

    #: It is left out, name and all.
    DROP = "drop"
    #: It is sent with nothing in the macro's place.
    EMPTY = "empty"
    #: Nothing is sent, and the log says why.
    SKIP = "skip"


class SettingShape(StrEnum):
    """What a setting's value may be."""

    TEXT = "text"
    #: A host name, without scheme or path.
    HOST = "host"
    #: Kept encrypted and never shown again.
    SECRET = "secret"  # noqa: S105 - a shape, not a password
    #: A whole URL with macros in it.
    URL = "url"


class Setting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that only the operator knows."""

    help: str
    shape: SettingShape = SettingShape.TEXT
    required: bool = True
    default: str | None = None
    #: It is one of these, if any are named.
    one_of: list[str] = field(default_factory=list)
    #: The whole of it has this pattern, and what that means in words.
    pattern: str | None = None
    says: str | None = None

    def wrong(self, value: str) -> str | None:
        """What a value should be that it is not; None of one that is fine."""
        if self.one_of and value not in self.one_of:
            return f"one of {', '.join(self.one_of)}"
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            return self.says
        return None


class Parameter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One parameter of a request: a template, and what an absent value means."""

    value: str
    absent: Absent = Absent.DROP
    #: The partner takes no longer one; then nothing is sent, since a part of an id is another id.
    characters_max: int | None = None


class Basic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """HTTP Basic authentication."""

    user: str
    password: str


#: A parameter as written: the template alone, or with more.
Parameters = dict[str, str | Parameter]


class RequestData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sent for some triggers."""

    triggers: list[Trigger]
    #: ``GET``, ``POST``, ``PUT`` or ``DELETE``.
    method: str = "GET"
    #: A template; with ``{setting.url}`` alone, the operator's own.
    url: str
    query: Parameters = field(default_factory=dict)
    headers: Parameters = field(default_factory=dict)
    #: At most one of these two.
    form: Parameters = field(default_factory=dict)
    json: Parameters = field(default_factory=dict)
    basic: Basic | None = None
    #: Of each list one parameter at least must have a value, or nothing is sent.
    one_of: list[list[str]] = field(default_factory=list)


#: Verdicts on the request itself, which is the same the next time: bad, gone, or too large to be taken.
FINAL_STATUS: Final = (400, 410, 413, 414, 415, 422, 431)


class Success(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counts as told."""

    status: list[int] = field(default_factory=lambda: [200, 201, 202, 204])
    #: A pattern that the answer's body must hold, for those who answer 200 to what they refuse.
    body: str | None = None
    #: A pattern that says that it was told before.
    repeated: str | None = None
    #: A pattern that says no for good, whatever the status: it is not tried again.
    final: str | None = None
    #: Statuses that say no for good. Any other no is tried again, since it may be a moment's: a redirect to a login, 404 while they deploy.
    final_status: list[int] = field(default_factory=lambda: list(FINAL_STATUS))


class Poll(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a partner that takes a request first and decides later is asked what it decided. All are patterns."""

    #: In the answer: it will decide later. Its first group is where to ask, on the same host.
    later: str
    #: In what it says then: it has decided.
    decided: str
    #: In what it says then: against it. Its first group, if any, says why.
    refused: str


class PartnerData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One partner."""

    title: str
    dialect: Dialect = Dialect.ATTRIBUNE
    #: Where what is written here comes from.
    source: str
    settings: dict[str, Setting] = field(default_factory=dict)
    requests: list[RequestData]
    #: Its addresses come with the click, and stand in no request here.
    callbacks: bool = False
    #: For the operator's own systems: whoever is credited, everything is told by its name.
    own_systems: bool = False
    #: The app's event name → the partner's; others go by their own name.
    events: dict[str, str] = field(default_factory=dict)
    success: Success = field(default_factory=Success)
    poll: Poll | None = None
    #: How much is told of a person who does not share; None tells nothing. Own systems are no third party: theirs may say
    #: ``person``, and are told nothing of who does not want to be measured.
    without_sharing: Reach | None = None


_METHODS: Final = ("GET", "POST", "PUT", "DELETE")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
#: Headers that belong to the connection, or that ``basic`` makes.
_NOT_THEIRS: Final = frozenset(
    {"authorization", "connection", "content-length", "cookie", "host", "te", "transfer-encoding"}
)


def read_partner(text: str) -> PartnerData:
    """Read ``partner.toml``. Raises Invalid that says which field is wrong."""
    try:
        data = toml.read(text.encode(), PartnerData)
    except toml.BadToml as fault:
        raise Invalid(f"partner.toml: {fault}", param="partner.toml") from None
    _check(data)
    return data


def _check(data: PartnerData) -> None:
    _at_most(len(data.settings), SETTINGS_MAX, "settings")
    _at_most(len(data.requests), REQUESTS_MAX, "requests")
    for name, setting in data.settings.items():
        _check_setting(name, setting)
    told: set[Trigger] = set()
    for request in data.requests:
        told |= _checked(request, told)
    if Trigger.PARTIAL_REVERSAL in told and Trigger.REVERSAL not in told:
        raise _wrong(
            "requests.triggers",
            f"{Trigger.PARTIAL_REVERSAL} needs {Trigger.REVERSAL} too: parts may become the whole",
        )
    if data.callbacks == bool(data.requests):
        raise _wrong("requests", "give some, or callbacks = true, and not both")
    poll = data.poll
    success = data.success
    patterns = {f"success.{name}": getattr(success, name) for name in ("body", "repeated", "final")}
    if both := sorted(set(success.status) & set(success.final_status)):
        raise _wrong("success.final_status", f"{both[0]} stands in success.status too")
    if poll is not None:
        patterns |= {f"poll.{name}": getattr(poll, name) for name in Poll.__struct_fields__}
    for what, pattern in patterns.items():
        _check_pattern(what, pattern or "", groups=1 if what == "poll.later" else 0)


def _check_setting(name: str, setting: Setting) -> None:
    if not _NAME.match(name):
        raise _wrong("settings", f"{name!r} is no name: small letters, digits and _")
    what = f"settings.{name}"
    if setting.shape is SettingShape.SECRET and (setting.one_of or setting.pattern is not None):
        raise _wrong(what, "a secret has no one_of and no pattern: its name is shown in its place")
    if (setting.pattern is None) != (setting.says is None):
        raise _wrong(what, "pattern and says go together: says is what the pattern means, in words")
    _at_most(len(setting.one_of), CHOICES_MAX, f"{what}.one_of")
    _check_pattern(f"{what}.pattern", setting.pattern or "", groups=0)
    if setting.default and (wanted := setting.wrong(setting.default)):
        raise _wrong(f"{what}.default", f"it is {wanted}, not {setting.default!r}")


def _check_pattern(what: str, pattern: str, groups: int) -> None:
    try:
        found = re.compile(pattern)
    except re.error as fault:
        raise _wrong(what, f"{pattern!r} is no pattern: {fault}") from None
    if found.groups < groups:
        raise _wrong(what, f"{pattern!r} has no group (…) that holds the address to ask")


def _checked(request: RequestData, told: set[Trigger]) -> set[Trigger]:
    """The triggers of a request, once it is found to be whole."""
    if not request.triggers:
        raise _wrong("requests.triggers", "a request needs one at least")
    if again := told & set(request.triggers):
        raise _wrong("requests.triggers", f"{', '.join(sorted(again))} stands in two requests")
    if request.method not in _METHODS:
        raise _wrong("requests.method", f"{request.method!r} is none of {', '.join(_METHODS)}")
    if request.form and request.json:
        raise _wrong("requests.json", "a request has a form or JSON, not both")
    if request.method == "GET" and (request.form or request.json):
        raise _wrong("requests.method", "GET has no body; use POST")
    for name in request.headers:
        if not _HEADER.match(name):
            raise _wrong("requests.headers", f"{name!r} is no header's name")
        if name.lower() in _NOT_THEIRS - ({"authorization"} if request.basic is None else set()):
            raise _wrong("requests.headers", f"{name} is not set here")
    parameters: dict[str, Any] = request.query | request.headers | request.form | request.json
    _at_most(len(parameters), PARAMETERS_MAX, "requests")
    if unknown := {name for names in request.one_of for name in names} - parameters.keys():
        raise _wrong("requests.one_of", f"{', '.join(sorted(unknown))} is no parameter of it")
    return set(request.triggers)


def _at_most(count: int, most: int, what: str) -> None:
    if count > most:
        raise _wrong(what, f"at most {most}, not {count}")


def _wrong(param: str, message: str) -> Invalid:
    return Invalid(f"partner.toml: {param}: {message}", param=param)
