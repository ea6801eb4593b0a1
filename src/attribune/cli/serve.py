"""``attribune serve``: the whole house on one machine."""

from __future__ import annotations

from typing import Annotated

import typer

from attribune.cli import show
from attribune.cli.options import Data, Json


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command(epilog="Example: attribune serve --data D --port 8080 --web-port 8081")(serve)


def serve(
    data: Data,
    port: Annotated[
        int | None,
        typer.Option(help="Port of the collector; 0 takes a free one.", min=0, max=65535),
    ] = None,
    web_port: Annotated[
        int | None, typer.Option(help="Port of the API; 0 takes a free one.", min=0, max=65535)
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address the collector listens on.")] = None,
    web_host: Annotated[str | None, typer.Option(help="Address the API listens on.")] = None,
    public_url: Annotated[
        str | None,
        typer.Option(help="How the world reaches the collector, for the links we hand out."),
    ] = None,
    collectors: Annotated[
        int | None, typer.Option(help="Collector processes sharing the port.", min=1, max=64)
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    json_: Json = False,
) -> None:
    """Serve a data folder: collectors, attributor, registrar, recorder and API, each started again when it dies."""
    from attribune import wire  # noqa: PLC0415  # only serving needs it

    given = {
        "port": port,
        "web_port": web_port,
        "host": host,
        "web_host": web_host,
        "public_url": public_url,
        "collectors": collectors,
        "log_level": log_level,
    }

    def ready(said: wire.Serving) -> None:
        if json_:
            show.as_json({"serve": said.said()})
            return
        show.line(f"Attribune serves {said.data}")
        show.line(f"  collector  {said.collector_url}" + _public(said))
        show.line(f"  API        {said.web_url}/api/docs")
        show.line(f"  commands   attribune status --data {data}")

    def _public(said: wire.Serving) -> str:
        return f"  as {said.public_url}" if said.public_url != said.collector_url else ""

    wire.serve(data, given, ready)
