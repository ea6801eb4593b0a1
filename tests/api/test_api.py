"""The JSON API: scopes, errors, idempotency, secrets."""

from __future__ import annotations

import re
from datetime import date

import msgspec
import pytest
from asking import DISK, Api

from attribune.api import errors, idempotency, metrics
from attribune.model.errors import AttribuneError, JournalFull
from attribune.model.fact import Fact, FactKind
from attribune.model.ids import PartnerId, Position, ProductId
from attribune.model.position import Topic
from attribune.model.status import (
    BackupNote,
    BreakerState,
    Forgetting,
    PruneNote,
    RoleState,
    RoleStatus,
)
from attribune.registry.hosting import NETWORKS_MAX

APP = {"name": "Game", "platform": "android", "store_id": "com.example.game"}


@pytest.fixture
def api(tmp_path) -> Api:
    return Api(tmp_path)


def is_error(answer: dict, type_: str, code: str, param: str | None = None) -> bool:
    error = answer["error"]
    assert set(error) == {"type", "code", "param", "message", "doc"}
    assert error["message"]
    assert error["doc"] == f"/docs/errors#{code}"
    return (error["type"], error["code"], error["param"]) == (type_, code, param)


# --- who may ask what

WRITES = [
    ("POST", "/api/apps", APP),
    ("POST", "/api/partners", {"name": "acme"}),
    ("POST", "/api/partners/x/sign", {}),
    ("POST", "/api/partners/x/unsign", None),
    ("POST", "/api/links", {"app": "game-android", "partner": "acme"}),
    ("PATCH", "/api/links/x", {}),
    ("POST", "/api/keys", {"kind": "api", "scopes": ["read", "write"]}),
    ("POST", "/api/keys/x/rotate", {}),
    ("POST", "/api/keys/x/revoke", None),
    ("POST", "/api/doors", {"app": "game-android", "dialect": "segment"}),
    ("POST", "/api/doors/x/disable", None),
    ("PUT", "/api/products/game/policy", {"preset": "adjust"}),
    ("POST", "/api/devices/test", {"id": "d", "app": "game-android"}),
    ("POST", "/api/devices/forget", {"id": "d", "app": "game-android"}),
    ("POST", "/api/devices/import", {"app": "game-android", "devices": []}),
    (
        "POST",
        "/api/conversions/import",
        {"app": "game-android", "vendor": "adjust", "rows": [{"adid": "a"}]},
    ),
    ("POST", "/api/corrections", {"id": "x", "to": "organic", "reason": "why"}),
    ("POST", "/api/postbacks", {"partner": "acme", "template": "generic-get"}),
    ("PATCH", "/api/postbacks/x", {}),
    ("POST", "/api/postbacks/x/pause", None),
    ("POST", "/api/postbacks/x/resume", None),
    ("POST", "/api/postbacks/x/end", None),
    ("POST", "/api/deliveries/again", {"postback": "x"}),
    ("POST", "/api/rebuild/facts", None),
    ("POST", "/api/journal/retell", None),
    ("POST", "/api/offers", {"toml": ""}),
    ("POST", "/api/rates", {"rates": []}),
    ("POST", "/api/partners/x/recruit", {}),
    ("POST", "/api/book/reversals", {"id": "x", "reason": "why"}),
    ("POST", "/api/statements", {"partner": "x", "period": "2026-01"}),
    ("POST", "/api/payouts", {"currency": "EUR"}),
    ("POST", "/api/payouts/x/confirm", {}),
]
READS = [
    *("/api/apps", "/api/products", "/api/partners", "/api/links", "/api/keys", "/api/doors"),
    *("/api/offers", "/api/rates", "/api/payouts", "/api/book/lines", "/api/book/entries"),
    "/api/book/check",
]
READS += ["/api/postbacks", "/api/deliveries", "/api/doors/log"]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_key_that_may_only_read_cannot_write(
    api: Api, method: str, path: str, body: object
) -> None:
    end = None
    for key, status, code in (
        ("", 401, "unauthorized"),
        ("api_nobody", 401, "unauthorized"),
        (api.key("read"), 403, "forbidden"),
    ):
        end = api.journal.end()
        got, answer = api.ask(method, path, body, key=key)
        assert got == status
        assert is_error(answer, "authentication", code)
        assert api.journal.end() == end


