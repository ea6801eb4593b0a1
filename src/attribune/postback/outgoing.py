"""From a row of the outbox to the request that goes out for it, or why none does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from attribune.model.control import PartnerKind, Postback
from attribune.model.delivery import (
    TAKING_BACK,
    DeliveryState,
    OutboxRow,
    Related,
    SentRequest,
    Settled,
    Trigger,
)
from attribune.model.ids import PartnerId, is_forgotten
from attribune.model.offer import Counts
from attribune.model.outcome import Attribution, CreditedEvent
from attribune.ports import Directory, Outbox, Vault
from attribune.postback.again import UNDOING, around, told_since
from attribune.postback.callbacks import callbacks
from attribune.postback.elsewhere import of_undone
from attribune.postback.fold import device_digest, measured_digest, partner_digest
from attribune.postback.functions import Value
from attribune.postback.looking import Looking
from attribune.postback.macros import Reach
from attribune.postback.partner import PartnerData, read_partner
from attribune.postback.plan import Deed, Looked, as_rejected, deed_for_all, deeds, telling
from attribune.postback.render import EVERYTHING, Prepared, Request, Skipped
from attribune.postback.template import allowed

#: What the log keeps of a request's body. Characters.
BODY_CHARACTERS_MAX: Final = 16_384
#: What one partner decides is not asked with another's authorization.
_MOVED: Final = "the partner took it and was to say what it decided, but the postback leads elsewhere by now; ask the partner, or send it again"
_NOT_MEASURED: Final = "the person does not want to be measured"
#: What a partner is told by, whose clicks say where.
_NO_ADDRESS: Final = "no click carries an address for what is taken back; tell the partner by hand"
#: What stands around a row whose subject has no other.
_ALONE: Final[tuple[Sequence[Related], Sequence[Related]]] = (), ()
#: What is said of somebody's whose network does not let others be told.
_RESTRICTED: Final = "restricted"


class Spoken(NamedTuple):
    """A postback ready to tell: its data and settings read once."""

    postback: Postback
    data: PartnerData
    prepared: Prepared
    #: The same with every secret's name in its place.
    shown: Prepared
    signing_secret: str | None

    def leads_to(self) -> frozenset[str]:
        """Where its requests may go: the hosts that addresses on clicks may lead to, if it calls those, or the origins of its own."""
        return frozenset(self.postback.callback_hosts) or self.prepared.origins()


class Outgoing(NamedTuple):
    """A row and the request that goes out for it."""

    row: OutboxRow
    request: Request
    #: What is kept of it; None when it is what was sent before.
    shown: SentRequest | None
    #: It asks a partner that decides later what it decided.
    is_poll: bool = False


def spoken(postback: Postback, vault: Vault) -> Spoken:
    """Read a postback. Raises Invalid, VaultLocked."""
    data = read_partner(postback.data)
    secrets = {name: vault.unseal(sealed) for name, sealed in postback.sealed.items()}
    names = {name: name.upper() for name in secrets}
    prepared = Prepared(data, {**postback.settings, **secrets}, postback.events)
    sealed = postback.sealed_signing_secret
    return Spoken(
        postback=postback,
        data=data,
        prepared=prepared,
        shown=Prepared(data, {**postback.settings, **names}, postback.events)
        if names
        else prepared,
        signing_secret=vault.unseal(sealed) if sealed is not None else None,
    )


class _Pointless(NamedTuple):
    """That nothing needs to be sent, and why."""

    reason: str


class Outgoings:
    """Makes requests of rows, many at a time."""

    def __init__(self, outbox: Outbox, directory: Directory, looking: Looking) -> None:
        """Take where things are found."""
        self._outbox = outbox
        self._directory = directory
        self._looking = looking

    def of(self, rows: list[OutboxRow], spoken: Spoken, now_ms: int) -> list[Outgoing | Settled]:
        """What becomes of rows of one postback now. Raises JournalDamaged, JournalUnavailable, StoreUnavailable."""
        about = self._outbox.about(spoken.postback.id, {row.planned.subject for row in rows})
        choices = [_choices(row, spoken.postback) for row in rows]
        measured = [_measured(row, spoken.data) for row in rows]
        asked = [one for about_row in choices for one in about_row]
        asked += [one for one in measured if one is not None]
        silent = self._outbox.not_sharing(asked)
        outcomes = self._looking.outcomes([row.planned.place for row in rows])
        found: list[Outgoing | Settled] = []
        for row, about_row, is_measured in zip(rows, choices, measured, strict=True):
            one = row.planned
            others = about.get(one.subject)
            earlier, later = around(row, others) if others else _ALONE
            why = _pointless(row, earlier, later, spoken.postback)
            if why is None and is_measured in silent:
                why = DeliveryState.GAVE_UP, _NOT_MEASURED
            if why is not None:
                found.append(settled(row, now_ms, *why))
                continue
            outcome = outcomes.get(one.place)
            shares = silent.isdisjoint(about_row)
            made = self._request(row, outcome, spoken, earlier, shares=shares)
            if isinstance(made, _Pointless):
                found.append(settled(row, now_ms, DeliveryState.WITHDRAWN, made.reason))
            elif isinstance(made, Skipped):
                found.append(settled(row, now_ms, DeliveryState.GAVE_UP, made.reason))
            else:
                found.append(made)
        return found

    def _request(
        self,
        row: OutboxRow,
        outcome: Attribution | CreditedEvent | None,
        spoken: Spoken,
        earlier: Sequence[Related],
        *,
        shares: bool,
    ) -> Outgoing | Skipped | _Pointless:
        one = row.planned
        if outcome is None:
            return Skipped(f"its outcome, entry {one.place}, is no longer in the journal")
        is_callback = bool(spoken.postback.callback_hosts)
        needs = EVERYTHING if is_callback else spoken.prepared.needs(one.trigger)
        looked = self._looking.looked(outcome, row, needs)
        if one.undoes is not None and looked.undone is None:
            return Skipped(
                f"the event that it undoes, entry {one.undoes}, is no longer in the journal"
            )
        if looked.undone is not None and spoken.postback.counts is not Counts.OWN:
            outcome = of_undone(outcome, looked.undone)
        if _is_taken_back_before(looked, earlier):
            return _Pointless("all of it was taken back before")
        deed = _deed(row, outcome, looked, spoken.postback)
        values = telling(outcome, deed, looked).values
        values["delivery_id"] = one.id
        values = self._may_hear(values, deed, spoken)

        def made(prepared: Prepared) -> Request | Skipped:
            if not is_callback:
                return prepared.request(deed.trigger, values, shares=shares)
            urls = _callbacks(deed, outcome, looked, spoken.postback.events)
            if one.copy >= len(urls):
                return Skipped("the click that carries the address is no longer in the journal")
            hosts = spoken.postback.callback_hosts
            return prepared.callback(urls[one.copy], hosts, values, shares=shares)

        return _outgoing(row, spoken, made(spoken.prepared), made)

    def _may_hear(
        self, values: dict[str, Value | None], deed: Deed, spoken: Spoken
    ) -> dict[str, Value | None]:
        """What others than who is credited may hear: of nobody's no person, of a self-attributing network's not even whose."""
        if spoken.postback.partner is not None or spoken.data.own_systems:
            return values
        credit = deed.credit
        if credit is None:
            return allowed(values, Reach.CAMPAIGN)
        partner = self._directory.partner(credit.partner)
        if partner is None or partner.kind is not PartnerKind.SELF_ATTRIBUTING:
            return values
        bare = telling_without_credit(values)
        return {**allowed(bare, Reach.CAMPAIGN), "source": _RESTRICTED}


def _choices(row: OutboxRow, postback: Postback) -> list[bytes]:
    """Under what a person's choices are kept that a row has to heed: about partners, and about the one who is told."""
    one = row.planned
    if one.device is None:
        return []
    found = [device_digest(one.product, one.device)]
    if postback.partner is not None:
        found.append(partner_digest(one.product, one.device, postback.partner))
    return found


