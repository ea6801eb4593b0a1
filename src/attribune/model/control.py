"""Control: what people change. Journaled, so that every view of it can be made again and asked as of any position."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from attribune.model.activity import Platform
from attribune.model.delivery import Trigger
from attribune.model.ids import (
    AppId,
    ConversionId,
    DeliveryId,
    DoorId,
    KeyId,
    LinkId,
    PartnerId,
    PolicyVersion,
    Position,
    PostbackId,
    ProductId,
    TouchId,
)
from attribune.model.offer import Counts, LedgerRecord
from attribune.model.policy import Policy


class PartnerKind(StrEnum):
    """What a partner is."""

    #: An ad network.
    NETWORK = "network"
    #: An affiliate or a publisher who is paid by result.
    AFFILIATE = "affiliate"
    #: An agency that buys for the advertiser.
    AGENCY = "agency"
    #: A channel of the advertiser's own: mail, site, social account.
    OWNED = "owned"
    #: A network that answers with claims of its own.
    SELF_ATTRIBUTING = "self_attributing"


class KeyKind(StrEnum):
    """What a key may do."""

    #: Ships inside apps: writes that app's records and asks for one device's attribution.
    APP = "app"
    #: Of the operator's servers: sends touches and claims too, sets address and user agent, binds users.
    SERVER = "server"
    #: Of programs: speaks to the API on the web port, within its scopes.
    API = "api"


class Scope(StrEnum):
    """What an API key may do."""

    #: Ask: reports, stories, lists, status.
    READ = "read"
    #: Change: register, set rules, correct, rebuild.
    WRITE = "write"


class Product(Struct, frozen=True, kw_only=True, tag="product", omit_defaults=True):
    """What a person installs and what is advertised."""

    id: ProductId
    name: str
    #: IANA name; its days are the report's days.
    timezone: str = "UTC"
    #: ISO 4217; the currency a money field without one is read in.
    currency: str = "USD"


class App(Struct, frozen=True, kw_only=True, tag="app", omit_defaults=True):
    """One application on one store, or one web site, of a product."""

    id: AppId
    product: ProductId
    name: str
    platform: Platform
    #: Package name, App Store number, or the site's address.
    store_id: str
    #: When set, records with an app key must be signed with it (``Attribune-Signature``).
    signing_secret: str | None = None
    #: Browser origins that may send records of this app (web apps).
    origins: tuple[str, ...] = ()
    #: Apple team prefix and certificate fingerprints for the well-known pages.
    apple_team_id: str | None = None
    sha256_cert_fingerprints: tuple[str, ...] = ()


class FormerSecret(Struct, frozen=True, kw_only=True):
    """A signing secret that has a successor and still holds for a while."""

    signing_secret: str
    #: From then on it signs nothing. Milliseconds, UTC.
    ends_at_ms: int


class Partner(Struct, frozen=True, kw_only=True, tag="partner", omit_defaults=True):
    """Who brings traffic and may be paid or told."""

    id: PartnerId
    name: str
    kind: PartnerKind
    #: When set, links that the partner signs with it may steer.
    signing_secret: str | None = None
    #: Its predecessors within their overlap.
    former_secrets: tuple[FormerSecret, ...] = ()


class Link(Struct, frozen=True, kw_only=True, tag="link", omit_defaults=True):
    """A tracking link of a product: partner, campaign and where the person goes."""

    id: LinkId
    product: ProductId
    partner: PartnerId
    campaign: str | None = None
    campaign_id: str | None = None
    adgroup: str | None = None
    adgroup_id: str | None = None
    creative: str | None = None
    creative_id: str | None = None
    site_id: str | None = None
    sub_site_id: str | None = None
    is_retargeting: bool = False
    #: Where the person goes by platform (``android``, ``ios``, ``web``, ``other``); ``other`` is also the fallback.
    targets: dict[str, str] = field(default_factory=dict)
    #: Hosts that a ``redirect`` parameter of the query may lead to.
    allowed_hosts: tuple[str, ...] = ()
    #: Addresses or networks whose hits may steer windows, cost, address and user agent.
    allowed_networks: tuple[str, ...] = ()
    #: Steering fields that this link opens to everybody.
    opens: tuple[str, ...] = ()
    #: Where the app should take the person; handed to the SDK with the attribution.
    deep_link: str | None = None
    #: What the app is told beside it, as JSON text by name.
    deep_link_data: dict[str, str] = field(default_factory=dict)
    is_disabled: bool = False


class Key(Struct, frozen=True, kw_only=True, tag="key", omit_defaults=True):
    """A key, known to us by its hash only."""

    id: KeyId
    kind: KeyKind
    #: SHA-256 of the secret, in hex.
    sha256: str
    #: The app it speaks for; None for API keys.
    app: AppId | None = None
    scopes: tuple[Scope, ...] = ()
    created_at_ms: int = 0
    #: After this it is refused: at once when revoked, after the overlap when rotated. Milliseconds, UTC.
    ends_at_ms: int | None = None
    #: The last four characters of the secret, so that people can tell keys apart.
    hint: str = ""


class Door(Struct, frozen=True, kw_only=True, tag="door", omit_defaults=True):
    """An inlet that speaks a client library's own language for one app."""

    id: DoorId
    app: AppId
    dialect: str
    #: SHA-256 of the client's own key (Segment's write key), in hex.
    sha256: str
    hint: str = ""
    #: What its clients sign with, sealed; None when nothing is signed.
    sealed_secret: str | None = None
    #: What the client's names mean here, by ``kind:name``: ``event:e1e2e3`` → ``purchase``.
    maps: dict[str, str] = field(default_factory=dict)
    #: Hosts that links made through it may lead to.
    allowed_hosts: tuple[str, ...] = ()
    #: Addresses or networks that it hears; none is all.
    allowed_networks: tuple[str, ...] = ()
    #: Events of a device not seen before imply an open.
    implies_open: bool = False
    #: Addresses that the sender states, and users it names, are believed.
    is_trusted: bool = False
    is_disabled: bool = False

    def mapped(self, kind: str, name: str) -> str | None:
        """What a name of the client's means here, or None when nothing was said of it."""
        return self.maps.get(f"{kind}:{name}")

    def event(self, name: str) -> str:
        """What an event of the client's is called here: as the door maps its name, else by that."""
        return self.mapped("event", name) or name


