"""What counts as nothing said: empty, ``null``, all-zero identifiers, and macros that nobody filled in."""

from __future__ import annotations

import re
from hashlib import md5, sha1, sha256
from typing import Final

#: What an absent value can begin with; everything else is told at a glance.
SUSPECTS: Final = frozenset("{([<$_%0-nN")
_ZERO_UUID: Final = "00000000-0000-0000-0000-000000000000"
_ZEROS: Final = re.compile(r"[0-]+\Z")
#: Zeros this long are never a number that somebody meant.
_ZEROS_MIN: Final = 16
_MACRO: Final = re.compile(
    r"""(?:
    \{\{[\w.:~\-\x20]{1,64}\}\}          # {{campaign.name}}
  | \$?\{[\w.:~\-]{1,64}\}               # {sub4}, ${CLICK_ID}
  | \([A-Za-z_][\w.:\-]{0,63}\)          # (clickid)
  | <[A-Za-z_][\w.:\-]{0,63}>            # <clickid>
  | __[A-Z][A-Z0-9_]{0,63}__             # __CLICKID__
  | %%[A-Za-z_][\w.:\-]{0,63}%%          # %%CLICK_ID%%
  | \$\$[A-Za-z_]\w{0,63}(?:\([^()]{0,64}\))?(?:\$\$)?   # $$ip$$, $$param(x)
    )\Z""",
    re.VERBOSE | re.ASCII,
)
# A name in brackets may be a name ("[US]"), so only words that are known to be macros are taken for one.
_BRACKETED: Final = re.compile(r"\[([A-Za-z_]{2,32})\]\Z", re.ASCII)
_BRACKET_WORDS: Final = frozenset(
    [
        "clickid",
        "cachebuster",
        "cb",
        "timestamp",
        "ts",
        "random",
        "campaign",
        "campaignid",
        "creative",
        "creativeid",
        "siteid",
        "subsiteid",
        "subid",
        "pubid",
        "publisherid",
        "gaid",
        "idfa",
        "idfv",
        "oaid",
        "deviceid",
        "useragent",
        "ua",
        "ip",
    ]
)
#: Hashes of the all-zero identifier, as sent for people who opted out.
_ZERO_HASHES: Final = frozenset(
    hash_(_ZERO_UUID.encode(), usedforsecurity=False).hexdigest() for hash_ in (md5, sha1, sha256)
)
#: How many characters such a hash has.
ZERO_HASH_CHARACTERS: Final = frozenset(map(len, _ZERO_HASHES))


def is_absent(value: str) -> bool:
    """Whether a value says nothing: empty, ``null``, a long run of zeros, or wholly a macro.

    A zero or a bracket inside a value makes nothing absent; ``0`` alone is a value.
    """
    if not value:
        return True
    if value[0] not in SUSPECTS:
        return False
    if value[0] == "[":
        return _is_bracket_macro(value)
    if value[0] in "0-":
        return len(value) >= _ZEROS_MIN and _ZEROS.match(value) is not None
    if value[0] in "nN":
        return value in {"null", "NULL"}
    return _MACRO.match(value) is not None


def is_absent_id(value: str) -> bool:
    """Whether an identifier says nothing: also zeros of any length, and the hash of the all-zero one."""
    if not value or (value[0] in SUSPECTS and (is_absent(value) or _ZEROS.match(value))):
        return True
    return len(value) in ZERO_HASH_CHARACTERS and value.lower() in _ZERO_HASHES


def _is_bracket_macro(value: str) -> bool:
    found = _BRACKETED.match(value)
    return found is not None and found[1].lower().replace("_", "") in _BRACKET_WORDS
