"""Money is a whole number of minor units and a currency; never a float."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from msgspec import Struct

#: The largest amount of a single record, in minor units: a trillion of the usual currencies.
AMOUNT_MINOR_MAX: Final = 10**14

# ISO 4217 active codes by number of decimals (list one, 2024). Codes of metals, funds and tests are left out.
_DECIMALS: Final[dict[int, str]] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY "
    "COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS "
    "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR "
    "MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD "
    "SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
#: Decimals of every currency we know.
DECIMALS: Final[dict[str, int]] = {
    code: n for n, codes in _DECIMALS.items() for code in codes.split()
}

_AMOUNT = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,12})?\Z", re.ASCII)


class Money(Struct, frozen=True, kw_only=True):
    """An amount in minor units of a currency, such as 1250 and EUR for 12.50 euro."""

    amount_minor: int
    currency: str

    def __str__(self) -> str:
        """The amount as a decimal, such as ``12.50``."""
        return decimal_text(self.amount_minor, self.currency)


class UnknownCurrency(ValueError):
    """The currency is not one of ISO 4217's active codes; send three capital letters such as EUR."""


class BadAmount(ValueError):
    """The amount is not a decimal number in a string, such as "12.50", of at most 15 digits before the point."""


def money(amount: str, currency: str) -> Money:
    """Read a decimal in a string; what is finer than the currency's minor unit is rounded half to even.

    Raises BadAmount, UnknownCurrency.
    """
    decimals = DECIMALS.get(currency)
    if decimals is None:
        raise UnknownCurrency(currency)
    if not _AMOUNT.match(amount):
        raise BadAmount(amount)
    minor = Decimal(amount).scaleb(decimals).to_integral_value(ROUND_HALF_EVEN)
    if abs(minor) > AMOUNT_MINOR_MAX:
        raise BadAmount(amount)
    return Money(amount_minor=int(minor), currency=currency)


def decimal_text(amount_minor: int, currency: str) -> str:
    """Minor units as the decimal text that people and reports read, such as ``-0.05``."""
    decimals = DECIMALS.get(currency, 2)
    return f"{Decimal(amount_minor).scaleb(-decimals):.{decimals}f}"
