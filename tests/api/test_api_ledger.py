"""The book in the API: what it refuses, what it says of what waits, and pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asking import Api
from bookkeeping import OFFER, SHARE, begin, ok, purchase, refused, told

from attribune.api.routes import offers, payouts


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return begin(tmp_path)


def test_an_offer_has_versions_and_names_become_ids(api: Api) -> None:
    added = ok(api.ask("POST", "/api/offers", {"offer": OFFER}))["offer"]
    assert (added["id"], added["version"], added["partner"]) == ("x", 1, "acme")
    assert ok(api.ask("POST", "/api/offers", {"offer": OFFER}))["offer"] == added
    toml = 'id = "x"\nevent = "purchase"\ncurrency = "EUR"\n[[deal]]\nkind = "cpa"\namount = "11"\n'
    assert ok(api.ask("POST", "/api/offers", {"toml": toml}))["offer"]["version"] == 2
    both = ok(api.ask("GET", "/api/offers/x"))["offers"]
    assert [one["version"] for one in both] == [1, 2]
    ok(api.ask("POST", "/api/offers", {"offer": OFFER | {"id": "y", "partner": "zeta"}}))
    page = ok(api.ask("GET", "/api/offers?limit=1"))
    assert ([one["id"] for one in page["offers"]], page["next"]) == (["x"], "x")
    rest = ok(api.ask("GET", "/api/offers?after=x"))
    assert ([one["id"] for one in rest["offers"]], rest["next"]) == (["y"], None)
    theirs = ok(api.ask("GET", "/api/offers?partner=acme"))["offers"]
    assert [one["id"] for one in theirs] == ["x"]


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({}, 400, "invalid", "offer"),
        ({"toml": "", "offer": OFFER}, 400, "invalid", "offer"),
        ({"offer": OFFER | {"deal": []}}, 400, "invalid", "deal"),
        ({"offer": OFFER | {"partner": "nobody"}}, 404, "not_found", "partner"),
        ({"offer": OFFER | {"app": "nothing"}}, 404, "not_found", "app"),
        ({"offer": OFFER | {"product": "nothing"}}, 404, "not_found", "product"),
        ({"toml": "surprise = 1"}, 400, "invalid", "surprise"),
    ],
)
def test_an_offer_that_cannot_be_is_refused(
    api: Api, body: object, status: int, code: str, param: str
) -> None:
    end = api.journal.end()
    assert refused(api.ask("POST", "/api/offers", body)) == (status, code, param)
    assert api.journal.end() == end


def test_offers_have_a_limit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "OFFERS_MAX", 1)
    ok(api.ask("POST", "/api/offers", {"offer": OFFER}))
    ok(api.ask("POST", "/api/offers", {"offer": OFFER | {"event": "other"}}))
    answer = api.ask("POST", "/api/offers", {"offer": OFFER | {"id": "y"}})
    assert refused(answer) == (400, "invalid", "offer")
    assert refused(api.ask("GET", "/api/offers/none"))[0] == 404


def test_what_waits_for_a_rate_says_so_and_is_booked_when_it_comes(api: Api) -> None:
    ok(api.ask("POST", "/api/offers", {"offer": SHARE}))
    told(api, purchase("s1", name="sale", currency="USD"))
    found = ok(api.ask("GET", "/api/book/balances?partner=Acme"))
    assert found["balances"] == []
    pair = {"day": "2026-03-01", "base": "USD", "quote": "EUR"}
    assert found["held"] == [{**pair, "count": 1, "is_least": False}]
    rate = {"day": "2026-03-01", "base": "USD", "quote": "EUR", "rate": "0.9"}
    assert ok(api.ask("POST", "/api/rates", {"rates": [rate]}))["rates"] == [rate]
    assert ok(api.ask("POST", "/api/rates", {"rates": [rate]}))["rates"] == []
    other = api.ask("POST", "/api/rates", {"rates": [rate | {"rate": "0.8"}]})
    assert refused(other) == (409, "conflict", "rates.0.rate")
    found = ok(api.ask("GET", "/api/book/balances?partner=acme"))
    assert (found["held"], found["balances"][0]["approved_minor"]) == ([], 900)
    ok(api.ask("POST", "/api/rates", {"rates": [rate | {"day": "2026-03-02"}]}))
    page = ok(api.ask("GET", "/api/rates?limit=1"))
    assert (page["rates"][0]["day"], page["next"]) == ("2026-03-02", "2026-03-02|USD|EUR")
    rest = ok(api.ask("GET", f"/api/rates?after={page['next']}"))
    assert ([one["day"] for one in rest["rates"]], rest["next"]) == (["2026-03-01"], None)


def test_what_waits_is_counted_for_each_partner_and_said_at_the_close(api: Api) -> None:
    ok(api.ask("POST", "/api/offers", {"offer": SHARE | {"partner": None}}))
    sales = [purchase(f"s{n}", name="sale", currency="USD") for n in range(3)]
    sales[2] = purchase("s2", name="sale", currency="USD", partner="zeta")
    april = purchase("s3", name="sale", currency="USD", at="2026-04-01 09:00")
    told(api, *sales, april)
    api.clock.advance(40 * 86_400_000)
    for partner, counts in (("acme", [2, 1]), ("zeta", [1]), ("boss", [])):
        found = ok(api.ask("GET", f"/api/book/balances?partner={partner}"))["held"]
        assert [one["count"] for one in found] == counts
    closed = ok(api.ask("POST", "/api/statements", {"partner": "acme", "period": "2026-03"}))
    pair = {"day": "2026-03-01", "base": "USD", "quote": "EUR"}
    assert closed["held"] == [{**pair, "count": 2, "is_least": False}]
    assert closed["statement"]["closing_minor"] == 0
    ok(api.ask("POST", "/api/rates", {"rates": [{**pair, "rate": "0.9"}]}))
    closed = ok(api.ask("POST", "/api/statements", {"partner": "acme", "period": "2026-04"}))
    assert closed["statement"]["closing_minor"] == 1800
    assert [one["day"] for one in closed["held"]] == ["2026-04-01"]


def test_a_payout_without_a_currency_takes_the_only_one_that_is_to_be_paid(api: Api) -> None:
    dollars = OFFER | {"id": "y", "event": "other", "currency": "USD"}
    for offer in (OFFER, dollars):
        ok(api.ask("POST", "/api/offers", {"offer": offer}))
    status, said = api.ask("POST", "/api/payouts", {})
    assert (status, said["error"]["code"]) == (400, "invalid")
    told(api, purchase("p1"))
    api.clock.advance(86_400_000)
    ok(api.ask("POST", "/api/statements", {"partner": "acme", "period": "2026-03"}))
    payout = ok(api.ask("POST", "/api/payouts", {}))["payout"]
    assert (payout["currency"], payout["total"]) == ("EUR", "10.00")
    status, said = api.ask("POST", "/api/payouts", {})
    assert f"acme (EUR): payout {payout['id']} is under way" in said["error"]["message"]
    ok(api.ask("POST", f"/api/payouts/{payout['id']}/confirm", {"is_paid": False}))
    told(api, purchase("p2", name="other"))
    api.clock.advance(31 * 86_400_000)
    ok(api.ask("POST", "/api/statements", {"partner": "acme", "period": "2026-04"}))
    answer = api.ask("POST", "/api/payouts", {})
    assert refused(answer) == (400, "invalid", "currency")
    assert "EUR and USD are to be paid" in answer[1]["error"]["message"]
    assert ok(api.ask("POST", "/api/payouts", {"currency": "USD"}))["payout"]["total"] == "10.00"


def test_the_tree_of_partners_has_no_circles(api: Api) -> None:
    def recruit(partner: str, parent: str | None) -> tuple[int, Any]:
        return api.ask("POST", f"/api/partners/{partner}/recruit", {"parent": parent})

    assert ok(recruit("acme", "Boss"))["recruit"] == {"partner": "acme", "parent": "boss"}
    end = api.journal.end()
    ok(recruit("acme", "boss"))
    assert api.journal.end() == end
    assert refused(recruit("boss", "acme")) == (400, "invalid", "parent")
    assert refused(recruit("boss", "nobody"))[0] == 404
    ok(recruit("acme", None))
    ok(recruit("boss", "acme"))


def test_lines_and_entries_come_in_pages(api: Api) -> None:
    ok(api.ask("POST", "/api/offers", {"offer": OFFER}))
    told(api, *(purchase(f"p{n}") for n in range(3)))
    page = ok(api.ask("GET", "/api/book/lines?partner=acme&limit=2"))
    assert (len(page["lines"]), page["next"]) == (2, 2)
    rest = ok(api.ask("GET", "/api/book/lines?partner=acme&limit=2&after=2"))
    for noun in ("lines", "entries"):
        assert refused(api.ask("GET", f"/api/book/{noun}?after={2**63}"))[0] == 400
    assert (len(rest["lines"]), rest["next"]) == (1, None)
    line = rest["lines"][0]
    assert (line["amount"], line["offer"], line["state"]) == ("10.00", "x", "approved")
    entries = ok(api.ask("GET", "/api/book/entries?limit=2"))
    assert entries["next"] == 2
    about = ok(api.ask("GET", f"/api/book/entries?about={line['id']}"))["entries"]
    assert [one["amount_minor"] for one in about] == [1000]
    assert ok(api.ask("GET", "/api/book/check"))["ok"] is True


def test_a_person_takes_back_what_an_outcome_earned(api: Api) -> None:
    ok(api.ask("POST", "/api/offers", {"offer": OFFER}))
    told(api, purchase("p1"))
    body = {"id": "p1", "reason": "fraud"}
    found = ok(api.ask("POST", "/api/book/reversals", body))["reversal"]
    assert [line["cause"] for line in found["lines"]] == ["", "fraud"]
    end = api.journal.end()
    again = ok(api.ask("POST", "/api/book/reversals", body | {"id": found["outcome"]}))
    assert len(again["reversal"]["lines"]) == 2
    assert api.journal.end() == end
    assert refused(api.ask("POST", "/api/book/reversals", body | {"id": "none"}))[0] == 404
    assert refused(api.ask("POST", "/api/book/reversals", body | {"reason": " "}))[2] == "reason"


def test_an_id_that_two_products_have_is_asked_for_by_outcome(api: Api) -> None:
    app = {"name": "Other", "platform": "ios", "store_id": "123456789"}
    ok(api.ask("POST", "/api/apps", app))
    ok(api.ask("POST", "/api/offers", {"offer": OFFER}))
    told(api, purchase("p1"), purchase("p1", product="other"))
    answer = api.ask("POST", "/api/book/reversals", {"id": "p1", "reason": "fraud"})
    assert refused(answer) == (400, "invalid", "id")


def test_a_month_is_closed_once_and_paid(api: Api) -> None:
    ok(api.ask("POST", "/api/offers", {"offer": OFFER}))
    told(api, purchase("p1"), purchase("p2"))
    api.clock.advance(86_400_000)
    body = {"partner": "acme", "period": "2026-03"}
    first = ok(api.ask("POST", "/api/statements", body))
    end = api.journal.end()
    assert ok(api.ask("POST", "/api/statements", body)) == first
    assert api.journal.end() == end
    statement = first["statement"]
    assert (statement["closing_minor"], statement["lines_count"]) == (2000, 2)
    assert ok(api.ask("GET", f"/api/statements/{statement['id']}"))["statement"] == statement
    lines = ok(api.ask("GET", f"/api/statements/{statement['id']}/lines?limit=1"))
    assert (len(lines["lines"]), lines["next"]) == (1, 1)
    listed = ok(api.ask("GET", "/api/statements?partner=acme"))["statements"]
    assert [one["id"] for one in listed] == [statement["id"]]
    assert "lines" not in listed[0]
    for period, param in (("2026-02", "period"), ("2026-05", "period"), ("soon", "period")):
        answer = api.ask("POST", "/api/statements", {"partner": "acme", "period": period})
        assert refused(answer) == (400, "invalid", param)
    assert refused(api.ask("POST", "/api/statements", body | {"partner": "zeta"}))[0] == 404
    assert refused(api.ask("GET", "/api/statements/none"))[0] == 404
    assert refused(api.ask("GET", "/api/statements/none/lines"))[0] == 404
    paid(api)


def paid(api: Api) -> None:
    assert refused(api.ask("POST", "/api/payouts", {"currency": "eur"}))[2] == "currency"
    assert refused(api.ask("POST", "/api/payouts", {"currency": "USD"}))[0] == 400
    body = {"currency": "EUR", "partners": ["Acme", "zeta"]}
    payout = ok(api.ask("POST", "/api/payouts", body))["payout"]
    assert [item["partner"] for item in payout["items"]] == ["acme"]
    assert (payout["total"], payout["state"]) == ("20.00", "created")
    assert ok(api.ask("GET", f"/api/payouts/{payout['id']}"))["payout"] == payout
    address = f"/api/payouts/{payout['id']}/confirm"
    failed = ok(api.ask("POST", address, {"is_paid": False}))["payout"]
    assert failed["state"] == "failed"
    assert refused(api.ask("POST", address, {}))[:2] == (409, "conflict")
    again = ok(api.ask("POST", "/api/payouts", {"currency": "EUR"}))["payout"]
    assert again["id"] != payout["id"]
    ok(api.ask("POST", f"/api/payouts/{again['id']}/confirm", {"reference": "B-1"}))
    page = ok(api.ask("GET", "/api/payouts?limit=1"))
    assert ([one["id"] for one in page["payouts"]], page["next"]) == ([again["id"]], again["id"])
    rest = ok(api.ask("GET", f"/api/payouts?after={again['id']}"))
    assert ([one["id"] for one in rest["payouts"]], rest["next"]) == ([payout["id"]], None)
    assert refused(api.ask("POST", "/api/payouts/none/confirm", {}))[0] == 404
    assert refused(api.ask("GET", "/api/payouts/none"))[0] == 404


def test_a_payout_has_a_limit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payouts, "PARTNERS_MAX", 2)
    assert refused(api.ask("POST", "/api/payouts", {"currency": "EUR"}))[2] == "partners"
