"""`make demo`: start Attribune on a scratch folder, send it a week of traffic, and read what it says."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from house import DemoFailed, House
from receiver import AffiliatePlatform
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from traffic import Registered, Traffic

from attribune.model.money import decimal_text

CONSOLE = Console()
CAUGHT_UP_S = 30
OFFER = """
id = "share"
partner = "acme"
event = "purchase"
currency = "EUR"

[[deal]]
kind = "revshare"
percent = "30"
"""


def main() -> int:
    """Run the demo; 0 when the audit finds nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stay", action="store_true", help="leave it running until Ctrl-C")
    stay = parser.parse_args().stay
    scratch = Path(tempfile.mkdtemp(prefix="attribune-demo-"))
    house = House(scratch)
    begun = time.monotonic()
    try:
        with AffiliatePlatform() as platform:
            run(house, platform, stay=stay, begun=begun)
    except DemoFailed as failure:
        CONSOLE.print(f"[bold red]The demo failed.[/] {failure}")
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        house.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


def run(house: House, platform: AffiliatePlatform, *, stay: bool, begun: float) -> None:
    """The demo from beginning to end."""
    with CONSOLE.status("starting Attribune on a scratch data folder …"):
        house.start()
    CONSOLE.print(
        f"[green]✓[/] serving: front door http://127.0.0.1:{house.port}, API http://127.0.0.1:{house.web_port}"
    )
    with CONSOLE.status("registering two apps, four partners and five links …"):
        registered = register(house)
    CONSOLE.print(
        "[green]✓[/] registered two apps, four partners and five links (one of them retargeting)"
    )
    add_postback(house, platform)
    add_offer(house)
    CONSOLE.print(
        f"[green]✓[/] partner acme is told of what it brings at {platform.url}, and is owed 30 % of purchases"
    )
    traffic = Traffic(house, registered)
    send(traffic)
    with CONSOLE.status("waiting until everything is decided and recorded …"):
        time.sleep(1.5)  # roles say where they stand once a second
        catch_up(house)
    tell(house, traffic, platform)
    CONSOLE.print(f"\n[dim]The demo took {time.monotonic() - begun:.0f} s.[/]")
    if stay:
        linger(house)


def register(house: House) -> Registered:
    """Two apps of one product, four partners, five links and a server key."""
    app = ("app", "add", "--timezone", "Europe/Berlin", "--currency", "EUR")
    android = house.ask(
        *app, "--name", "Orchard", "--platform", "android", "--store-id", "com.example.orchard"
    )["app"]
    ios = house.ask(
        *app,
        "--name",
        "Orchard",
        "--platform",
        "ios",
        "--store-id",
        "id1234567890",
        "--product",
        android["product"],
    )["app"]
    for name, kind in (
        ("acme", "affiliate"),
        ("zeta", "network"),
        ("beta", "network"),
        ("newsletter", "owned"),
    ):
        house.ask("partner", "add", "--name", name, "--kind", kind)
    server = house.ask("key", "add", "--app", android["id"], "--kind", "server")["key"]["secret"]
    links = {
        "acme": ("acme", "spring"),
        "zeta": ("zeta", "brand"),
        "beta": ("beta", "video"),
        "owned": ("newsletter", "march"),
        "back": ("zeta", "come-back", "--retargeting"),
    }
    made = {}
    for name, (partner, campaign, *more) in links.items():
        words = (
            "link",
            "add",
            "--app",
            android["id"],
            "--partner",
            partner,
            "--campaign",
            campaign,
            *more,
        )
        made[name] = house.ask(*words)["link"]["id"]
    return Registered(android["key"], ios["key"], server, made)


def add_postback(house: House, platform: AffiliatePlatform) -> None:
    """Tell an affiliate platform of installs, events and what is taken back."""
    url = f"{platform.url}?click={{partner_click_id}}&goal={{event_name}}&what={{trigger}}&sum={{revenue}}"
    words = ("postback", "add", "--partner", "acme", "--template", "generic-get")
    house.ask(*words, "--set", f"url={url}", "--allow-host", "127.0.0.1")


def add_offer(house: House) -> None:
    """Owe acme a share of purchases."""
    offer = house.folder.parent / "offer.toml"
    offer.write_text(OFFER)
    house.ask("offer", "add", "--file", str(offer))


