"""The Containerfile: what it copies is there, and what it runs works in a new environment. No engine of containers is needed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from house import RunningHouse

from attribune.cli.main import commands
from attribune.settings import SETTINGS

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "deploy/Containerfile").read_text().replace("\\\n", " ")
LINES = [line.strip() for line in TEXT.splitlines() if line.strip() and not line.startswith("#")]
PREFIX = "/opt/attribune"


def said(word: str) -> list[str]:
    return [line.removeprefix(word).strip() for line in LINES if line.startswith(f"{word} ")]


def test_what_is_copied_is_there_and_enough_to_build() -> None:
    copied = [line.split()[:-1] for line in said("COPY") if "--from" not in line]
    names = [name for line in copied for name in line]
    assert [name for name in names if not (ROOT / name).exists()] == []
    project = (ROOT / "pyproject.toml").read_text()
    for needed in ("README.md", "LICENSE"):
        assert needed in project
        assert needed in names


def test_it_serves_as_nobody_and_is_told_where() -> None:
    assert said("USER") == ["attribune"]
    assert LINES.index("USER attribune") < LINES.index("VOLUME /data")
    values = dict(pair.split("=", 1) for pair in said("ENV")[0].split())
    known = {row.environment for row in SETTINGS} | {"ATTRIBUNE_DATA", "PATH"}
    assert set(values) <= known
    assert values["ATTRIBUNE_DATA"] == said("VOLUME")[0] == "/data"
    ports = [str(row.default) for row in SETTINGS if row.name in {"port", "web_port"}]
    assert said("EXPOSE")[0].split() == ports
    assert json.loads(said("ENTRYPOINT")[0]) == ["attribune"]
    assert json.loads(said("CMD")[0]) == ["serve"]
    assert any(
        name == "serve" for one in commands.registered_commands for name in [one.callback.__name__]
    )


@pytest.mark.server
@pytest.mark.timeout(300)
def test_what_it_runs_makes_a_command_that_serves_and_is_healthy(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for line in said("COPY"):
        if "--from" not in line:
            *names, place = line.split()
            copy(names, tmp_path / place.strip("/"))
    runs = [line for line in said("RUN") if PREFIX in line]
    assert len(runs) == 2
    made = tmp_path / "opt"
    for line in runs:
        words = shlex.split(line.replace(PREFIX, str(made)).replace("/src", str(source)))
        if words[0] == "python":
            words[0] = sys.executable
        else:
            borrow_packages(made)
            words[2:2] = ["--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run(words, check=True, timeout=250)
    shutil.rmtree(source)
    check = json.loads(re.search(r"HEALTHCHECK .* CMD (\[.*\])", TEXT)[1])
    with RunningHouse(tmp_path / "data") as house:
        command = [str(made / "bin/python"), *check[1:]]
        command[-1] = command[-1].replace("http://127.0.0.1:8081", house.web_url)
        subprocess.run(command, check=True, timeout=30)
        asked = [str(made / "bin/attribune"), "status", "--data", str(house.folder), "--json"]
        done = subprocess.run(asked, check=True, timeout=30, capture_output=True, cwd=tmp_path)
        assert json.loads(done.stdout)["status"]["is_ready"]
    served_by_it(made, tmp_path)


def served_by_it(made: Path, folder: Path) -> None:
    """What was installed brings along everything that a new folder needs, and not from this checkout."""
    words = ["app", "add", "--name", "G", "--platform", "android", "--store-id", "com.e.g"]
    done = subprocess.run(
        [made / "bin/attribune", *words, "--json", "--data", folder / "new"],
        check=True,
        timeout=60,
        capture_output=True,
        cwd=folder,
    )
    assert json.loads(done.stdout)["app"]["id"] == "g-android"
    where = "import attribune; print(attribune.__file__)"
    said_ = subprocess.run(
        [made / "bin/python", "-c", where], check=True, capture_output=True, text=True, cwd=folder
    )
    assert said_.stdout.startswith(str(made))


def copy(names: list[str], place: Path) -> None:
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("*.egg-info"))
        else:
            shutil.copy(ROOT / name, place)


def borrow_packages(made: Path) -> None:
    """Let a new environment find the packages of this one, so that the test downloads none; its own come first."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = made / "lib" / version / "site-packages"
    shutil.rmtree(own / "setuptools", ignore_errors=True)  # older than what builds us
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        is_ours = path.name.startswith(("attribune", "__editable__"))
        if not is_ours and not (own / path.name).exists() and path.suffix != ".pth":
            (own / path.name).symlink_to(path)