class PolicySet(Struct, frozen=True, kw_only=True, tag="policy"):
    """The rules of a product from here on."""

    product: ProductId
    version: PolicyVersion
    policy: Policy


class TestDevice(Struct, frozen=True, kw_only=True, tag="test_device"):
    """An id (of a device, or an advertising id) whose every new installation counts as an install."""

    product: ProductId
    id: str
    is_test: bool = True


class Correct(Struct, frozen=True, kw_only=True, tag="correct", omit_defaults=True):
    """A person gives a conversion to another touch, or to nobody."""

    conversion: ConversionId
    product: ProductId
    #: None means organic.
    to: TouchId | None
    reason: str
    #: Who says so: the name of the command or of the key.
    by: str
    #: Ours, made anew for each; a refusal names it.
    id: str
    #: It was fraud: who had it is told that it was refused. What was journaled before there was a choice says nothing.
    is_rejected: bool = False


class Tick(Struct, frozen=True, kw_only=True, tag="tick"):
    """Time passed without a record, so that what was held can be let go at a place in the journal."""

    at_ms: int


class Retold(Struct, frozen=True, kw_only=True, tag="retold"):
    """Records that could not be judged, by a mistake of ours, stand in the journal again, appended with this."""

    #: Where they stood.
    places: tuple[Position, ...]
    #: Who told them again: the name of the command or of the key.
    by: str


class Postback(Struct, frozen=True, kw_only=True, tag="postback", omit_defaults=True):
    """What one partner is told, of what, where and how. Holds for outcomes that stand behind it."""

    id: PostbackId
    #: Whose outcomes; None is everybody's, for the operator's own systems.
    partner: PartnerId | None = None
    #: The name of the partner's data, and its text, kept whole so that nothing else is needed to tell.
    template: str
    data: str
    triggers: tuple[Trigger, ...]
    settings: dict[str, str] = field(default_factory=dict)
    #: Settings that are secret, sealed.
    sealed: dict[str, str] = field(default_factory=dict)
    #: The app's event name → the partner's, beside those of the data.
    events: dict[str, str] = field(default_factory=dict)
    #: Only these events, by the app's names; none is all.
    only_events: tuple[str, ...] = ()
    #: Only outcomes of these apps; none is all.
    apps: tuple[AppId, ...] = ()
    #: Whose decisions are told of: ours, or a vendor's.
    counts: Counts = Counts.OWN
    #: Hosts that need not be of the public internet.
    allowed_hosts: tuple[str, ...] = ()
    #: Hosts that a callback address on a click may lead to; with them, those addresses are called in place of the data's own.
    callback_hosts: tuple[str, ...] = ()
    #: What requests are signed with, sealed.
    sealed_signing_secret: str | None = None
    #: A device's deliveries go out one after the other, in order.
    in_order: bool = False
    #: Requests under way at a time at the partner, those of all its postbacks together; None is what others say, or 8.
    concurrency: int | None = None
    #: Requests a second, of all of them together; None is what others say, or as many as the partner takes.
    per_second: int | None = None
    is_paused: bool = False
    #: When it went on after it was paused: how long deliveries are tried counts from there. Milliseconds, UTC.
    resumed_at_ms: int = 0
    #: Nothing more is told, and what waits is given up.
    is_ended: bool = False


class Redelivery(Struct, frozen=True, kw_only=True, tag="redelivery"):
    """A person wants deliveries to be sent again, whatever came of them."""

    deliveries: tuple[DeliveryId, ...]
    #: Who says so: the name of the command or of the key.
    by: str


ControlRecord = (
    Product
    | App
    | Partner
    | Link
    | Key
    | Door
    | PolicySet
    | TestDevice
    | Correct
    | Tick
    | Retold
    | LedgerRecord
    | Postback
    | Redelivery
)


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A control record as journaled: what changed, when by our clock."""

    at_ms: int
    record: ControlRecord
    #: Through which an app made it; None where the operator, a server or we did.
    door: DoorId | None = None
