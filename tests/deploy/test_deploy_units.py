"""The unit files: every directive is one, every option is the command's, every limit fits the settings, and the backup's line works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from house import RunningHouse

from attribune.cli.main import commands
from attribune.doctor.machine import judge_open_files
from attribune.settings import Settings

ROOT = Path(__file__).parent.parent.parent
UNITS = ROOT / "deploy/systemd"
ATTRIBUNE = Path(sys.executable).with_name("attribune")
INSTALLED = "/opt/attribune/bin/attribune"
DATA = "/var/lib/attribune"
#: As in systemd.unit(5), .service(5), .exec(5), .kill(5) and .timer(5).
KNOWN = {
    "Unit": "Description After Wants StartLimitIntervalSec RequiresMountsFor",
    "Timer": "OnCalendar Persistent",
    "Install": "WantedBy",
    "Service": """Type User Group ExecStart Restart RestartSec KillMode TimeoutStopSec TimeoutStartSec
        StateDirectory StateDirectoryMode ReadWritePaths UMask LimitNOFILE Nice IOSchedulingClass
        NoNewPrivileges CapabilityBoundingSet AmbientCapabilities ProtectSystem ProtectHome PrivateTmp
        PrivateDevices PrivateNetwork ProtectClock ProtectControlGroups ProtectHostname ProtectKernelLogs
        ProtectKernelModules ProtectKernelTunables ProtectProc RestrictAddressFamilies RestrictNamespaces
        RestrictRealtime RestrictSUIDSGID LockPersonality RemoveIPC SystemCallArchitectures
        SystemCallFilter SystemCallErrorNumber""",
}
#: What nothing that faces strangers goes without.
HARDENED = {
    "NoNewPrivileges": "true",
    "ProtectSystem": "strict",
    "ProtectHome": "true",
    "PrivateTmp": "true",
    "CapabilityBoundingSet": "",
    "SystemCallFilter": "@system-service",
    "UMask": "0077",
    "User": "attribune",
}


def directives(name: str) -> Iterator[tuple[str, str, str]]:
    """Section, name and value of each line of a unit file."""
    section = ""
    for line in (UNITS / name).read_text().splitlines():
        if found := re.fullmatch(r"\[(\w+)\]", line):
            section = found[1]
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, line
            yield section, key, value


def of(name: str) -> dict[str, str]:
    return {key: value for _, key, value in directives(name)}


@pytest.mark.parametrize("name", sorted(path.name for path in UNITS.iterdir()))
def test_every_directive_is_one(name: str) -> None:
    for section, key, _ in directives(name):
        assert key in KNOWN[section].split(), f"[{section}] {key}"


def test_systemd_has_nothing_to_say_of_them(tmp_path: Path) -> None:
    for path in UNITS.iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace(INSTALLED, str(ATTRIBUNE)))
    files = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(
        ["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "attribune" in line]
    assert ours == []


@pytest.mark.parametrize("name", ["attribune.service", "attribune-backup.service"])
def test_services_are_hardened(name: str) -> None:
    found = of(name)
    assert {key: found.get(key) for key in HARDENED} == HARDENED
    assert DATA in found["ReadWritePaths"].split()


def called(line: str) -> list[list[str]]:
    """The calls of attribune in a line of a unit, without what a shell adds."""
    words = shlex.split(line)
    text = words[2].removeprefix("exec ") if words[:2] == ["/bin/sh", "-c"] else line
    return [shlex.split(text)]


@pytest.mark.parametrize("name", ["attribune.service", "attribune-backup.service"])
def test_every_option_is_the_commands(name: str) -> None:
    root = typer.main.get_command(commands)
    for program, verb, *words in called(of(name)["ExecStart"]):
        assert program == INSTALLED
        known = {flag for one in root.commands[verb].params for flag in one.opts}
        assert {word for word in words if word.startswith("--")} <= known
        assert words[words.index("--data") + 1] == DATA


def test_limits_fit_the_settings() -> None:
    found, settings = of("attribune.service"), Settings()
    assert judge_open_files(int(found["LimitNOFILE"]), settings).verdict == "ok"
    # The supervisor kills what has not drained, within 10 s in all.
    assert int(found["TimeoutStopSec"]) > settings.drain_ms / 1000 + 2
    assert f"/var/lib/{found['StateDirectory']}" == DATA
    assert found["StateDirectoryMode"] == "0700"
    assert found["Restart"] == "always"


@pytest.mark.server
def test_the_line_of_the_backup_takes_one_that_can_be_restored(tmp_path: Path) -> None:
    house = RunningHouse(tmp_path / "data")
    house.cli("app", "add", "--name", "G", "--platform", "android", "--store-id", "com.e.g")
    (tmp_path / "backups").mkdir()
    line = of("attribune-backup.service")["ExecStart"].replace("%%", "%")
    for shown, real in (
        (INSTALLED, ATTRIBUNE),
        ("/var/backups/attribune", tmp_path / "backups"),
        (DATA, house.folder),
    ):
        line = line.replace(shown, str(real))
    subprocess.run(shlex.split(line), check=True, capture_output=True, timeout=60)
    [taken] = (tmp_path / "backups").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}Z", taken.name)
    restored = RunningHouse(tmp_path / "new")
    assert restored.cli("restore", str(taken))["restore"]["end"] == 3


PAGES = [*(ROOT / "docs/operate").glob("*.md"), ROOT / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_lets_copy_are_there(page: Path) -> None:
    for name in re.findall(r"(?<![\w/])deploy/[\w./*-]+[\w*]", page.read_text()):
        assert list(ROOT.glob(name)), name


def test_the_page_installs_what_the_units_run() -> None:
    page = (ROOT / "docs/operate/install.md").read_text()
    assert f"ln -sfn attribune-0.1.0 {INSTALLED.removesuffix('/bin/attribune')}\n" in page
    assert f"-m 0700 {DATA} /var/backups/attribune\n" in page
    assert "useradd --system" in page
    for name in ("attribune.service", "attribune-backup.timer"):
        assert name in page
