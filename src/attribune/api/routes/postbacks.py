"""Postbacks: what partners are told, and what one would be told of what has been decided."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Request, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET, Meta, Struct
from msgspec.structs import asdict

from attribune.api.access import OPT, TRUSTED
from attribune.api.here import Here
from attribune.api.routes.asking import HANDLE_CHARACTERS_MAX, sources
from attribune.api.routes.page import ROWS_MAX, After, Limit, page
from attribune.model.activity import Event, Open
from attribune.model.codec import decode
from attribune.model.control import Postback, Scope
from attribune.model.delivery import Trigger
from attribune.model.errors import Forbidden, Invalid
from attribune.model.ids import ConversionId, Position
from attribune.model.money import Money
from attribune.model.outcome import UNDOING, Attribution, CreditedEvent
from attribune.model.position import Topic
from attribune.model.status import BreakerState
from attribune.postback import folders
from attribune.postback.configure import checked_hosts, choose, refuse_private
from attribune.postback.partner import read_partner
from attribune.postback.parts import Taken, taken
from attribune.postback.plan import Looked, Telling, takes_back, tellings
from attribune.postback.render import Prepared, Skipped
from attribune.registry import find, postbacks, shown
from attribune.registry.made import Made
from attribune.registry.requests import AddPostback, EditPostback
from attribune.registry.view import Registry
from attribune.report import explain

#: Longest ``partner.toml``, and most settings and names of events, that a preview takes.
PARTNER_CHARACTERS_MAX: Final = 65_536
PAIRS_MAX: Final = 200
#: What a preview calls the delivery, which has no id before it is one.
DELIVERY_ID: Final = "preview"

Pairs = Annotated[
    dict[Annotated[str, Meta(max_length=256)], Annotated[str, Meta(max_length=8192)]],
    Meta(max_length=PAIRS_MAX),
]


class PreviewRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A partner as data, its settings, and what it would be told of."""

    #: The text of a ``partner.toml``.
    partner: Annotated[str, Meta(max_length=PARTNER_CHARACTERS_MAX)]
    settings: Pairs = {}
    #: Names of events: ours → the partner's.
    events: Pairs = {}
    #: Whatever leads to a story.
    handle: Annotated[str, Meta(min_length=1, max_length=HANDLE_CHARACTERS_MAX)]


