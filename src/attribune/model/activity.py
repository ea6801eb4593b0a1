"""Activity: what apps, servers and networks report. Everything journaled from outside that is not a touch."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from attribune.model.ids import AppId, DeviceId, PartnerId, ProductId, RecordId, TouchId, UserId
from attribune.model.money import Money
from attribune.model.policy import MatchMethod
from attribune.model.touch import Part, TouchKind


class Platform(StrEnum):
    """Where an app runs."""

    #: Phones and tablets of Android.
    ANDROID = "android"
    #: iPhones and iPads.
    IOS = "ios"
    #: Browsers.
    WEB = "web"
    #: Televisions, consoles and computers; the record keeps the name the client gave.
    OTHER = "other"


class Sender(StrEnum):
    """Whose key a record came with; decides what it may steer."""

    #: An app key: ships inside apps and is no secret.
    APP = "app"
    #: A server key: may set address and user agent and bind a user.
    SERVER = "server"
    #: The operator, by a command.
    OPERATOR = "operator"


class ReferrerSource(StrEnum):
    """Which store or network handed the referrer to the app."""

    #: Google Play's install referrer.
    PLAY = "play"
    #: Meta's install referrer.
    META = "meta"
    #: Apple: the token of AdServices.
    APPLE = "apple"
    #: Huawei AppGallery.
    HUAWEI = "huawei"
    #: Samsung Galaxy Store.
    SAMSUNG = "samsung"
    #: Xiaomi GetApps.
    XIAOMI = "xiaomi"
    #: vivo App Store.
    VIVO = "vivo"
    #: HONOR App Market.
    HONOR = "honor"
    #: Any other store or network.
    OTHER = "other"


class Device(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One installation of an app and what it says of itself."""

    id: DeviceId
    platform: Platform
    os_version: str | None = None
    model: str | None = None
    #: Advertising, vendor and app-set ids by our names (``gaid``, ``idfa``, ``idfv``, ``oaid``, ``app_set_id`` …).
    ids: dict[str, str] = field(default_factory=dict)
    att_status: str | None = None
    locale: str | None = None
    timezone: str | None = None


