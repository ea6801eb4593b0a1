"""What people ask the registry to change: bodies of the API, one struct per verb. Unknown fields are refused by name."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field

from attribune.model.activity import Platform
from attribune.model.control import KeyKind, PartnerKind, Scope
from attribune.model.delivery import Trigger
from attribune.model.offer import Counts


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body of the API."""


class AddApp(Request, frozen=True, kw_only=True):
    """Register an app, and its product unless it joins one."""

    name: str
    platform: Platform
    #: Package name, App Store number, or the site's address.
    store_id: str
    #: Id or name of the product it joins; a new product of that name when there is none.
    product: str | None = None
    #: IANA name. Of a new product.
    timezone: str | None = None
    #: ISO 4217. Of a new product.
    currency: str | None = None
    #: Browser origins that may send records of a web app; a site's own is always one.
    origins: tuple[str, ...] = ()
    #: Records with an app key must be signed; the answer carries the secret once.
    is_signed: bool = False
    apple_team_id: str | None = None
    sha256_cert_fingerprints: tuple[str, ...] = ()


class AddPartner(Request, frozen=True, kw_only=True):
    """Register a partner."""

    name: str
    kind: PartnerKind = PartnerKind.NETWORK


class SignPartner(Request, frozen=True, kw_only=True):
    """Make a partner's signing secret, the first or in another's place; the old one holds for the overlap."""

    overlap_ms: int = 86_400_000


class LinkWords(Request, frozen=True, kw_only=True):
    """What a link says, as far as it is said; an empty text takes a word away."""

    campaign: str | UnsetType = UNSET
    campaign_id: str | UnsetType = UNSET
    adgroup: str | UnsetType = UNSET
    adgroup_id: str | UnsetType = UNSET
    creative: str | UnsetType = UNSET
    creative_id: str | UnsetType = UNSET
    site_id: str | UnsetType = UNSET
    sub_site_id: str | UnsetType = UNSET
    is_retargeting: bool | UnsetType = UNSET
    #: Where the person goes, by platform; platforms left out go to the product's store pages.
    targets: dict[str, str] | UnsetType = UNSET
    #: Hosts that a ``redirect`` parameter of the query may lead to.
    allowed_hosts: tuple[str, ...] | UnsetType = UNSET
    #: Addresses or networks whose hits may steer windows, cost, address and user agent.
    allowed_networks: tuple[str, ...] | UnsetType = UNSET
    #: Steering fields that this link opens to everybody.
    opens: tuple[str, ...] | UnsetType = UNSET
    deep_link: str | UnsetType = UNSET


class AddLink(LinkWords, frozen=True, kw_only=True):
    """Make a tracking link of an app's product."""

    #: Any app of the product; or give the product itself.
    app: str | None = None
    product: str | None = None
    #: Id or name.
    partner: str


class EditLink(LinkWords, frozen=True, kw_only=True):
    """Change what a link says from now on."""

    is_disabled: bool | UnsetType = UNSET


class AddKey(Request, frozen=True, kw_only=True):
    """Make a key; its secret is in the answer and nowhere else."""

    kind: KeyKind
    #: The app it speaks for; none for kind ``api``.
    app: str | None = None
    #: Of kind ``api``: ``read``, ``write``.
    scopes: tuple[Scope, ...] = ()


class RotateKey(Request, frozen=True, kw_only=True):
    """Make a key in another's place; the old one holds for the overlap."""

    overlap_ms: int = 86_400_000


class AddDoor(Request, frozen=True, kw_only=True):
    """Make an inlet that speaks a client library's own language for one app."""

    app: str
    dialect: str
    #: The client's own key, such as Segment's write key; made when left out.
    key: str | None = None
    #: What its clients sign with, where the dialect signs.
    secret: str | None = None
    #: What the client's names mean here, by ``kind:name``, such as ``event:e1e2e3`` → ``purchase``.
    maps: dict[str, str] = field(default_factory=dict)
    #: Hosts that links made through it may lead to.
    allowed_hosts: tuple[str, ...] = ()
    #: Addresses or networks that it hears; all when left out.
    allowed_networks: tuple[str, ...] = ()
    #: Events of a device not seen before imply an open.
    implies_open: bool = False
    #: Addresses that the sender states, and users it names, are believed.
    is_trusted: bool = False


