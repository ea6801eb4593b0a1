"""All commands, and what happens when one fails: one object on stdout with --json, a sentence on stderr without."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Final

import typer

from attribune.cli import (
    app,
    audit,
    backup,
    book,
    correct,
    device,
    doctor,
    door,
    explain,
    export,
    help_topics,
    import_,
    journal,
    key,
    link,
    offer,
    partner,
    payout,
    policy,
    postback,
    product,
    rate,
    rebuild,
    reconcile,
    replay,
    report,
    role,
    serve,
    shadow,
    statement,
    status,
)
from attribune.cli.exit_codes import CODES, FAILED, INTERRUPTED, USAGE
from attribune.cli.failure import Failed
from attribune.model.errors import AttribuneError

commands: Final = typer.Typer(
    name="attribune",
    help="A neutral, self-hosted mobile measurement partner.",
    epilog="Begin with: attribune serve --data D    then: attribune app add --data D --name Game …",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for noun in (
    *(app, product, partner, link, key, door, device, policy, import_, journal, postback),
    *(offer, rate, book, statement, payout),
):
    commands.add_typer(noun.commands)
for single in (
    serve,
    role,
    status,
    report,
    explain,
    export,
    correct,
    reconcile,
    replay,
    shadow,
    audit,
    doctor,
    rebuild,
    backup,
    help_topics,
):
    single.register(commands)


def run(arguments: list[str]) -> int:
    """Run a command; its exit code."""
    wants_json = "--json" in arguments
    try:
        code = commands(arguments, standalone_mode=False)
    except Failed as failed:
        return _say(failed.error, wants_json)
    except AttribuneError as fault:
        return _say(_of_ours(fault), wants_json)
    except typer.TyperException as fault:
        return _say(_usage(fault), wants_json)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        return FAILED
    return code if isinstance(code, int) else 0


def _of_ours(fault: AttribuneError) -> dict[str, object]:
    from attribune.api.errors import told  # noqa: PLC0415 - only a command that failed pays for it

    error: dict[str, object] = told(fault)[1]["error"]
    return error


def _usage(fault: typer.TyperException) -> dict[str, object]:
    context = getattr(fault, "ctx", None)
    path = context.command_path if context else "attribune"
    said = fault.format_message() if hasattr(fault, "format_message") else str(fault)
    parameter = getattr(fault, "param", None)
    return {
        "type": "invalid_request",
        "code": "usage",
        "param": getattr(parameter, "name", None),
        "message": f"{said or 'a command is missing'} See `{path} --help`.",
    }


def _say(error: Mapping[str, object], wants_json: bool) -> int:
    if wants_json:
        shown = {**error, "doc": error.get("doc", f"/docs/errors#{error.get('code')}")}
        print(json.dumps({"error": shown}))  # noqa: T201  # the one object
    else:
        print(f"attribune: {error['message']}", file=sys.stderr)  # noqa: T201  # for people
    code = str(error.get("code"))
    return USAGE if code == "usage" else CODES.get(code, FAILED)