def test_every_write_of_the_api_is_among_those_checked(api: Api) -> None:
    _, page = api.ask("GET", "/api/docs/openapi.json")
    writes = {
        (method.upper(), path)
        for path, item in page["paths"].items()
        for method in item
        if method in ("post", "put", "patch", "delete")
    }
    said = {(m, re.sub(r"/(x|game|facts)(?=/|$)", "/{}", p)) for m, p, _ in WRITES}
    assert {(m, re.sub(r"\{[^}]+\}", "{}", p)) for m, p in writes} - {
        # These write nothing, and need the scope of reading.
        ("POST", "/api/replay"),
        ("POST", "/api/postbacks/preview"),
        ("POST", "/api/reconcile"),
        ("POST", "/api/reconcile/unclaimed"),
        ("POST", "/api/doors/{}/test"),
    } == said


@pytest.mark.parametrize("path", READS)
def test_a_key_that_may_read_reads(api: Api, path: str) -> None:
    assert api.ask("GET", path, key=api.key("read"))[0] == 200
    assert api.ask("GET", path, key="")[0] == 401
    assert api.ask("GET", path, key=api.key("write"))[0] == 403


def test_keys_of_apps_and_servers_do_not_open_the_api(api: Api) -> None:
    _, app = api.ask("POST", "/api/apps", APP)
    _, server = api.ask("POST", "/api/keys", {"kind": "server", "app": "game-android"})
    for secret in (app["app"]["key"], server["key"]["secret"]):
        status, answer = api.ask("GET", "/api/apps", key=secret)
        assert status == 403
        assert is_error(answer, "authentication", "forbidden")


def test_a_key_ends_when_it_is_revoked_and_after_its_overlap(api: Api) -> None:
    old = api.key("read")
    [row] = api.ask("GET", "/api/keys")[1]["keys"]
    _, new = api.ask("POST", f"/api/keys/{row['id']}/rotate", {"overlap_ms": 1000})
    assert api.ask("GET", "/api/apps", key=old)[0] == 200
    api.clock.advance(1000)
    assert api.ask("GET", "/api/apps", key=old)[0] == 401
    assert api.ask("GET", "/api/apps", key=new["key"]["secret"])[0] == 200
    assert api.ask("POST", f"/api/keys/{new['key']['id']}/revoke")[0] == 200
    assert api.ask("GET", "/api/apps", key=new["key"]["secret"])[0] == 401


def test_a_key_shows_when_it_was_last_used(api: Api) -> None:
    key = api.key("read")
    [row] = api.ask("GET", "/api/keys")[1]["keys"]
    assert row["last_used_at_ms"] is None
    api.clock.advance(5000)
    api.ask("GET", "/api/apps", key=key)
    [row] = api.ask("GET", "/api/keys")[1]["keys"]
    assert row["last_used_at_ms"] == api.clock.now_ms()


def test_nobody_becomes_the_operator_by_a_header(api: Api) -> None:
    headers = {"attribune.trusted": "true", "x_attribune_trusted": "true"}
    assert api.ask("GET", "/api/apps", key="", **headers)[0] == 401


# --- secrets


def test_no_list_and_no_journal_shows_a_secret_or_its_hash(api: Api) -> None:
    secrets = [api.key("read")]
    _, app = api.ask("POST", "/api/apps", {**APP, "is_signed": True})
    secrets += [app["app"]["key"], app["app"]["signing_secret"]]
    _, door = api.ask("POST", "/api/doors", {"app": "game-android", "dialect": "segment"})
    secrets.append(door["door"]["key"])
    api.ask("POST", "/api/partners", {"name": "acme"})
    for _ in range(2):
        _, partner = api.ask("POST", "/api/partners/acme/sign", {})
        secrets.append(partner["partner"]["signing_secret"])
    shown = "".join(str(api.ask("GET", path)[1]) for path in (*READS, "/api/journal?last=100"))
    assert not [secret for secret in secrets if secret in shown]
    assert "sha256'" not in shown
    assert "signing_secret" not in shown


def test_the_journal_holds_no_key(api: Api) -> None:
    secret = api.key("read").encode()
    entries = api.journal.read(tuple(Topic), 0, 100)
    assert entries
    assert not [entry for entry in entries if secret in entry.payload]


# --- idempotency


def test_the_same_key_and_request_give_the_same_answer_and_one_effect(api: Api) -> None:
    first = api.ask("POST", "/api/apps", APP, idempotency_key="k1")
    end = api.journal.end()
    assert first[0] == 201
    assert api.ask("POST", "/api/apps", APP, idempotency_key="k1") == first
    assert api.journal.end() == end


