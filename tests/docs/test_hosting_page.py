"""The way to a list of hosting networks, run as it is written, with small files in place of the clouds' own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/operate/hosting.md").read_text()
(BLOCK,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.server

#: As the clouds write them: neighbours, repeats, and words that are no networks.
AMAZON = {
    "syncToken": "1766000000",
    "createDate": "2026-11-25-22-03-12",
    "prefixes": [
        {"ip_prefix": "3.5.140.0/23", "region": "ap-northeast-2", "service": "AMAZON"},
        {"ip_prefix": "3.5.142.0/23", "region": "ap-northeast-2", "service": "AMAZON"},
        {"ip_prefix": "3.5.140.0/23", "region": "ap-northeast-2", "service": "S3"},
    ],
    "ipv6_prefixes": [{"ipv6_prefix": "2600:1f69:7400::/40", "service": "AMAZON"}],
}
GOOGLE = {
    "creationTime": "2026-11-25T22:03:12.345",
    "prefixes": [{"ipv4Prefix": "34.1.208.0/20"}, {"ipv6Prefix": "2600:1900:8000::/44"}],
}


def run(folder: Path, script: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_rules_in_force_get_the_list_and_keep_the_rest(tmp_path: Path) -> None:
    for name, said in {"ip-ranges.json": AMAZON, "cloud.json": GOOGLE}.items():
        (tmp_path / f"{name}.sent").write_text(json.dumps(said, indent=2))
    (tmp_path / "ours.toml").write_text('name = "ours"\nhold_ms = 5000\n')
    out = run(
        tmp_path,
        "attribune app add --data D --name Game --platform android --store-id com.example.game\n"
        "attribune policy set --data D --product game --file ours.toml\n"
        # Only the name of what is fetched counts here.
        'curl() { local name="${@: -1}"; name="${name##*/}"; cp "$name.sent" "$name"; }\n'
        f"{BLOCK}\n"
        "echo; attribune policy show --data D --product game --json",
    )
    shown: dict[str, Any] = json.loads(out.splitlines()[-1])["policy"]
    assert shown["version"] == "ours@2"
    assert shown["policy"]["hold_ms"] == 5000
    assert shown["policy"]["hosting_networks"] == [
        "3.5.140.0/22",
        "34.1.208.0/20",
        "2600:1900:8000::/44",
        "2600:1f69:7400::/40",
    ]
    assert "0 conversions judged, 0 would change." in out
    assert "3.5.140.0/22, 34.1.208.0/20, 2600:1900:8000::/44 and 1 more" in out


def test_the_toml_of_the_page_is_a_policy(tmp_path: Path) -> None:
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "rules.toml").write_text(toml)
    out = run(
        tmp_path,
        "attribune app add --data D --name Game --platform android --store-id com.example.game\n"
        "attribune policy set --data D --product game --file rules.toml",
    )
    assert "192.0.2.0/24, 2001:db8::/32" in out
