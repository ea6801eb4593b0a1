"""Logging never fails who logs."""

from __future__ import annotations

import os

from attribune.roles.process import LogStream


def test_what_is_logged_is_written_whole(tmp_path) -> None:
    descriptor = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY)
    stream = LogStream(descriptor)
    print("a line that is no UTF-8: \udcff", file=stream)
    os.close(descriptor)
    assert (tmp_path / "log").read_text() == "a line that is no UTF-8: \\udcff\n"
    assert stream.lost == 0


def test_a_line_that_cannot_be_written_is_lost_and_counted() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    stream = LogStream(full)
    stream.write("no room\n")
    stream.write("no room\n")
    os.close(full)
    assert stream.lost == 2