def test_the_same_key_with_another_request_is_refused(api: Api) -> None:
    api.ask("POST", "/api/apps", APP, idempotency_key="k1")
    for target, body in (("/api/apps", {**APP, "name": "Other"}), ("/api/partners", APP)):
        status, answer = api.ask("POST", target, body, idempotency_key="k1")
        assert status == 409
        assert is_error(answer, "invalid_request", "idempotency_mismatch", "Idempotency-Key")


def test_an_idempotency_key_is_its_askers_own(api: Api) -> None:
    one, other = api.key("write"), api.key("write")
    _, first = api.ask("POST", "/api/apps", APP, key=one, idempotency_key="k1")
    _, second = api.ask("POST", "/api/apps", APP, key=other, idempotency_key="k1")
    assert first["app"]["id"] != second["app"]["id"]
    assert api.ask("POST", "/api/apps", APP, key="", idempotency_key="k1")[0] == 401


def test_a_refusal_may_be_mended_under_the_same_key(api: Api) -> None:
    link = {"app": "game-android", "partner": "acme"}
    assert api.ask("POST", "/api/links", link, idempotency_key="k1")[0] == 404
    api.ask("POST", "/api/apps", APP)
    api.ask("POST", "/api/partners", {"name": "acme"})
    assert api.ask("POST", "/api/links", link, idempotency_key="k1")[0] == 201


def test_answers_outlive_the_process_without_their_secrets(api: Api) -> None:
    _, first = api.ask("POST", "/api/apps", APP, idempotency_key="k1")
    secret = first["app"].pop("key")
    assert secret not in (api.folder / "run" / "idempotency.jsonl").read_text()
    end = api.journal.end()
    api.open()
    assert api.ask("POST", "/api/apps", APP, idempotency_key="k1") == (201, first)
    assert api.journal.end() == end


def test_a_partners_signing_secret_is_told_once_and_a_repeat_makes_no_other(api: Api) -> None:
    api.ask("POST", "/api/partners", {"name": "acme"})
    status, first = api.ask("POST", "/api/partners/acme/sign", {}, idempotency_key="k1")
    assert status == 201
    secret = first["partner"]["signing_secret"]
    end = api.journal.end()
    assert api.ask("POST", "/api/partners/acme/sign", {}, idempotency_key="k1") == (201, first)
    assert secret not in (api.folder / "run" / "idempotency.jsonl").read_text()
    api.open()
    again = api.ask("POST", "/api/partners/acme/sign", {}, idempotency_key="k1")[1]["partner"]
    assert (again["is_signing"], "signing_secret" in again) == (True, False)
    assert api.journal.end() == end
    [listed] = api.ask("GET", "/api/partners")[1]["partners"]
    assert (listed["is_signing"], "signing_secret" in listed) == (True, False)
    _, off = api.ask("POST", "/api/partners/acme/unsign")
    assert (off["partner"]["is_signing"], "signing_secret" in off["partner"]) == (False, False)


def test_an_answer_is_forgotten_after_a_day(api: Api) -> None:
    _, first = api.ask("POST", "/api/apps", APP, idempotency_key="k1")
    api.clock.advance(24 * 3_600_000 + 1)
    _, second = api.ask("POST", "/api/apps", APP, idempotency_key="k1")
    assert first["app"]["id"] != second["app"]["id"]


def test_a_file_of_answers_cut_by_a_crash_is_read_as_far_as_it_goes(api: Api) -> None:
    _, first = api.ask("POST", "/api/partners", {"name": "acme"}, idempotency_key="k1")
    with (api.folder / "run" / "idempotency.jsonl").open("ab") as file:
        file.write(b'["half')
    api.open()
    assert api.ask("POST", "/api/partners", {"name": "acme"}, idempotency_key="k1")[1] == first


# --- errors


def classes(kind: type[AttribuneError] = AttribuneError) -> list[type[AttribuneError]]:
    return [kind, *(c for child in kind.__subclasses__() for c in classes(child))]


