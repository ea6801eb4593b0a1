"""Tidy: what is never right in this checkout, found by reading it. ``python tests/tidy.py`` prints file:line: what and why.

A check reads a tree and complains; what is allowed all the same stands in the tables at the top with its reason, and an
allowance that nothing needs any more is a complaint, too.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tidy_docs import check_documented, check_links
from tidy_tree import OTHER, PACKAGE, PROSE, PYTHON, Complaint, files, parsed

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 500
TEST_LINES_MAX = 700
FUNCTION_LINES_MAX = 80

#: Where the clock, chance and the environment may be read.
WORLDLY = (f"{PACKAGE}/engines/", f"{PACKAGE}/cli/", f"{PACKAGE}/settings.py")
WAITING = "waits for processes and files; no decision and no record sees it"
#: (file, what is read) → why it may be.
WORLD_ALLOWED = {
    (
        f"{PACKAGE}/api/routes/corrections.py",
        "time.monotonic",
    ): "how long an answer waits for its decision",
    (f"{PACKAGE}/api/routes/corrections.py", "time.sleep"): "the same",
    (f"{PACKAGE}/api/routes/conversions.py", "time.monotonic"): "the same",
    (f"{PACKAGE}/api/routes/conversions.py", "time.sleep"): "the same",
    (f"{PACKAGE}/doctor/disk.py", "time.perf_counter"): "how long a sync takes is what is asked",
    (f"{PACKAGE}/doctor/disk.py", "os.urandom"): "what is synced must not be made small on its way",
    (
        f"{PACKAGE}/doctor/house.py",
        "time.sleep",
    ): "whether a role moves is seen by looking twice",
    (f"{PACKAGE}/wire/doctoring.py", "time.monotonic"): WAITING,
    (f"{PACKAGE}/wire/doctoring.py", "time.sleep"): WAITING,
    (f"{PACKAGE}/roles/supervisor.py", "time.monotonic"): WAITING,
    (
        f"{PACKAGE}/roles/supervisor.py",
        "os.environ",
    ): "children inherit it, with what was said on the command line",
    (
        f"{PACKAGE}/roles/heartbeat.py",
        "time.monotonic",
    ): "keeps the pulse even; the time it states is the clock's",
    (f"{PACKAGE}/roles/folder.py", "time.monotonic"): WAITING,
    (f"{PACKAGE}/roles/folder.py", "time.sleep"): WAITING,
    (
        f"{PACKAGE}/roles/folder.py",
        "time.strftime",
    ): "says on the lock, for people, since when it is held",
    (f"{PACKAGE}/roles/folder.py", "time.gmtime"): "the same",
    (f"{PACKAGE}/wire/keepers.py", "time.monotonic"): "how long an answer waits for the views",
    (f"{PACKAGE}/wire/keepers.py", "time.sleep"): "the same",
    (
        f"{PACKAGE}/wire/pruning.py",
        "time.monotonic",
    ): "how long a role is waited for until it says where it stands",
    (f"{PACKAGE}/wire/pruning.py", "time.sleep"): "the same",
    (f"{PACKAGE}/wire/serving.py", "os.environ"): "a child learns who its supervisor is",
}
#: Modules that nothing in the package imports → who does.
UNIMPORTED_ALLOWED = {
    f"{PACKAGE}/__main__.py": "python -m attribune",
    f"{PACKAGE}/engines/memory.py": "twins ship with the package; the contract suites run on them",
    f"{PACKAGE}/engines/migrations/env.py": "Alembic reads it by its place",
    f"{PACKAGE}/engines/migrations/registry/r0001_control_history.py": "the same",
    f"{PACKAGE}/engines/migrations/book/r0001_book.py": "the same",
    f"{PACKAGE}/engines/migrations/outbox/r0001_outbox.py": "the same",
    f"{PACKAGE}/engines/migrations/outbox/r0002_transaction_events.py": "the same",
    f"{PACKAGE}/engines/migrations/outbox/r0003_declines.py": "the same",
    f"{PACKAGE}/engines/migrations/outbox/r0004_last_attempt.py": "the same",
}
#: Longer files → why.
LONG_ALLOWED: dict[str, str] = {}
#: Declared names that no code uses yet → why they stand.
UNUSED_ALLOWED: dict[str, str] = {}

ROOM_NAMES = frozenset(
    ["util", "utils", "helper", "helpers", "common", "core", "manager", "managers", "misc"]
)
#: A name that is used, and not only given a status: an answer that nobody is given is no use.
USED = re.compile(r"\.(\w+)\b(?!: \d)")
LEFT_OVER = re.compile(r"\b(FIX" r"ME|TO" r"DO|XX" r"X)\b")
#: Homes and work folders of some machine; split so that this line is none.
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/" r"(?:work|home|root|Users|mnt)" r"/[A-Za-z0-9._-]+")
PINNED = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[A-Za-z0-9.+!-]+\Z")

_CLOCK = [
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "sleep",
    "gmtime",
    "localtime",
    "strftime",
    "ctime",
]
_DATES = {"datetime.datetime": ("now", "utcnow", "today"), "datetime.date": ("today",)}
FORBIDDEN = frozenset(
    [f"time.{name}" for name in _CLOCK]
    + [f"{kind}.{name}" for kind, names in _DATES.items() for name in names]
    + ["os.urandom", "os.getrandom", "os.environ", "os.environb", "os.getenv", "os.putenv"]
    + ["uuid.uuid1", "uuid.uuid4", "uuid.uuid7"]
)
#: Modules of chance: whatever is taken from them.
CHANCE = ("random.", "secrets.")


# --- the world


def world_reads(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Line and name of each reading of clock, chance or environment in a source."""
    tree = parsed(text)
    names = _imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            full = _full_name(node, names)
            if full and (full in FORBIDDEN or full.startswith(CHANCE)):
                yield node.lineno, full


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """Local name → what it stands for, of everything that is imported anywhere in a source."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {
                a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0]
                for a in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def _full_name(node: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _full_name(node.value, names)
        return f"{owner}.{node.attr}" if owner else None
    return None


def check_world(root: Path) -> Iterator[Complaint]:
    """The clock, chance and the environment come in as arguments."""
    needed = set()
    for path, text in files(root, f"{PACKAGE}/**/*.py"):
        if path.startswith(WORLDLY):
            continue
        for line, name in world_reads(path, text):
            needed.add((path, name))
            if (path, name) not in WORLD_ALLOWED:
                yield Complaint(
                    path, line, f"reads {name}; take it as an argument, or let an engine read it"
                )
    yield from _not_needed(needed, WORLD_ALLOWED, "WORLD_ALLOWED")


def _not_needed(
    needed: Iterable[Any], allowed: Mapping[Any, str], table: str
) -> Iterator[Complaint]:
    for key in allowed.keys() - set(needed):
        yield Complaint(
            "tests/tidy.py", 1, f"{table} allows {key}, which nothing needs; take it out"
        )


# --- names, sizes, leftovers


def check_names(root: Path) -> Iterator[Complaint]:
    """No room for odds and ends."""
    for path, _ in files(root, f"{PACKAGE}/**/*.py"):
        for part in Path(path).with_suffix("").parts:
            if part in ROOM_NAMES:
                yield Complaint(
                    path, 1, f"a room called {part} says nothing; name it after what it is about"
                )


def check_sizes(root: Path) -> Iterator[Complaint]:
    """A god file is split in time."""
    long = set()
    for path, text in files(root, *PYTHON):
        count, most = (
            text.count("\n"),
            TEST_LINES_MAX if path.startswith("tests/") else FILE_LINES_MAX,
        )
        if count > most:
            long.add(path)
            if path not in LONG_ALLOWED:
                yield Complaint(path, 1, f"has {count} lines, more than {most}; split it")
        for node in ast.walk(parsed(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > FUNCTION_LINES_MAX:
                    yield Complaint(
                        path,
                        node.lineno,
                        f"{node.name} has {size} lines, more than {FUNCTION_LINES_MAX}",
                    )
    yield from _not_needed(long, LONG_ALLOWED, "LONG_ALLOWED")


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of each comment of a Python source."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def check_leftovers(root: Path) -> Iterator[Complaint]:
    """What is not done stands in the roadmap."""
    said = [
        (path, line, words) for path, text in files(root, *PYTHON) for line, words in comments(text)
    ]
    for path, text in files(root, *PROSE, *OTHER):
        said += [(path, number, line) for number, line in enumerate(text.splitlines(), 1)]
    for path, line, words in said:
        if found := LEFT_OVER.search(words):
            yield Complaint(
                path,
                line,
                f"{found[0]} is left over; do it, or say it in docs/internals/roadmap.md",
            )


def check_machine_paths(root: Path) -> Iterator[Complaint]:
    """Nothing knows the machine it was made on."""
    for path, text in files(root, *PYTHON, *PROSE, *OTHER):
        for number, line in enumerate(text.splitlines(), 1):
            if found := MACHINE_PATH.search(line):
                yield Complaint(path, number, f"names {found[0]}, a place of some machine")


# --- what nobody uses


def check_imports(root: Path) -> Iterator[Complaint]:
    """A module that nothing in the package imports is dead, or an entry."""
    sources = dict(files(root, f"{PACKAGE}/**/*.py"))
    modules = {_module(path): path for path in sources}
    imported: set[str] = set()
    for text in sources.values():
        for node in ast.walk(parsed(text)):
            imported |= set(_imports(node))
    lonely = {
        path
        for name, path in modules.items()
        if name not in imported and not path.endswith("__init__.py")
    }
    for path in sorted(lonely - UNIMPORTED_ALLOWED.keys()):
        yield Complaint(path, 1, "nothing in the package imports it; use it or take it out")
    yield from _not_needed(lonely, UNIMPORTED_ALLOWED, "UNIMPORTED_ALLOWED")


def _module(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (a.name for a in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{a.name}" for a in node.names)


def check_declared(root: Path) -> Iterator[Complaint]:
    """A setting that nothing reads, or a reason that nothing gives, promises what is not there."""
    sources = dict(files(root, f"{PACKAGE}/**/*.py"))
    unused = set()
    for path, kind, names in declared(sources):
        used = {
            name for other, text in sources.items() if other != path for name in USED.findall(text)
        }
        for line, name in names:
            if name not in used:
                unused.add(name)
                if name not in UNUSED_ALLOWED:
                    yield Complaint(path, line, f"no code uses the {kind} {name}; take it out")
    yield from _not_needed(unused, UNUSED_ALLOWED, "UNUSED_ALLOWED")


def declared(sources: dict[str, str]) -> Iterator[tuple[str, str, list[tuple[int, str]]]]:
    """File, kind and (line, name) of settings, refusal reasons and loss reasons."""
    kinds = {"Settings": "setting", "RefusalReason": "refusal reason", "LossReason": "loss reason"}
    for path, text in sources.items():
        for node in ast.walk(parsed(text)):
            if isinstance(node, ast.ClassDef) and node.name in kinds:
                names = [(line, name) for part in node.body for line, name in _targets(part)]
                yield path, kinds[node.name], names


def _targets(node: ast.stmt) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.lineno, node.target.id
    elif isinstance(node, ast.Assign):
        yield from ((node.lineno, t.id) for t in node.targets if isinstance(t, ast.Name))


# --- dependencies, journeys


def check_dependencies(root: Path) -> Iterator[Complaint]:
    """Every package is pinned, so that today's checkout installs the same tomorrow."""
    path = root / "pyproject.toml"
    if not path.exists():
        return
    said = tomllib.loads(path.read_text())
    wanted = list(said.get("project", {}).get("dependencies", ()))
    wanted += [one for group in said.get("dependency-groups", {}).values() for one in group]
    for one in wanted:
        if not PINNED.match(str(one)):
            yield Complaint("pyproject.toml", 1, f"{one} is not pinned; write name==version")


