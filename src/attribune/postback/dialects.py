"""The trade's macro dialects: how a macro is written in each, and what their names mean in ours.

Sources: AppsFlyer's round-bracket macros and the ``$$sdk``/``$$click`` form of partner portals, Adjust's placeholders and
``{a||b}``, Branch's ``${(path)!}``. Only names whose meaning we can give are known; any other is refused when it is read.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple


class Dialect(StrEnum):
    """Whose way of writing macros a template follows."""

    #: ``{name}``, ``{a||b}``, ``{name|function:argument}``, with our names.
    ATTRIBUNE = "attribune"
    #: The same brackets, with Adjust's names.
    ADJUST = "adjust"
    #: ``(name)``, ``$$sdk(name)`` and ``$$click(name)``, with AppsFlyer's names.
    APPSFLYER = "appsflyer"
    #: ``${(path)!}`` and ``${path}``, with Branch's paths.
    BRANCH = "branch"
    #: ``{{name}}``, with our names.
    HANDLEBARS = "handlebars"


class Speech(NamedTuple):
    """How a dialect is read."""

    #: A macro, whose name is the first group that matched.
    macro: re.Pattern[str]
    #: What can only be a macro that was written wrongly.
    stray: re.Pattern[str]
    #: Their name → our expression.
    names: dict[str, str]
    #: The family of parameters that an unknown name belongs to; None when it is refused.
    otherwise: str | None = None
    #: Whether alternatives and functions may be written.
    has_steps: bool = True


_ADJUST: Final = {
    "activity_kind": "trigger",
    "adgroup_name": "adgroup",
    "adid": "device_id",
    "android_id": "android_id",
    "app_version": "app_version",
    "campaign_name": "campaign",
    "click_id": "partner_click_id",
    "click_time": "touch_at|unix",
    "country": "country",
    "created_at": "at|unix",
    "created_at_milli": "at|unix_ms",
    "creative_name": "creative",
    "currency": "currency",
    "engagement_time": "touch_at|unix",
    "event": "event",
    "event_name": "event_name",
    "google_app_set_id": "app_set_id",
    "gps_adid": "gaid",
    "gps_adid_md5": "gaid|md5",
    "idfa": "idfa",
    "idfa_md5_hex": "idfa|md5",
    "idfa_upper": "idfa|upper",
    "idfv": "idfv",
    "installed_at": "conversion_at|unix",
    "ip_address": "ip",
    "language": "language",
    "match_type": "method",
    "network_name": "partner",
    "nonce": "delivery_id",
    "oaid": "oaid",
    "oaid_md5": "oaid|md5",
    "os_name": "platform",
    "os_version": "os_version",
    "rejection_reason": "reason",
    "revenue": "revenue",
    "revenue_float": "revenue",
    "store_app_id": "store_id",
    "tracker_name": "campaign",
    "user_agent": "user_agent",
}
_APPSFLYER: Final = {
    "advertiserId": "gaid",
    "af_ad": "creative",
    "af_ad_id": "creative_id",
    "af_adset": "adgroup",
    "af_adset_id": "adgroup_id",
    "af_c_id": "campaign_id",
    "af_siteid": "site_id",
    "af_sub_siteid": "sub_site_id",
    "android-device-id": "android_id",
    "android-id": "android_id",
    "app-id": "store_id",
    "app-version-name": "app_version",
    "appsflyer-device-id": "device_id",
    "attributed-touch-type": "touch_kind",
    "blocked-reason": "reason",
    "c": "campaign",
    "campaign": "campaign",
    "click-ts": "touch_at|unix_ms",
    "click-ts-hour-floor": "touch_at|hour|unix_ms",
    "clickid": "partner_click_id",
    "country-code": "country",
    "currency": "currency",
    "custom-user-id": "user_id",
    "device-model": "model",
    "event-name": "event",
    "idfa": "idfa",
    "install-ts": "conversion_at|format:%Y-%m-%d %H:%M:%S",
    "install-ts-hour-floor": "conversion_at|hour|unix_ms",
    "install-unix-ts": "conversion_at|unix",
    "install-unix-ts-ms": "conversion_at|unix_ms",
    "ios-device-id": "idfa",
    "ip": "ip",
    "language": "language",
    "mapped-iae": "event_name",
    "match-type": "method",
    "monetary": "revenue",
    "os-version": "os_version",
    "sha1-advertiserId": "gaid|sha1",
    "sha1-android-id": "android_id|sha1",
    "sha1-idfa": "idfa|sha1",
    "timestamp": "at|unix_ms",
    "user-agent": "user_agent",
    "vendorId": "idfv",
}
_BRANCH_TOUCH: Final = {
    "~ad_name": "creative",
    "~ad_id": "creative_id",
    "~ad_set_id": "adgroup_id",
    "~ad_set_name": "adgroup",
    "~campaign": "campaign",
    "~campaign_id": "campaign_id",
    "~click_id": "partner_click_id",
    "~secondary_publisher": "site_id",
}
_BRANCH: Final = {
    **{f"last_attributed_touch_data.{name}": ours for name, ours in _BRANCH_TOUCH.items()},
    "customer_event_alias": "event_name",
    "event_data.currency": "currency",
    "event_data.revenue": "revenue",
    "event_data.transaction_id": "transaction_id",
    "id": "delivery_id",
    "last_attributed_touch_timestamp": "touch_at|unix_ms",
    "last_attributed_touch_type": "touch_kind",
    "name": "event",
    "timestamp": "at|unix_ms",
    "user_data.aaid": "gaid",
    "user_data.android_id": "android_id",
    "user_data.app_version": "app_version",
    "user_data.country": "country",
    "user_data.developer_identity": "user_id",
    "user_data.geo_country_code": "country",
    "user_data.idfa": "idfa",
    "user_data.idfv": "idfv",
    "user_data.ip": "ip",
    "user_data.language": "language",
    "user_data.model": "model",
    "user_data.os": "platform",
    "user_data.os_version": "os_version",
    "user_data.user_agent": "user_agent",
}
_CURLY: Final = re.compile(r"\{([^{}]*)\}")
_CURLY_STRAY: Final = re.compile(r"[{}]")

SPEECH: Final[dict[Dialect, Speech]] = {
    Dialect.ATTRIBUNE: Speech(_CURLY, _CURLY_STRAY, {}),
    Dialect.ADJUST: Speech(_CURLY, _CURLY_STRAY, _ADJUST),
    Dialect.APPSFLYER: Speech(
        re.compile(r"\$\$(?:sdk|click)\(([^()]*)\)|\(([A-Za-z][A-Za-z0-9_-]*)\)"),
        re.compile(r"\$\$(?:sdk|click)\b"),
        _APPSFLYER,
        otherwise="extra",
        has_steps=False,
    ),
    Dialect.BRANCH: Speech(
        re.compile(r"\$\{\(([^(){}]*)\)!\}|\$\{([^(){}]*)\}"),
        re.compile(r"\$\{|<#"),
        _BRANCH,
        has_steps=False,
    ),
    Dialect.HANDLEBARS: Speech(re.compile(r"\{\{([^{}]*)\}\}"), re.compile(r"\{\{|\}\}"), {}),
}
#: Where Branch keeps what stood on the link under its own name.
BRANCH_LINK: Final = "last_attributed_touch_data."
