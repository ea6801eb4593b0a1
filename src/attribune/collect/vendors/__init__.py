"""What other measurement partners tell, each vendor's words read into foreign conversions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attribune.collect.refuse import Refused
from attribune.collect.vendors import (
    adjust,
    appsflyer,
    branch,
    impact,
    kochava,
    segment,
    singular,
    tenjin,
)
from attribune.collect.vendors.hearing import Hearing, Reader
from attribune.collect.vendors.rows import Row
from attribune.model.activity import ForeignConversion, Vendor
from attribune.model.refusal import RefusalReason

#: The only field of a row that is none: a line that is no JSON, or has more cells than the header.
UNREADABLE: Final = "attribune_unreadable"
#: How each vendor is read.
READERS: Final[dict[Vendor, Reader]] = {
    reader.vendor: reader
    for reader in (
        adjust.READER,
        appsflyer.READER,
        branch.READER,
        kochava.READER,
        singular.READER,
        tenjin.READER,
        segment.READER,
        impact.READER,
    )
}


def read_row(
    vendor: Vendor, said: Mapping[str, str], hearing: Hearing
) -> ForeignConversion | Refused:
    """What a row tells, or why it cannot be understood. Of two columns with one name the first that says something counts."""
    if UNREADABLE in said:
        message = "the line is no row: no JSON object, or more cells than the header has columns"
        return Refused(RefusalReason.MALFORMED, message)
    reader = READERS[vendor]
    named: dict[str, str] = {}
    for column, value in said.items():
        if value and not value.isspace() and not named.get(name := reader.name_of(column)):
            named[name] = value
    try:
        return reader.read(Row(named), hearing)
    except Refused as refused:
        return refused.bare()


__all__ = ["READERS", "UNREADABLE", "Hearing", "Reader", "read_row"]
