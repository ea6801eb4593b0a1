"""Every word that the code, the wire or the API uses stands in the glossary."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import msgspec
import pytest

import attribune
from attribune.report.dimensions import DIMENSIONS
from attribune.report.metrics import METRICS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/glossary.md").read_text()
WORDS = frozenset(re.findall(r"`([^`]+)`", PAGE))
#: Rooms whose structs people and programs see.
PUBLIC = (
    "attribune.model",
    "attribune.doctor.check",
    "attribune.api.routes",
    "attribune.registry.requests",
    "attribune.registry.shown",
    "attribune.report.deliveries",
    "attribune.report.stories",
    "attribune.report.query",
    "attribune.attribute.replay",
)


def classes() -> Iterator[type]:
    for found in pkgutil.walk_packages(attribune.__path__, "attribune."):
        if found.name.startswith(PUBLIC):
            module = importlib.import_module(found.name)
            yield from (
                one
                for name, one in vars(module).items()
                if inspect.isclass(one)
                and one.__module__ == found.name
                and not name.startswith("_")
            )


FIELDS = sorted(
    {
        name
        for one in classes()
        if issubclass(one, msgspec.Struct)
        for name in one.__struct_encode_fields__
    }
)
MEMBERS = sorted(
    {
        (member.name, str(member.value))
        for one in classes()
        if issubclass(one, Enum)
        for member in one
    }
)


def test_there_is_something_to_check() -> None:
    assert len(FIELDS) > 200
    assert len(MEMBERS) > 100


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_a_word_of_the_glossary(name: str) -> None:
    assert name in WORDS


@pytest.mark.parametrize(("name", "value"), MEMBERS)
def test_every_choice_is_a_word_of_the_glossary(name: str, value: str) -> None:
    assert name in WORDS
    assert value in WORDS


@pytest.mark.parametrize("name", [*METRICS, *DIMENSIONS])
def test_every_metric_and_dimension_is_a_word_of_the_glossary(name: str) -> None:
    assert name in WORDS
