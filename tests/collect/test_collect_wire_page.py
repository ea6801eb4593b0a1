"""The wire page says what the door does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from attribune.collect.dialects.segment import BATCH_EVENTS_MAX, OPENS
from attribune.collect.posted import SINGLE
from attribune.collect.refuse import STATUS, error_shape
from attribune.collect.targets import OVERRIDES
from attribune.collect.words import (
    DEVICE_IDS,
    FREE,
    NAMES,
    PARAMETERS_MAX,
    STEERING,
    VALUE_CHARACTERS_MAX,
)
from attribune.model.touch import SignatureFault
from attribune.settings import SETTINGS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "wire.md").read_text()


def test_the_table_of_words_is_the_one_in_force():
    table = PAGE.partition("<!-- words -->")[2].partition("<!-- /words -->")[0]
    shown = {}
    for line in table.strip().splitlines()[2:]:
        field, names = line.strip("|").split("|")
        shown[field.strip()] = tuple(re.findall(r"`([^`]+)`", names))
    wanted = {f"`{field}`": names for field, names in (NAMES | DEVICE_IDS | FREE).items()}
    wanted |= {f"`{field}` *": names for field, names in STEERING.items()}
    assert shown == wanted


@pytest.mark.parametrize("name", sorted({name for names in OVERRIDES.values() for name in names}))
def test_every_word_that_asks_for_a_target_is_named(name):
    assert f"`{name}`" in PAGE


def test_limits_are_named():
    assert f"{VALUE_CHARACTERS_MAX:,} characters" in PAGE
    assert f"beyond the {PARAMETERS_MAX}th" in PAGE
    assert f"{BATCH_EVENTS_MAX:,} events" in PAGE
    for name in OPENS:
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize(("reason", "status"), STATUS.items())
def test_every_status_of_a_refusal_is_in_the_table_of_errors(reason, status):
    kind = error_shape(status, reason, "")["error"]["type"]
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| {status} |")]
    assert f"`{kind}`" in row
    assert f"`{reason}`" in row


def test_the_table_of_signature_faults_is_the_one_in_force():
    table = PAGE.partition("<!-- faults -->")[2].partition("<!-- /faults -->")[0]
    shown = [line.split("`")[1] for line in table.strip().splitlines()[2:]]
    assert shown == [fault.value for fault in SignatureFault]


@pytest.mark.parametrize("kind", SINGLE)
def test_every_door_is_named(kind):
    assert f"/v1/{kind}" in PAGE


def test_settings_that_are_named_exist():
    known = {row.name for row in SETTINGS}
    named = set(re.findall(r"`([a-z_]+_(?:max|ms|max_ms|bytes_max))`", PAGE))
    assert named
    assert named <= known
