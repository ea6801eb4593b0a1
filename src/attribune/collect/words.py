"""The words that the trade uses for the same thing, once. The table of ``docs/reference/wire.md`` is held to this one."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

#: Limits of the wire, not of a house: links that work here work everywhere.
PARAMETERS_MAX: Final = 64
VALUE_CHARACTERS_MAX: Final = 2048

#: What names the touch and its place in the partner's world. The first name of a row wins over the later ones.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "partner_click_id": (
        "click_id",
        "clickid",
        "cl",
        "irclickid",
        "affclickid",
        "transaction_id",
        "tid",
        "aff_sub",
        "subid",
        "partner_click_id",
    ),
    "campaign": ("campaign", "c", "pcn", "~campaign"),
    "campaign_id": ("campaign_id", "af_c_id", "~campaign_id"),
    "adgroup": ("adgroup", "af_adset", "~ad_set_name"),
    "adgroup_id": ("adgroup_id", "af_adset_id", "~ad_set_id"),
    "creative": ("creative", "af_ad", "~ad_name"),
    "creative_id": ("creative_id", "af_ad_id", "~ad_id"),
    "site_id": ("site_id", "af_siteid", "psn", "~secondary_publisher"),
    "sub_site_id": ("sub_site_id", "af_sub_siteid"),
}
#: Identifiers of devices. Each also in the forms ``md5_…``, ``sha1_…``, ``sha256_…``.
DEVICE_IDS: Final[dict[str, tuple[str, ...]]] = {
    "gaid": ("gaid", "gps_adid", "advertising_id", "aifa", "aaid"),
    "idfa": ("idfa",),
    "idfv": ("idfv",),
    "oaid": ("oaid",),
    "android_id": ("android_id",),
    "fire_adid": ("fire_adid",),
}
HASHES: Final = ("md5", "sha1", "sha256")
#: What counts only when the sender is trusted or the link opens the field.
STEERING: Final[dict[str, tuple[str, ...]]] = {
    "ip": ("ip", "af_ip"),
    "user_agent": ("user_agent", "ua", "af_ua"),
    "language": ("lang", "af_lang", "language"),
    "os_version": ("os_version", "af_os_version"),
    "model": ("model", "af_model"),
    "click_lookback": ("click_lookback", "af_click_lookback"),
    "view_lookback": ("view_lookback", "af_viewthrough_lookback"),
    "is_retargeting": ("is_retargeting",),
    "cost": ("cost", "af_cost_value", "af_cost"),
    "cost_model": ("cost_model", "af_cost_model"),
    "cost_currency": ("cost_currency", "af_cost_currency"),
}
#: Free fields, kept in ``extra`` under our name.
FREE: Final[dict[str, tuple[str, ...]]] = {
    f"sub{n}": (f"sub{n}", f"af_sub{n}", *((f"aff_sub{n}",) if n > 1 else ())) for n in range(1, 11)
}


class Sort(IntEnum):
    """What becomes of a parameter."""

    NAME = 1
    DEVICE_ID = 2
    STEERING = 3
    FREE = 4


class Word(NamedTuple):
    """One accepted name: the field it means, and which of two given ones is taken (the lower rank)."""

    field: str
    sort: Sort
    rank: int


def _table() -> dict[str, Word]:
    table: dict[str, Word] = {}
    for sort, rows in (
        (Sort.NAME, NAMES),
        (Sort.DEVICE_ID, DEVICE_IDS),
        (Sort.STEERING, STEERING),
        (Sort.FREE, FREE),
    ):
        for field, names in rows.items():
            for rank, name in enumerate(names):
                table[name] = Word(field, sort, rank)
    for field, names in DEVICE_IDS.items():
        for hash_ in HASHES:
            for rank, name in enumerate(names):
                table[f"{hash_}_{name}"] = Word(f"{hash_}_{field}", Sort.DEVICE_ID, rank)
    return table


#: Every accepted name.
WORDS: Final = _table()