@pytest.mark.parametrize("kind", classes())
def test_every_error_has_the_one_shape(kind: type[AttribuneError]) -> None:
    status, body = errors.told(kind("do this", param="here"))
    assert status in (400, 401, 403, 404, 409, 410, 429, 500, 503)
    types = {
        "invalid_request",
        "authentication",
        "not_found",
        "too_large",
        "rate_limit",
        "unavailable",
    }
    assert body["error"]["type"] in types
    assert is_error(body, body["error"]["type"], kind.code, "here")


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code", "param"),
    [
        ("GET", "/api/nothing", None, 404, "not_found", None),
        ("GET", "/nothing", None, 404, "not_found", None),
        ("DELETE", "/api/apps", None, 405, "method_not_allowed", None),
        ("POST", "/api/apps", b"{", 400, "invalid", None),
        ("POST", "/api/apps", b"\xff\xfe", 400, "invalid", None),
        ("POST", "/api/apps", b"[]", 400, "invalid", None),
        ("POST", "/api/apps", None, 400, "invalid", None),
        ("POST", "/api/apps", {**APP, "colour": "red"}, 400, "invalid", "colour"),
        ("POST", "/api/apps", {"name": "x"}, 400, "invalid", "platform"),
        ("POST", "/api/apps", {**APP, "platform": "palm"}, 400, "invalid", "platform"),
        ("POST", "/api/apps", {**APP, "name": 5}, 400, "invalid", "name"),
        ("POST", "/api/apps", {**APP, "currency": "XXX"}, 400, "invalid", "currency"),
        ("GET", "/api/apps?limit=0", None, 400, "invalid", "limit"),
        ("GET", "/api/apps?limit=many", None, 400, "invalid", "limit"),
        ("GET", "/api/apps?product=none", None, 404, "not_found", "product"),
        ("GET", "/api/journal?topic=secrets", None, 400, "invalid", "topic"),
        ("GET", "/api/journal?after=-5&limit=1001", None, 400, "invalid", "limit"),
        ("GET", "/api/report?metrics=luck", None, 400, "invalid", "metrics"),
        ("GET", "/api/report?first_day=soon", None, 400, "invalid", "first_day"),
        ("POST", "/api/rebuild/everything", None, 400, "invalid", "view"),
        ("POST", "/api/replay", {"preset": "nobody"}, 400, "invalid", "preset"),
        ("POST", "/api/keys/none/revoke", None, 404, "not_found", "key"),
        (
            "POST",
            "/api/devices/import",
            {"app": "x", "devices": [{}] * 1001},
            400,
            "invalid",
            "devices",
        ),
        ("POST", "/api/apps", b"x" * (4 << 20) + b"x", 413, "too_large", None),
    ],
)
def test_what_is_wrong_is_said_with_the_field(
    api: Api, method: str, target: str, body: object, status: int, code: str, param: str | None
) -> None:
    got, answer = api.ask(method, target, body)
    assert got == status
    assert (answer["error"]["code"], answer["error"]["param"]) == (code, param)
    assert set(answer["error"]) == {"type", "code", "param", "message", "doc"}


def test_a_full_journal_is_503_and_nothing_has_changed(api: Api) -> None:
    api.journal.fault = JournalFull()
    status, answer = api.ask("POST", "/api/partners", {"name": "acme"})
    assert status == 503
    assert is_error(answer, "unavailable", "journal_full")
    api.journal.fault = None
    assert api.ask("GET", "/api/partners")[1]["partners"] == []


def test_a_mistake_of_ours_tells_nothing_of_the_inside(api: Api) -> None:
    status, answer = api.ask("GET", "/api/audit")
    assert status == 500
    assert is_error(answer, "unavailable", "internal")
    assert "not asked here" not in str(answer)


# --- lists, journal, running


def test_lists_come_in_pages(api: Api) -> None:
    for name in ("c", "a", "b"):
        api.ask("POST", "/api/partners", {"name": name})
    _, first = api.ask("GET", "/api/partners?limit=2")
    assert [p["id"] for p in first["partners"]] == ["a", "b"]
    _, rest = api.ask("GET", f"/api/partners?limit=2&after={first['next']}")
    assert [p["id"] for p in rest["partners"]] == ["c"]
    assert rest["next"] is None


def click(position: int) -> Fact:
    """One click of a partner of its own."""
    return Fact(
        position=Position(position),
        ordinal=0,
        kind=FactKind.CLICK,
        product=ProductId("game"),
        at_ms=0,
        received_at_ms=0,
        day=date(2026, 3, 1),
        own_day=date(2026, 3, 1),
        about=Position(position),
        partner=PartnerId(f"p{position}"),
    )


@pytest.mark.parametrize(("groups", "shown"), [(2, 2), (3, 3), (4, 3)])
@pytest.mark.parametrize("asked", ["", "&rows_max=1000"])
def test_a_report_has_so_many_rows_and_tells_of_the_others(
    tmp_path, groups: int, shown: int, asked: str
) -> None:
    api = Api(tmp_path, report_rows_max=3)
    api.facts.insert([click(n) for n in range(1, groups + 1)])
    status, report = api.ask("GET", f"/api/report?metrics=clicks&by=partner{asked}")
    assert status == 200
    assert len(report["rows"]) == shown
    assert report["is_truncated"] is (groups > shown)
    assert report["totals"] == {"clicks": groups}


