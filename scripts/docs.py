"""Writes the reference pages that the code knows best, and the lists and quotes of some pages written by hand.

``make docs`` writes them; ``--check`` only says which are not as the code has them. The tests hold them to it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import macros
import typer
from fill import filled, table
from said import comments, first_line, markdown, members

from attribune import settings
from attribune.api import errors as api_errors
from attribune.api import metrics as prometheus
from attribune.cli import exit_codes
from attribune.cli.main import commands
from attribune.collect import refuse
from attribune.collect.dialects import DIALECTS
from attribune.collect.means import Counters
from attribune.model.errors import AttribuneError
from attribune.model.outcome import LossReason
from attribune.model.refusal import RefusalReason
from attribune.report.export import COLUMNS, EXPORTS, FOREIGN_COLUMNS

ROOT = Path(__file__).parent.parent
NOTE = "<!-- Written by `make docs`. Change the code that it comes from, not this page. -->"


def page(title: str, *parts: str) -> str:
    """A generated page."""
    return "\n\n".join([f"# {title}", NOTE, *(part.strip("\n") for part in parts)]) + "\n"


def anchored(code: str) -> str:
    """A code that an address can point at: the ``doc`` of an error ends in it."""
    return f'<a id="{code}"></a>`{code}`'


# --- commands


def cli_page() -> str:
    """Every command, in the order of ``attribune --help``."""
    root: Any = typer.main.get_command(commands)
    told = list(_commands(root, "attribune"))
    index = "\n".join(f"- [`{name}`](#{_slug(name)}) {first_line_of(one)}" for name, one in told)
    return page(
        "The command line",
        "Every command is a client of the API: it asks the house that serves the data folder, and when none serves it "
        "opens the folder itself. `--data DIR` names the folder and may stand in `ATTRIBUNE_DATA`. With `--json` a "
        'command prints one object on standard output, `{"error": …}` when it failed; what the exit codes mean is '
        "in [errors](errors.md#exit-codes). `attribune help` lists the long texts that the command itself brings along.",
        index,
        *(_command_part(name, one) for name, one in told),
    )


def _commands(node: Any, name: str) -> Iterator[tuple[str, Any]]:
    for word, child in getattr(node, "commands", {}).items():
        path = f"{name} {word}"
        if getattr(child, "commands", None):
            yield from _commands(child, path)
        else:
            yield path, child


def first_line_of(command: Any) -> str:
    """A command's one line."""
    return str(command.help or "").strip().split("\n")[0]


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def _command_part(name: str, command: Any) -> str:
    shown = [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
    arguments = [p for p in shown if not _is_option(p)]
    usage = " ".join([name, *(_argument(p) for p in arguments), "[OPTIONS]"])
    example = str(command.epilog or "").removeprefix("Example:").strip()
    rows = [_parameter(p) for p in shown]
    return "\n\n".join(
        [
            f"## {name}",
            str(command.help or "").strip(),
            f"    {usage}",
            table(("option", "value", "meaning"), rows),
            f"Example: `{example}`" if example else "",
        ]
    ).strip()


def _is_option(parameter: Any) -> bool:
    return bool(parameter.opts[0].startswith("-"))


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def _parameter(parameter: Any) -> tuple[str, str, str]:
    if not _is_option(parameter):
        return f"`{_argument(parameter)}`", "", markdown(parameter.help or "")
    names = " / ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    value = "" if parameter.is_flag else f"`{parameter.metavar or _kind(parameter)}`"
    said = [markdown(parameter.help or "")]
    if parameter.required:
        said.append("Required.")
    elif parameter.default not in (None, False, "", ()):
        said.append(f"Default `{parameter.default}`.")
    if parameter.envvar:
        said.append(f"`{parameter.envvar}`.")
    return names, value, " ".join(said)


def _kind(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    kind = (get_args(kind) or (kind,))[0] if get_args(kind) else kind
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "\\|".join(str(member.value) for member in kind)
    return {int: "NUMBER", Path: "FILE"}.get(kind, "TEXT")


# --- settings


def settings_page() -> str:
    """Every setting, each under a heading of its own so that a link can point at it."""
    return page(
        "Settings",
        "A value is taken from the command line, else from the environment, else from `attribune.toml` in the data folder, "
        "else from the default. An unknown name in the file and a value out of bounds stop the command with a sentence. "
        "`attribune help settings` prints the same list.",
        *(_setting(row) for row in settings.SETTINGS),
    )


def _setting(row: settings.Setting) -> str:
    default = f'`"{row.default}"`' if row.type is str else f"`{row.default}`"
    unit = f" {row.unit}" if row.unit else ""
    bounds = f" Allowed: {row.bounds}." if row.bounds else ""
    return (
        f"## {row.name}\n\n{markdown(row.help)}\n\n"
        f"Default {default}{unit}.{bounds} Environment: `{row.environment}`."
    )


# --- reasons


def refusals_page() -> str:
    """Why something was not used."""
    rows = [
        (anchored(value), _status(RefusalReason(value)), markdown(said))
        for value, said in members(RefusalReason).values()
        if RefusalReason(value) not in BEHIND
    ]
    behind = [
        (anchored(value), markdown(said))
        for value, said in members(RefusalReason).values()
        if RefusalReason(value) in BEHIND
    ]
    return page(
        "Refusal reasons",
        "What is not used is kept, with exactly one of these reasons: at the door in the journal's topic `refused`, behind it "
        "as an outcome. `attribune report --metrics refused --by reason` counts them, and `attribune explain` shows the one "
        "that met a record. The set is closed: a new reason is a change of the code, of this page and of a test.",
        "## At the door",
        "The sender is told: a single request with this status and the reason as the error's `code`, a record of a batch with "
        '`"status": "refused"` and the reason in its result. A link with a query that is too long still '
        "sends the person on; `bad_encoding` is 415 where the `Content-Encoding` itself is not understood.",
        table(("reason", "status", "meaning"), rows),
        "## Behind the journal",
        "The record was accepted, is durable, and is not used. Each stands in the outcomes beside the record that it is about.",
        table(("reason", "meaning"), behind),
    )


#: Nobody was behind it: the answer is the same that a person gets.
NO_PERSON = frozenset(
    {RefusalReason.LINK_PREVIEW, RefusalReason.PREFETCH, RefusalReason.HEAD_REQUEST}
)
#: Reasons that only the attributor gives.
BEHIND = frozenset(
    {
        RefusalReason.REPEATED_RECORD,
        RefusalReason.REPEATED_TRANSACTION,
        RefusalReason.UNKNOWN_CONVERSION,
        RefusalReason.UNKNOWN_TOUCH,
        RefusalReason.TOO_MANY_HELD,
        RefusalReason.NO_CONSENT,
        RefusalReason.FORGOTTEN,
    }
)


def _status(reason: RefusalReason) -> str:
    return "as the link" if reason in NO_PERSON else str(refuse.STATUS.get(reason, 400))


def losses_page() -> str:
    """Why a candidate did not win."""
    rows = [(anchored(value), markdown(said)) for value, said in members(LossReason).values()]
    return page(
        "Loss reasons",
        "Every touch that was considered for a conversion and did not win carries one of these in `lost_because`; the winner "
        "carries none. A touch that has several reasons shows the first that was met. "
        "[How a conversion is decided](../concepts/attribution.md) gives examples.",
        table(("reason", "meaning"), rows),
    )


# --- metrics and errors


def metrics_page() -> str:
    """What Prometheus may read."""
    rows = [
        (
            f"`{row.name}`",
            row.kind,
            ", ".join(f"`{name}`" for name in row.labels),
            markdown(row.help),
        )
        for row in prometheus.METRICS
    ]
    counted = [(f"`{name}`", markdown(said)) for name, said in comments(Counters).items()]
    return page(
        "Metrics for Prometheus",
        "`GET /metrics` on the web port (`web_port`), never on the public one. The metrics of reports (clicks, installs, "
        "revenue …) are another thing: see [metrics of reports](metrics-of-reports.md).",
        table(("name", "kind", "labels", "meaning"), rows),
        "## What collectors count",
        "Values of the label `what` of `attribune_role_counted_total` for the roles `collector-1`, `collector-2` …; "
        "`attribune status` shows them too, with their rate.",
        table(("what", "meaning"), counted),
    )


def errors_page() -> str:
    """What may go wrong, for people and for programs."""
    kinds = list(_kinds_of(AttribuneError))
    rows = [_error(kind) for kind in kinds]
    exits = [(str(code), meaning) for code, meaning in exit_codes.MEANINGS.items()]
    framework = [
        (anchored(code), str(number), type_)
        for number, (type_, code) in sorted(api_errors._OF_STATUS.items())  # noqa: SLF001 - the table itself
        if code not in {kind.code for kind in kinds} | set(RefusalReason)
    ]
    return page(
        "Errors",
        "Every door and every address of the API answers what goes wrong in one shape; a dialect's door answers in its own "
        "language where its clients expect that.",
        '```json\n{"error": {"type": "invalid_request", "code": "bad_amount", "param": "revenue.amount",\n'
        '           "message": "One sentence that says what to do.", "doc": "/docs/errors#bad_amount"}}\n```',
        "`type` is one of `invalid_request`, `authentication`, `not_found`, `too_large`, `rate_limit`, `unavailable`. `code` is "
        "stable and made for programs; `message` is for people and may change; `param` names the field at fault or is `null`.",
        "## Of the API and of commands",
        table(("code", "status", "type", "exit code", "meaning"), rows),
        "A command line that cannot be read is `usage` (exit code 2).",
        "## Of the API's addresses",
        "`internal` (500) is a mistake of ours; the log says which.",
        table(("code", "status", "type"), framework),
        "## Of the doors",
        "The `code` is a [refusal reason](refusal-reasons.md). Beside those: `wrong_method` (405) where a door does not take the "
        "method, `unknown_origin` (403) for a browser page whose origin no app registered, `not_found` (404) where there is no "
        "door, and `journal_unavailable` or `journal_full` (503, with `Retry-After`) while the journal takes nothing; `crowded` (503, with `Retry-After`) while more bodies come at once than `bodies_bytes_max`; `fault` (503) is a mistake of ours, and the log says which.",
        "## Exit codes",
        table(("exit code", "meaning"), exits),
    )


def _kinds_of(kind: type[AttribuneError]) -> Iterator[type[AttribuneError]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("attribune."):
            yield child
            yield from _kinds_of(child)


def _error(kind: type[AttribuneError]) -> tuple[str, ...]:
    number, body = api_errors.told(kind())
    code = exit_codes.CODES.get(kind.code, exit_codes.FAILED)
    return anchored(kind.code), str(number), body["error"]["type"], str(code), first_line(kind)


def export_page() -> str:
    """What exports hold."""
    kinds = [
        (f"`{name}`", ", ".join(f"`{kind}`" for kind in kinds)) for name, kinds in EXPORTS.items()
    ]
    own, theirs = (
        [(f"`{c.name}`", f"{c.type}".replace("_", " "), markdown(c.help)) for c in columns]
        for columns in (COLUMNS, FOREIGN_COLUMNS)
    )
    return page(
        "Exports",
        "`attribune export` and `GET /api/export/touches`, `installs`, `events`, `foreign_conversions` give every row **as it stands now**: what a "
        "correction took away is not there, what it gave is, and `revision` says how often it was decided. They are "
        "read from the facts, where corrections have been carried out, and not from the journal.",
        "`--from` and `--to` are days of the product, in its time zone, both included, and mean the day on which something "
        "*happened* (`own_day`), as its correction is booked on a later one when that day had closed. So the rows of a day "
        "add up to `attribune report --by own_day`; only rows whose `is_primary` is true count there. Moments are UTC.",
        "A row is known by `place`, `kind` and `is_primary` together; a later export gives it again with a higher "
        "`revision` when it was corrected. Order: product, booked day, kind, then as the journal had it.",
        table(("export", "kinds"), kinds),
        "## Columns",
        table(("column", "type", "meaning"), own),
        "## Columns of foreign_conversions",
        "What [other measurement partners](../guides/listen-to-other-mmps.md) told, once each: duplicates are not among them. "
        "`network`, `credited_by`, `touch_at`, `installed_at`, `method_said` and `transaction_id` are read from the journal, and "
        "absent where it has been pruned.",
        table(("column", "type", "meaning"), theirs),
        "Advertising ids, user ids and keys are not in the facts and so in no export.",
        "## Formats",
        "* **csv**: a head, then rows; nothing is an empty cell. Anybody may write names into a tracking link, and a "
        "spreadsheet runs a cell that begins like a formula, so text that begins with `=`, `+`, `-`, `@`, a tab or a "
        "carriage return has an apostrophe in front. Programs that need the exact text read one of the others.\n"
        "* **ndjson**: one JSON object a line, absent values null.\n"
        "* **parquet**: text, 64-bit whole numbers, booleans, days, and moments in milliseconds of UTC; compressed with zstd. "
        "It needs `--out`.",
        "A file is written as `FILE.partial`, for its owner alone, and takes its name when it is whole; an export that fails or "
        "is interrupted removes it, and one that was killed leaves it under that name. When fewer or more rows came than "
        "stood at its beginning, since the facts were made again meanwhile, the export fails.",
        "## Paging",
        "The API gives at most `export_rows_max` rows a page, as lists in the order of `columns`. Ask again with `after` set to "
        "`next`, and the same words, until `next` is null. All pages tell of the moment of the first (`until`); "
        "`rows_total`, in the first, is how many rows will come. At most `exports_max` pages are made at a time; another is "
        "answered 429 `too_many_exports` with `Retry-After`. A key with scope `read` is needed, as for reports.",
    )


def dialects_page() -> str:
    """What each dialect's fields become."""
    parts = [
        f"## `{dialect.name}`\n\n{dialect.speakers}.{_roots(dialect.root_paths)}\n\n"
        + table(
            ("theirs", "ours"), [(f"`{theirs}`", ours) for theirs, ours in dialect.fields.items()]
        )
        for dialect in DIALECTS.values()
    ]
    return page(
        "Dialects",
        "A door (`attribune door add --dialect NAME`) speaks a client library's own language. What its fields become is "
        "below, in the words of [the wire](wire.md); what is not named is kept with the record under its own name, and "
        "`attribune explain` and exports show it. `attribune door test` says what a letter of yours would be.",
        *parts,
    )


def _roots(paths: tuple[str, ...]) -> str:
    if not paths:
        return ""
    said = ", ".join(f"`{path}`" for path in paths)
    return (
        f" A client that can carry no path of its own is heard at the root too, by its key: {said}."
    )


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/dialects.md": dialects_page,
    "docs/reference/cli.md": cli_page,
    "docs/reference/settings.md": settings_page,
    "docs/reference/refusal-reasons.md": refusals_page,
    "docs/reference/loss-reasons.md": losses_page,
    "docs/reference/macros.md": lambda: page("Macros", *macros.parts()),
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/export.md": export_page,
    "docs/glossary.md": lambda: filled("docs/glossary.md"),
    "docs/concepts/attribution.md": lambda: filled("docs/concepts/attribution.md"),
}


def stale() -> list[str]:
    """The pages that are not as the code has them."""
    return [
        name
        for name, write in PAGES.items()
        if not (ROOT / name).exists() or (ROOT / name).read_text() != write()
    ]


def main(arguments: list[str]) -> int:
    """Write what is stale, or with ``--check`` only say it; 1 when something was stale and not written."""
    found = stale()
    for name in found:
        if "--check" in arguments:
            print(f"{name} is not as the code has it; run `make docs`")
        else:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(PAGES[name]())
            print(f"wrote {name}")
    return int(bool(found) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
