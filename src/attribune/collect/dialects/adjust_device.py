"""Which installation an Adjust client speaks of, and how it is called back. Pure.

One installation is known by the id that its SDK made for it: ``web_uuid`` in browsers, ``android_uuid`` on Android,
``primary_dedupe_token`` (or ``secondary_dedupe_token``, the same one before the keychain has it) on iPhones. A server that
knows none of these says the ``adid`` that we answered; it is the same id, a UUID without its dashes. Else the first of
the ids in ``IDS_IN_TURN`` that is there stands for the installation.
"""

from __future__ import annotations

import re
from typing import Final

from attribune.collect.dialects.forms import Form
from attribune.collect.dialects.loose import ATT
from attribune.collect.fields import missing
from attribune.collect.records import platform
from attribune.model.activity import Device, Platform
from attribune.model.ids import DeviceId

#: What names an installation, the surest first.
IDS_IN_TURN: Final = (
    *("web_uuid", "android_uuid", "primary_dedupe_token", "secondary_dedupe_token", "adid"),
    *("idfv", "google_app_set_id", "gps_adid", "idfa", "oaid", "fire_adid", "android_id"),
    *("external_device_id", "win_adid", "win_naid", "win_hwid", "vida", "rida", "tifa"),
    *("imei", "meid", "imei_lower_md5", "android_id_lower_md5", "android_id_lower_sha1"),
)
#: Adjust's ids → ours.
IDS: Final = {
    "gps_adid": "gaid",
    "idfa": "idfa",
    "idfv": "idfv",
    "oaid": "oaid",
    "android_id": "android_id",
    "fire_adid": "fire_adid",
    "google_app_set_id": "app_set_id",
}
_UUID: Final = re.compile(
    r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\Z", re.ASCII
)
_ADID: Final = re.compile(r"[0-9A-Fa-f]{32}\Z", re.ASCII)


def named(form: Form, characters_max: int) -> DeviceId:
    """The installation that a letter speaks of. Raises Refused when it names none."""
    for name in IDS_IN_TURN:
        said = form.look(name)
        if said is None:
            continue
        read = form.identifier(name, characters_max)
        if read is not None:
            if name in IDS or name == "external_device_id":
                form.put_back(name, read)
            return DeviceId(_canonical(read, is_adid=name == "adid"))
    raise missing(
        "device", "send an id of the device, such as android_uuid, idfv, gps_adid or adid"
    )


def _canonical(said: str, *, is_adid: bool) -> str:
    """One spelling of an id: libraries differ in capitals, and an ``adid`` has lost its dashes."""
    if is_adid and _ADID.match(said):
        said = f"{said[:8]}-{said[8:12]}-{said[12:16]}-{said[16:20]}-{said[20:]}"
    return said.lower() if _UUID.match(said) else said


def adid_of(device: DeviceId) -> str:
    """What an installation is called in answers: its id, a UUID without the dashes."""
    return device.replace("-", "") if _UUID.match(device) else device


def device_of(form: Form, characters_max: int, app_platform: Platform) -> Device:
    """The installation and what it says of itself. Raises Refused when it names none."""
    is_page = form.look("web_uuid") is not None
    id_ = named(form, characters_max)
    ids = {}
    for name, ours in IDS.items():
        read = form.identifier(name, characters_max)
        if read is not None:
            ids[ours] = read
    said = form.look("os_name") or form.look("platform")
    runs_on = Platform.WEB if is_page else platform(said, app_platform)
    language = form.word("language")
    country = form.word("country") if language else None
    att = form.look("att_status")
    if att in ATT:
        form.take("att_status")
    return Device(
        id=id_,
        platform=runs_on,
        os_version=form.word("os_version"),
        model=form.word("device_name"),
        ids=ids,
        att_status=ATT.get(att or ""),
        locale=f"{language}-{country}" if country else language,
    )
