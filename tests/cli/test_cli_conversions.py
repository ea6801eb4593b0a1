"""``attribune import conversions`` and ``attribune shadow``, on a folder that nobody serves."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from attribune.cli import conversion_files
from attribune.cli.main import run
from attribune.collect.vendors import UNREADABLE
from attribune.engines.clickhouse_facts import ClickhouseFacts
from attribune.model.errors import Invalid, StoreUnavailable

HEADER = "{activity_kind},{created_at},{adid},{gps_adid},{network_name},{click_id},[user_id]\n"
NOON_S = 1_772_366_400


def line(n: int, kind: str = "install", network: str = "Acme") -> str:
    return f"{kind},{NOON_S + n},adid-{n},,{network},c-{n},\n"


@pytest.fixture
def data(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "data"
    said = ("--name", "Game", "--platform", "android", "--store-id", "com.example.game")
    assert run(["app", "add", "--data", str(folder), *said]) == 0
    assert run(["partner", "add", "--data", str(folder), "--name", "Acme"]) == 0
    capfd.readouterr()
    return folder


def told(capfd: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert run([*map(str, arguments), "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def imported(capfd: pytest.CaptureFixture[str], data: Path, file: Path, *more: object, of: str = "adjust") -> dict[str, Any]:  # fmt: skip
    return told(capfd, "import", "conversions", file, "--data", data, "--app", "Game", "--from", of, *more)  # fmt: skip


def test_a_file_is_taken_in_once(data: Path, tmp_path: Path, capfd) -> None:
    file = tmp_path / "adjust.csv.gz"
    rows = [line(n) for n in range(2500)]
    file.write_bytes(gzip.compress((HEADER + "".join([*rows, rows[0]])).encode()))
    first = imported(capfd, data, file)
    assert first == {"read": 2501, "accepted": 2500, "duplicate": 1, "refused": 0, "reasons": {}}
    again = imported(capfd, data, file)
    assert again == {"read": 2501, "accepted": 0, "duplicate": 2501, "refused": 0, "reasons": {}}
    report = told(capfd, "report", "--data", data, "--metrics", "installs,foreign_installs", "--by", "partner,vendor", "--where", "vendor=adjust")  # fmt: skip
    assert [(row["partner"], row["foreign_installs"], row["installs"]) for row in report["rows"]] == [("acme", 2500, 0)]  # fmt: skip
    assert told(capfd, "audit", "--data", data)["ok"] is True


def test_a_file_read_again_leaves_the_journal_as_it_is(data: Path, tmp_path: Path, capfd) -> None:
    file = tmp_path / "adjust.csv"
    rows = [line(n) for n in range(20)]
    file.write_text(HEADER + "".join(rows) + line(99, kind="click"))
    first = imported(capfd, data, file)
    assert (first["accepted"], first["refused"]) == (20, 1)
    told(capfd, "report", "--data", data, "--metrics", "installs")  # every view is up to date
    end = told(capfd, "status", "--data", data)["status"]["journal_end"]
    again = imported(capfd, data, file)
    assert again == {"read": 21, "accepted": 0, "duplicate": 20, "refused": 1, "reasons": first["reasons"]}  # fmt: skip
    assert told(capfd, "status", "--data", data)["status"]["journal_end"] == end
    file.write_text(HEADER + "".join(rows) + line(100))
    assert imported(capfd, data, file)["accepted"] == 1
    assert told(capfd, "audit", "--data", data)["ok"] is True


def test_facts_that_do_not_answer_keep_no_row_out(data: Path, tmp_path: Path, capfd, monkeypatch) -> None:  # fmt: skip
    def silent(*_: object) -> set[str]:
        raise StoreUnavailable("the facts cannot be used now")

    monkeypatch.setattr(ClickhouseFacts, "told", silent)
    file = tmp_path / "adjust.csv"
    file.write_text(HEADER + line(1))
    assert imported(capfd, data, file)["accepted"] == 1
    assert imported(capfd, data, file)["duplicate"] == 1


def test_foreign_conversions_are_exported_with_their_own_words(data: Path, tmp_path: Path, capfd) -> None:  # fmt: skip
    file, out = tmp_path / "adjust.csv", tmp_path / "out.ndjson"
    head = HEADER.replace("\n", ",{event_name},{revenue_float},{currency},{installed_at}\n")
    buy = [line(n, "event").replace("\n", f",buy,1.{n:02},EUR,{NOON_S}\n") for n in range(8)]
    installs = [line(n, network=name).replace("\n", ",,,,\n") for n, name in enumerate(("Acme", "Nova"))]  # fmt: skip
    file.write_text(head + "".join([*buy, *buy, *installs]))
    assert imported(capfd, data, file)["accepted"] == 10
    days = ("--from", "2026-01-01", "--to", "2026-12-31")
    for format_ in ("csv", "parquet", "ndjson"):
        said = told(capfd, "export", "foreign_conversions", "--data", data, *days, "--out", out, "--format", format_)  # fmt: skip
        assert said["export"]["rows"] == 10
    rows = [json.loads(one) for one in out.read_text().splitlines()]
    report = told(capfd, "report", "--data", data, "--metrics", "foreign_installs,foreign_events,foreign_revenue", "--by", "partner")  # fmt: skip
    totals = report["totals"]
    kinds = [row["kind"] for row in rows]
    assert (kinds.count("foreign_install"), kinds.count("foreign_event")) == (2, 8)
    assert (totals["foreign_installs"], totals["foreign_events"]) == (2, 8)
    assert totals["foreign_revenue"] == {"EUR": f"{sum(row['amount_minor'] for row in rows) / 100:.2f}"}  # fmt: skip
    assert {(row["network"], row["partner"], row["credited_by"]) for row in rows} == {("Acme", "acme", "name"), ("Nova", None, None)}  # fmt: skip
    bought = next(row for row in rows if row["kind"] == "foreign_event")
    assert (bought["vendor"], bought["source"], bought["event"]) == ("adjust", "attributed", "buy")
    assert bought["installed_at"] == "2026-03-01T12:00:00.000+00:00"
    assert told(capfd, "export", "installs", "--data", data, *days, "--out", out)["export"]["rows"] == 0  # fmt: skip


def test_an_import_that_was_cut_off_is_run_again(data: Path, tmp_path: Path, capfd) -> None:
    half, whole = tmp_path / "half.csv", tmp_path / "whole.csv"
    half.write_text(HEADER + "".join(line(n) for n in range(5)))
    whole.write_text(HEADER + "".join(line(n) for n in range(9)))
    imported(capfd, data, half)
    found = imported(capfd, data, whole)
    assert (found["accepted"], found["duplicate"]) == (4, 5)


def test_refused_rows_are_kept_mended_and_told_again(data: Path, tmp_path: Path, capfd) -> None:
    file, mend = tmp_path / "adjust.csv", tmp_path / "mend.csv"
    bad = line(2, network='"Ac, me"').replace(str(NOON_S + 2), "soon")
    torn = "install,1772366400,a,b,c,d,e,f,g\n"
    file.write_text(HEADER + line(1) + bad + line(3, kind="click") + torn)
    found = imported(capfd, data, file, "--refused-to", mend)
    reasons = {"bad_time": 1, "unknown_record_type": 1, "malformed": 1}
    assert found == {"read": 4, "accepted": 1, "duplicate": 0, "refused": 3, "reasons": reasons}
    refused = told(capfd, "journal", "tail", "--data", data, "--topic", "refused")
    assert "soon" in json.dumps(refused)
    rows = list(csv.DictReader(mend.read_text().splitlines()))
    assert [row["attribune_reason"] for row in rows] == list(reasons)
    assert rows[0]["{network_name}"] == "Ac, me"
    over = ("import", "conversions", str(mend), "--data", str(data), "--app", "Game")
    assert run([*over, "--from", "adjust", "--refused-to", str(mend)]) == 4
    mend.write_text(mend.read_text().replace("soon", str(NOON_S + 2)))
    mended = imported(capfd, data, mend)
    assert (mended["accepted"], mended["refused"]) == (1, 2)


def test_json_lines_nested_as_a_webhook_tells_them(data: Path, tmp_path: Path, capfd) -> None:
    file = tmp_path / "branch.jsonl"
    said = {
        "name": "INSTALL",
        "timestamp": NOON_S * 1000,
        "user_data": {"aaid": "a-1"},
        "last_attributed_touch_data": {"~advertising_partner_name": "Somebody"},
    }
    file.write_text(json.dumps(said) + "\n\nnot json\n" + '{"name": "\\ud800"}' + "\n")
    mend = tmp_path / "mend.jsonl"
    found = imported(capfd, data, file, "--refused-to", mend, "--map", "network:Somebody=Acme", of="branch")  # fmt: skip
    assert (found["read"], found["accepted"], found["refused"]) == (3, 1, 2)
    assert [json.loads(one)["attribune_reason"] for one in mend.read_text().splitlines()] == ["malformed", "missing_field"]  # fmt: skip
    story = told(capfd, "explain", "a-1", "--data", data)
    [foreign] = story["stories"][0]["foreign"]
    assert (foreign["vendor"], foreign["partner"], foreign["credited_by"]) == ("branch", "acme", "map")  # fmt: skip


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--map", "network:Acme=nobody"), 3),
        (("--map", "luck:Acme=acme"), 4),
        (("--timezone", "Mars/Base"), 4),
        (("--refused-to", "/does/not/exist"), 4),
    ],
)
def test_mistakes_are_said(data: Path, tmp_path: Path, capfd, more: tuple[str, str], code: int) -> None:  # fmt: skip
    file = tmp_path / "adjust.csv"
    file.write_text(HEADER + line(1))
    arguments = ("import", "conversions", file, "--data", data, "--app", "Game", "--from", "adjust")
    assert run([*map(str, arguments), *more]) == code
    assert capfd.readouterr().err.startswith("attribune: ")


def test_for_people(data: Path, tmp_path: Path, capfd) -> None:
    file = tmp_path / "adjust.csv"
    file.write_text(HEADER + line(1) + line(2, kind="click"))
    words = ("--data", str(data), "--app", "Game")
    assert run(["import", "conversions", str(file), *words, "--from", "adjust"]) == 0
    assert "unknown_record_type" in capfd.readouterr().out
    assert run(["shadow", *words, "--against", "adjust"]) == 0
    said = capfd.readouterr().out
    assert "only_there" in said
    assert "There is no install that both we and adjust tell of." in said
    assert run(["report", "--data", str(data), "--metrics", "foreign_installs", "--by", "partner"]) == 0  # fmt: skip
    assert "(organic)" not in capfd.readouterr().out


def test_shadow_counts(data: Path, tmp_path: Path, capfd) -> None:
    file = tmp_path / "adjust.csv"
    file.write_text(HEADER + line(1))
    imported(capfd, data, file)
    words = ("shadow", "--data", data, "--app", "Game", "--against", "adjust")
    empty = {"agree": 0, "disagree": 0, "only_here": 0, "only_there": 1, "by_reason": {}}
    assert told(capfd, *words) == empty
    day = told(capfd, *words, "--from", "2026-03-02", "--to", "2026-03-03", "--list")
    assert (day["only_there"], day["disagreements"]) == (0, [])
    assert run([*map(str, words), "--from", "soon"]) == 4
    assert run([*map(str, words), "--tolerance", "100000"]) == 4


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", []),
        ("\ufeffa,b\n1,2\n", [{"a": "1", "b": "2"}]),
        ("a;b\r\n1;2\r\n\r\n3;\r\n", [{"a": "1", "b": "2"}, {"a": "3"}]),
        ("a\tb\n1\t2\n", [{"a": "1", "b": "2"}]),
        ('a,b\n"x\ny",2\n', [{"a": "x\ny", "b": "2"}]),
        ("a\n1,2\n", [{UNREADABLE: "1,2"}]),
        ('{"a": {"b": 1}}\n[1]\n', [{"a.b": "1"}, {UNREADABLE: "[1]\n"}]),
    ],
)
def test_the_form_is_told_by_the_file(tmp_path: Path, text: str, rows: list[Any]) -> None:
    for name, content in (("f", text.encode()), ("f.gz", gzip.compress(text.encode()))):
        (tmp_path / name).write_bytes(content)
        with conversion_files.opened(tmp_path / name) as source:
            assert list(source.rows) == rows


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(HEADER.encode() + b"x" * 100_000)[:60])
    with pytest.raises(Invalid), conversion_files.opened(torn) as source:
        list(source.rows)
    wide = tmp_path / "wide.csv"
    wide.write_text("a\n" + "x" * 600_000)
    with pytest.raises(Invalid), conversion_files.opened(wide) as source:
        list(source.rows)


def test_requests_have_a_limit() -> None:
    rows = [{"a": "x" * 1_000_000}] * 5
    assert [len(some) for some in conversion_files.chunks(iter(rows))] == [3, 2]
    escaped = [{"a": "\u00e4" * 200_000}] * 5  # six bytes each as they are sent
    assert [len(some) for some in conversion_files.chunks(iter(escaped))] == [2, 2, 1]
    many = [{"a": "x"}] * 4500
    assert [len(some) for some in conversion_files.chunks(iter(many))] == [2000, 2000, 500]