def test_the_journal_is_read_on_from_where_it_was_left(api: Api) -> None:
    for name in ("a", "b", "c"):
        api.ask("POST", "/api/partners", {"name": name})
    _, tail = api.ask("GET", "/api/journal?last=1")
    assert [e["record"]["record"]["id"] for e in tail["entries"]] == ["c"]
    _, none = api.ask("GET", f"/api/journal?after={tail['next']}")
    assert (none["entries"], none["next"]) == ([], tail["next"])
    api.ask("POST", "/api/partners", {"name": "d"})
    _, more = api.ask("GET", f"/api/journal?after={tail['next']}&topic=control")
    assert [e["record"]["record"]["id"] for e in more["entries"]] == ["d"]


def test_two_processes_that_change_one_journal_see_each_other(api: Api) -> None:
    api.ask("POST", "/api/partners", {"name": "acme", "kind": "agency"})
    api.open()
    assert api.ask("POST", "/api/partners", {"name": "acme", "kind": "network"})[0] == 409


def test_health_tells_a_dead_role(api: Api) -> None:
    assert api.ask("GET", "/healthz", key="") == (200, {"ok": True, "journal_end": 0})
    status, answer = api.ask("GET", "/readyz", key="")
    assert (status, answer["waiting_for"]) == (503, {"attributor": "stale"})
    api.keeper.roles = api.keeper.roles[:1]
    assert api.ask("GET", "/readyz", key="")[0] == 200


def test_metrics_are_those_of_the_table(api: Api) -> None:
    status, text = api.ask("GET", "/metrics", key="")
    assert status == 200
    lines = text.splitlines()
    assert 'attribune_role_up{role="collector-1"} 1.0' in lines
    assert 'attribune_role_up{role="attributor"} 0.0' in lines
    assert 'attribune_role_counted_total{role="collector-1",what="clicks"} 7.0' in lines
    assert 'attribune_role_restarts_total{role="attributor"} 4.0' in lines
    assert "attribune_journal_end 5.0" in lines
    named = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    assert named <= {row.name for row in metrics.METRICS}


def test_metrics_say_whose_partner_does_not_answer(api: Api) -> None:
    assert "attribune_postback_breaker{" not in api.ask("GET", "/metrics", key="")[1]
    said = {name: BreakerState(name) for name in ("open", "probing", "closed")}
    api.keeper.roles += (RoleStatus(role="postbacker", state=RoleState.RUNNING, breakers=said),)
    lines = api.ask("GET", "/metrics", key="")[1].splitlines()
    values = {"open": "2.0", "probing": "1.0", "closed": "0.0"}
    for name, value in values.items():
        assert f'attribune_postback_breaker{{postback="{name}"}} {value}' in lines
    assert api.ask("GET", "/api/status")[1]["status"]["roles"][-1]["breakers"] == said


def test_metrics_of_the_disk_are_absent_while_they_are_not_known(api: Api) -> None:
    lines = api.ask("GET", "/metrics", key="")[1].splitlines()
    assert "attribune_disk_free_bytes 1000.0" in lines
    assert 'attribune_disk_used_bytes{part="facts"} 20.0' in lines
    unknown = ("full_in_seconds", "growth_bytes_per_day", "last_success_timestamp_seconds")
    assert not [line for line in lines if line[0] != "#" and any(word in line for word in unknown)]
    api.keeper.known = msgspec.structs.replace(
        DISK,
        full_in_s=60,
        backup=BackupNote(path="/b", created_at_ms=1500, bytes=9, end=4),
        prune=PruneNote(at_ms=2500, through=3, segments=1, freed_bytes=7),
    )
    lines = api.ask("GET", "/metrics", key="")[1].splitlines()
    assert "attribune_disk_full_in_seconds 60.0" in lines
    assert "attribune_backup_last_success_timestamp_seconds 1.5" in lines
    assert "attribune_prune_last_success_timestamp_seconds 2.5" in lines


