"""Ids: a touch's id tells its millisecond, and what is derived is derived the same again."""

from __future__ import annotations

import pytest

from attribune.model.ids import ProductId, RecordId, TouchId, conversion_id, digest, time_of, uuid7

NOW = 1_772_323_200_000
ONE = str(uuid7(NOW, b"0123456789"))


@pytest.mark.parametrize("at_ms", [0, NOW, 2**48 - 1])
def test_a_touch_id_tells_the_millisecond_it_was_made_at(at_ms: int) -> None:
    assert time_of(uuid7(at_ms, b"\xff" * 10)) == at_ms
    assert time_of(TouchId(uuid7(at_ms, b"\xff" * 10).upper())) == at_ms


def test_touch_ids_sort_by_time_and_then_by_chance() -> None:
    made = [uuid7(at, bytes([chance]) * 10) for at in (1, 2, NOW) for chance in (0, 1, 255)]
    assert sorted(made) == made
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t1",
        ONE[:-1],
        ONE + "0",
        ONE.replace("-", ""),
        ONE.replace("-", "_"),
        ONE[:14] + "4" + ONE[15:],
        "g" + ONE[1:],
        ONE[:-1] + "g",
        ONE[:-2] + "_" + ONE[-1],
        "+" + ONE[1:],
        " " + ONE[1:],
        "\uff10" + ONE[1:],
        ONE[:-1] + "\n",
        "-" + ONE[:8] + ONE[9:],
    ],
)
def test_a_text_that_is_no_uuid7_tells_no_time(text: str) -> None:
    assert time_of(TouchId(text)) is None


def test_what_is_derived_depends_on_each_word_and_on_where_words_end() -> None:
    made = conversion_id(ProductId("game"), RecordId("o1"))
    assert made == conversion_id(ProductId("game"), RecordId("o1"))
    assert made != conversion_id(ProductId("gam"), RecordId("eo1"))
    assert digest("a", "bc") != digest("ab", "c")
