"""``attribune postback``: what partners would be told, before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attribune.cli.main import run


def said(capsys, *words: str, code: int = 0) -> dict:
    assert run(["postback", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_templates_say_what_they_need(capsys) -> None:
    found = {one["name"]: one for one in said(capsys, "templates")["templates"]}
    assert found["tune"]["settings"]["offer_id"]["required"]
    assert found["generic-json"]["without_sharing"] == "campaign"
    assert run(["postback", "templates"]) == 0
    assert "(security_token)" in capsys.readouterr().out


def test_a_preview_uses_the_operators_settings_and_shows_no_secret(capsys) -> None:
    words = (
        "--set",
        "network=mine.example",
        "--set",
        "security_token=hush",
        "--event",
        "purchase=ftd",
    )
    previews = said(capsys, "preview", "tune", *words)["previews"]
    urls = [one["request"]["url"] for one in previews if one["request"]]
    assert all(url.startswith("https://mine.example/aff_lsr?") for url in urls)
    assert any("adv_sub2=ftd" in url for url in urls)
    assert "hush" not in json.dumps(previews)
    assert run(["postback", "preview", "tune", *words]) == 0
    shown = capsys.readouterr().out
    assert "nothing is sent: {partner_click_id} has no value" in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("words", "param"),
    [
        (("preview", "tune", "--set", "netwrk=x"), "netwrk"),
        (("preview", "tune", "--set", "network"), "set"),
        (("preview", "generic-get", "--set", "url=https://p.example/?c={clickid}"), "url"),
    ],
)
def test_a_wrong_setting_is_named(capsys, words, param) -> None:
    assert said(capsys, *words, code=4)["error"]["param"] == param


def test_a_folder_of_ones_own_is_checked(capsys, tmp_path: Path) -> None:
    (tmp_path / "partner.toml").write_text(
        'title = "Mine"\nsource = "me"\n[[requests]]\ntriggers = ["install"]\nurl = "https://m.example/"\n'
    )
    case = '[[case]]\nname = "one"\ntrigger = "install"\nsends = { url = "https://m.example/" }\n'
    (tmp_path / "cases.toml").write_text(case)
    assert said(capsys, "check", str(tmp_path))["ok"]
    (tmp_path / "cases.toml").write_text(case.replace("m.example", "n.example"))
    answer = said(capsys, "check", str(tmp_path), code=1)
    assert not answer["ok"]
    assert "not 'https://n.example/'" in answer["cases"][0]["why"]
