"""What a user agent is at the door: which store a person goes to, and whether a person is there at all.

Cheap on purpose; the full reading of user agents happens behind the journal.
"""

from __future__ import annotations

import re
from typing import Final

from attribune.model.activity import Platform

#: Programs that fetch a link to show a preview of it, or to index it. They get the page and are no touch.
PREVIEW_AGENTS: Final = (
    "Slackbot",
    "Slack-ImgProxy",
    "facebookexternalhit",
    "Facebot",
    "meta-externalagent",
    "meta-externalfetcher",
    "WhatsApp/",
    "TelegramBot",
    "Discordbot",
    "Twitterbot",
    "LinkedInBot",
    "SkypeUriPreview",
    "MicrosoftPreview",
    "Snap URL Preview",
    "TikTokSpider",
    "Viber",
    "Applebot",
    "AASA-Bot",
    "Googlebot",
    "AdsBot-Google",
    "Google-PageRenderer",
    "bingbot",
    "YandexBot",
    "Baiduspider",
    "DuckDuckBot",
    "Pinterestbot",
    "redditbot",
    "Mastodon/",
    "Iframely",
    "Embedly",
)
#: One of these stands in each of the names above. Looking for them costs a microsecond, for the names thirty.
HINTS: Final = (
    "bot",
    "preview",
    "spider",
    "facebook",
    "meta-external",
    "whatsapp/",
    "slack",
    "viber",
    "aasa",
    "mastodon",
    "iframely",
    "embedly",
    "pagerenderer",
)
_PREVIEW: Final = re.compile("|".join(re.escape(agent) for agent in PREVIEW_AGENTS), re.IGNORECASE)


def platform_of(user_agent: str | None) -> Platform:
    """Where a person stands: Android, iOS, or a browser elsewhere.

    An iPad that asks for desktop pages says that it is a Mac and cannot be told from one.
    """
    if not user_agent:
        return Platform.OTHER
    if "Android" in user_agent:
        return Platform.ANDROID
    if "iPhone" in user_agent or "iPad" in user_agent or "iPod" in user_agent:
        return Platform.IOS
    return Platform.WEB


def is_preview(user_agent: str | None) -> bool:
    """Whether a link preview or a crawler asks, and not a person."""
    if user_agent is None:
        return False
    lowered = user_agent.lower()
    for hint in HINTS:
        if hint in lowered:
            return _PREVIEW.search(user_agent) is not None
    return False


def is_prefetch(sec_purpose: str | None, purpose: str | None, x_purpose: str | None) -> bool:
    """Whether a browser loads the page ahead, before a person asked for it."""
    said = f"{sec_purpose or ''} {purpose or ''} {x_purpose or ''}".lower()
    return "prefetch" in said or "prerender" in said or "preview" in said
