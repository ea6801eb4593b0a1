"""Lists are given a page at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Protocol, TypeVar

from litestar.params import QueryParameter

ROWS_MAX: Final = 1000

Limit = Annotated[int, QueryParameter(ge=1, le=ROWS_MAX, description="Most rows of this answer.")]
After = Annotated[str, QueryParameter(max_length=256, description="The `next` of the page before.")]


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=_WithId)


def page(rows: Iterable[R], after: str, limit: int) -> tuple[tuple[R, ...], str | None]:
    """Rows in order of id behind a place, and where the next page begins; None when this is the last."""
    behind = sorted((row for row in rows if row.id > after), key=lambda row: row.id)
    is_more = len(behind) > limit
    return tuple(behind[:limit]), behind[limit - 1].id if is_more else None
