"""A signal to stop is heard whenever it comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: The signal comes while its own thread holds what an event's wait holds for a moment, twenty times a second.
AT_THE_WORST_MOMENT = """
import signal
from attribune.roles.process import stopping

with stopping() as stop:
    with stop._cond:
        signal.raise_signal(signal.{name})
        for _ in range(1000):
            pass
    assert stop.wait(10)
print("stopped")
"""
#: Many, in the middle of many waits.
IN_A_HAIL = """
import os, signal, threading, time
from attribune.roles.process import stopping

with stopping() as stop:
    def hail():
        for _ in range(20_000):
            os.kill(os.getpid(), signal.SIGTERM)
    sender = threading.Thread(target=hail)
    sender.start()
    while sender.is_alive():
        stop.wait(0)
        stop.clear()
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(10)
print("stopped")
"""


@pytest.mark.parametrize(
    "program",
    [
        AT_THE_WORST_MOMENT.format(name="SIGTERM"),
        AT_THE_WORST_MOMENT.format(name="SIGINT"),
        IN_A_HAIL,
    ],
    ids=["SIGTERM", "SIGINT", "hail"],
)
def test_a_signal_is_heard_at_any_moment(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "stopped\n", done.stderr