class AddPostback(Request, frozen=True, kw_only=True):
    """Begin to tell a partner of what it brought."""

    #: Id or name; none with ``all_partners``.
    partner: str | None = None
    #: Whoever is credited, organic too: for the operator's own systems.
    all_partners: bool = False
    #: The name of the partner's data, one that is shipped or that of ``data``.
    template: str
    #: The text of a ``partner.toml`` of one's own.
    data: str | None = None
    #: What is told of; all that the data can when left out.
    triggers: tuple[Trigger, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    #: The app's event name → the partner's.
    events: dict[str, str] = field(default_factory=dict)
    #: Only these events, by the app's names.
    only_events: tuple[str, ...] = ()
    #: Only these apps, by id or name.
    apps: tuple[str, ...] = ()
    #: Whose decisions are told of: ours, or a vendor's.
    counts: Counts = Counts.OWN
    #: Hosts that need not be of the public internet.
    allowed_hosts: tuple[str, ...] = ()
    #: Hosts that addresses on clicks may lead to.
    callback_hosts: tuple[str, ...] = ()
    #: Sign requests; the answer carries the secret once. Left out, those to one's own systems are signed.
    sign: bool | None = None
    in_order: bool = False
    #: Of all the partner's postbacks together; None or 0 says none.
    concurrency: int | None = None
    per_second: int | None = None


class EditPostback(Request, frozen=True, kw_only=True):
    """Change where and how a partner is told, and what waits with it. What it is told of may only become more."""

    #: Beside those that stand; None takes one away.
    settings: dict[str, str | None] = field(default_factory=dict)
    #: What is told of too, of outcomes from now on.
    more_triggers: tuple[Trigger, ...] = ()
    #: Of a postback that tells of some events only: these too.
    more_events: tuple[str, ...] = ()
    #: These and no others.
    allowed_hosts: tuple[str, ...] | UnsetType = UNSET
    callback_hosts: tuple[str, ...] | UnsetType = UNSET
    in_order: bool | UnsetType = UNSET
    #: 0 takes the word back, of either.
    concurrency: int | UnsetType = UNSET
    per_second: int | UnsetType = UNSET


class SetPolicy(Request, frozen=True, kw_only=True):
    """Set a product's rules from now on: a preset, or a policy of one's own."""

    preset: str | None = None
    #: Fields of a policy; those left out keep the preset's value, or the default's.
    policy: dict[str, object] | None = None


class SetTestDevice(Request, frozen=True, kw_only=True):
    """Register an id whose every new installation counts as an install, or take it back."""

    id: str
    app: str | None = None
    product: str | None = None
    is_test: bool = True


class ForgetDevice(Request, frozen=True, kw_only=True):
    """Forget the person behind a device id or an identifier; what was decided before stands."""

    id: str
    app: str | None = None
    product: str | None = None


class ImportedDevice(Request, frozen=True, kw_only=True):
    """A device that had the app before Attribune was there."""

    #: Made by the SDK; may be left out when another id is given.
    id: str | None = None
    #: Advertising, vendor and app-set ids by our names (``gaid``, ``idfa``, ``idfv`` …).
    ids: dict[str, str] = field(default_factory=dict)
    user_id: str | None = None
    #: Milliseconds, UTC.
    last_seen_at_ms: int | None = None


class ImportDevices(Request, frozen=True, kw_only=True):
    """Say which devices had an app before; sending the same again changes nothing."""

    app: str
    devices: tuple[ImportedDevice, ...]
