"""The application: addresses, access, errors, limits."""

from __future__ import annotations

from typing import Any, Final

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from attribune.api import docs, errors
from attribune.api.access import check, key_of
from attribune.api.house import House
from attribune.api.idempotency import Answers, Idempotency
from attribune.api.routes import (
    apps,
    asking,
    book,
    checks,
    conversions,
    corrections,
    deliveries,
    devices,
    doors,
    exports,
    journal,
    keys,
    links,
    offers,
    payouts,
    policies,
    postbacks,
    reconcile,
    running,
    shadowing,
    statements,
)
from attribune.model.errors import AttribuneError

#: Largest body of a request; long lists come in several.
BODY_BYTES_MAX: Final = 4 << 20


def create(house: House) -> ASGIApp:
    """The API of a house as an ASGI application without lifespan."""
    guarded = Router(
        "/",
        guards=[check],
        route_handlers=docs.documented(
            (
                *apps.HANDLERS,
                *links.HANDLERS,
                *keys.HANDLERS,
                *doors.HANDLERS,
                *policies.HANDLERS,
                *devices.HANDLERS,
                *conversions.HANDLERS,
                *shadowing.HANDLERS,
                *journal.HANDLERS,
                *asking.HANDLERS,
                *exports.HANDLERS,
                *corrections.HANDLERS,
                *checks.HANDLERS,
                *postbacks.HANDLERS,
                *offers.HANDLERS,
                *book.HANDLERS,
                *statements.HANDLERS,
                *payouts.HANDLERS,
                *reconcile.HANDLERS,
                *deliveries.HANDLERS,
                *running.HANDLERS,
            )
        ),
    )
    app = Litestar(
        route_handlers=[guarded, *running.OPEN_HANDLERS],
        dependencies={"house": Provide(lambda: house, sync_to_thread=False)},
        state=State({"house": house}, deep_copy=False),
        exception_handlers=_handlers(),
        openapi_config=docs.config(),
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
        debug=False,
    )
    return Idempotency(
        app,
        Answers(house.folder, house.clock),
        BODY_BYTES_MAX,
        lambda header: key_of(house, header),
    )


def _handlers() -> dict[Any, Any]:
    return {
        AttribuneError: errors.on_ours,
        HTTPException: errors.on_http,
        UnicodeDecodeError: errors.on_unreadable,
        RecursionError: errors.on_unreadable,
        Exception: errors.on_bug,
    }
