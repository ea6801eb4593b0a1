"""Fixtures that every room's tests may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import RunningHouse
from hypothesis import settings

# How long an example takes says how busy the machine is, and no more.
settings.register_profile("attribune", deadline=None)
settings.load_profile("attribune")


@pytest.fixture
def house(tmp_path) -> Iterator[RunningHouse]:
    """A house that serves an empty folder while the test runs."""
    with RunningHouse(tmp_path / "data") as running:
        yield running


@pytest.fixture(scope="module")
def shared_house(tmp_path_factory) -> Iterator[RunningHouse]:
    """The same for all tests of a file: they must not be in each other's way."""
    with RunningHouse(tmp_path_factory.mktemp("shared") / "data") as running:
        yield running