class Referrer(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What a store says of the way that led to the download. Times in milliseconds, UTC; absent when unknown."""

    source: ReferrerSource
    value: str
    click_at_ms: int | None = None
    install_begin_at_ms: int | None = None
    #: By the store's own clock: the pair to trust.
    click_server_at_ms: int | None = None
    install_begin_server_at_ms: int | None = None


class _Said(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What every activity record carries."""

    #: Made by the sender; the same record sent again counts once.
    id: RecordId
    product: ProductId
    app: AppId
    sender: Sender
    #: When we saw it, by our clock. Milliseconds, UTC.
    received_at_ms: int
    #: When it happened, corrected by ``sent_at`` and never after receipt. Milliseconds, UTC.
    occurred_at_ms: int
    #: The time as given, when the correction changed it.
    given_at_ms: int | None = None
    device: Device | None = None
    #: Binds a person only from a server key; from an app it is kept as said.
    user_id: UserId | None = None
    ip: str | None = None
    user_agent: str | None = None
    app_version: str | None = None
    app_build: str | None = None
    sdk: str | None = None
    #: The language it was told in: ``native``, ``segment`` …
    dialect: str = "native"
    #: Unknown fields, as JSON text by name.
    extra: dict[str, str] = field(default_factory=dict)
    part: Part | None = None
    #: Its personal fields were taken out (see ``model.scrub``): what was decided of it stands as recorded.
    is_scrubbed: bool = False


class Open(_Said, frozen=True, kw_only=True, tag="open", omit_defaults=True):
    """The app was started."""

    device: Device
    referrers: tuple[Referrer, ...] = ()
    #: The universal or app link that opened the app.
    link_opened: str | None = None


class Event(_Said, frozen=True, kw_only=True, tag="event", omit_defaults=True):
    """A named happening in the app, perhaps with revenue."""

    name: str
    revenue: Money | None = None
    #: The same conversion told twice, from whatever app or web, carries the same one.
    transaction_id: str | None = None
    #: Parameters, as JSON text by name.
    params: dict[str, str] = field(default_factory=dict)
    #: A door may say that its events imply an open.
    implies_open: bool = False
    #: Our id of the click that led to it, from a server key; then no device needs to be named.
    touch_id: TouchId | None = None
    #: Told by a server by ``transaction_id`` alone: it is of whoever placed that order.
    by_order: bool = False


class Consent(_Said, frozen=True, kw_only=True, tag="consent", omit_defaults=True):
    """What a person allows. Absent means unchanged."""

    device: Device
    measurement: bool | None = None
    sharing: bool | None = None
    #: Single partners who may be told or not, by name or id. A no to sharing stands above each yes.
    partners: dict[str, bool] = field(default_factory=dict)
    tcf: str | None = None


class Evidence(_Said, frozen=True, kw_only=True, tag="evidence", omit_defaults=True):
    """A referrer or an opened link told apart from the open it belongs to, in any order with it."""

    device: Device
    referrers: tuple[Referrer, ...] = ()
    link_opened: str | None = None


class Claim(_Said, frozen=True, kw_only=True, tag="claim", omit_defaults=True):
    """A network (or Apple's AdServices) says that its touch led to this device's install.

    Competes as a touch; it is not the decision.
    """

    device: Device
    partner: PartnerId
    kind: TouchKind
    #: When the claimed touch happened. Milliseconds, UTC.
    touch_at_ms: int
    partner_click_id: str | None = None
    campaign: str | None = None
    campaign_id: str | None = None
    adgroup: str | None = None
    adgroup_id: str | None = None
    creative: str | None = None
    creative_id: str | None = None
    is_retargeting: bool = False


class KnownDevice(_Said, frozen=True, kw_only=True, tag="known", omit_defaults=True):
    """A device that had the app before Attribune was there: its next open is not an install."""

    device: Device
    last_seen_at_ms: int | None = None


class Vendor(StrEnum):
    """Another measurement partner, or a platform that tells what it decided."""

    #: Adjust.
    ADJUST = "adjust"
    #: AppsFlyer.
    APPSFLYER = "appsflyer"
    #: Branch.
    BRANCH = "branch"
    #: Kochava.
    KOCHAVA = "kochava"
    #: Singular.
    SINGULAR = "singular"
    #: Tenjin.
    TENJIN = "tenjin"
    #: Whoever speaks Segment's ``Install Attributed``.
    SEGMENT = "segment"
    #: impact.com.
    IMPACT = "impact"


class ForeignKind(StrEnum):
    """What a foreign conversion is of."""

    #: An install.
    INSTALL = "install"
    #: The app came back onto a device.
    REINSTALL = "reinstall"
    #: A person's return that gave the device a new source.
    REATTRIBUTION = "reattribution"
    #: The return of a device that has the app.
    REENGAGEMENT = "reengagement"
    #: A named event, perhaps with revenue.
    EVENT = "event"
    #: A start of the app that was nothing else.
    SESSION = "session"
    #: The app was removed.
    UNINSTALL = "uninstall"
    #: The vendor gave an install to another source than it had said before.
    UPDATE = "update"
    #: An install, reattribution or event that the vendor found to be fraud.
    REJECTED = "rejected"


class ForeignSource(StrEnum):
    """What a vendor says of where a conversion came from."""

    #: A network brought it, and it is named.
    ATTRIBUTED = "attributed"
    #: Nobody brought it.
    ORGANIC = "organic"
    #: A network brought it whom the vendor may not name. Never to be read as organic.
    RESTRICTED = "restricted"
    #: The vendor does not say.
    UNKNOWN = "unknown"


class ForeignConversion(_Said, frozen=True, kw_only=True, tag="foreign", omit_defaults=True):
    """What another measurement partner decided. It stands beside our own decisions and is never part of them.

    Its id is made of (vendor, app, device or install, kind, event, second, transaction), since vendors give none: however and
    whenever it is told again, it is the same one.
    """

    vendor: Vendor
    kind: ForeignKind
    source: ForeignSource
    #: The vendor's own id of the device (adid, appsflyer_id …).
    vendor_device_id: str | None = None
    #: Advertising, vendor and app-set ids by our names.
    ids: dict[str, str] = field(default_factory=dict)
    #: The event's name.
    name: str | None = None
    revenue: Money | None = None
    transaction_id: str | None = None
    #: Who brought it, as the vendor names them.
    network: str | None = None
    campaign: str | None = None
    campaign_id: str | None = None
    adgroup: str | None = None
    adgroup_id: str | None = None
    creative: str | None = None
    creative_id: str | None = None
    site_id: str | None = None
    sub_site_id: str | None = None
    touch_kind: TouchKind | None = None
    #: When the touch happened that the vendor credits, and when it saw the install. Milliseconds, UTC.
    touch_at_ms: int | None = None
    installed_at_ms: int | None = None
    #: How the vendor says that it was joined, and what that is in our words.
    method_said: str | None = None
    method: MatchMethod | None = None
    partner_click_id: str | None = None
    #: Our id of the touch, when it was carried along.
    touch_id: TouchId | None = None
    #: The partner of ours that a map of the door or the import names for the network.
    mapped_partner: PartnerId | None = None
    country: str | None = None
    os_version: str | None = None
    #: Why the vendor rejected it.
    rejected_because: str | None = None
    #: False for the second credit of an event that the vendor credits twice.
    is_primary: bool = True


class Forget(_Said, frozen=True, kw_only=True, tag="forget", omit_defaults=True):
    """A person is to be forgotten: the device named, and whoever else its identifiers lead to when no app key sent it.

    The operator may not know what kind of id it is: then it stands as the device's and under every kind of identifier.
    """

    device: Device


Activity = Open | Event | Consent | Evidence | Claim | KnownDevice | Forget | ForeignConversion
