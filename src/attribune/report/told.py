"""Stories for people: a headline, a table of the candidates, and what happened in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from attribune.model.book import LineKind
from attribune.model.delivery import DeliveryState
from attribune.report.booked import ToldLine
from attribune.report.deliveries import ToldDelivery
from attribune.report.moment import moment
from attribune.report.stories import Competitor, Explained, Story, ToldNote, ToldPruned

_WIDTH: Final = 110
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS


def plain(story: Story) -> str:
    """A story as text without colour."""
    out = StringIO()
    Console(file=out, width=_WIDTH, color_system=None, highlight=False).print(shown(story))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def shown(story: Story) -> Group:
    """A story for a terminal."""
    parts: list[RenderableType] = [Text(story.summary, style="bold"), _facts(story)]
    if story.candidates:
        parts.append(_candidates("Candidates", story.candidates))
    if story.not_listed:
        counts = ", ".join(f"{n} {reason}" for reason, n in sorted(story.not_listed.items()))
        parts.append(Text(f"and not listed: {counts}"))
    if story.late_touches:
        parts.append(_candidates("Came too late to compete", story.late_touches))
    parts.append(_timeline(story))
    return Group(*parts)


def all_shown(explained: Explained) -> Group:
    """Every story of a handle, one after the other."""
    if explained.forgotten:
        said = (f"Forgotten in {one.product} at {one.at}." for one in explained.forgotten)
        return Group(*map(Text, said))
    if not explained.stories and not explained.pruned:
        return Group(Text(f"Nothing is known under {explained.handle!r}."))
    parts: list[RenderableType] = []
    for story in explained.stories:
        parts += [shown(story), Text()]
    if explained.is_truncated:
        parts.append(Text("There is more than is shown; ask by a narrower handle.", style="italic"))
    if explained.pruned:
        parts.append(Text(_pruned(explained.pruned), style="italic"))
    return Group(*parts)


def _pruned(pruned: ToldPruned) -> str:
    what = ", ".join(f"{count} {kind}" for kind, count in pruned.kinds.items())
    return (
        f"The journal was pruned up to entry {pruned.through}: of this, {what} can no longer be told, and reports still count "
        "it. Restore a backup into a new folder and ask there."
    )


def age(ms: int) -> str:
    """How long a time is, in its two largest units, such as ``2 d 3 h``."""
    units = (("d", _DAY_MS), ("h", _HOUR_MS), ("min", _MINUTE_MS), ("s", 1000))
    parts, rest = [], max(0, ms)
    for name, size in units:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or f"{max(0, ms)} ms"


def _facts(story: Story) -> Text:
    words = {
        "conversion": story.conversion,
        "device": story.device,
        "app": story.app,
        "platform": story.platform,
        "country": story.country,
        "policy": story.policy,
        "revision": story.revision if (story.revision or 1) > 1 else None,
    }
    return Text("  ".join(f"{name} {value}" for name, value in words.items() if value))


def _candidates(title: str, rows: list[Competitor]) -> Table:
    table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False)
    for column in ("touch", "partner", "campaign", "kind", "method"):
        table.add_column(column)
    table.add_column("age", justify="right")
    table.add_column("result")
    for row in rows:
        table.add_row(
            row.touch_id,
            row.partner,
            row.campaign or "",
            row.kind,
            row.method,
            age(row.age_ms),
            (row.lost_because or "won") + _unsigned(row.signature_fault),
        )
    return table


def _timeline(story: Story) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column()
    for at_ms, what in sorted(_happenings(story), key=lambda happening: happening[0]):
        table.add_row(moment(at_ms), what)
    if story.events_not_listed:
        table.add_row("", f"… and {story.events_not_listed} more events")
    return table


def _happenings(story: Story) -> Iterator[tuple[int, str]]:
    if story.winner:
        won = story.winner
        yield won.at_ms, f"{won.kind} of {won.partner}{_unsigned(won.signature_fault)}"
    if story.conversion and story.at_ms is not None:
        yield story.at_ms, f"{story.kind} ({_source(story.source, _partner(story))})"
    for touch in story.touches:
        yield (
            touch.at_ms,
            f"{touch.kind} of {touch.partner or 'nobody known'}{_unsigned(touch.signature_fault)}",
        )
    for open_ in story.opens:
        yield open_.at_ms, f"open ({_source(open_.source, open_.partner)})"
    for event in story.events:
        paid = f" {event.revenue['amount']} {event.revenue['currency']}" if event.revenue else ""
        credit = " as secondary" if event.credit == "secondary" else ""
        yield (
            event.at_ms,
            f"event {event.name}{paid} ({_source(event.source, event.partner)}{credit})",
        )
    for held in story.held:
        yield held.at_ms, f"event {held.name} (waiting for its open)"
    for said in story.foreign:
        paid = f" {said.revenue} {said.currency}" if said.revenue else ""
        who = said.partner or said.network or "nobody"
        yield (
            said.at_ms,
            f"{said.vendor} says: {said.name or said.kind}{paid} ({_source(said.source, who)})",
        )
    for note in story.notes:
        yield note.at_ms, f"{note.record_type} {note.record}{_allowed(note)}"
    for refused in story.refused:
        name = " ".join(filter(None, (refused.record_type or "record", refused.record)))
        yield refused.at_ms, f"{name} not used: {refused.reason}"
    yield from _afterwards(story)


def _allowed(note: ToldNote) -> str:
    """What a consent leaves in force."""
    if note.shares is None:
        return ""
    ones = [f"{name}: {'yes' if may else 'no'}" for name, may in (note.partners or {}).items()]
    told = "partners may be told" if note.shares else "partners may not be told"
    return f" ({'; '.join([told, *ones])})"


def _afterwards(story: Story) -> Iterator[tuple[int, str]]:
    """What partners were told, and what was corrected."""
    for correction in story.corrections:
        was, is_ = correction.before, correction.now
        moved = f"{was['partner'] if was else 'nobody'} to {is_['partner'] if is_ else 'nobody'}"
        by = f" by {correction.by}" if correction.by else ""
        why = f": {correction.reason}" if correction.reason else ""
        yield correction.at_ms, f"corrected from {moved} ({correction.cause}{by}{why})"
    for told in story.deliveries:
        yield told.planned_at_ms, _told(told)
    for one in story.booked:
        yield one.moved_at_ms, _booked(one)
    for held in story.rates_missing:
        rate = f"the rate of {held.base} in {held.quote} on {held.day}"
        yield (
            held.at_ms,
            f"{held.event} of {held.partner or 'nobody'} is held in the book for {rate}",
        )


def _booked(one: ToldLine) -> str:
    """What was booked, and which offers fitted too, in a few words."""
    why = f" ({one.cause})" if one.cause else ""
    on = f" on statement {one.statement}" if one.statement else f" {one.state}"
    lost = f"; lost: {', '.join(one.lost)}" if one.lost else ""
    offer = f"under {one.offer} version {one.version}"
    return f"{one.partner} {_deed(one)} {one.currency} {offer},{on}{why}{lost}"


def _deed(one: ToldLine) -> str:
    """What a line does; what takes back says so by its word, and needs no sign."""
    if one.kind is LineKind.EARN:
        return f"earns {one.amount}"
    if one.kind is LineKind.RETIER:
        return f"is rated anew by {one.amount}"
    taken = one.amount.removeprefix("-")
    # Who was charged with something, such as a promotion in a formula, has it given back.
    return f"loses {taken}" if taken != one.amount else f"is given back {taken}"


def _told(told: ToldDelivery) -> str:
    """What became of a delivery, in a few words. By which postback says to whom: the operator's own systems hear of everybody's."""
    about = f"of the {told.trigger.replace('_', ' ')} by {told.postback}"
    why = f": {told.reason}" if told.reason else ""
    last = told.attempts[-1].status if told.attempts else None
    answered = f" (answered {last})" if last else ""
    said = {
        DeliveryState.DELIVERED: f"told {about}{answered}",
        DeliveryState.WAITING: f"to be told {about}{answered}",
        DeliveryState.GAVE_UP: f"not told {about}",
        DeliveryState.WITHDRAWN: f"needs not be told {about}",
    }
    return said[told.state] + why


def _unsigned(fault: str | None) -> str:
    return f", signature {fault}" if fault else ""


def _partner(story: Story) -> str | None:
    return story.winner.partner if story.winner else None


def _source(source: str | None, partner: str | None) -> str:
    return partner or source or "unknown"