def send(traffic: Traffic) -> None:
    """Send the whole story, with a bar."""
    bar = Progress(
        TextColumn("  sending clicks, impressions, opens and events"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=CONSOLE,
        transient=True,
    )
    time.sleep(1)  # a change is in force everywhere within a second
    with bar:
        for step in bar.track(traffic.steps()):
            step()
    CONSOLE.print(f"[green]✓[/] sent {traffic.counted.requests} requests through the front door")
    for line in traffic.counted.refused:
        CONSOLE.print(
            f"[green]✓[/] a bad record was refused and kept: [italic]{line}[/]", soft_wrap=True
        )


def catch_up(house: House) -> None:
    """Wait until no role lags. Raises DemoFailed."""
    until = time.monotonic() + CAUGHT_UP_S
    while time.monotonic() < until:
        status = house.ask("status")["status"]
        if is_idle(status):
            return
        time.sleep(0.2)
    raise DemoFailed(f"the roles did not catch up; `attribune status` said {status}")


def is_idle(status: dict[str, object]) -> bool:
    """Whether every role has read all that is journaled."""
    roles = status["roles"]
    assert isinstance(roles, list)
    return bool(roles) and all(not role["lag"] for role in roles)


def tell(house: House, traffic: Traffic, platform: AffiliatePlatform) -> None:
    """What Attribune says: reports, one install's story, the audit, and where to go from here."""
    heading("Installs by partner and campaign (no partner is organic)")
    metrics = "clicks,impressions,installs,reinstalls,reengagements"
    house.show("report", "--metrics", metrics, "--by", "partner,campaign")
    heading("Events and revenue by source")
    house.show("report", "--metrics", "events,revenue", "--by", "source,partner")
    heading("The story of one install")
    house.show("explain", traffic.counted.hero)
    heading("What acme's platform was told of that install, of the purchase and of its refund")
    told = house.ask("explain", traffic.counted.hero)["stories"][0]["deliveries"]
    if len(told) < len(("install", "tutorial", "purchase", "refund")):
        raise DemoFailed(f"acme was not told all of it: {told}")
    for row in told:
        if row["state"] != "delivered":
            raise DemoFailed(f"a postback was not delivered: {row}")
        answered = row["attempts"][-1]["status"]
        CONSOLE.print(
            f"  {row['trigger']:<9} answered {answered}  {row['request']['url']}",
            highlight=False,
            soft_wrap=True,
        )
    CONSOLE.print(f"  and {len(platform.heard)} postbacks in all; see `attribune postback log`")
    owe(house)
    heading("The audit")
    audit = house.ask("audit")
    house.show("audit")
    if not audit["ok"]:
        raise DemoFailed("the audit found something that does not add up")
    heading("What to try next")
    CONSOLE.print(
        "  make demo STAY=1                         keep this house running and ask it yourself\n"
        "  docs/start.md                            your own first attributed install, in ten minutes\n"
        "  .venv/bin/attribune replay --policy appsflyer --data D    who would gain under other rules\n"
        "  .venv/bin/attribune --help               everything else",
        highlight=False,
        soft_wrap=True,
    )


def owe(house: House) -> None:
    """What acme is owed: its commissions, the one that the refund took back, and the month's statement."""
    heading("What acme is owed, and what the refund took back")
    house.show("book", "lines", "--partner", "acme")
    period = f"{datetime.now(UTC):%Y-%m}"
    statement = house.ask("statement", "close", "--partner", "acme", "--period", period)[
        "statement"
    ]
    lines = statement["lines"]
    if not any(line["amount_minor"] < 0 for line in lines):
        raise DemoFailed(f"the refund took nothing back: {lines}")
    CONSOLE.print(
        f"  Its statement of {period} has {len(lines)} lines and closes with "
        f"{decimal_text(statement['closing_minor'], statement['currency'])} {statement['currency']}.",
        highlight=False,
    )


def heading(text: str) -> None:
    """A line that says what comes."""
    CONSOLE.print(f"\n[bold]{text}[/]")


def linger(house: House) -> None:
    """Leave it running until somebody has seen enough."""
    CONSOLE.print(
        f"\nStill running. Ask it, for example:\n"
        f"  .venv/bin/attribune report --data {house.folder} --by partner,day\n"
        f"  .venv/bin/attribune status --data {house.folder}\n"
        f"Ctrl-C stops it and removes the folder.",
        highlight=False,
    )
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
