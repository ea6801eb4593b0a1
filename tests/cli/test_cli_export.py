"""``attribune export``: three formats with the same rows, in constant memory, whole or not at all."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from api.asking import Api
from house import RunningHouse, http, wait_for
from pyarrow import parquet

from attribune.cli import row_files
from attribune.cli.export import What
from attribune.cli.main import run
from attribune.model.errors import Conflict
from attribune.report.export import COLUMNS, NAMES

#: What four times as many rows may take beyond; held in memory they would take some 200 MiB more.
GROWTH_BYTES_MAX = 40 << 20
WIDE = ("--from", "2026-01-01", "--to", "2099-12-31")
EVENTS = 1000
ATTRIBUNE = (sys.executable, "-m", "attribune")
FORMULA = "=HYPERLINK(0)"
PHONE = {"user-agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0"}


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Any:
    with RunningHouse(tmp_path_factory.mktemp("export") / "data", export_rows_max=60) as house:
        words = ("--name", "Game", "--platform", "android", "--store-id", "com.example.game")
        house.cli("app", "add", *words)
        house.cli("partner", "add", "--name", "acme")
        link = house.cli("link", "add", "--app", "game-android", "--partner", "acme")["link"]
        url = link["click_url"]
        wait_for(lambda: http("HEAD", url, headers=PHONE).status == 302)
        for number in range(8):
            answer = http("GET", f"{url}?campaign={FORMULA if number else 'spring'}", headers=PHONE)
            assert answer.status == 302
        key = house.cli("key", "add", "--app", "Game", "--kind", "server")["key"]["secret"]
        for begin in range(0, len(sent := [*opens(answer.headers["location"]), *buys()]), 200):
            body = {"records": sent[begin : begin + 200]}
            answer = http("POST", f"{house.collector_url}/v1/batch", body, key=key)
            assert {result["status"] for result in answer.json()["results"]} == {"accepted"}
        house.settle()
        yield house


def opens(location: str) -> list[dict[str, Any]]:
    """First opens of two devices: one that came by the last click, one by itself."""
    referrer = parse_qs(urlsplit(location).query)["referrer"][0]
    devices = [{"id": f"d{n}", "platform": "android", "os_version": "14"} for n in range(2)]
    came = {"source": "play", "value": referrer}
    return [
        {"type": "open", "id": "o0", "device": devices[0], "referrers": [came]},
        {"type": "open", "id": "o1", "device": devices[1]},
    ]


def buys() -> list[dict[str, Any]]:
    """More events than a pipe holds rows of."""
    money = {"amount": "1.20", "currency": "EUR"}
    return [
        {
            "type": "event",
            "id": f"e{n}",
            "name": "=buy" if n else "buy",
            "device": {"id": f"d{n % 2}", "platform": "android"},
            **({"revenue": money} if n % 3 else {}),
        }
        for n in range(EVENTS)
    ]


def in_text(row: dict[str, Any]) -> dict[str, str]:
    """A row of JSON lines as a spreadsheet would hold it."""
    said = {True: "true", False: "false", None: ""}
    plain = {k: said[v] if isinstance(v, bool | None) else str(v) for k, v in row.items()}
    return {k: f"'{v}" if v.startswith("=") else v for k, v in plain.items()}


def of_parquet(row: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat(timespec="milliseconds")
        return value.isoformat() if isinstance(value, date) else value

    return {name: plain(value) for name, value in row.items()}


@pytest.mark.server
@pytest.mark.parametrize(("what", "count"), [("touches", 8), ("installs", 2), ("events", EVENTS)])
def test_the_three_formats_hold_the_same_rows(served, tmp_path, what: str, count: int) -> None:
    files = {name: tmp_path / name for name in ("csv", "ndjson", "parquet")}
    for name, file in files.items():
        words = ("--format", name, "--out", str(file))
        said = served.cli("export", what, *WIDE, *words)["export"]
        assert (said["rows"], said["lag"], said["format"]) == (count, 0, name)
        assert file.stat().st_mode & 0o777 == 0o600
        assert not file.with_name(f"{name}.partial").exists()
    rows = [json.loads(line) for line in files["ndjson"].read_text().splitlines()]
    assert [of_parquet(row) for row in parquet.read_table(files["parquet"]).to_pylist()] == rows
    with files["csv"].open(newline="") as lines:
        assert list(csv.DictReader(lines)) == [in_text(row) for row in rows]
    types = {field.name: str(field.type) for field in parquet.read_schema(files["parquet"])}
    assert types["at"] == "timestamp[ms, tz=UTC]"
    assert (types["own_day"], types["place"], types["is_primary"]) == (
        "date32[day]",
        "int64",
        "bool",
    )


@pytest.mark.server
def test_the_rows_are_those_that_the_report_counts(served) -> None:
    touches, installs, events, foreign = (rows_of(served, what) for what in What)
    assert foreign == []
    assert sum(row["campaign"] == FORMULA for row in touches) == 7
    assert sorted((row["source"], row["campaign"]) for row in installs) == [
        ("attributed", FORMULA),
        ("organic", None),
    ]
    assert {row["record"] for row in events} == {f"e{n}" for n in range(EVENTS)}
    assert {row["currency"] for row in events} == {None, "EUR"}
    revenue = sum(row["amount_minor"] for row in events)
    said = served.cli("report", "--metrics", "clicks,installs,events,revenue")["totals"]
    assert (said["clicks"], said["installs"], said["events"]) == (8, 2, EVENTS)
    assert said["revenue"] == {"EUR": f"{revenue / 100:.2f}"}


def rows_of(house: RunningHouse, what: str) -> list[dict[str, Any]]:
    """An export as it comes out of a pipe."""
    command = [*ATTRIBUNE, "export", what, *WIDE, "--format", "ndjson", "--data", house.folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.server
def test_a_pipe_that_is_closed_early_ends_quietly(served) -> None:
    command = [*ATTRIBUNE, "export", "events", *WIDE, "--data", str(served.folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout.readline().strip() == ",".join(NAMES)
        run.stdout.close()  # far more is to come than a pipe holds
        assert run.stderr.read() == ""
    assert run.returncode == 1


@pytest.mark.server
def test_a_page_needs_a_key_and_has_a_limit(served) -> None:
    address = f"{served.web_url}/api/export/touches?first_day=2026-01-01&last_day=2099-01-01"
    assert http("GET", address).status == 401
    key = served.cli("key", "add", "--kind", "api", "--scopes", "read")["key"]["secret"]
    assert len(http("GET", address, key=key).json()["rows"]) == 8


def test_pages_beyond_the_limit_are_answered_429(tmp_path) -> None:
    api = Api(tmp_path)
    address = "/api/export/touches?first_day=2026-01-01&last_day=2026-01-02"
    for _ in range(api.house.settings.exports_max):
        assert api.house.export_pages.acquire(blocking=False)
    status, answer = api.ask("GET", address)
    assert (status, answer["error"]["code"]) == (429, "too_many_exports")
    api.house.export_pages.release()
    for _ in range(3):  # a page, or a refusal, gives its place back
        assert api.ask("GET", address)[0] == 200
        assert api.ask("GET", address.replace("touches", "luck"))[0] == 400
    assert api.ask("GET", address, key="")[0] == 401


@pytest.mark.parametrize("param", ["first_day", "last_day"])
def test_a_wrong_day_is_named(tmp_path, param: str) -> None:
    days = {"first_day": "2026-01-01", "last_day": "2026-01-02", param: "2026-02-30"}
    query = "&".join(f"{name}={day}" for name, day in days.items())
    status, answer = Api(tmp_path).ask("GET", f"/api/export/touches?{query}")
    assert (status, answer["error"]["param"]) == (400, param)


def test_a_file_is_there_only_when_it_is_whole(tmp_path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("older")

    def interrupted() -> None:
        with row_files.whole(file) as out:
            out.write(b"half")
            assert (tmp_path / "rows.csv.partial").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.csv"]
    assert file.read_text() == "older"
    with row_files.whole(file), pytest.raises(Conflict), row_files.whole(file):
        pass


def test_parquet_and_one_object_need_a_file(tmp_path, capsys) -> None:
    words = ["export", "touches", *WIDE, "--data", str(tmp_path / "data")]
    assert run([*words, "--format", "parquet"]) == 4
    assert run([*words, "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["param"] == "out"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert row_files.harmless(cell) == f"'{cell}"
    assert row_files.harmless(-1) == -1
    assert row_files.harmless("a=1") == "a=1"


def test_four_times_the_rows_take_no_more_memory(tmp_path) -> None:
    taken = {}
    for rows in (80_000, 320_000):  # ClickHouse's own caches have filled by then
        folder = tmp_path / str(rows)
        folder.mkdir()
        alone("fill", folder, str(rows))
        code, peak, exported = map(int, alone("export", folder, "csv").split())
        assert (code, exported) == (0, rows)
        taken[rows] = peak
    assert taken[320_000] - taken[80_000] < GROWTH_BYTES_MAX, taken


def alone(*words: str | Path) -> str:
    """What a step of the memory test says, done in a process of its own so that only what it takes is counted."""
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, here / "export_memory.py", *words],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{here.parent}:{here.parent / 'api'}"},
    )
    return done.stderr


def test_every_type_of_a_column_is_one_that_parquet_knows() -> None:
    assert {c.type for c in COLUMNS} == {"text", "whole", "yes_no", "day", "moment"}
