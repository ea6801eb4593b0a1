"""Money: decimal text in, whole minor units kept, nothing rounded in secret beyond the currency's own unit."""

from __future__ import annotations

import pytest

from attribune.model.money import (
    AMOUNT_MINOR_MAX,
    BadAmount,
    Money,
    UnknownCurrency,
    decimal_text,
    money,
)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.50", "EUR", 1250),
        ("-0.05", "EUR", -5),
        ("+3", "EUR", 300),
        ("7", "JPY", 7),
        ("1.234", "KWD", 1234),
        ("0.125", "EUR", 12),
        ("0.135", "EUR", 14),
        ("0.5", "JPY", 0),
    ],
)
def test_a_decimal_is_read_to_the_minor_unit_and_halves_go_to_the_even(
    amount: str, currency: str, minor: int
) -> None:
    assert money(amount, currency) == Money(amount_minor=minor, currency=currency)


@pytest.mark.parametrize(
    "amount",
    ["", "abc", "1e5", "NaN", "1.2.3", "1,50", ".5", "5.", " 1", "1\n", "\u0661", "9" * 16, "--1"],
)
def test_what_is_no_decimal_is_refused_and_named(amount: str) -> None:
    with pytest.raises(BadAmount) as fault:
        money(amount, "EUR")
    assert fault.value.args == (amount,)


@pytest.mark.parametrize("currency", ["", "eur", "EUE", "XAU", "EURO"])
def test_a_currency_that_nobody_pays_in_is_refused_and_named(currency: str) -> None:
    with pytest.raises(UnknownCurrency) as fault:
        money("1", currency)
    assert fault.value.args == (currency,)


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    ("largest", "over", "currency"),
    [
        ("100000000000000", "100000000000001", "JPY"),
        ("1000000000000.00", "1000000000000.01", "EUR"),
        ("100000000000.000", "100000000000.001", "KWD"),
    ],
)
def test_the_largest_amount_is_one_of_minor_units_and_one_more_is_refused(
    sign: str, largest: str, over: str, currency: str
) -> None:
    assert abs(money(sign + largest, currency).amount_minor) == AMOUNT_MINOR_MAX
    with pytest.raises(BadAmount):
        money(sign + over, currency)


def test_an_amount_reads_as_people_write_it() -> None:
    assert str(money("-0.05", "EUR")) == "-0.05"
    assert str(money("1250", "JPY")) == "1250"
    assert decimal_text(5, "KWD") == "0.005"
