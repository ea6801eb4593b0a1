"""A payout as SEPA credit transfer initiation: ISO 20022 pain.001.001.09, as the EPC's guidelines for customers read it.

Only euro, only IBANs whose check digits are right, and only the signs that every bank takes; anything else is refused with the field,
and nothing is written in silence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape

from msgspec import Struct, field

from attribune.ledger.shown import PayoutShown
from attribune.model.book import PayoutState
from attribune.model.errors import Conflict, Invalid

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
#: Transfers in one file.
ITEMS_MAX: Final = 10_000
_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}\Z", re.ASCII)
_BIC: Final = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?\Z", re.ASCII)
#: The basic Latin set of the EPC's guidelines.
_SIGNS: Final = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]", re.ASCII)
_NAME_MAX: Final = 70
_ID_MAX: Final = 35
_AMOUNT_MINOR_MAX: Final = 99_999_999_999


class Party(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody with a bank account."""

    name: str
    iban: str
    #: Left out where the bank does not ask for it.
    bic: str | None = None


class Banks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose account pays, and the partners' accounts by their ids. Given with each file, and kept nowhere."""

    debtor: Party
    partners: dict[str, Party] = field(default_factory=dict)
    #: On which day the bank is to do it, such as 2026-03-20.
    day: str | None = None


def document(payout: PayoutShown, banks: Banks, now_ms: int) -> str:
    """The file that a bank takes. Raises Invalid, and Conflict when the bank is done with it: it would pay again."""
    if payout.state is not PayoutState.CREATED:
        raise Conflict(
            f"payout {payout.id} is {payout.state.value} already; no bank is to be given it again",
            param="payout",
        )
    if payout.currency != "EUR":
        raise Invalid("a SEPA file pays euro; take the CSV for other currencies", param="payout")
    if not 0 < len(payout.items) <= ITEMS_MAX:
        raise Invalid(f"a SEPA file has from 1 to {ITEMS_MAX} transfers", param="payout")
    _check_party(banks.debtor, "debtor")
    day = _day(banks.day, now_ms)
    id_ = _ascii(payout.id, _ID_MAX)
    transfers = "".join(
        _transfer(item.partner, item.statement, item.amount_minor, banks.partners)
        for item in payout.items
    )
    total = f"{payout.total_minor // 100}.{payout.total_minor % 100:02d}"
    count = len(payout.items)
    name = f"<Nm>{_text(banks.debtor.name, _NAME_MAX, 'debtor.name')}</Nm>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{NAMESPACE}"><CstmrCdtTrfInitn>'
        f"<GrpHdr><MsgId>{id_}</MsgId><CreDtTm>{_moment(now_ms)}</CreDtTm><NbOfTxs>{count}</NbOfTxs>"
        f"<CtrlSum>{total}</CtrlSum><InitgPty>{name}</InitgPty></GrpHdr>"
        f"<PmtInf><PmtInfId>{id_}</PmtInfId><PmtMtd>TRF</PmtMtd><NbOfTxs>{count}</NbOfTxs><CtrlSum>{total}</CtrlSum>"
        "<PmtTpInf><SvcLvl><Cd>SEPA</Cd></SvcLvl></PmtTpInf>"
        f"<ReqdExctnDt><Dt>{day}</Dt></ReqdExctnDt><Dbtr>{name}</Dbtr>"
        f"<DbtrAcct><Id><IBAN>{iban(banks.debtor.iban, 'debtor.iban')}</IBAN></Id></DbtrAcct>"
        f"<DbtrAgt>{_agent(banks.debtor)}</DbtrAgt><ChrgBr>SLEV</ChrgBr>{transfers}</PmtInf>"
        "</CstmrCdtTrfInitn></Document>\n"
    )


def iban(text: str, param: str) -> str:
    """An IBAN without blanks whose check digits are right. Raises Invalid."""
    found = text.replace(" ", "").upper()
    if not _IBAN.match(found):
        raise Invalid(f"{param} is no IBAN", param=param)
    digits = "".join(str(int(sign, 36)) for sign in found[4:] + found[:4])
    if int(digits) % 97 != 1:
        raise Invalid(f"{param} is no IBAN: its check digits are wrong", param=param)
    return found


def _transfer(
    partner: str, statement: str, amount_minor: int, partners: Mapping[str, Party]
) -> str:
    party = partners.get(partner)
    if party is None:
        raise Invalid(f"the account of partner {partner} is missing", param=f"partners.{partner}")
    _check_party(party, f"partners.{partner}")
    if not 0 < amount_minor <= _AMOUNT_MINOR_MAX:
        raise Invalid(f"partner {partner} is paid an amount that no bank takes", param="payout")
    amount = f"{amount_minor // 100}.{amount_minor % 100:02d}"
    agent = f"<CdtrAgt>{_agent(party)}</CdtrAgt>" if party.bic else ""
    return (
        f"<CdtTrfTxInf><PmtId><EndToEndId>{_ascii(statement, _ID_MAX)}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="EUR">{amount}</InstdAmt></Amt>{agent}'
        f"<Cdtr><Nm>{_text(party.name, _NAME_MAX, f'partners.{partner}.name')}</Nm></Cdtr>"
        f"<CdtrAcct><Id><IBAN>{iban(party.iban, f'partners.{partner}.iban')}</IBAN></Id></CdtrAcct>"
        f"<RmtInf><Ustrd>{_ascii(f'Statement {statement}', 140)}</Ustrd></RmtInf></CdtTrfTxInf>"
    )


def _check_party(party: Party, param: str) -> None:
    iban(party.iban, f"{param}.iban")
    if party.bic is not None and not _BIC.match(party.bic):
        raise Invalid(f"{param}.bic has 8 or 11 capital letters and digits", param=f"{param}.bic")


def _agent(party: Party) -> str:
    """A bank by its BIC, or said to be named by the IBAN alone."""
    within = f"<BICFI>{party.bic}</BICFI>" if party.bic else "<Othr><Id>NOTPROVIDED</Id></Othr>"
    return f"<FinInstnId>{within}</FinInstnId>"


def _text(text: str, most: int, param: str) -> str:
    found = _ascii(text, most)
    if not found:
        raise Invalid(f"{param} has letters that a bank takes", param=param)
    return found


def _ascii(text: str, most: int) -> str:
    """Text in the signs that every bank takes: accents fall off, other signs become blanks."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return escape(_SIGNS.sub(" ", plain)[:most].strip())


def _day(text: str | None, now_ms: int) -> str:
    if text is None:
        return _moment(now_ms)[:10]
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError as fault:
        raise Invalid("day is a day such as 2026-03-20", param="day") from fault


def _moment(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms // 1000, UTC).replace(tzinfo=None).isoformat()
