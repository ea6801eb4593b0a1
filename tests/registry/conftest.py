"""A desk with one app and one partner."""

from __future__ import annotations

import pytest
from registry.desk import Desk


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.add_app()
    desk.add_partner()
    return desk
