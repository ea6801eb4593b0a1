"""What the docs owe: a page for every name that people may use, and links that lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tidy_tree import PROSE, Complaint, files

LINK = re.compile(
    r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\""
)


# --- what the docs must name


def documented() -> Iterator[tuple[str, str, str]]:
    """Kind, name and page of all that a person may use by name."""
    import typer  # noqa: PLC0415  # only the real tree needs the package

    from attribune.api import metrics as prometheus  # noqa: PLC0415  # the same
    from attribune.cli.main import commands  # noqa: PLC0415  # the same
    from attribune.model.outcome import LossReason  # noqa: PLC0415  # the same
    from attribune.model.refusal import RefusalReason  # noqa: PLC0415  # the same
    from attribune.report.dimensions import DIMENSIONS  # noqa: PLC0415  # the same
    from attribune.report.metrics import METRICS  # noqa: PLC0415  # the same
    from attribune.settings import SETTINGS  # noqa: PLC0415  # the same

    yield from (("setting", row.name, "settings.md") for row in SETTINGS)
    yield from (
        ("command", name, "cli.md")
        for name in _commands(typer.main.get_command(commands), "attribune")
    )
    yield from (("metric", name, "metrics-of-reports.md") for name in METRICS)
    yield from (("dimension", name, "metrics-of-reports.md") for name in DIMENSIONS)
    yield from (("metric", row.name, "metrics.md") for row in prometheus.METRICS)
    yield from (("refusal reason", reason.value, "refusal-reasons.md") for reason in RefusalReason)
    yield from (("loss reason", reason.value, "loss-reasons.md") for reason in LossReason)


def _commands(node: object, name: str) -> Iterator[str]:
    for word, child in getattr(node, "commands", {}).items():
        if getattr(child, "commands", None):
            yield from _commands(child, f"{name} {word}")
        else:
            yield f"{name} {word}"


def check_documented(root: Path) -> Iterator[Complaint]:
    """What has a name for people has a page that says it."""
    for kind, name, page in documented():
        path = f"docs/reference/{page}"
        yield from not_named(root, kind, name, path)


def not_named(root: Path, kind: str, name: str, path: str) -> Iterator[Complaint]:
    """A complaint when a page names something neither as `code` nor in a heading."""
    text = (root / path).read_text() if (root / path).exists() else ""
    if f"`{name}`" not in text and not re.search(
        rf"^#+ `?{re.escape(name)}`?$", text, re.MULTILINE
    ):
        yield Complaint(
            path, 1, f"does not name the {kind} {name}; `make docs` writes what is generated"
        )


# --- links, dependencies, journeys


def check_links(root: Path) -> Iterator[Complaint]:
    """A relative link leads to a file, and its anchor to a heading."""
    for path, text in files(root, *PROSE):
        for number, line in enumerate(_without_code(text).splitlines(), 1):
            for groups in LINK.findall(line):
                target = next(filter(None, groups))
                if not re.match(r"[a-z]+:|/", target):
                    yield from _dead(root, path, number, target)


def _dead(root: Path, path: str, number: int, target: str) -> Iterator[Complaint]:
    name, _, anchor = target.partition("#")
    leads_to = (root / path).parent / name if name else root / path
    if not leads_to.exists():
        yield Complaint(path, number, f"links to {target}, and there is no such file")
    elif anchor and leads_to.suffix == ".md" and anchor not in anchors(leads_to.read_text()):
        yield Complaint(path, number, f"links to {target}, and there is no such heading")


def _without_code(text: str) -> str:
    """The text with fenced blocks and code in ticks blanked, lines kept."""
    text = re.sub(
        r"^```.*?^```", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE
    )
    return re.sub(r"`[^`\n]*`", "``", text)


def anchors(text: str) -> set[str]:
    """What a link into a page may point at: its headings as forges slug them, and explicit anchors."""
    found = set(re.findall(r'<a id="([^"]+)">', text))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.strip().replace(" ", "-"))
    return found
