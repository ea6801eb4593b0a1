"""What the tests of the judgement share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Tales with mistakes on purpose log each of them; drawing them takes longer than making them."""
    with capture_logs():
        yield
