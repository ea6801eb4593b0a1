"""What a question to the facts may cost, as the settings say; each folder in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attribune.settings import SETTINGS

MEMORY_BYTES_MIN = next(row.low for row in SETTINGS if row.name == "facts_memory_bytes_max")
assert MEMORY_BYTES_MIN is not None

ASKING = """
import json, sys
from pathlib import Path
from attribune.model.errors import StoreUnavailable
from attribune.model.fact import Question
from attribune.settings import load
from attribune.wire.parts import Parts
from test_engines_facts import INSTALLS, fact

WIDE = 20_000  # bytes of a row

def told(by):
    try:
        return len(facts.ask(Question(measures=(INSTALLS,), by=by)))
    except StoreUnavailable as fault:
        return fault.message

facts = Parts(Path(sys.argv[1]), load()).facts
rows = int(sys.argv[2])
facts.insert([fact(n, site_id=f"{n:010}" * (WIDE // 10)) for n in range(1, rows + 1)])
(plan,) = zip(*facts._select("EXPLAIN PIPELINE SELECT sum(number) FROM numbers_mt(1000000000)", {}))
print(json.dumps({"narrow": told(()), "wide": told(("site_id",)), "plan": plan}))
facts.close()
"""


def asked(folder: Path, rows: int = 0, **settings: int) -> dict[str, Any]:
    """What a process says that opens the folder under these settings, adds wide rows and asks."""
    folder.mkdir(exist_ok=True)
    environment = {f"ATTRIBUNE_{name.upper()}": str(value) for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-c", ASKING, str(folder), str(rows)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=Path(__file__).parent,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_report_has_so_much_memory_and_a_write_as_much_as_it_needs(tmp_path: Path) -> None:
    """The rows are more than a report may hold; were they refused too, the facts could never grow again."""
    rows = MEMORY_BYTES_MIN // 20_000 + 1000
    little = asked(tmp_path / "data", rows, facts_memory_bytes_max=MEMORY_BYTES_MIN)
    assert little["narrow"] == 1
    assert "facts_memory_bytes_max" in little["wide"]
    assert asked(tmp_path / "data", facts_memory_bytes_max=16 * MEMORY_BYTES_MIN)["wide"] == rows


@pytest.mark.parametrize("threads", [1, 5])
def test_a_report_has_so_many_threads(tmp_path: Path, threads: int) -> None:
    """Of a sum that could be added up by any number of them."""
    plan = asked(tmp_path / "data", facts_threads=threads)["plan"]
    (adding,) = [step.split() for step in plan if "AggregatingTransform" in step]
    # The plan writes a step's number of threads behind it, unless it is one.
    assert adding[2:] == ([str(threads)] if threads > 1 else [])
