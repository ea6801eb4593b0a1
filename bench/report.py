"""`report_10m`: a report with two dimensions over many fact rows, beside the same question over a plain table.

Run by itself it asks, in a process of its own, since chDB opens one folder in a process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from fact_rows import opened
from filled import cloned, filled, seen
from harness import Plan, Result, say, worker

from attribune.model.fact import FactKind, Measure, Question
from attribune.model.ids import ProductId

RATIO_MAX = 1.3
_ROWS_MAX = 30_000
#: As a person would write it who knows the table: nothing but the sums. Corrections are rows of sign -1, so it adds up signs.
_PLAIN = """
SELECT partner, campaign, sumIf(sign, kind = 'click') AS clicks, sumIf(sign, kind = 'install') AS installs
FROM plain WHERE product = {product:String} AND kind IN ('click', 'install')
GROUP BY partner, campaign ORDER BY clicks DESC, partner, campaign LIMIT 30000
"""


def measure(plan: Plan) -> list[Result]:
    """Milliseconds of a question, ours and the plain one in turn, on one core."""
    with cloned(filled(plan.stored_many)) as folder:
        found = worker("report.py", folder, plan.runs)
    ours, yard = statistics.median(found["ours_ms"]), statistics.median(found["plain_ms"])
    say("report_10m", f"{ours:.0f} ms, plain {yard:.0f} ms, {found['groups']:,} groups")
    return [
        Result(
            name="report_10m",
            value=round(ours, 1),
            unit="ms",
            yardstick=round(yard, 1),
            ratio=round(ours / yard, 3),
            goal=RATIO_MAX,
            goal_in_words=f"≤ {RATIO_MAX}",
            met=ours / yard <= RATIO_MAX,
            runs=plan.runs,
            details={"rows": plan.stored_many, "groups": found["groups"]},
        )
    ]


def asked(folder: Path, runs: int) -> dict[str, object]:
    """Ask both in turn, once before the clock starts, and see that they answer the same."""
    product = seen(folder).known.product
    facts = opened(folder / "facts", threads=1)
    question = Question(
        measures=(
            Measure(name="clicks", kinds=(FactKind.CLICK,)),
            Measure(name="installs", kinds=(FactKind.INSTALL,)),
        ),
        by=("partner", "campaign"),
        product=ProductId(product),
        rows_max=_ROWS_MAX,
    )
    ours_ms: list[float] = []
    plain_ms: list[float] = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        sums = facts.ask(question)
        ours_ms.append((time.perf_counter() - begun) * 1000)
        begun = time.perf_counter()
        rows = facts._reader.query(_PLAIN, parameters={"product": product}).result_rows
        plain_ms.append((time.perf_counter() - begun) * 1000)
    said = [(*row.by, row.values["clicks"], row.values["installs"]) for row in sums]
    assert said == [tuple(row) for row in rows], "both must answer the same"
    facts.close()
    return {"ours_ms": ours_ms[1:], "plain_ms": plain_ms[1:], "groups": len(rows)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=int)
    given = parser.parse_args()
    print(json.dumps(asked(given.folder, given.runs)))
