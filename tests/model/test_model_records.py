"""Records are plain values: whoever holds one can rely on it."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from inspect import Parameter, signature

import msgspec
import pytest

from attribune import model
from attribune.model.errors import Conflict, Invalid

MODULES = [
    import_module(f"{model.__name__}.{m.name}") for m in pkgutil.iter_modules(model.__path__)
]
RECORDS = sorted(
    {
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, msgspec.Struct)
        and kind.__module__ == module.__name__
    },
    key=lambda kind: (kind.__module__, kind.__name__),
)


#: Made of every outcome that is booked, in one place each; to give their fields by name takes eight times as long.
BY_PLACE = {"Line", "Entry", "Planned", "OutboxRow"}


def test_every_module_of_the_room_holds_nouns() -> None:
    assert {module.__name__.rpartition(".")[2] for module in MODULES} >= {"touch", "status"}
    assert len(RECORDS) > 30


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_cannot_be_changed_and_its_fields_are_named(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
    kinds = {parameter.kind for parameter in signature(kind).parameters.values()}
    is_by_place = kind.__name__ in BY_PLACE
    assert kinds == {Parameter.POSITIONAL_OR_KEYWORD if is_by_place else Parameter.KEYWORD_ONLY}


def test_an_error_says_what_to_do_also_when_nobody_gave_it_words() -> None:
    assert Conflict().message == "The same id or name stands already with other content."
    assert Conflict().param is None
    named = Invalid("give a name", param="name")
    assert (named.message, named.param, str(named)) == ("give a name", "name", "give a name")