def _measured(row: OutboxRow, data: PartnerData) -> bytes | None:
    """Under what it is kept whether a person may be measured; own systems heed that, and hear whether or not others may be told."""
    one = row.planned
    if not data.own_systems or one.device is None:
        return None
    return measured_digest(one.product, one.device)


#: What a credit says of whose it is.
_OF_CREDIT: Final = (
    "partner", "link", "campaign", "campaign_id", "adgroup", "adgroup_id", "creative", "creative_id",
    "touch_kind", "touch_at", "method",
)  # fmt: skip


def telling_without_credit(values: Mapping[str, Value | None]) -> dict[str, Value | None]:
    """The words of a telling without those that say whose it is."""
    return {name: value for name, value in values.items() if name not in _OF_CREDIT}


def settled(row: OutboxRow, now_ms: int, state: DeliveryState, reason: str) -> Settled:
    """What is journaled of a row for which no request goes out."""
    one = row.planned
    return Settled(delivery=one.id, postback=one.postback, at_ms=now_ms, state=state, reason=reason)


def _pointless(
    row: OutboxRow, earlier: Sequence[Related], later: Sequence[Related], postback: Postback
) -> tuple[DeliveryState, str] | None:
    """Why nothing is sent for a row whatever it says: what it says was taken back, or takes back what was never said.

    ``earlier`` and ``later`` are the rows of the same subject around it.
    """
    one = row.planned
    if postback.is_ended:
        return DeliveryState.GAVE_UP, "the postback was ended"
    if one.device is not None and is_forgotten(one.device):
        state = DeliveryState.GAVE_UP if row.tries else DeliveryState.WITHDRAWN
        return state, "the person was forgotten"
    since = told_since(row, later) if later else None
    if since is not None:
        return DeliveryState.GAVE_UP, f"it was {since}, and the partner was told so"
    if one.trigger in TAKING_BACK:
        if earlier and not any(map(_was_told, earlier)):
            return DeliveryState.WITHDRAWN, "what it takes back was never told"
        if postback.callback_hosts:
            return DeliveryState.GAVE_UP, _NO_ADDRESS
        if Trigger.REVERSAL not in postback.triggers:
            why = "the postback does not tell of reversals (--trigger reversal); tell the partner by hand"
            return DeliveryState.GAVE_UP, why
        return None
    is_taken_back = any(
        other.trigger in UNDOING and other.outcome_id == one.outcome_id for other in later
    )
    if is_taken_back and not row.tries:
        return DeliveryState.WITHDRAWN, "it was taken back before it was told"
    return None