class PreviewedRequest(Struct, frozen=True, kw_only=True):
    """What would be sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


class Preview(Struct, frozen=True, kw_only=True):
    """One telling: what would be sent, or why nothing would."""

    outcome_id: str
    revision: int
    trigger: Trigger
    #: The partner that is credited.
    partner: str
    request: PreviewedRequest | None
    skipped: str | None


class PreviewAnswer(Struct, frozen=True, kw_only=True):
    """Every telling that a handle leads to, in the order of the decisions."""

    previews: list[Preview]


@post("/api/postbacks/preview", sync_to_thread=True, status_code=200, opt={OPT: Scope.READ})
def preview(house: Here, data: JSONBody[PreviewRequest]) -> PreviewAnswer:
    """What a partner with this data would be told of what a handle leads to. Sends nothing and keeps nothing."""
    prepared = Prepared(read_partner(data.partner), data.settings, data.events)
    house.keeper.settle()
    asked = sources(house)
    found = explain.decided(data.handle, asked)
    previews = [
        _preview(telling, prepared)
        for n, outcome in enumerate(found.outcomes)
        for undone in _undone(outcome, found.outcomes[:n])
        for telling in tellings(outcome, _looked(asked, found, n, undone))
    ]
    return PreviewAnswer(previews=previews)


def _preview(telling: Telling, prepared: Prepared) -> Preview:
    found = prepared.request(telling.trigger, {**telling.values, "delivery_id": DELIVERY_ID})
    request = skipped = None
    if isinstance(found, Skipped):
        skipped = found.reason
    else:
        request = PreviewedRequest(
            method=found.method, url=found.url, headers=found.headers, body=found.body.decode()
        )
    return Preview(
        outcome_id=telling.outcome_id,
        revision=telling.revision,
        trigger=telling.trigger,
        partner=telling.partner or "",
        request=request,
        skipped=skipped,
    )


def _looked(
    asked: explain.Sources,
    found: explain.Decided,
    n: int,
    undone: CreditedEvent | None,
) -> Looked:
    """What the n-th outcome of some does not carry itself."""
    outcome = found.outcomes[n]
    app = asked.directory.app(outcome.app)
    return Looked(
        record=_record(asked, outcome.about),
        touches=found.touches,
        store_id=app.store_id if app else None,
        conversion_at_ms=_conversion_at_ms(outcome.conversion, found.outcomes),
        undone=undone,
        taken=_taken(outcome, undone, found.outcomes[:n]),
    )


def _record(asked: explain.Sources, place: Position) -> Open | Event | None:
    entry = asked.journal.get(Topic.ACTIVITY, place)
    record = decode(entry) if entry else None
    return record if isinstance(record, Open | Event) else None


def _conversion_at_ms(
    conversion: ConversionId | None, others: list[Attribution | CreditedEvent]
) -> int | None:
    found = (
        one.at_ms for one in others if isinstance(one, Attribution) and one.conversion == conversion
    )
    return next(found, None)


def _undone(
    outcome: Attribution | CreditedEvent, earlier: list[Attribution | CreditedEvent]
) -> list[CreditedEvent] | list[None]:
    """The events that a refund or chargeback undoes, each as it stood then: all that bear its transaction. None stands for none."""
    if not isinstance(outcome, CreditedEvent) or outcome.name not in UNDOING:
        return [None]
    found = {
        one.record: one
        for one in earlier
        if isinstance(one, CreditedEvent)
        and one.transaction_id is not None
        and one.transaction_id == outcome.transaction_id
        and one.product == outcome.product
        and one.name not in UNDOING
        and takes_back(outcome, one)
    }
    return list(found.values()) or [None]


def _taken(
    outcome: Attribution | CreditedEvent,
    undone: CreditedEvent | None,
    earlier: list[Attribution | CreditedEvent],
) -> Taken | None:
    """How much of an event a refund takes back, or a correction, after the refunds that were told before it."""
    event = undone or outcome
    if not isinstance(outcome, CreditedEvent) or not isinstance(event, CreditedEvent):
        return None
    amounts: dict[str, Money | None] = {}
    for one in earlier:
        if not isinstance(one, CreditedEvent) or one.transaction_id != outcome.transaction_id:
            continue
        if one.record == outcome.record:
            break  # a later revision of it takes back what the first did
        if one.product == outcome.product and takes_back(one, event):
            amounts[one.record] = one.revenue
    return taken(event, [*amounts.values(), outcome.revenue if undone else None])


class PostbackAnswer(Struct, frozen=True):
    """One postback."""

    postback: shown.PostbackShown


class Standing(Struct, frozen=True, kw_only=True):
    """How many deliveries of a postback are in each state."""

    waiting: int = 0
    delivered: int = 0
    gave_up: int = 0
    withdrawn: int = 0


class PostbackListed(shown.PostbackShown, frozen=True, kw_only=True):
    """A postback and how what it tells stands."""

    deliveries: Standing
    #: Whether its partner answers, of what is told now: ``closed`` is yes; None of one that is not told of now.
    breaker: BreakerState | None


class PostbacksAnswer(Struct, frozen=True):
    """Some postbacks, and where the next page begins."""

    postbacks: tuple[PostbackListed, ...]
    next: str | None


@post("/api/postbacks", sync_to_thread=True)
def add_postback(
    house: Here, request: Request[Any, Any, Any], data: JSONBody[AddPostback]
) -> PostbackAnswer:
    """Begin to tell a partner of what it brings from now on; the same again is the postback that stands.

    Hosts that are not of the public internet are allowed by the operator alone, at the command line.
    """
    if data.allowed_hosts and not _is_operator(request):
        raise _operator_allows("add")
    text = data.data if data.data is not None else folders.find_shipped(data.template).text
    said = postbacks.Said(
        data=text,
        triggers=data.triggers,
        settings=data.settings,
        events=data.events,
        allowed_hosts=data.allowed_hosts,
        callback_hosts=data.callback_hosts,
    )
    checked = _checked(said)
    return PostbackAnswer(
        house.change(lambda reg, _: postbacks.add(reg, data, checked, house.vault, house.chance))
    )


def _checked(said: postbacks.Said) -> postbacks.Checked:
    """What a postback that is added or changed is to say, once it is found to be whole. Raises Invalid."""
    if len(said.data) > PARTNER_CHARACTERS_MAX:
        raise Invalid(f"data has more than {PARTNER_CHARACTERS_MAX} characters", param="data")
    chosen = choose(said.data, said.settings, said.events, said.triggers)
    if chosen.data.callbacks != bool(said.callback_hosts):
        raise Invalid(
            f"{chosen.data.title} {'needs' if chosen.data.callbacks else 'has no use for'} callback hosts",
            param="callback_hosts",
        )
    allowed = checked_hosts(said.allowed_hosts, "allowed_hosts")
    callback = checked_hosts(said.callback_hosts, "callback_hosts")
    refuse_private({**dict.fromkeys(callback, "callback_hosts"), **chosen.hosts}, allowed)
    return postbacks.Checked(
        data=said.data,
        triggers=chosen.triggers,
        plain=chosen.plain,
        secret=chosen.secret,
        allowed_hosts=allowed,
        callback_hosts=callback,
        own_systems=chosen.data.own_systems,
    )


def _is_operator(request: Request[Any, Any, Any]) -> bool:
    scope: Any = request.scope
    return scope.get(TRUSTED) is True


def _operator_allows(verb: str) -> Forbidden:
    return Forbidden(
        f"only the operator may allow hosts; use `attribune postback {verb} --allow-host` on the machine",
        param="allowed_hosts",
    )


@patch("/api/postbacks/{postback_id:str}", sync_to_thread=True)
def edit_postback(
    house: Here,
    request: Request[Any, Any, Any],
    postback_id: FromPath[str],
    data: JSONBody[EditPostback],
) -> PostbackAnswer:
    """Change a postback's settings, hosts and pace, or tell of more; what waits goes out by that, and nothing is told twice.

    A key that changes settings gives every secret again, and leaves alone what the operator let into the own network.
    """
    is_operator = _is_operator(request)

    def change(registry: Registry, _: object) -> Made[shown.PostbackShown]:
        standing = postbacks.running(registry, postback_id)
        if not is_operator:
            _refuse_leading_elsewhere(standing, data)
        checked = _checked(postbacks.edited(standing, data, house.vault))
        return postbacks.edit(standing, data, checked, house.vault)

    return PostbackAnswer(house.change(change))


def _refuse_leading_elsewhere(standing: Postback, want: EditPostback) -> None:
    """A setting may be an address, so a key could send where it likes what only the operator knows or may reach."""
    if want.allowed_hosts is not UNSET:
        raise _operator_allows("edit")
    if not want.settings:
        return
    if standing.allowed_hosts:
        raise Forbidden(
            "this postback may reach hosts that the operator allowed; only the operator may change its settings, "
            "by `attribune postback edit` on the machine",
            param="settings",
        )
    if kept := standing.sealed.keys() - want.settings.keys():
        raise Forbidden(
            f"give {', '.join(sorted(kept))} again: who changes settings without the secrets could have them sent elsewhere",
            param="settings",
        )


@get("/api/postbacks", sync_to_thread=True)
def list_postbacks(
    house: Here,
    partner: FromQuery[str | None] = None,
    after: After = "",
    limit: Limit = ROWS_MAX,
) -> PostbacksAnswer:
    """Postbacks, of one partner or of all, and how their deliveries stand."""
    house.keeper.settle_outbox()
    registry = house.up_to_date()
    wanted = find.partner(registry, partner).id if partner is not None else None
    rows = (row for row in registry.postbacks.newest() if wanted is None or row.partner == wanted)
    found, next_ = page(rows, after, limit)
    counts = house.outbox().counts()
    breakers = {
        id_: state for role in house.keeper.status().roles for id_, state in role.breakers.items()
    }
    listed = [
        PostbackListed(
            **asdict(shown.postback(row)),
            deliveries=Standing(**{s.value: n for s, n in counts.get(row.id, {}).items()}),
            breaker=breakers.get(row.id),
        )
        for row in found
    ]
    return PostbacksAnswer(tuple(listed), next_)


@post("/api/postbacks/{postback_id:str}/pause", sync_to_thread=True, status_code=200)
def pause_postback(house: Here, postback_id: FromPath[str]) -> PostbackAnswer:
    """Hold a postback; what is to be told meanwhile is kept."""
    return PostbackAnswer(
        house.change(lambda reg, now: postbacks.pause(reg, postback_id, now, is_paused=True))
    )


@post("/api/postbacks/{postback_id:str}/resume", sync_to_thread=True, status_code=200)
def resume_postback(house: Here, postback_id: FromPath[str]) -> PostbackAnswer:
    """Let a postback go on."""
    return PostbackAnswer(
        house.change(lambda reg, now: postbacks.pause(reg, postback_id, now, is_paused=False))
    )


@post("/api/postbacks/{postback_id:str}/end", sync_to_thread=True, status_code=200)
def end_postback(house: Here, postback_id: FromPath[str]) -> PostbackAnswer:
    """Tell no more by a postback; what waits is given up."""
    return PostbackAnswer(house.change(lambda reg, _: postbacks.end(reg, postback_id)))


HANDLERS: tuple[Any, ...] = (
    preview,
    add_postback,
    edit_postback,
    list_postbacks,
    pause_postback,
    resume_postback,
    end_postback,
)
