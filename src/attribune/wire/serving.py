"""Serving: the supervisor and its children."""

# ruff: noqa: PLC0415 - an import inside a function is there so that only who needs an engine pays for it

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attribune import settings as settings_
from attribune.model.errors import Invalid
from attribune.roles import folder as folder_
from attribune.settings import Settings
from attribune.wire.houses import web
from attribune.wire.parts import Parts
from attribune.wire.roles import attributor, collector, postbacker
from attribune.wire.urls import url

if TYPE_CHECKING:
    from attribune.roles.base import Role
    from attribune.roles.supervisor import Child, Errand

#: The errand that scrubs the journal.
SCRUBBER: Final = "scrubber"
_READY_POLL_S: Final = 0.05
#: How far the scrubber steps back behind the roles: as far as one can.
_NICE: Final = 19


def run_role(data: Path, name: str) -> None:
    """Run one role until a signal, or the scrubber until it is done: as a child of the supervisor, or by hand beside others.

    Raises Invalid when there is no such role, and whatever ends it.
    """
    from attribune.roles import process
    from attribune.roles.heartbeat import Pulse

    if name == SCRUBBER:
        return _scrub(data)
    is_child = process.SUPERVISOR_VARIABLE in os.environ
    folder = data if is_child else folder_.prepare(data)
    settings = settings_.load(folder)
    process.log_to_stderr(name, settings.log_level)
    with process.stopping() as stop, _lock_of(folder, name, is_child=is_child):
        parts = Parts(folder, settings)
        try:
            if name == "web":
                with _saying(parts, name):
                    role, pulse = web(parts)
                with pulse:
                    role.run(stop)
                if role.fatal.is_set():
                    raise SystemExit(1)
                return None
            with _saying(parts, name):
                one = _role(parts, name)
            with Pulse(folder, [one], parts.clock, settings.heartbeat_ms):
                one.run(stop)
            return None
        finally:
            parts.close()


def _scrub(data: Path) -> None:
    """Scrub the journal once, after everybody else who wants the processor. Any signal ends it: what it leaves is whole."""
    import structlog

    from attribune.model.errors import AttribuneError
    from attribune.roles import process
    from attribune.wire.scrubbing import scrub

    process.log_to_stderr(SCRUBBER, settings_.load(data).log_level)
    log = structlog.get_logger()
    os.nice(_NICE)
    try:
        done = scrub(data, is_dry_run=False)
    except AttribuneError as fault:
        log.warning("not_scrubbed", reason=fault.message)
        raise SystemExit(1) from fault
    log.info(
        "scrubbed",
        segments=len(done.segments),
        entries=sum(one.entries for one in done.segments),
        looked=done.looked,
        waiting=done.waiting,
    )


@contextmanager
def _saying(parts: Parts, name: str) -> Iterator[None]:
    """Let ``status`` know why a role could not begin."""
    from attribune.roles import heartbeat

    try:
        yield
    except Exception as fault:
        heartbeat.say_failed(parts.folder, name, fault, parts.clock.now_ms())
        raise


def _role(parts: Parts, name: str) -> Role:
    if name == "attributor":
        return attributor(parts)
    if name == "postbacker":
        return postbacker(parts)
    if name.startswith("collector"):
        return collector(parts, name)
    raise Invalid(
        f"there is no role {name!r}; there are collector-N, attributor, postbacker, web, scrubber",
        param="role",
    )


@contextmanager
def _lock_of(folder: Path, name: str, *, is_child: bool) -> Iterator[None]:
    """A child's lock is its supervisor's; roles started by hand share it among themselves."""
    if is_child:
        yield
        return
    with folder_.held(folder, f"role {name}", shared=True):
        yield


class Serving:
    """Addresses of a house that serves, for the banner and for who asks later."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """From the settings in force, ports chosen."""
        self.data = str(folder)
        self.collector_url = url(settings.host, settings.port)
        self.web_url = url(settings.web_host, settings.web_port)
        self.public_url = (settings.public_url or self.collector_url).rstrip("/")
        self.port = settings.port
        self.web_port = settings.web_port
        self.collectors = settings.collectors
        self.pid = os.getpid()

    def said(self) -> dict[str, Any]:
        """The same as plain values."""
        return dict(vars(self))


def serve(data: Path, given: Mapping[str, object], ready: Callable[[Serving], None]) -> None:
    """Run the whole house until a signal; ``ready`` is called once when every role works.

    Raises FolderHeld, FolderTooNew, Invalid.
    """
    from msgspec.json import encode
    from msgspec.structs import replace

    from attribune.engines.system import SystemClock
    from attribune.roles import process, supervisor

    folder = folder_.prepare(data).resolve()
    settings = settings_.load(folder, given)
    process.log_to_stderr("supervisor", settings.log_level)
    with folder_.held(folder, "attribune serve") as lock, process.stopping() as stop:
        door = supervisor.reserve(settings.host, settings.port)
        desk = supervisor.reserve(settings.web_host, settings.web_port)
        with door, desk:
            ports = {"port": door.getsockname()[1], "web_port": desk.getsockname()[1]}
            settings = replace(settings, **ports)
            said = Serving(settings, folder)
            in_force = {**said.said(), "settings": settings}
            folder_.write_whole(folder / folder_.SERVE_FILE, encode(in_force))
            environment = _environment(settings, {**given, **ports})
            children = _children(folder, settings)
            boss = supervisor.Supervisor(
                folder,
                children,
                settings,
                SystemClock(),
                lock,
                environment,
                _errands(folder, settings),
            )
            watcher = threading.Thread(
                target=_announce, args=(folder, settings, said, stop, ready), daemon=True
            )
            watcher.start()
            boss.run(stop)


def _environment(settings: Settings, given: Mapping[str, object]) -> dict[str, str]:
    """What was said on the command line, for the children."""
    return {
        row.environment: str(getattr(settings, row.name))
        for row in settings_.SETTINGS
        if given.get(row.name) is not None
    }


def _children(folder: Path, settings: Settings) -> list[Child]:
    from attribune.roles import standing, supervisor

    return [
        supervisor.Child(name, _command(folder, name), settings)
        for name in standing.role_names(settings.collectors)
        if name not in standing.HOSTS
    ]


def _errands(folder: Path, settings: Settings) -> list[Errand]:
    from attribune.roles import scrubs, supervisor

    return [
        supervisor.Errand(
            SCRUBBER,
            _command(folder, SCRUBBER),
            settings,
            settings.scrub_ms,
            lambda: scrubs.note_of(folder).at_ms,
        )
    ]


def _command(folder: Path, name: str) -> list[str]:
    return [sys.executable, "-m", "attribune", "run", name, "--data", str(folder)]


def _announce(
    folder: Path,
    settings: Settings,
    said: Serving,
    stop: threading.Event,
    ready: Callable[[Serving], None],
) -> None:
    """Call ``ready`` when every role runs in this house and both ports answer."""
    from attribune.engines.system import SystemClock
    from attribune.roles import standing, supervisor

    begun_ms = SystemClock().now_ms()
    while not stop.wait(_READY_POLL_S):
        found = standing.status(
            folder,
            standing.role_names(settings.collectors),
            settings.heartbeat_ms,
            SystemClock().now_ms(),
            0,
            is_serving=True,
        )
        is_ours = all((role.started_at_ms or 0) >= begun_ms for role in found.roles)
        if found.is_ready and is_ours and supervisor.is_listening(settings.host, settings.port):
            ready(said)
            return
