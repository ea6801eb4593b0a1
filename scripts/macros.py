"""The page of macros: names, functions and dialects, as the template engine has them."""

from __future__ import annotations

from fill import table

from attribune.postback.dialects import SPEECH, Dialect
from attribune.postback.functions import FUNCTIONS
from attribune.postback.macros import FAMILIES, MACROS, Reach

_REACH = {
    Reach.CAMPAIGN: "nobody",
    Reach.CLICK: "the click",
    Reach.PERSON: "the person",
}
_WRITTEN = {
    Dialect.ATTRIBUNE: "`{name}`, `{a||b}`, `{name|function:argument}`; our names",
    Dialect.ADJUST: "the same, with the names below",
    Dialect.APPSFLYER: "`(name)`, `$$sdk(name)`, `$$click(name)`; any other name is a parameter of the link",
    Dialect.BRANCH: "`${(path)!}`, `${path}`; any other path in `last_attributed_touch_data` is a parameter of the link",
    Dialect.HANDLEBARS: "`{{name}}`, otherwise as `attribune`",
}


def parts() -> list[str]:
    """The page's parts in their order."""
    begin = (
        "What may stand in a [postback's](../guides/postbacks.md) template. The list is closed: a name that is not here is refused when the template is "
        "read, never sent. *Tells of* is how much of a person a macro tells; somebody who does not share is told of up to the partner's limit."
    )
    return [
        begin,
        "## Names",
        table(
            ("macro", "is", "tells of", "meaning"),
            [
                (f"`{{{one.name}}}`", one.shape.value, _REACH[one.reach], one.help)
                for one in (*MACROS.values(), *FAMILIES.values())
            ],
        ),
        "A moment without a function is said in whole seconds since 1970.",
        "## Functions",
        table(
            ("function", "takes", "gives", "what it does"),
            [
                (
                    f"`{name}`",
                    ", ".join(sorted(shape.value for shape in one.takes)),
                    one.gives.value,
                    one.help,
                )
                for name, one in FUNCTIONS.items()
            ],
        ),
        "## Dialects",
        table(
            ("`dialect`", "how a macro is written"),
            [(f"`{dialect.value}`", _WRITTEN[dialect]) for dialect in SPEECH],
        ),
        *(
            f"**`{dialect.value}`**\n\n"
            + table(
                ("theirs", "ours"), [(f"`{a}`", f"`{_cell(b)}`") for a, b in speech.names.items()]
            )
            for dialect, speech in SPEECH.items()
            if speech.names
        ),
    ]


def _cell(expression: str) -> str:
    return expression.replace("|", r"\|")
