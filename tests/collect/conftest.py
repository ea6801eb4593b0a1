"""Fixtures of the front door's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from front import Front, front


@pytest.fixture(scope="module")
def door() -> Iterator[Front]:
    """A running front door, shared by the tests of a file."""
    with front() as running:
        yield running
