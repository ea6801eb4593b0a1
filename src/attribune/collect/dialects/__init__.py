"""The languages of other people's client libraries, each translated into our records at the door. Pure.

A dialect reads a letter and says what each record in it means, and how its clients want to be answered.
"""

from __future__ import annotations

from typing import Final

from attribune.collect.dialects.adjust import Adjust
from attribune.collect.dialects.amplitude import Amplitude
from attribune.collect.dialects.appsflyer_ctv import AppsFlyerCtv
from attribune.collect.dialects.branch import Branch
from attribune.collect.dialects.ga4 import Ga4
from attribune.collect.dialects.letter import Dialect, Heard, Letter, told_of
from attribune.collect.dialects.mixpanel import Mixpanel
from attribune.collect.dialects.posthog import PostHog
from attribune.collect.dialects.rudder import Rudder
from attribune.collect.dialects.segment import Segment
from attribune.collect.dialects.singular import Singular
from attribune.collect.dialects.snowplow import Snowplow
from attribune.collect.dialects.vendors import VENDOR_DOORS

_ALL: Final[tuple[Dialect, ...]] = (
    Adjust(),
    Segment(),
    Rudder(),
    Snowplow(),
    PostHog(),
    Ga4(),
    Singular(),
    AppsFlyerCtv(),
    Mixpanel(),
    Amplitude(),
    Branch(),
    *VENDOR_DOORS,
)
#: Every dialect by the name that stands in the address of its doors.
DIALECTS: Final[dict[str, Dialect]] = {dialect.name: dialect for dialect in _ALL}

__all__ = ["DIALECTS", "Dialect", "Heard", "Letter", "told_of"]
