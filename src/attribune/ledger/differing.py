"""Why an amount is what it is, and where a commission stands, in sentences for who compares lists. Read from lines alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from attribune.ledger.known import Undoing
from attribune.ledger.offers import DealTerms, Terms
from attribune.model.book import Line, LineKind, LineState
from attribune.model.money import decimal_text
from attribune.model.offer import Carry, DealKind
from attribune.model.outcome import UNDOING
from attribune.ports import KeptLine

#: A version of an offer; None when nobody knows it.
TermsOf = Callable[[str, int], Terms | None]


def day(at_ms: int) -> str:
    """The day of a moment, in UTC."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).date().isoformat()


def why_other(
    lines: Sequence[Line], undoings: Mapping[str, Undoing], theirs_minor: int, terms_of: TermsOf
) -> str:
    """Why the book owes another amount than a partner's list says, from the lines of one currency."""
    earned = [line for line in lines if line.kind is LineKind.EARN]
    before = sum(line.amount_minor for line in earned)
    taken = list(taken_back(lines, undoings))
    if theirs_minor == before and taken:
        return "; ".join(taken)
    parts = [part for line in earned for part in _of_earned(line, terms_of)]
    owed = before + sum(line.amount_minor for line in lines if line.kind is LineKind.REVERSAL)
    if abs(theirs_minor - owed) == 1 and any(_is_rounded(line, terms_of) for line in earned):
        parts.append("the book rounds what a period adds up to half to even, and not each amount")
    return "; ".join(dict.fromkeys([*parts, *taken]))


def taken_back(lines: Iterable[Line], undoings: Mapping[str, Undoing]) -> Iterator[str]:
    """What was taken back, when and why."""
    for line in lines:
        if line.kind is not LineKind.REVERSAL or not line.amount_minor:
            continue
        amount = _amount(-line.amount_minor, line.currency)
        undoing = undoings.get(line.id.rpartition(":")[2])
        of = ""
        if undoing is not None and undoing.amount_minor is not None:
            of = f" of {_amount(undoing.amount_minor, undoing.currency)}"
        if line.cause in UNDOING:
            yield f"a {line.cause}{of} on {day(line.moved_at_ms)} took back {amount}"
        else:
            yield f"{amount} was taken back on {day(line.moved_at_ms)}: {line.cause}"


def where(kept: Sequence[KeptLine]) -> str:
    """Where what an outcome earns stands: until when it waits, or the statement that it is on."""
    earned = [one for one in kept if one.line.kind is LineKind.EARN]
    found = (_where(one) for one in earned)
    return ", ".join(dict.fromkeys(found))


def _where(kept: KeptLine) -> str:
    line = kept.line
    if kept.statement is not None:
        return f"on statement {kept.statement}"
    if line.state is LineState.WAITING:
        return f"waits to qualify until {day(line.due_ms)}"
    if line.state is LineState.PENDING:
        return f"pending until {day(line.due_ms)}"
    return "approved"


def _of_earned(line: Line, terms_of: TermsOf) -> Iterator[str]:
    """What made a commission as large as it is."""
    amount = _amount(line.amount_minor, line.currency)
    yield f"offer {line.offer} version {line.version} pays {amount}"
    terms = terms_of(line.offer, line.version)
    if terms is not None:
        yield from _of_deal(terms.deals[line.deal])
    if line.rate:
        revenue = _amount(line.revenue_minor, line.revenue_currency)
        yield f"its revenue of {revenue} was converted at {line.rate}, the rate of {line.rate_day}"
    if line.lost:
        yield f"another offer fitted and lost ({', '.join(line.lost)})"


def _is_rounded(line: Line, terms_of: TermsOf) -> bool:
    """Whether what it is worth is no whole number of minor units by itself; a fixed amount is."""
    terms = terms_of(line.offer, line.version)
    return terms is None or terms.deals[line.deal].kind is not DealKind.CPA


def _of_deal(deal: DealTerms) -> Iterator[str]:
    """What of a deal makes one conversion worth another amount than the next."""
    if (deal.cap_day, deal.cap_month, deal.cap_total) != (None, None, None):
        yield "it has a cap, which may hold some of it back"
    if deal.rungs:
        yield "it has tiers, and each conversion is worth what it adds to the period's total"
    if deal.carry is not Carry.NONE:
        yield "a month below nothing is carried over"


def _amount(amount_minor: int, currency: str) -> str:
    return f"{decimal_text(amount_minor, currency)} {currency}"
