"""Whether the book adds up: proved from its entries and lines, page by page, so that it may be as long as it likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from attribune.ledger.desk import KNOWN, STATEMENT, STATEMENTS, Desk
from attribune.ledger.known import Known
from attribune.model.book import LineKind, LineState, Statement
from attribune.ports import KeptLine, LinesWanted

#: Findings that a check names; the rest are counted.
FOUND_MAX: Final = 20
#: How often a check is made that is disturbed.
TRIES_MAX: Final = 5
_PAGE: Final = 1000


class Checked(Struct, frozen=True, kw_only=True):
    """One check's answer."""

    name: str
    ok: bool
    found: tuple[str, ...]
    #: What the check promises.
    sentence: str
    #: Why it could not be made, when it could not; ``ok`` says nothing then.
    not_made: str | None = None


def checks(desk: Desk) -> tuple[Checked, ...]:
    """Every check of the book.

    A page is read after the other, so a book that is written meanwhile may seem not to add up; such a check is made again, and one
    that is disturbed each time says that it was not made.
    """
    return tuple(_undisturbed(desk, name) for name in CHECKS)


def _undisturbed(desk: Desk, name: str) -> Checked:
    sentence, check = CHECKS[name]
    for _ in range(TRIES_MAX):
        before = desk.book.position()
        desk.clear()
        found = _checked(name, sentence, check(desk))
        if found.ok or desk.book.position() == before:
            return found
    return Checked(
        name=name, ok=True, found=(), sentence=sentence, not_made="the book was written meanwhile"
    )


def _checked(name: str, sentence: str, found: Iterator[str]) -> Checked:
    listed: list[str] = []
    count = 0
    for said in found:
        count += 1
        if count <= FOUND_MAX:
            listed.append(said)
    if count > FOUND_MAX:
        listed.append(f"and {count - FOUND_MAX} more")
    return Checked(name=name, ok=not count, found=tuple(listed), sentence=sentence)


def _balanced(desk: Desk) -> Iterator[str]:
    """Debits and credits, added up from the entries, against each other and against the balances that are kept."""
    sums: dict[tuple[str, str], int] = {}
    after = 0
    while page := desk.book.entries(None, after, _PAGE):
        for after, one in page:  # noqa: B007 - the last number is where the next page begins
            if one.amount_minor <= 0:
                yield f"entry {one.id} moves {one.amount_minor}"
            for account, amount in ((one.debit, -one.amount_minor), (one.credit, one.amount_minor)):
                name = (account, one.currency)
                sums[name] = sums.get(name, 0) + amount
    kept = {(account, currency): n for account, currency, n in desk.book.balances()}
    for currency in sorted({currency for _, currency in kept}):
        total = sum(amount for (_, code), amount in kept.items() if code == currency)
        if total:
            yield f"the balances in {currency} are off by {total}"
    for account, currency in sorted(sums.keys() | kept.keys()):
        if sums.get((account, currency), 0) != kept.get((account, currency), 0):
            yield f"the balance of {account} in {currency} is not what its entries add up to"


def _money_of_lines(desk: Desk) -> Iterator[str]:
    """A partner's money in all places is what its lines add up to."""
    owed: dict[tuple[str, str], int] = {}
    for kept in lines(desk):
        name = (kept.line.partner, kept.line.currency)
        owed[name] = owed.get(name, 0) + kept.line.amount_minor
    for account, currency, amount in desk.book.balances("partner:"):
        partner = account.split(":", 1)[1].rpartition(":")[0]
        owed[partner, currency] = owed.get((partner, currency), 0) - amount
    for (partner, currency), amount in sorted(owed.items()):
        if amount:
            yield f"the lines of {partner} in {currency} and its money differ by {amount}"


def _has_outcome(desk: Desk) -> Iterator[str]:
    """Every commission has an outcome."""
    for kept, known in _known(desk):
        if kept.line.kind is LineKind.EARN and known is None:
            yield f"line {kept.line.id} has no outcome {kept.line.outcome}"


def _is_reversed(desk: Desk) -> Iterator[str]:
    """What an outcome no longer earns was taken back to the minor unit."""
    for kept, known in _known(desk):
        line = kept.line
        if line.kind is not LineKind.EARN or known is None or _stands(line.commission, known):
            continue
        rest = sum(
            one.line.amount_minor
            for one in lines(desk, LinesWanted(outcome=line.outcome))
            if one.line.commission == line.commission and one.line.kind is not LineKind.RETIER
        )
        if rest:
            yield f"commission {line.commission} is undone, and {rest} of it was not taken back"


def _stands(commission: str, known: Known) -> bool:
    return any(line.startswith(commission) for booked in known.booked for line in booked.lines)


def _statements_connect(desk: Desk) -> Iterator[str]:
    """Each statement opens where the one before closed, and says what its lines add up to."""
    partners = {
        account.split(":", 1)[1].rpartition(":")[0]
        for account, _, _ in desk.book.balances("partner:")
    }
    for partner in sorted(partners):
        before: dict[str, Statement] = {}
        for id_ in desk.get(STATEMENTS, partner, tuple) or ():
            one = desk.get(STATEMENT, id_, Statement)
            if one is None:
                yield f"statement {id_} is missing"
                continue
            yield from _statement(desk, one, before.get(one.currency))
            before[one.currency] = one


def _statement(desk: Desk, one: Statement, before: Statement | None) -> Iterator[str]:
    if one.opening_minor != (before.closing_minor if before else 0):
        yield f"statement {one.id} does not open where the one before closed"
    if one.opening_minor + one.lines_minor - one.payments_minor != one.closing_minor:
        yield f"statement {one.id} does not close at opening and lines less payments"
    total = count = 0
    for kept in lines(desk, LinesWanted(statement=one.id)):
        total += kept.line.amount_minor
        count += 1
        if kept.line.state is not LineState.APPROVED:
            yield f"statement {one.id} has line {kept.line.id}, which is not approved"
    if (total, count) != (one.lines_minor, one.lines_count):
        yield f"statement {one.id} says {one.lines_minor}, and its lines add up to {total}"


def lines(desk: Desk, wanted: LinesWanted | None = None) -> Iterator[KeptLine]:
    """Every line that is wanted, fetched page by page."""
    after = 0
    while page := desk.book.lines(wanted or LinesWanted(), after, _PAGE):
        yield from page
        after = page[-1].number


def _known(desk: Desk) -> Iterator[tuple[KeptLine, Known | None]]:
    """Every line with what is remembered of its outcome."""
    after = 0
    while page := desk.book.lines(LinesWanted(), after, _PAGE):
        desk.load(KNOWN, {kept.line.outcome for kept in page})
        for kept in page:
            yield kept, desk.get(KNOWN, kept.line.outcome, Known)
        after = page[-1].number
        desk.clear()


CHECKS: Final[dict[str, tuple[str, Callable[[Desk], Iterator[str]]]]] = {
    "book_balanced": ("debits equal credits in every currency, and balances are sums", _balanced),
    "book_lines": ("a partner's money is what its lines add up to", _money_of_lines),
    "book_outcomes": ("every commission has an outcome", _has_outcome),
    "book_reversals": ("every reversed outcome has a reversal", _is_reversed),
    "book_statements": (
        "statements connect and say what their lines add up to",
        _statements_connect,
    ),
}