def check_journeys(root: Path) -> Iterator[Complaint]:
    """A journey begins with the sentence that it promises, says how it ends, and lies where it is read."""
    for path, text in files(root, "tests/journeys/**/*"):
        if Path(path).parent.as_posix() != "tests/journeys" or not path.endswith(".txt"):
            yield Complaint(path, 1, "no test reads it: journeys are tests/journeys/*.txt")
            continue
        if not re.match(r"[A-Z][^\n]+\.\n\n", text):
            yield Complaint(
                path, 1, "begins with no sentence; say what it promises, then an empty line"
            )
        if "\n    => " not in text:
            yield Complaint(path, 1, "does not say how it ends; give it a line with =>")


CHECKS: tuple[Callable[[Path], Iterator[Complaint]], ...] = (
    check_world,
    check_names,
    check_sizes,
    check_leftovers,
    check_machine_paths,
    check_imports,
    check_declared,
    check_documented,
    check_links,
    check_dependencies,
    check_journeys,
)


def complaints(root: Path = ROOT) -> list[Complaint]:
    """All that is not right, by file and line."""
    return sorted(complaint for check in CHECKS for complaint in check(root))


if __name__ == "__main__":
    found = complaints()
    sys.stdout.write("\n".join(map(str, found)) + "\n" if found else "tidy\n")
    sys.exit(bool(found))
