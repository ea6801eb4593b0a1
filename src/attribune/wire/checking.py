"""The audit and the replay over the engines of a folder."""

# ruff: noqa: PLC0415 - an import inside a function is there so that only who needs an engine pays for it

from __future__ import annotations

from typing import TYPE_CHECKING

from attribune.model.ids import Position, ProductId
from attribune.model.policy import Policy
from attribune.registry.view import Registry
from attribune.wire.beginnings import refuse_pruned
from attribune.wire.parts import Parts
from attribune.wire.roles import limits, lookups

if TYPE_CHECKING:
    from attribune.attribute.replay import Replayed
    from attribune.report.audit import AuditReport
    from attribune.report.audit_told import Told


def replay(
    parts: Parts, upto: Position, policy: Policy | None = None, product: ProductId | None = None
) -> Replayed:
    """What would be decided under other rules, or again under those in force then. Writes nothing. Raises JournalPruned."""
    from attribune.attribute.replay import Bench, WhatIf
    from attribune.attribute.replay import replay as judge_again
    from attribune.collect.links import read_touch

    refuse_pruned(parts, "a replay")
    with parts.scratch_store() as store:
        bench = Bench(
            journal=parts.journal,
            directory=Registry(),
            store=store,
            enricher=parts.enricher,
            read_touch=read_touch,
            limits=limits(parts),
            read_entries_max=parts.settings.read_entries_max,
        )
        return judge_again(bench, WhatIf(upto=upto, policy=policy, product=product))


def audit(
    parts: Parts, registry: Registry, attributor: Position, recorder: Position, differences: int
) -> AuditReport:
    """Whether everything adds up as far as both consumers have come; ``registry`` must know every change."""
    from attribune.report.audit import audit as pass_over
    from attribune.report.audit_told import PartnersTold
    from attribune.report.checks import all_checks
    from attribune.roles.recorder import audit_scope

    def repeated() -> list[str]:
        found = replay(parts, attributor)
        if not found.differences:
            return []
        return [f"{found.differences} outcomes come out differently when they are decided again"]

    scope = audit_scope(
        parts.journal,
        parts.facts,
        lookups(parts, registry),
        attributor_position=attributor,
        recorder_position=recorder,
        differences=differences,
        decisions_repeat=repeated,
    )
    report = pass_over(scope, (*all_checks(scope), PartnersTold(_told(parts))))
    return _with_book(parts, report)


def _with_book(parts: Parts, report: AuditReport) -> AuditReport:
    """The report with the book's own checks behind the others."""
    from msgspec.structs import replace

    from attribune.ledger.audit import checks
    from attribune.ledger.desk import Desk
    from attribune.report.audit import Result

    book = parts.book(is_reader=True)
    try:
        found = checks(Desk(book))
    finally:
        book.close()
    results = [
        Result(
            name=one.name,
            ok=one.ok,
            found=list(one.found),
            sentence=one.sentence,
            not_made=one.not_made,
        )
        for one in found
    ]
    is_ok = report.ok and all(result.ok for result in results)
    return replace(report, ok=is_ok, checks=[*report.checks, *results])


def _told(parts: Parts) -> Told:
    """What partners were to be told, planned again from the journal with a view of the registry that follows it."""
    from attribune.collect.links import read_touch
    from attribune.model.codec import Record
    from attribune.model.control import Change
    from attribune.model.delivery import OutboxPage
    from attribune.model.ids import DeliveryId
    from attribune.postback.fold import Fold
    from attribune.postback.looking import Looking
    from attribune.report.audit_told import Told

    registry, outbox = Registry(), parts.outbox_reader
    looking = Looking(parts.journal, registry, outbox, read_touch)
    fold = Fold(parts.journal, registry, outbox, looking)
    page = OutboxPage()

    def plan(position: Position, record: Record) -> list[DeliveryId]:
        if isinstance(record, Change):
            registry.apply(position, record)
        fold.add(position, record, page)
        planned = [one.id for one in page.planned]
        for kept in (page.planned, page.came, page.conversions, page.sharing):
            kept.clear()
        return planned

    return Told(plan, outbox.states, outbox.position())


def registry_at_end(parts: Parts) -> Registry:
    """A view of the registry with every change that stands in the journal."""
    from attribune.model.codec import decode
    from attribune.model.control import Change
    from attribune.model.position import Topic

    registry = parts.registry()
    while entries := parts.journal.read(
        (Topic.CONTROL,), registry.position, parts.settings.read_entries_max
    ):
        for entry in entries:
            change = decode(entry)
            assert isinstance(change, Change)
            registry.apply(entry.position, change)
    return registry
