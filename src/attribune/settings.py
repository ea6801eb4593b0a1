"""Every setting and limit, once: name, type, default, unit, bounds and help.

The reference page, ``attribune help settings`` and the environment names (``ATTRIBUNE_<NAME>``) come from this one
struct. Precedence: command line, environment, ``attribune.toml`` in the data folder, default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_type_hints

import msgspec

from attribune.model.errors import Invalid

ENVIRONMENT_PREFIX: Final = "ATTRIBUNE_"
FILE_NAME: Final = "attribune.toml"
#: Names in the environment that begin the same and are no settings: the data folder, and who the supervisor is.
_NO_SETTINGS: Final = frozenset({"ATTRIBUNE_DATA", "ATTRIBUNE_SUPERVISOR_PID"})


def _is(unit: str, help_: str, low: int | None = None, high: int | None = None) -> msgspec.Meta:
    return msgspec.Meta(ge=low, le=high, description=help_, extra={"unit": unit})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The values in force, each with its unit, what it means and its bounds."""

    # --- the front door
    host: Annotated[
        str, _is("", "Address the collector listens on; 0.0.0.0 is every interface.")
    ] = "127.0.0.1"
    port: Annotated[int, _is("", "Port of the collector, the public front door.", 0, 65535)] = 8080
    web_host: Annotated[
        str, _is("", "Address the API listens on; keep it away from the public.")
    ] = "127.0.0.1"
    web_port: Annotated[
        int, _is("", "Port of the API, metrics and health of the web role.", 0, 65535)
    ] = 8081
    public_url: Annotated[
        str, _is("", "How the world reaches the collector, for the links we hand out.")
    ] = ""
    collectors: Annotated[int, _is("processes", "Collector processes sharing the port.", 1, 64)] = 1
    proxy_hops: Annotated[
        int,
        _is(
            "hops",
            "Trusted proxies in front; X-Forwarded-For is read this far from the right.",
            0,
            8,
        ),
    ] = 0
    backlog: Annotated[
        int,
        _is(
            "connections",
            "Connections of one collector waiting to be accepted; the system's net.core.somaxconn may cut it.",
            128,
            65535,
        ),
    ] = 1024
    connections_max: Annotated[
        int,
        _is(
            "connections",
            "Connections one collector holds at a time; before the last place is taken, those that rest longest are closed.",
            16,
            262_144,
        ),
    ] = 16_384
    idle_wait_ms: Annotated[
        int,
        _is(
            "ms",
            "How long a connection may rest and take for the next request's head, together, or leave an answer unread; then it is closed.",
            100,
            300_000,
        ),
    ] = 10_000
    body_bytes_max: Annotated[
        int,
        _is("bytes", "Largest body, also after unpacking; larger is answered 413.", 1024, 64 << 20),
    ] = 1_048_576
    body_wait_ms: Annotated[
        int,
        _is("ms", "How long a sender may take for a body; slower is answered 408.", 100, 300_000),
    ] = 10_000
    bodies_bytes_max: Annotated[
        int,
        _is(
            "bytes",
            "Bodies one collector holds at a time, all together; beyond, a request is answered 503.",
            1 << 20,
        ),
    ] = 128 << 20
    batch_records_max: Annotated[
        int, _is("records", "Most records of one batch; more is answered 413.", 1, 10_000)
    ] = 1000
    query_bytes_max: Annotated[
        int, _is("bytes", "Longest query of a link; a longer one is kept as refused.", 256, 65_536)
    ] = 16_384
    json_depth_max: Annotated[int, _is("levels", "Deepest nesting of a record.", 4, 64)] = 16
    record_bytes_max: Annotated[
        int, _is("bytes", "Largest single record of a batch.", 1024, 1 << 20)
    ] = 65_536
    id_characters_max: Annotated[
        int, _is("characters", "Longest id of a record, device, user or transaction.", 36, 2048)
    ] = 256
    app_key_age_max_ms: Annotated[int, _is("ms", "Oldest time an app key may state.", 0)] = (
        30 * 86_400_000
    )
    server_key_age_max_ms: Annotated[int, _is("ms", "Oldest time a server key may state.", 0)] = (
        400 * 86_400_000
    )
    future_max_ms: Annotated[
        int, _is("ms", "Times further ahead than this are refused; less is skew.", 0)
    ] = 86_400_000
    signature_age_max_ms: Annotated[int, _is("ms", "Oldest signature accepted.", 1000)] = 300_000
    signed_link_ahead_max_ms: Annotated[
        int,
        _is(
            "ms",
            "Furthest ahead that `expires` of a signed link may lie; one further ahead lets nothing steer.",
            1000,
            366 * 86_400_000,
        ),
    ] = 7 * 86_400_000
    attribution_wait_ms: Annotated[
        int, _is("ms", "How long an open that asks waits for its attribution.", 0, 10_000)
    ] = 500
    attribution_retry_ms: Annotated[
        int, _is("ms", "When an SDK told *pending* should ask again.", 100, 3_600_000)
    ] = 2000
    retry_after_s: Annotated[int, _is("s", "Retry-After of a 503.", 1, 3600)] = 2
    door_links_per_min_max: Annotated[
        int,
        _is(
            "links/min",
            "Links that clients may ask one door for, a minute and collector; beyond, 429.",
            0,
            1_000_000,
        ),
    ] = 600
    refused_body_bytes_max: Annotated[
        int, _is("bytes", "How much of a refused body is kept whole.", 0, 1 << 20)
    ] = 16_384
    refused_bytes_per_s_max: Annotated[
        int,
        _is(
            "bytes/s",
            "Refusals kept whole, bytes a second and collector; beyond, a short head, length and hash.",
            0,
        ),
    ] = 1 << 20
    # --- the journal
    commit_entries_max: Annotated[int, _is("entries", "Most entries of one commit.", 1, 65_536)] = (
        4096
    )
    commit_queue_max: Annotated[
        int, _is("entries", "Entries waiting for a commit; beyond, records are answered 503.", 64)
    ] = 65_536
    journal_segment_bytes_max: Annotated[
        int, _is("bytes", "Largest size of one segment.", 1 << 20)
    ] = 4 << 30
    journal_segment_ms: Annotated[
        int, _is("ms", "Time after which a new segment is begun.", 60_000)
    ] = 86_400_000
    # --- deciding
    read_entries_max: Annotated[
        int, _is("entries", "Entries a role reads at a time.", 1, 65_536)
    ] = 2000
    poll_ms: Annotated[int, _is("ms", "How often an idle role looks for new entries.", 1, 1000)] = 5
    tick_ms: Annotated[
        int, _is("ms", "How often a tick is journaled while something is held.", 100)
    ] = 60_000
    record_memory_ms: Annotated[
        int, _is("ms", "How long a record id is remembered against repeats.", 60_000)
    ] = 30 * 86_400_000
    touch_memory_ms: Annotated[
        int,
        _is(
            "ms",
            "How long touches are remembered for matching; longer than any window.",
            7 * 86_400_000,
        ),
    ] = 180 * 86_400_000
    held_events_max: Annotated[
        int, _is("events", "Events held per device while its open is awaited.", 1)
    ] = 1000
    candidates_max: Annotated[
        int, _is("touches", "Touches considered per key of a device; the newest are.", 10)
    ] = 200
    # --- reports
    day_closes_after_hours: Annotated[
        int, _is("hours", "A day closes this long after its end and never changes.", 0, 24 * 60)
    ] = 48
    report_rows_max: Annotated[int, _is("rows", "Most rows of a report.", 1, 1_000_000)] = 10_000
    export_rows_max: Annotated[
        int, _is("rows", "Most rows of one page of an export.", 1, 100_000)
    ] = 10_000
    exports_max: Annotated[
        int,
        _is("pages", "Pages of exports made at a time; more are answered 429.", 1, 64),
    ] = 2
    facts_memory_bytes_max: Annotated[int, _is("bytes", "Memory a report may use.", 64 << 20)] = (
        2 << 30
    )
    facts_threads: Annotated[int, _is("threads", "Threads a report may use.", 1, 256)] = 2
    record_rows_max: Annotated[
        int, _is("rows", "Rows written to the facts at a time.", 1, 500_000)
    ] = 50_000
    facts_insert_bytes_max: Annotated[
        int,
        _is(
            "bytes",
            "Size of the entries whose rows are written to the facts at a time; the facts take some six times that for a moment.",
            1 << 16,
            1 << 30,
        ),
    ] = 64 << 20
    record_wait_ms: Annotated[
        int, _is("ms", "How long rows are gathered between two writes to the facts.", 1, 60_000)
    ] = 200
    # --- telling partners
    tells_partners: Annotated[
        int,
        _is("", "0 sends nothing and keeps what is to be told: for a copy of a house.", 0, 1),
    ] = 1
    postback_wait_ms: Annotated[
        int, _is("ms", "How often is looked for what partners are to be told.", 1, 1000)
    ] = 50
    # --- running
    control_wait_ms: Annotated[
        int, _is("ms", "How often collectors look for changed links and keys.", 10, 1000)
    ] = 200
    drain_ms: Annotated[
        int, _is("ms", "How long a stopping role may finish what it began.", 100, 60_000)
    ] = 8000
    restart_wait_ms: Annotated[
        int,
        _is(
            "ms",
            "Wait before a died role is started again; doubles up to restart_wait_max_ms.",
            10,
            60_000,
        ),
    ] = 200
    restart_wait_max_ms: Annotated[
        int, _is("ms", "Longest wait before a died role is started again.", 100, 600_000)
    ] = 30_000
    heartbeat_ms: Annotated[
        int, _is("ms", "How often a role says where it stands.", 50, 60_000)
    ] = 1000
    scrub_ms: Annotated[
        int,
        _is(
            "ms",
            "How often a house that serves scrubs its journal of people who were forgotten; 0 leaves that to `attribune journal scrub`.",
            0,
            25 * 86_400_000,
        ),
    ] = 86_400_000
    raw_days: Annotated[
        int,
        _is(
            "days",
            "How long what was refused at the door is kept raw in the journal; then a scrub leaves its reason and no content. 0 is for ever.",
            0,
            36_500,
        ),
    ] = 90
    log_level: Annotated[str, _is("", "debug, info, warning or error.")] = "info"


