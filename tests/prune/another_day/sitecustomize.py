"""Puts the clock of every Python process that has this folder on its path some days away from today."""

from __future__ import annotations

import os
import time

_now_ns = time.time_ns
_away_ns = int(os.environ["DAYS_AWAY"]) * 86_400 * 10**9

time.time_ns = lambda: _now_ns() + _away_ns
