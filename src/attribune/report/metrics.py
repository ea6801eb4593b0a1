"""Every metric, once: name, what it means, and how it is made. The reference page and the help come from this table.

A metric is a sum over fact rows (``Measure``) or a ratio of two such metrics. Definitions follow the trade's usual ones
(Adjust's metrics glossary, AppsFlyer's KPI names); where those differ, the help says which is ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from attribune.model.errors import Invalid
from attribune.model.fact import FactKind, Measure
from attribune.model.outcome import UNDOING, Source


class Ratio(Struct, frozen=True, kw_only=True):
    """One metric by another. Money stays money, by currency; else the result is a plain number.

    None where there is nothing to divide by.
    """

    over: str
    under: str
    times: int = 1


class Metric(Struct, frozen=True, kw_only=True):
    """One column of a report."""

    name: str
    help: str
    formula: Measure | Ratio

    @property
    def is_money(self) -> bool:
        """Whether values are amounts by currency."""
        if isinstance(self.formula, Measure):
            return self.formula.value in {"amount", "cost"}
        return METRICS[self.formula.over].is_money

    @property
    def in_words(self) -> str:
        """The formula as the reference page says it."""
        return _ratio_words(self.formula) if isinstance(self.formula, Ratio) else _sum_words(self)


def _rows(name: str, help_: str, *kinds: FactKind, sources: tuple[str, ...] = ()) -> Metric:
    return Metric(name=name, help=help_, formula=Measure(name=name, kinds=kinds, sources=sources))


def _ratio(name: str, help_: str, over: str, under: str, times: int = 1) -> Metric:
    return Metric(name=name, help=help_, formula=Ratio(over=over, under=under, times=times))


_TABLE: Final = (
    _rows("clicks", "Clicks measured by us; repeated ones are not counted.", FactKind.CLICK),
    _rows("impressions", "Impressions measured by us.", FactKind.IMPRESSION),
    _rows("opens", "Starts of the app, those that were conversions included.", FactKind.OPEN),
    _rows(
        "installs",
        "First opens of a device, attributed and organic; the day is that of the open.",
        FactKind.INSTALL,
    ),
    _rows(
        "attributed_installs",
        "Installs that a touch won.",
        FactKind.INSTALL,
        sources=(Source.ATTRIBUTED.value,),
    ),
    _rows(
        "organic_installs",
        "Installs that no touch won.",
        FactKind.INSTALL,
        sources=(Source.ORGANIC.value,),
    ),
    _rows(
        "reinstalls",
        "First opens after an uninstall by a known device, without a retargeting touch.",
        FactKind.REINSTALL,
    ),
    _rows(
        "reattributions",
        "Reinstalls after a retargeting touch: the device has a new source.",
        FactKind.REATTRIBUTION,
    ),
    _rows(
        "reengagements",
        "Returns of silent devices with the app installed, after a retargeting touch.",
        FactKind.REENGAGEMENT,
    ),
    _rows("events", "Events in the app, by their primary credit.", FactKind.EVENT),
    Metric(
        name="revenue",
        help="Revenue of events, gross as reported, by currency and primary credit. A refund or chargeback is no revenue, and takes none off.",
        formula=Measure(
            name="revenue", kinds=(FactKind.EVENT,), value="amount", without_events=UNDOING
        ),
    ),
    Metric(
        name="cost",
        help="Cost that touches brought with them, by currency.",
        formula=Measure(name="cost", kinds=(FactKind.CLICK, FactKind.IMPRESSION), value="cost"),
    ),
    Metric(
        name="active_devices",
        help="Different devices with an open or an event in the days asked for.",
        formula=Measure(
            name="active_devices", kinds=(FactKind.OPEN, FactKind.EVENT), value="devices"
        ),
    ),
    _rows(
        "foreign_installs",
        "Installs that other measurement partners told of; break it down by vendor.",
        FactKind.FOREIGN_INSTALL,
    ),
    _rows(
        "foreign_attributed_installs",
        "Those of them that the vendor gives to a network it names.",
        FactKind.FOREIGN_INSTALL,
        sources=("attributed",),
    ),
    _rows(
        "foreign_organic_installs",
        "Those of them that the vendor calls organic; restricted ones are not.",
        FactKind.FOREIGN_INSTALL,
        sources=("organic",),
    ),
    _rows(
        "foreign_events",
        "Events that other measurement partners told of, by their primary credit.",
        FactKind.FOREIGN_EVENT,
    ),
    _rows(
        "foreign_others",
        "Returns, starts, uninstalls, updates and rejections that they told of; `event` says which.",
        FactKind.FOREIGN_OTHER,
    ),
    Metric(
        name="foreign_revenue",
        help="Revenue of those events as the vendor reports it, by currency.",
        formula=Measure(name="foreign_revenue", kinds=(FactKind.FOREIGN_EVENT,), value="amount"),
    ),
    _rows("refused", "Hits and records not used, each with its reason.", FactKind.REFUSED),
    _ratio(
        "conversion_rate",
        "Attributed installs by clicks (Adjust: click_conversion_rate).",
        "attributed_installs",
        "clicks",
    ),
    _ratio("ctr", "Clicks by impressions.", "clicks", "impressions"),
    _ratio(
        "ipm",
        "Attributed installs by a thousand impressions.",
        "attributed_installs",
        "impressions",
        times=1000,
    ),
    _ratio("arpu", "Revenue by install, organic ones included.", "revenue", "installs"),
    _ratio("ecpi", "Cost by attributed install.", "cost", "attributed_installs"),
)

#: By name, in the order of the reference page.
METRICS: Final[dict[str, Metric]] = {metric.name: metric for metric in _TABLE}


def chosen(names: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics of these names, each once. Raises Invalid, naming the wrong one and listing the right ones."""
    found = {}
    for name in names:
        if name not in METRICS:
            raise Invalid(
                f"there is no metric named {name!r}; choose from {', '.join(METRICS)}",
                param="metrics",
            )
        found[name] = METRICS[name]
    if not found:
        raise Invalid(
            f"a report needs at least one metric; choose from {', '.join(METRICS)}",
            param="metrics",
        )
    return tuple(found.values())


def measures_of(metrics: Iterable[Metric]) -> tuple[Measure, ...]:
    """The sums that metrics are made of, each once, in the order they are first needed."""
    needed: dict[str, Measure] = {}
    for metric in metrics:
        formula = metric.formula
        names = (formula.name,) if isinstance(formula, Measure) else (formula.over, formula.under)
        for name in names:
            measure = METRICS[name].formula
            assert isinstance(measure, Measure), f"{name}: a ratio of ratios"
            needed[name] = measure
    return tuple(needed.values())


def _sum_words(metric: Metric) -> str:
    measure = metric.formula
    assert isinstance(measure, Measure)
    what = {
        "rows": "number of",
        "amount": "amounts of",
        "cost": "costs of",
        "devices": "different devices of",
    }[measure.value]
    kinds = " and ".join(kind.value for kind in measure.kinds)
    of = f" that are {' or '.join(measure.sources)}" if measure.sources else ""
    without = f" without {' and '.join(measure.without_events)}" if measure.without_events else ""
    return f"{what} {kinds} rows{of}{without}"


def _ratio_words(ratio: Ratio) -> str:
    times = f"{ratio.times} * " if ratio.times != 1 else ""
    return f"{times}{ratio.over} / {ratio.under}"
