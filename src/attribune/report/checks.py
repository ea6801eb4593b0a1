"""Every check of the audit, in the order that the report shows them."""

from __future__ import annotations

from attribune.report.audit import Check, Scope
from attribune.report.audit_credit import (
    CorrectionsHaveCauses,
    DecisionsRepeat,
    EventsAddUp,
    InstallsAddUp,
    OneInstallPerDevice,
    TouchWinsOnce,
)
from attribune.report.audit_facts import ClosedDaysHold, Expected, FactsMatchOutcomes
from attribune.report.audit_records import (
    JournalIsWhole,
    NoOutcomeDoubled,
    PositionsAgree,
    RecordsJudged,
    RecordsPlacedOnce,
    RequestsAddUp,
)
from attribune.report.placings import Placings


def all_checks(scope: Scope) -> tuple[Check, ...]:
    """The checks of a scope, ready for one pass over its journal.

    The check of placings stands before those that read what it remembers.
    """
    placings = Placings()
    expected = Expected(scope)
    return (
        JournalIsWhole(scope.journal.start(), scope.journal.end()),
        RequestsAddUp(),
        RecordsPlacedOnce(scope, placings),
        RecordsJudged(scope.journal.start()),
        NoOutcomeDoubled(placings),
        PositionsAgree(scope),
        OneInstallPerDevice(scope),
        InstallsAddUp(placings),
        EventsAddUp(placings),
        TouchWinsOnce(scope),
        CorrectionsHaveCauses(scope),
        FactsMatchOutcomes(scope, expected),
        ClosedDaysHold(scope, expected),
        DecisionsRepeat(scope),
    )