class Setting(msgspec.Struct, frozen=True):
    """One setting as the docs and the command line show it."""

    name: str
    type: type
    default: int | str
    #: ``ms``, ``bytes``, ``days`` …; empty for text.
    unit: str
    help: str
    low: int | None
    high: int | None

    @property
    def environment(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def bounds(self) -> str:
        """What is allowed, in words; empty when anything of the type is."""
        if self.low is None:
            return ""
        return f"at least {self.low}" if self.high is None else f"{self.low} to {self.high}"


def _rows() -> tuple[Setting, ...]:
    hints = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        kind, meta = get_args(hints[field.name])
        unit = meta.extra["unit"]
        rows.append(
            Setting(field.name, kind, field.default, unit, meta.description, meta.ge, meta.le)
        )
    return tuple(rows)


#: The same as a table.
SETTINGS: Final = _rows()


def load(
    folder: Path | None = None,
    given: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of a data folder: what is given, else the environment, else the folder's file, else the default.

    Raises Invalid for a value out of bounds, for an unknown name in the file, and for a file that cannot be read.
    """
    env = os.environ if environment is None else environment
    file = folder / FILE_NAME if folder else None
    written = _written(file) if file and file.exists() else {}
    known = {row.name for row in SETTINGS}
    for name in written:
        if name not in known:
            raise Invalid(
                f"{file}: there is no setting named {name}; see `attribune help settings`",
                param=name,
            )
    values: dict[str, Any] = {}
    for row in SETTINGS:
        if given and given.get(row.name) is not None:
            values[row.name] = _value(row, given[row.name], "command line")
        elif row.environment in env:
            values[row.name] = _value(row, env[row.environment], row.environment)
        elif row.name in written:
            values[row.name] = _value(row, written[row.name], str(file))
    return Settings(**values)


def strange_names(environment: Mapping[str, str] | None = None) -> list[str]:
    """Names in the environment that look like settings and are none, so that nobody reads them."""
    env = os.environ if environment is None else environment
    known = {row.environment for row in SETTINGS} | _NO_SETTINGS
    return sorted(name for name in env if name.startswith(ENVIRONMENT_PREFIX) and name not in known)


def _written(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as fault:
        raise Invalid(f"{file} cannot be read: {fault.strerror}", param=FILE_NAME) from fault
    except ValueError as fault:  # no TOML, or no text
        raise Invalid(f"{file} cannot be read: {fault}", param=FILE_NAME) from fault


def _value(row: Setting, value: object, origin: str) -> object:
    hints = get_type_hints(Settings, include_extras=True)
    try:
        return msgspec.convert(value, hints[row.name], strict=False)
    except msgspec.ValidationError:
        wanted = " ".join(
            filter(None, ("a whole number" if row.type is int else "text", row.bounds))
        )
        raise Invalid(
            f"{row.name} ({origin}) must be {wanted}, not {value!r}", param=row.name
        ) from None
