"""The command line: one object with --json, a sentence without, exit codes, and help that ends with an example."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from house import CommandFailed, RunningHouse

from attribune.cli import client, help_topics, import_, show
from attribune.cli.exit_codes import CODES, MEANINGS
from attribune.cli.main import commands, run
from attribune.model.errors import FolderTooNew, Invalid
from attribune.roles import folder
from attribune.settings import SETTINGS

APP = ("--name", "Game", "--platform", "android", "--store-id", "com.example.game")


DAYS = ("--from", "2026-03-01", "--to", "2026-03-02")


def every_command() -> list[tuple[str, ...]]:
    found = []

    def walk(group: object, path: tuple[str, ...]) -> None:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                walk(command, (*path, name))
            else:
                found.append((*path, name))

    walk(typer.main.get_command(commands), ())
    return found


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_the_help_of_every_command_ends_with_an_example(path: tuple[str, ...], capsys) -> None:
    assert run([*path, "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    example = next(i for i, line in enumerate(lines) if line.startswith("Example: attribune"))
    assert (
        len(lines) - example <= 3
    )  # the example may fill more than one line, and nothing comes after it


#: Every command that answers with --json, so that one left out is noticed.
OFFER = 'id = "installs"\nevent = "install"\ncurrency = "EUR"\n[[deal]]\nkind = "cpa"\namount = "2.50"\n'
JSON_COMMANDS = {
    ("app", "add"): APP,
    ("app", "list"): (),
    ("product", "list"): (),
    ("partner", "add"): ("--name", "zeta"),
    ("partner", "list"): (),
    ("partner", "sign"): ("zeta", "--overlap-hours", "1"),
    ("link", "add"): ("--app", "game-android", "--partner", "zeta"),
    ("link", "list"): (),
    ("link", "edit"): ("--app", "game-android", "--partner", "acme", "--campaign", "summer"),
    ("link", "disable"): ("--app", "game-android", "--campaign", "summer"),
    ("key", "add"): ("--app", "game-android", "--kind", "server"),
    ("key", "list"): (),
    ("key", "rotate"): ("--app", "game-android", "--kind", "app"),
    ("key", "revoke"): ("--kind", "api"),
    ("door", "add"): ("--app", "game-android", "--dialect", "segment", "--key", "wk_test"),
    ("door", "list"): (),
    ("door", "log"): (),
    ("door", "test"): (),
    ("device", "test"): ("d1",),
    ("device", "list"): (),
    ("device", "forget"): ("d1",),
    ("policy", "show"): ("--product", "game"),
    ("policy", "set"): ("--product", "game", "--preset", "adjust"),
    ("policy", "list"): ("--product", "game"),
    ("import", "devices"): ("{file}", "--app", "game-android"),
    ("journal", "tail"): (),
    ("journal", "retell"): (),
    ("postback", "add"): (
        *("--partner", "acme", "--template", "generic-get", "--trigger", "install"),
        *("--set", "url=https://acme.example/pb"),
    ),
    ("postback", "list"): ("--partner", "acme"),
    ("postback", "log"): ("--partner", "acme"),
    ("status",): (),
    ("report",): ("--metrics", "clicks,installs,revenue", "--by", "partner,campaign"),
    ("explain",): ("d1",),
    ("export",): (
        *("installs", "--from", "2026-03-01", "--to", "2026-03-02"),
        *("--format", "parquet", "--out", "{file}.parquet"),
    ),
    ("replay",): (),
    ("audit",): (),
    ("doctor",): (),
    ("rebuild",): ("facts",),
    ("backup",): ("{file}.backup",),
    ("offer", "add"): ("--file", "{file}.toml"),
    ("offer", "list"): (),
    ("offer", "show"): ("installs",),
    ("rate", "add"): (
        *("--day", "2026-01-31", "--base", "USD", "--quote", "EUR", "--rate", "0.9137"),
    ),
    ("rate", "list"): (),
    ("partner", "recruit"): ("zeta", "--parent", "acme"),
    ("book", "balance"): ("--partner", "acme"),
    ("book", "lines"): (),
    ("book", "entries"): (),
    ("book", "check"): (),
    ("statement", "close"): ("--partner", "acme", "--period", "2026-01"),
    ("book", "close"): ("--partner", "acme", "--period", "2026-01"),
    ("statement", "list"): ("--partner", "acme"),
    ("payout", "list"): (),
    ("import", "conversions"): ("{file}.csv", "--app", "game-android", "--from", "adjust"),
    ("shadow",): ("--app", "game-android", "--against", "adjust"),
    ("reconcile",): ("{file}.csv", "--partner", "acme"),
}
#: They need what only a story brings (tests/serve, tests/backup, tests/prune), run on, or print a text.
NOT_HERE = {
    ("correct",),
    ("door", "disable"),
    ("restore",),
    ("journal", "prune"),
    ("journal", "scrub"),
    ("postback", "templates"),
    ("postback", "preview"),
    ("postback", "check"),
    ("postback", "test"),
    ("book", "statement"),
    ("book", "pay"),
    ("book", "reverse"),
    ("statement", "show"),
    ("payout", "create"),
    ("payout", "confirm"),
    ("payout", "file"),
    ("postback", "edit"),
    ("postback", "pause"),
    ("postback", "end"),
    ("postback", "redeliver"),
    ("serve",),
    ("run",),
    ("help",),
}


def test_every_command_is_among_those_checked() -> None:
    assert {*JSON_COMMANDS, *NOT_HERE} == set(every_command())


@pytest.fixture(scope="module")
def filled_house(tmp_path_factory) -> RunningHouse:
    with RunningHouse(tmp_path_factory.mktemp("cli") / "data") as house:
        house.cli("app", "add", *APP)
        house.cli("partner", "add", "--name", "acme", "--kind", "affiliate")
        house.cli(
            "link", "add", "--app", "game-android", "--partner", "acme", "--campaign", "spring"
        )
        house.cli("key", "add", "--kind", "api", "--scopes", "read,write")
        (house.folder.parent / "known.txt").write_text("d1\nd2\n\n")
        (house.folder.parent / "known.txt.toml").write_text(OFFER)
        (house.folder.parent / "known.txt.csv").write_text("transaction_id,amount\nt1,5.00\n")
        yield house


@pytest.mark.server
def test_every_command_prints_exactly_one_object(filled_house: RunningHouse) -> None:
    file = str(filled_house.folder.parent / "known.txt")
    answers = {
        path: filled_house.cli(*path, *(word.replace("{file}", file) for word in words))
        for path, words in JSON_COMMANDS.items()
    }
    assert answers["import", "devices"] == {"imported": {"devices": 2}}
    assert answers["key", "add"]["key"]["secret"].startswith("sk_")
    assert answers["partner", "sign"]["partner"]["signing_secret"].startswith("cs_")
    assert answers["link", "edit"]["link"]["campaign"] == "summer"
    assert answers["link", "disable"]["link"]["id"] == answers["link", "edit"]["link"]["id"]
    assert answers["link", "disable"]["link"]["is_disabled"] is True
    assert answers["policy", "set"]["policy"]["version"] == "adjust@1"
    assert answers["report",]["rows"] == []
    assert answers["postback", "list"]["postbacks"][0]["partner"] == "acme"
    assert answers["postback", "log"] == {"rows": [], "next": None}
    assert answers["audit",]["ok"] is True
    assert answers["replay",]["changed"] == 0
    assert answers["status",]["status"]["is_serving"] is True


@pytest.mark.server
@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("link", "add", "--app", "nope", "--partner", "acme"), "not_found", 3),
        (("app", "add", *APP[:-1], "!"), "invalid", 4),
        (("app", "add", *APP, "--product", "game"), "conflict", 5),
        (("app", "add", "--name", "x"), "usage", 2),
        (("app", "frobnicate"), "usage", 2),
        (
            ("link", "add", "--app", "game-android", "--partner", "acme", "--target", "web"),
            "usage",
            2,
        ),
        (("key", "revoke"), "usage", 2),
        (("key", "revoke", "none"), "not_found", 3),
        (("policy", "set", "--product", "game", "--file", "/does/not/exist"), "invalid", 4),
        (("correct", "nobody", "--to", "organic", "--reason", "why"), "not_found", 3),
        (("report", "--metrics", "luck"), "invalid", 4),
        (("export", "events", *DAYS, "--format", "parquet"), "invalid", 4),
        (("export", "events", *DAYS[:2], "--to", "2026-02-30", "--out", "x"), "invalid", 4),
        (("export", "luck", *DAYS), "usage", 2),
        (("help", "everything"), "not_found", 3),
    ],
)
def test_errors_are_one_object_with_json_and_a_sentence_without(
    filled_house: RunningHouse, capsys, arguments: tuple[str, ...], code: str, exit_code: int
) -> None:
    data = () if arguments[0] == "help" else ("--data", str(filled_house.folder))
    if data:
        with pytest.raises(CommandFailed) as failed:
            filled_house.cli(*arguments)
        assert (failed.value.error["code"], failed.value.code) == (code, exit_code)
        assert failed.value.stderr == ""
    assert run([*arguments, *data]) == exit_code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("attribune: ")
    assert "Traceback" not in said.err


def test_a_terminal_obeys_nothing_that_somebody_else_wrote(capsys) -> None:
    show.table(("name",), [["\x1b[31mred\x07"], ["\u202etxet"]], empty="")
    show.fields({"name": "\x1b]0;title\x07"})
    assert not {"\x1b", "\x07", "\u202e"} & set(capsys.readouterr().out)


@pytest.mark.server
def test_people_get_tables(filled_house: RunningHouse, capsys) -> None:
    for arguments in (
        ("partner", "list"),
        ("status",),
        ("audit",),
        ("report",),
        ("journal", "tail"),
        ("journal", "retell", "--dry-run"),
        ("postback", "list"),
        ("postback", "log"),
    ):
        assert run([*arguments, "--data", str(filled_house.folder)]) == 0
        assert capsys.readouterr().out.strip()
    assert run(["report", "--csv", "--data", str(filled_house.folder)]) == 0
    assert capsys.readouterr().out.startswith("partner,clicks,")


@pytest.mark.server
def test_a_postback_is_held_let_go_and_ended_and_what_it_told_is_sent_again(
    filled_house: RunningHouse, capsys
) -> None:
    data = ("--data", str(filled_house.folder))
    words = ("--template", "webhook", "--all-partners", "--set", "url=https://in.example/")
    id_ = filled_house.cli("postback", "add", *words)["postback"]["id"]
    named = ("--trigger", "install", "--trigger", "event:buy", "--trigger", "event:pay")
    assert "signing_secret" not in filled_house.cli("postback", "add", *words)["postback"]
    made = filled_house.cli("postback", "add", *words, *named)["postback"]
    assert made.pop("signing_secret").startswith("ps_"), "own systems' requests are signed"
    assert (made["triggers"], made["only_events"]) == (["install", "event"], ["buy", "pay"])
    for wrong in (("instal",), ("install:x",), ("event", "--trigger", "event:buy")):
        with pytest.raises(CommandFailed) as failed:
            filled_house.cli("postback", "add", *words, "--trigger", *wrong)
        assert (failed.value.error["code"], failed.value.error["param"]) == ("invalid", "trigger")
    changes = ("--set", "url=https://new.example/", "--trigger", "event:sell", "--per-second", "9")
    edited = filled_house.cli("postback", "edit", made["id"], *changes, "--in-order")["postback"]
    wanted = {"settings": {"url": "https://new.example/"}, "only_events": ["buy", "pay", "sell"]}
    assert edited == {**made, **wanted, "per_second": 9, "in_order": True}
    changes = ("--per-second", "0", "--any-order", "--allow-host", "in.example")
    edited = filled_house.cli("postback", "edit", made["id"], *changes)["postback"]
    assert edited == {**made, **wanted, "allowed_hosts": ["in.example"]}
    assert run(["postback", "edit", made["id"], "--allow-host", "", *data]) == 0
    assert "https://new.example/" in capsys.readouterr().out
    with pytest.raises(CommandFailed) as failed:
        filled_house.cli("postback", "edit", made["id"], "--set", "url=x", "--unset", "url")
    assert failed.value.error["param"] == "unset"
    with pytest.raises(CommandFailed) as failed:
        filled_house.cli("postback", "edit", made["id"], "--unset", "url")
    assert failed.value.error["param"] == "url"
    for verb, state in (
        (("pause",), "paused"),
        (("pause", "--off"), "active"),
        (("end",), "ended"),
    ):
        assert filled_house.cli("postback", *verb, id_)["postback"]["state"] == state
    again = filled_house.cli("postback", "redeliver", "--postback", id_)
    assert again == {"deliveries": [], "skipped": {}}
    assert run(["postback", "redeliver", "--postback", id_, *data]) == 0
    assert capsys.readouterr().out == "0 will be sent again.\n"
    with pytest.raises(CommandFailed) as failed:
        filled_house.cli("postback", "redeliver", "dl_nothing")
    assert failed.value.error["code"] == "not_found"
    assert run(["postback", "redeliver", *data]) == 2
    assert "name deliveries, or give --postback" in capsys.readouterr().err


@pytest.mark.server
def test_a_command_to_a_serving_house_loads_no_engine(filled_house: RunningHouse) -> None:
    script = (
        "import sys; from attribune.cli.main import run;"
        f"code = run(['partner', 'list', '--json', '--data', {str(filled_house.folder)!r}]);"
        "heavy = {'chdb', 'rocksdict', 'lmdb', 'sqlalchemy', 'litestar', 'clickhouse_connect'} & set(sys.modules);"
        "print(code, sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "0 []"
    assert json.loads(done.stdout)["partners"]


def test_every_exit_code_has_a_meaning() -> None:
    assert set(CODES.values()) <= set(MEANINGS)


@pytest.mark.parametrize("topic", help_topics.TOPICS)
def test_every_help_topic_says_something(topic: str, capsys) -> None:
    assert run(["help", topic]) == 0
    assert len(capsys.readouterr().out) > 100


def test_help_names_every_setting() -> None:
    text = help_topics.settings_text()
    assert all(row.name in text and row.environment in text for row in SETTINGS)


# --- the data folder


def test_a_folder_is_made_for_its_owner_alone(tmp_path) -> None:
    made = folder.prepare(tmp_path / "new" / "data")
    assert made.stat().st_mode & 0o777 == 0o700
    assert (made / "VERSION").read_text() == f"{folder.FORMAT}\n"


def test_a_folder_of_a_later_version_is_refused(tmp_path, capsys) -> None:
    (folder.prepare(tmp_path / "data") / "VERSION").write_text("99\n")
    with pytest.raises(FolderTooNew):
        folder.prepare(tmp_path / "data")
    assert run(["partner", "list", "--json", "--data", str(tmp_path / "data")]) == 7
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["type"], error["code"], error["param"]) == ("unavailable", "folder_too_new", None)
    assert error["doc"] == "/docs/errors#folder_too_new"


def test_a_folder_of_somebody_else_is_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(Invalid, match="not empty"):
        folder.prepare(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_is_held_by_one_and_shared_by_those_who_share(tmp_path) -> None:
    made = folder.prepare(tmp_path / "data")
    with folder.held(made, "one", shared=True), folder.held(made, "other", shared=True):
        pass
    script = (
        "from pathlib import Path; from attribune.roles import folder\n"
        f"with folder.held(Path({str(made)!r}), 'the other'): print('held')"
    )
    with folder.held(made, "a test"):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert "is held by a test (process" in done.stderr
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout == "held\n"


# --- files of devices


def rows(file: Path, kind: str = "id") -> list[dict]:
    with file.open() as lines:
        return list(import_._rows(file, lines, kind))


def test_devices_come_as_a_plain_list_csv_or_json_lines(tmp_path) -> None:
    plain, table, lines = (tmp_path / name for name in ("a.txt", "a.csv", "a.jsonl"))
    plain.write_text("\ufeffd1\n\nd2\n")
    table.write_text("Device_ID,gaid,last_seen_at_ms,user_id\nd1,g1,5,\n,g2,,u2\n")
    lines.write_text('{"id": "d1", "idfa": "i1"}\n\n{"ids": {"gaid": "g2"}}\n')
    assert rows(plain) == [{"id": "d1"}, {"id": "d2"}]
    assert rows(plain, "gaid")[0] == {"ids": {"gaid": "d1"}}
    assert rows(table) == [
        {"ids": {"gaid": "g1"}, "id": "d1", "last_seen_at_ms": 5},
        {"ids": {"gaid": "g2"}, "user_id": "u2"},
    ]
    assert rows(lines) == [{"ids": {"idfa": "i1"}, "id": "d1"}, {"ids": {"gaid": "g2"}}]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", "id,colour\nd1,red\n", "line 2 has unknown columns: colour"),
        ("a.csv", "id,last_seen_at_ms\nd1,soon\n", "line 2: last_seen_at_ms"),
        ("a.jsonl", '{"id": "d1"}\nnonsense\n', "line 2 is no JSON object"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, name: str, content: str, why: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(Invalid, match=why):
        rows(tmp_path / name)


# --- asking


def test_an_answer_in_other_words_is_a_failure_and_no_crash() -> None:
    class Strange:
        def send(self, *_: object) -> tuple[int, bytes]:
            return 502, b"<html>Bad gateway</html>"

    with pytest.raises(client.Failed) as failed:
        client.Client(Strange()).call("GET", "/api/apps")
    assert failed.value.error["code"] == "unavailable"


def test_lists_are_read_to_their_end() -> None:
    class Pages:
        def send(self, _method: str, target: str, *_: object) -> tuple[int, bytes]:
            page = (
                {"rows": [1], "next": "a"} if "after" not in target else {"rows": [2], "next": None}
            )
            return 200, json.dumps(page).encode()

    assert client.Client(Pages()).pages("/api/rows", "rows", {}) == {"rows": [1, 2]}


@pytest.mark.parametrize("content", [b"port = ", b"\xff"])
def test_settings_that_are_no_toml_are_a_sentence(tmp_path, content: bytes, capsys) -> None:
    (tmp_path / "attribune.toml").write_bytes(content)
    assert run(["partner", "list", "--data", str(tmp_path)]) == 4
    assert "attribune.toml cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b'[debtor]\nname = "M\xfcller"\n', b"x=" + b"[" * 2000])
def test_accounts_that_cannot_be_read_are_a_sentence(tmp_path, content: bytes, capsys) -> None:
    banks = tmp_path / "banks.toml"
    banks.write_bytes(content)
    data = str(tmp_path / "data")
    assert run(["payout", "file", "po_x", "--data", data, "--banks", str(banks)]) == 4
    assert "banks.toml cannot be read" in capsys.readouterr().err
