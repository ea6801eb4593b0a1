"""The parts of pages written by hand that the code knows best: lists of choices, the presets, quoted journeys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from said import comments, first_line, markdown, members

from attribune.attribute.presets import PRESETS
from attribune.ledger import reconcile
from attribune.model import (
    activity,
    book,
    control,
    delivery,
    fact,
    offer,
    outcome,
    policy,
    position,
    refusal,
    status,
    touch,
)
from attribune.report import shadow

ROOT = Path(__file__).parent.parent
JOURNEYS = ROOT / "tests/journeys"
#: A part of a page written by hand that the code fills in.
PART = re.compile(
    r"(?P<begin><!-- (?P<name>\w+): written by `make docs` -->).*?(?P<end><!-- end of (?P=name) -->)",
    re.DOTALL,
)
#: A journey quoted in a page.
QUOTE = re.compile(r"(?P<begin>^```text (?P<name>\w+\.txt)\n).*?^```", re.DOTALL | re.MULTILINE)

CHOICES: tuple[type[Enum], ...] = (
    activity.Platform,
    activity.Sender,
    activity.ReferrerSource,
    touch.TouchKind,
    delivery.Trigger,
    delivery.DeliveryState,
    touch.TouchOrigin,
    touch.SignatureFault,
    outcome.ConversionKind,
    outcome.Source,
    policy.MatchMethod,
    policy.Tier,
    policy.CustomerBinding,
    policy.ReturnRule,
    policy.ReinstallSince,
    outcome.LossReason,
    refusal.RefusalReason,
    control.PartnerKind,
    control.KeyKind,
    control.Scope,
    fact.FactKind,
    position.Topic,
    status.RoleState,
    status.BreakerState,
    offer.DealKind,
    offer.Ladder,
    offer.Measure,
    offer.Carry,
    offer.PartialRefund,
    offer.LevelBase,
    book.Place,
    book.LineKind,
    book.LineState,
    book.PayoutState,
    reconcile.Match,
    activity.Vendor,
    activity.ForeignKind,
    activity.ForeignSource,
    outcome.CreditedBy,
    shadow.Difference,
    offer.Counts,
)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def filled(name: str) -> str:
    """A page written by hand, its lists and its quoted journeys as the code and the tests have them."""
    text = PART.sub(_part, (ROOT / name).read_text())
    return QUOTE.sub(_quote, text)


def _part(found: re.Match[str]) -> str:
    return f"{found['begin']}\n\n{PARTS[found['name']]()}\n\n{found['end']}"


def _quote(found: re.Match[str]) -> str:
    return f"{found['begin']}{(JOURNEYS / found['name']).read_text()}```"


def choices() -> str:
    """Every enum with its members."""
    return "\n\n".join(_choice(kind) for kind in CHOICES)


def _choice(kind: type[Enum]) -> str:
    rows = [
        (f"`{value}`", f"`{name}`", markdown(said)) for name, (value, said) in members(kind).items()
    ]
    head = f"**{kind.__name__}**: {markdown(first_line(kind))}"
    return f"{head}\n\n{table(('value', 'in code', 'meaning'), rows)}"


def presets() -> str:
    """Every rule of a policy with its value in each preset."""
    said = comments(policy.Windows) | comments(policy.Policy)
    rows = [
        _rule(f"windows.{name}", said[name], name, inside=True)
        for name in policy.Windows.__struct_fields__
    ]
    rows += [
        _rule(name, said[name], name)
        for name in policy.Policy.__struct_fields__
        if name not in {"name", "windows", "link_windows", "partner_windows"}
    ]
    return table(("rule", *PRESETS, "meaning"), rows)


def _rule(shown: str, said: str, name: str, *, inside: bool = False) -> tuple[str, ...]:
    values = [getattr(one.windows if inside else one, name) for one in PRESETS.values()]
    return (f"`{shown}`", *(_value(name, value) for value in values), markdown(said))


def _value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if name.endswith("_ms"):
        return _span(value)
    return str(value)


def _span(ms: int) -> str:
    """A time in its largest whole unit; a day is 24 h, as the trade says."""
    day = policy.DAY_MS
    units = (("d", day), ("h", policy.HOUR_MS), ("min", policy.MINUTE_MS), ("s", 1000))
    whole = [
        f"{ms // size} {unit}" for unit, size in units if not ms % size and (size, ms) != (day, day)
    ]
    return whole[0] if ms else "0"


PARTS: dict[str, Callable[[], str]] = {"choices": choices, "presets": presets}