def _was_told(row: Related) -> bool:
    """Whether the partner may have heard it: an attempt that failed may have arrived all the same."""
    return row.trigger not in TAKING_BACK and _was_sent(row)


def _was_sent(row: Related) -> bool:
    return row.state is DeliveryState.DELIVERED or row.tries > 0


def _is_taken_back_before(looked: Looked, earlier: Sequence[Related]) -> bool:
    """Whether earlier refunds had taken back the whole, and that it was so is what the partner was told last."""
    if looked.taken is None or looked.taken.undone_minor != 0:
        return False
    last = next(filter(_was_sent, reversed(earlier)), None)
    return last is not None and last.trigger is Trigger.REVERSAL


def _deed(
    row: OutboxRow,
    outcome: Attribution | CreditedEvent,
    looked: Looked,
    postback: Postback,
) -> Deed:
    """The deed that a row was planned of; whether it takes back a part or the whole is found again."""
    one = row.planned
    if postback.partner is None:
        return deed_for_all(outcome, looked.taken, is_undoing=looked.undone is not None)
    for deed in deeds(outcome, looked.undone, looked.taken):
        for heard in (deed, as_rejected(deed, outcome)):
            if heard and _is_alike(heard.trigger, one.trigger) and _whose(heard) == one.partner:
                return heard
    raise AssertionError("a row is planned of one of its outcome's deeds")


def _is_alike(one: Trigger, other: Trigger) -> bool:
    return one is other or (one in TAKING_BACK and other in TAKING_BACK)


def _whose(deed: Deed) -> PartnerId:
    return deed.credit.partner if deed.credit else PartnerId("")


def _callbacks(
    deed: Deed,
    outcome: Attribution | CreditedEvent,
    looked: Looked,
    events: Mapping[str, str],
) -> list[str]:
    touch = looked.touches.get(deed.credit.touch) if deed.credit else None
    return callbacks(touch, deed.trigger, outcome, events) if touch else []


def _outgoing(
    row: OutboxRow,
    spoken: Spoken,
    request: Request | Skipped,
    made: Callable[[Prepared], Request | Skipped],
) -> Outgoing | Skipped:
    if isinstance(request, Skipped):
        return request
    if row.poll_url is not None:
        if urlsplit(row.poll_url)[:2] != urlsplit(request.url)[:2]:
            return Skipped(_MOVED)
        return Outgoing(row, _poll(request, row.poll_url), None, is_poll=True)
    seen = request if spoken.shown is spoken.prepared else made(spoken.shown)
    assert isinstance(seen, Request), "a secret's name has a value where the secret has one"
    shown = SentRequest(
        method=seen.method,
        url=seen.url,
        body=seen.body.decode(errors="replace")[:BODY_CHARACTERS_MAX],
    )
    return Outgoing(row, request, shown if shown != row.request else None)


def _poll(request: Request, url: str) -> Request:
    """The question what was decided, asked where the request went and with its authorization."""
    headers = {name: value for name, value in request.headers.items() if name == "authorization"}
    return Request("GET", url, headers, b"")


def poll_url(asked: str, said: str) -> str | None:
    """Where a partner wants to be asked; None when that is another place than it was sent to."""
    found = urljoin(asked, said)
    is_same = urlsplit(found)[:2] == urlsplit(asked)[:2]
    return found if is_same and len(found) <= 2048 else None
