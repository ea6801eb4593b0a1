"""A shop with its house and one browser, shared by the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import RunningHouse
from shop import Person, Server, Shop, person


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shop(shared_house: RunningHouse, server: Server) -> Shop:
    return Shop(shared_house, server)


@pytest.fixture(scope="module")
def browser() -> Iterator[Person]:
    with person() as one:
        yield one


@pytest.fixture
def visitor(browser: Person, server: Server) -> Iterator[Person]:
    """Somebody who has never been there."""
    browser.forgets(server.origin)
    yield browser
    browser.offline(False)
