"""What an operator chooses for one postback, checked against the partner's data. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple

from attribune.model.delivery import Trigger
from attribune.model.errors import Invalid
from attribune.postback.hosts import why_not
from attribune.postback.partner import PartnerData, SettingShape, read_partner
from attribune.postback.render import Prepared, is_host

CALLBACK_TRIGGERS: Final = (
    Trigger.INSTALL,
    Trigger.REINSTALL,
    Trigger.REATTRIBUTION,
    Trigger.REENGAGEMENT,
    Trigger.EVENT,
    Trigger.REJECTED_INSTALL,
)
HOSTS_MAX: Final = 50


class Chosen(NamedTuple):
    """A choice that is whole."""

    data: PartnerData
    triggers: tuple[Trigger, ...]
    #: Settings by whether they are secret.
    plain: dict[str, str]
    secret: dict[str, str]
    #: Where requests go: hosts without port, each with the setting that names it.
    hosts: dict[str, str]


def choose(
    text: str,
    settings: Mapping[str, str],
    events: Mapping[str, str],
    triggers: Sequence[Trigger],
) -> Chosen:
    """Check what is chosen of a partner's data; without triggers all that it can tell of.

    Raises Invalid that names the setting, the trigger or the field of the data.
    """
    data = read_partner(text)
    prepared = Prepared(data, settings, events)
    able = CALLBACK_TRIGGERS if data.callbacks else _in_order(prepared.triggers)
    if Trigger.PARTIAL_REVERSAL in triggers:
        raise Invalid(
            f"who is told of {Trigger.REVERSAL} is told of {Trigger.PARTIAL_REVERSAL} too; give {Trigger.REVERSAL}",
            param="triggers",
        )
    if unable := [one for one in triggers if one not in able]:
        raise Invalid(
            f"{data.title} cannot be told of {unable[0]}; it can of {', '.join(able)}",
            param="triggers",
        )
    secrets = {name for name, one in data.settings.items() if one.shape is SettingShape.SECRET}
    return Chosen(
        data=data,
        triggers=tuple(dict.fromkeys(triggers)) or able,
        plain={name: value for name, value in settings.items() if name not in secrets},
        secret={name: value for name, value in settings.items() if name in secrets},
        hosts=prepared.hosts(),
    )


def refuse_private(hosts: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Raises Invalid when a host (each with the field that names it) is an address that is not of the public internet and not allowed.

    A name's addresses are looked at when it is told, since they may be others then.
    """
    for host, param in hosts.items():
        if why := why_not(host, allowed):
            raise Invalid(f"{param}: {why}", param=param)


def checked_hosts(hosts: Sequence[str], param: str) -> tuple[str, ...]:
    """Names of hosts or addresses, without port. Raises Invalid."""
    if len(hosts) > HOSTS_MAX:
        raise Invalid(f"{param}: at most {HOSTS_MAX} hosts", param=param)
    found = tuple(dict.fromkeys(host.strip().lower().strip("[]") for host in hosts))
    for host in found:
        if not (is_host(host) or _is_address(host)):
            raise Invalid(
                f"{param}: {host!r} is no host; give a name or an address without scheme, port and path",
                param=param,
            )
    return found


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _in_order(triggers: frozenset[Trigger]) -> tuple[Trigger, ...]:
    return tuple(one for one in Trigger if one in triggers and one is not Trigger.PARTIAL_REVERSAL)
