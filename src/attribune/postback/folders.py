"""Where partners' data lies: the folders that are shipped, and those that an operator writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from attribune.model.delivery import Trigger
from attribune.model.errors import Invalid, NotFound
from attribune.postback.functions import Value
from attribune.postback.partner import PartnerData, SettingShape, read_partner
from attribune.postback.render import Prepared, Request, Skipped

SHIPPED: Final = Path(__file__).parent / "partners"
#: Largest file of a partner's folder that is read.
FILE_BYTES_MAX: Final = 1 << 20
CASES_MAX: Final = 500
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")


class Sent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is expected to be sent."""

    method: str = "GET"
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


class Case(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case of a partner's ``cases.toml``: these values, and what is to come of them."""

    name: str
    trigger: Trigger
    settings: dict[str, str] = field(default_factory=dict)
    #: The operator's names of events: the app's → the partner's.
    events: dict[str, str] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    shares: bool = True
    #: The address that the click carries, and the hosts that it may lead to.
    callback: str | None = None
    callback_hosts: list[str] = field(default_factory=list)
    sends: Sent | None = None
    #: Or why nothing is sent.
    skips: str | None = None


class _Cases(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    case: list[Case]


class PartnerFolder(Struct, frozen=True, kw_only=True):
    """One partner's folder, read."""

    name: str
    path: Path
    #: The text of its ``partner.toml``, and what it says.
    text: str
    data: PartnerData
    cases: list[Case]


def names() -> list[str]:
    """The partners that are shipped."""
    return sorted(path.name for path in SHIPPED.iterdir() if (path / "partner.toml").is_file())


def find(name: str) -> PartnerFolder:
    """A partner that is shipped, by name, or an operator's own by its folder. Raises NotFound, Invalid."""
    if _NAME.match(name):
        return find_shipped(name)
    return _read(name, Path(name))


def find_shipped(name: str) -> PartnerFolder:
    """A partner that is shipped, by name: nothing else can be reached. Raises NotFound."""
    if not _NAME.match(name):
        raise NotFound(f"there is no partner {name!r}; there are {', '.join(names())}")
    return _read(name, SHIPPED / name)


def _read(name: str, path: Path) -> PartnerFolder:
    if not (path / "partner.toml").is_file():
        raise NotFound(
            f"there is no partner {name!r}; there are {', '.join(names())}, or give a folder with a partner.toml"
        )
    text = _text(path / "partner.toml")
    data, cases = read_partner(text), _cases(path / "cases.toml")
    return PartnerFolder(name=path.name, path=path, text=text, data=data, cases=cases)


def case(folder: PartnerFolder, name: str | None) -> Case:
    """A case by its name, or the first that sends something. Raises NotFound."""
    found = [one for one in folder.cases if (one.name == name if name else one.sends is not None)]
    if not found:
        known = ", ".join(repr(one.name) for one in folder.cases) or "none"
        raise NotFound(f"{folder.name} has no case {name or 'that sends anything'}; it has {known}")
    return found[0]


def fails(folder: PartnerFolder, case: Case) -> str | None:
    """Why a case is not as it says, in one line; None when it is."""
    if (case.sends is None) == (case.skips is None):
        return "a case says either what it sends or why it skips"
    try:
        prepared = Prepared(folder.data, case.settings, case.events)
    except Invalid as wrong:
        return wrong.message
    found = _request(prepared, case)
    if isinstance(found, Skipped):
        return None if found.reason == case.skips else f"nothing is sent: {found.reason}"
    if case.sends is None:
        return f"{found.method} {found.url} is sent"
    return _difference(case.sends, found)


def hidden(folder: PartnerFolder, settings: Mapping[str, str]) -> dict[str, str]:
    """Settings with each secret's name in capitals in its place, so that a request can be shown, given or not."""
    secrets = {
        name: name.upper()
        for name, setting in folder.data.settings.items()
        if setting.shape is SettingShape.SECRET and (setting.required or name in settings)
    }
    return {**settings, **secrets}


def made(
    folder: PartnerFolder, case: Case, settings: Mapping[str, str], events: Mapping[str, str]
) -> Request | Skipped:
    """What a case gives with these settings. Raises Invalid for a wrong one."""
    return _request(Prepared(folder.data, settings, {**case.events, **events}), case)


def _request(prepared: Prepared, case: Case) -> Request | Skipped:
    if case.callback is None:
        return prepared.request(case.trigger, case.values, shares=case.shares)
    return prepared.callback(case.callback, case.callback_hosts, case.values, shares=case.shares)


def shown(
    folder: PartnerFolder, case: Case, settings: Mapping[str, str], events: Mapping[str, str]
) -> dict[str, Any]:
    """What a case gives with an operator's settings before its own, secrets hidden. Raises Invalid for a wrong setting."""
    found = made(folder, case, hidden(folder, {**case.settings, **settings}), events)
    return {
        "case": case.name,
        "trigger": case.trigger,
        "skipped": found.reason if isinstance(found, Skipped) else None,
        "request": None
        if isinstance(found, Skipped)
        else {**found._asdict(), "body": found.body.decode()},
    }


def _difference(wanted: Sent, found: Request) -> str | None:
    for what, want, has in (
        ("method", wanted.method, found.method),
        ("url", wanted.url, found.url),
        ("headers", wanted.headers, found.headers),
        ("body", wanted.body, found.body.decode()),
    ):
        if want != has:
            return f"{what} is {has!r}, not {want!r}"
    return None


def _cases(path: Path) -> list[Case]:
    if not path.is_file():
        return []
    try:
        cases = msgspec.toml.decode(_text(path), type=_Cases).case
    except msgspec.MsgspecError as fault:
        raise Invalid(f"{path}: {fault}", param="cases.toml") from None
    if len(cases) > CASES_MAX:
        raise Invalid(f"{path}: at most {CASES_MAX} cases", param="cases.toml")
    return cases


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise Invalid(f"{path} is larger than {FILE_BYTES_MAX} bytes", param=path.name)
        return path.read_text()
    except (OSError, UnicodeDecodeError) as fault:
        raise Invalid(f"{path} cannot be read: {fault}", param=path.name) from fault
