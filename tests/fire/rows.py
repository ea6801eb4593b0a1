"""What a folder's facts hold, read in a process of its own: one process opens one folder of chDB's.

As a script: prints ``{kind: {id: rows that stand}}`` of a folder whose house has stopped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

_SQL: Final = (
    "SELECT kind, coalesce(record, touch) AS id, sum(sign) AS standing FROM facts GROUP BY kind, id"
)


def standing(folder: Path) -> dict[str, dict[str, int]]:
    """How often each record stands in the facts, by kind and id."""
    done = subprocess.run(
        [sys.executable, __file__, str(folder / "facts")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _main(path: str) -> None:
    import clickhouse_connect  # noqa: PLC0415

    rows = clickhouse_connect.get_client(interface="chdb", path=path).query(_SQL).result_rows
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for kind, name, count in rows:
        found[kind][name] = int(count)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _main(sys.argv[1])
