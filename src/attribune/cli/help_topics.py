"""``attribune help``: the long texts."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from attribune.cli import show
from attribune.cli.exit_codes import MEANINGS
from attribune.model.errors import NotFound
from attribune.settings import FILE_NAME, SETTINGS


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command("help", epilog="Example: attribune help settings")(help_)


def help_(topic: Annotated[str, typer.Argument(help="settings, exit-codes, …")] = "topics") -> None:
    """Show a long text: settings, exit-codes, metrics, dimensions, data, keys."""
    if topic == "topics":
        show.line("attribune help TOPIC, where TOPIC is one of: " + ", ".join(TOPICS))
        return
    if topic not in TOPICS:
        raise NotFound(f"there is no topic {topic!r}; there are {', '.join(TOPICS)}", param="topic")
    show.line(TOPICS[topic]())


def settings_text() -> str:
    """Every setting with its environment name, default, bounds and meaning."""
    lines = [
        f"On the command line, as an environment variable, or in {FILE_NAME} in the data folder; the first found wins.",
        "",
    ]
    for row in SETTINGS:
        unit = f" {row.unit}" if row.unit else ""
        default = repr(row.default) if row.type is str else row.default
        bounds = f"; {row.bounds}" if row.bounds else ""
        lines += [
            f"{row.name}  ({row.environment})",
            f"    {row.help} Default {default}{unit}{bounds}.",
            "",
        ]
    return "\n".join(lines).rstrip()


def exit_codes_text() -> str:
    """Every exit code and its meaning."""
    return "\n".join(f"{code:>4}  {meaning}" for code, meaning in MEANINGS.items())


def data_text() -> str:
    """What lies in a data folder."""
    return _DATA.strip()


def keys_text() -> str:
    """What each kind of key may do."""
    return _KEYS.strip()


def metrics_text() -> str:
    """Every metric of a report and its meaning."""
    from attribune.report.metrics import METRICS  # noqa: PLC0415  # only this text needs it

    return "\n".join(f"{name:<18}{metric.help}" for name, metric in METRICS.items())


def dimensions_text() -> str:
    """Every dimension of a report and its meaning."""
    from attribune.report.dimensions import DIMENSIONS  # noqa: PLC0415  # only this text needs it

    return "\n".join(f"{name:<18}{one.help}" for name, one in DIMENSIONS.items())


_DATA: Final = """
VERSION          format of the folder; a later one is refused
attribune.toml   settings, optional
lock             held by `serve` or a command; says by whom
journal/         the truth; everything else can be made again from it (`attribune rebuild`)
registry.db      products, apps, partners, links, keys, policies
store/ answers/  what the attributor remembers, and what SDKs that ask are told
facts/           what reports add up
outbox.db        what partners are to be told, and what they answered
secrets.key      what secrets of postbacks are sealed with; keep a copy apart, no backup has it
run/             admin.sock (for commands), heartbeats of roles, serve.json (addresses)
"""

_KEYS: Final = """
app     ak_…   ships inside apps: writes that app's records and asks for one device's attribution
server  sk_…   of your servers: sends clicks and impressions too, sets address and user agent, binds users
api     api_…  of your programs: the API on the web port, within its scopes (read, write)
"""

TOPICS: Final = {
    "settings": settings_text,
    "exit-codes": exit_codes_text,
    "metrics": metrics_text,
    "dimensions": dimensions_text,
    "data": data_text,
    "keys": keys_text,
}
