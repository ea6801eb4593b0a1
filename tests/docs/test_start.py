"""The first ten minutes, run as they are written."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/start.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
#: What stands between the outputs of two blocks.
RULE = "=-=-=-=-="

pytestmark = pytest.mark.server


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block printed, all run in one shell and one folder, with the page's ports made free ones."""
    assert shutil.which("curl"), "curl is missing; install it"
    folder = tmp_path_factory.mktemp("start")
    # The environment is made already; that the target exists is what this block is held to.
    make = 'make() { [ "$1" = install ]; }\n'
    script = f"set -euo pipefail\n{make}" + f"\necho {RULE}\n".join(BLOCKS)
    for port in ("8080", "8081"):
        script = script.replace(port, str(free_port()))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    log = folder / "serve.log"
    said = log.read_text()[-2000:] if log.exists() else ""
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{said}"
    return done.stdout.split(RULE)


def test_every_step_of_the_page_is_run(told: list[str]) -> None:
    steps = re.findall(r"^## \d+\. (.+)$", PAGE, re.MULTILINE)
    assert len(told) == len(BLOCKS) == len(steps)


def test_installing_is_a_target_of_make() -> None:
    assert BLOCKS[0].startswith("make install\n")
    assert re.search(r"^install:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_serving_shows_every_role(told: list[str]) -> None:
    for role in ("collector-1", "attributor", "registrar", "recorder", "web"):
        assert re.search(rf"^{role}\s+running\b", told[1], re.MULTILINE), told[1]


def test_a_link_is_made(told: list[str]) -> None:
    assert re.search(r"http://127\.0\.0\.1:\d+/c/spring-\w+\n", told[2])


def test_the_link_leads_to_the_store_with_our_touch_id(told: list[str]) -> None:
    assert "https://play.google.com/store/apps/details?id=com.example.game" in told[3]
    assert re.search(r"referrer=attribune_click%3D[0-9a-f-]{36}", told[3])


def test_the_open_is_attributed_at_once(told: list[str]) -> None:
    assert '"partner":"acme"' in told[4]
    assert '"campaign":"spring"' in told[4]
    assert '"method":"REFERRER"' in told[4]
    assert '"is_organic":false' in told[4]


def test_the_event_is_accepted(told: list[str]) -> None:
    assert '"status":"accepted"' in told[5]


def test_the_report_has_the_install_and_the_revenue(told: list[str]) -> None:
    assert re.search(r"^acme\s+spring\s+1\s+1\s+1\s+1\s+EUR 12\.50", told[6], re.MULTILINE), told[6]


def test_the_story_and_the_audit_say_what_the_page_says(told: list[str]) -> None:
    assert "REFERRER" in told[6]
    assert "purchase" in told[6]
    assert re.search(r"adds? up", told[6]), told[6]


def test_a_correction_moves_the_revenue_and_is_told(told: list[str]) -> None:
    assert re.search(r"^\(organic\)\s+1\s+EUR 12\.50", told[7], re.MULTILINE), told[7]
    assert "only to see what happens" in told[7]


def test_commands_work_when_nothing_serves(told: list[str]) -> None:
    assert re.search(r"^\(organic\)\s+1\s*$", told[8], re.MULTILINE), told[8]