def test_who_waits_to_be_scrubbed_is_told_by_status_and_metrics(api: Api) -> None:
    lines = api.ask("GET", "/metrics", key="")[1].splitlines()
    assert "attribune_forget_waiting 0.0" in lines
    assert not [line for line in lines if line.startswith("attribune_forget_waiting_since")]
    api.keeper.forgotten = Forgetting(
        waiting=2, waiting_since_ms=3500, looked_to=9, scrubbed_at_ms=4500, scrubbed_through=7
    )
    lines = api.ask("GET", "/metrics", key="")[1].splitlines()
    assert "attribune_forget_waiting 2.0" in lines
    assert "attribune_forget_waiting_since_timestamp_seconds 3.5" in lines
    assert "attribune_scrub_last_success_timestamp_seconds 4.5" in lines
    answer = api.ask("GET", "/api/status")[1]
    assert answer["forgetting"] == msgspec.to_builtins(api.keeper.forgotten)


def test_rebuild_is_begun_and_watched(api: Api) -> None:
    status, answer = api.ask("POST", "/api/rebuild/facts")
    assert (status, api.keeper.rebuilt) == (202, ["facts"])
    wanted = {"view": "facts", "is_done": False, "position": 1, "end": 5, "as_recorded": None}
    assert answer == {"rebuild": wanted}


def test_the_docs_load_nothing_from_elsewhere(api: Api) -> None:
    status, page = api.ask("GET", "/api/docs", key="")
    assert status == 200
    assert "/api/partners" in page
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    assert "<script" not in page


def test_openapi_answers_are_objects_never_arrays(api: Api) -> None:
    _, page = api.ask("GET", "/api/docs/openapi.json", key="")
    for path, item in page["paths"].items():
        for operation in item.values():
            for status, response in operation["responses"].items():
                for media in response.get("content", {}).values():
                    assert media["schema"].get("type") != "array", (path, status)


def test_a_key_that_has_ended_hears_no_answer_again(api: Api) -> None:
    key = api.key("write", "read")
    wanted = {"kind": "api", "scopes": ["read"]}
    status, first = api.ask("POST", "/api/keys", wanted, key=key, idempotency_key="k1")
    assert status == 201
    assert api.ask("POST", "/api/keys", wanted, key=key, idempotency_key="k1") == (201, first)
    own = next(k for k in api.ask("GET", "/api/keys")[1]["keys"] if k["hint"] == key[-4:])
    api.ask("POST", f"/api/keys/{own['id']}/revoke")
    status, answer = api.ask("POST", "/api/keys", wanted, key=key, idempotency_key="k1")
    assert status == 401
    assert is_error(answer, "authentication", "unauthorized")


def test_an_answer_that_cannot_be_written_down_is_given_all_the_same(api: Api) -> None:
    (api.folder / "run" / "idempotency.jsonl").mkdir()
    first = api.ask("POST", "/api/partners", {"name": "acme"}, idempotency_key="k1")
    assert first[0] == 201
    assert api.ask("POST", "/api/partners", {"name": "acme"}, idempotency_key="k1") == first


def test_only_answers_of_some_size_are_kept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "ANSWER_BYTES_MAX", 100)
    _, first = api.ask("POST", "/api/apps", APP, idempotency_key="k1")
    _, second = api.ask("POST", "/api/apps", {**APP, "product": "other"}, idempotency_key="k1")
    assert first["app"]["id"] != second["app"]["id"]


# --- long lists


def test_a_long_list_of_hosting_networks_goes_through_and_comes_back(api: Api) -> None:
    """As long and as wide as they may be, within the limit of a body."""
    api.ask("POST", "/api/apps", APP)
    networks = [
        f"2001:db8:1111:2222:3333:4444:{n:04x}:5555/128"
        for n in range(0x1000, 0x1000 + NETWORKS_MAX)
    ]
    rules = {"name": "ours", "hosting_networks": networks}
    status, answer = api.ask("PUT", "/api/products/game/policy", {"policy": rules})
    assert (status, answer["policy"]["version"]) == (200, "ours@1")
    _, shown = api.ask("GET", "/api/products/game/policy")
    assert shown["policy"]["policy"]["hosting_networks"] == networks
    assert shown["policy"]["policy"]["probabilistic_on_hosting"] is False
    # What is shown may be set as it is.
    _, again = api.ask("PUT", "/api/products/game/policy", {"policy": shown["policy"]["policy"]})
    assert again == answer
    rules["hosting_networks"] = [*networks[:7], "no network"]
    status, answer = api.ask("PUT", "/api/products/game/policy", {"policy": rules})
    assert status == 400
    assert is_error(answer, "invalid_request", "invalid", "hosting_networks[7]")
    assert api.ask("GET", "/api/products/game/policy")[1] == shown
