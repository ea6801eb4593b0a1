"""How registered things are shown: without hashes, and with a secret only in the answer that made it."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from attribune.model.activity import Platform
from attribune.model.control import (
    App,
    Door,
    Key,
    KeyKind,
    Link,
    Partner,
    PartnerKind,
    Postback,
    Product,
    Scope,
)
from attribune.model.delivery import Trigger
from attribune.model.policy import Policy


class ProductShown(Struct, frozen=True, kw_only=True):
    """A product."""

    id: str
    name: str
    timezone: str
    currency: str


class AppShown(Struct, frozen=True, kw_only=True):
    """An app; ``key`` and ``signing_secret`` only in the answer that made them."""

    id: str
    product: str
    name: str
    platform: Platform
    store_id: str
    is_signed: bool
    origins: tuple[str, ...]
    apple_team_id: str | None
    sha256_cert_fingerprints: tuple[str, ...]
    key: str | UnsetType = UNSET
    signing_secret: str | UnsetType = UNSET


class PartnerShown(Struct, frozen=True, kw_only=True):
    """A partner; ``signing_secret`` only in the answer that made it."""

    id: str
    name: str
    kind: PartnerKind
    #: Whether links that the partner signs may steer.
    is_signing: bool
    signing_secret: str | UnsetType = UNSET


class LinkShown(Struct, frozen=True, kw_only=True):
    """A tracking link, with the addresses to hand out and where it leads now."""

    id: str
    product: str
    partner: str
    click_url: str
    impression_url: str
    campaign: str | None
    campaign_id: str | None
    adgroup: str | None
    adgroup_id: str | None
    creative: str | None
    creative_id: str | None
    site_id: str | None
    sub_site_id: str | None
    is_retargeting: bool
    #: Where people go now, by platform: the link's own targets, else the product's store pages.
    targets: dict[str, str]
    allowed_hosts: tuple[str, ...]
    allowed_networks: tuple[str, ...]
    opens: tuple[str, ...]
    deep_link: str | None
    is_disabled: bool


class KeyShown(Struct, frozen=True, kw_only=True):
    """A key; ``secret`` only in the answer that made it."""

    id: str
    kind: KeyKind
    app: str | None
    scopes: tuple[Scope, ...]
    created_at_ms: int
    ends_at_ms: int | None
    #: ``active``, ``ending`` (within its overlap) or ``ended``.
    state: str
    #: By an app, a server or a program, as far as is known. Milliseconds, UTC.
    last_used_at_ms: int | None
    #: The last four characters of the secret.
    hint: str
    secret: str | UnsetType = UNSET


class DoorShown(Struct, frozen=True, kw_only=True):
    """A door; ``key`` only in the answer that made it."""

    id: str
    app: str
    dialect: str
    url: str
    hint: str
    #: Whether it has one. Where the dialect holds nobody to it, the answer's ``notes`` say so.
    has_secret: bool
    maps: dict[str, str]
    allowed_hosts: tuple[str, ...]
    allowed_networks: tuple[str, ...]
    implies_open: bool
    is_trusted: bool
    is_disabled: bool
    key: str | UnsetType = UNSET


class PostbackShown(Struct, frozen=True, kw_only=True):
    """A postback; ``signing_secret`` only in the answer that made it."""

    id: str
    #: None is everybody's outcomes.
    partner: str | None
    template: str
    triggers: tuple[Trigger, ...]
    settings: dict[str, str]
    #: Names of the settings that are secret.
    secrets: tuple[str, ...]
    events: dict[str, str]
    only_events: tuple[str, ...]
    apps: tuple[str, ...]
    #: Whose decisions are told of: ``own``, or a vendor's.
    counts: str
    allowed_hosts: tuple[str, ...]
    callback_hosts: tuple[str, ...]
    is_signing: bool
    in_order: bool
    concurrency: int | None
    per_second: int | None
    #: ``active``, ``paused`` or ``ended``.
    state: str
    signing_secret: str | UnsetType = UNSET


class PolicyShown(Struct, frozen=True, kw_only=True):
    """The rules of a product and the name of their version."""

    product: str | None
    version: str
    #: When they were set. Milliseconds, UTC; None for the default that nobody set.
    policy: Policy


class ForgottenShown(Struct, frozen=True, kw_only=True):
    """Where somebody is to be forgotten from now on; whom, the answer does not keep."""

    product: str


class TestDeviceShown(Struct, frozen=True, kw_only=True):
    """An id registered for tests."""

    id: str
    product: str
    is_test: bool


def product(record: Product) -> ProductShown:
    """A product as shown."""
    return ProductShown(
        id=record.id, name=record.name, timezone=record.timezone, currency=record.currency
    )


def app(
    record: App, key: str | UnsetType = UNSET, signing_secret: str | UnsetType = UNSET
) -> AppShown:
    """An app as shown; the secrets only when it was just made."""
    return AppShown(
        id=record.id,
        product=record.product,
        name=record.name,
        platform=record.platform,
        store_id=record.store_id,
        is_signed=record.signing_secret is not None,
        origins=record.origins,
        apple_team_id=record.apple_team_id,
        sha256_cert_fingerprints=record.sha256_cert_fingerprints,
        key=key,
        signing_secret=signing_secret,
    )


def partner(record: Partner, signing_secret: str | UnsetType = UNSET) -> PartnerShown:
    """A partner as shown; the secret only when it was just made."""
    return PartnerShown(
        id=record.id,
        name=record.name,
        kind=record.kind,
        is_signing=record.signing_secret is not None,
        signing_secret=signing_secret,
    )


def link(record: Link, targets: dict[str, str], base_url: str) -> LinkShown:
    """A link as shown, with its addresses under the public base address."""
    return LinkShown(
        id=record.id,
        product=record.product,
        partner=record.partner,
        click_url=f"{base_url}/c/{record.id}",
        impression_url=f"{base_url}/i/{record.id}",
        campaign=record.campaign,
        campaign_id=record.campaign_id,
        adgroup=record.adgroup,
        adgroup_id=record.adgroup_id,
        creative=record.creative,
        creative_id=record.creative_id,
        site_id=record.site_id,
        sub_site_id=record.sub_site_id,
        is_retargeting=record.is_retargeting,
        targets=targets,
        allowed_hosts=record.allowed_hosts,
        allowed_networks=record.allowed_networks,
        opens=record.opens,
        deep_link=record.deep_link,
        is_disabled=record.is_disabled,
    )


def key(
    record: Key,
    now_ms: int,
    secret: str | UnsetType = UNSET,
    last_used_at_ms: int | None = None,
) -> KeyShown:
    """A key as shown; the secret only when it was just made."""
    ends = record.ends_at_ms
    return KeyShown(
        id=record.id,
        kind=record.kind,
        app=record.app,
        scopes=record.scopes,
        created_at_ms=record.created_at_ms,
        ends_at_ms=ends,
        state="active" if ends is None else "ending" if now_ms < ends else "ended",
        last_used_at_ms=last_used_at_ms,
        hint=record.hint,
        secret=secret,
    )


def door(record: Door, base_url: str, key: str | UnsetType = UNSET) -> DoorShown:
    """A door as shown, with the address that a client is given."""
    return DoorShown(
        id=record.id,
        app=record.app,
        dialect=record.dialect,
        url=f"{base_url}/in/{record.dialect}/{record.id}",
        hint=record.hint,
        has_secret=record.sealed_secret is not None,
        maps=record.maps,
        allowed_hosts=record.allowed_hosts,
        allowed_networks=record.allowed_networks,
        implies_open=record.implies_open,
        is_trusted=record.is_trusted,
        is_disabled=record.is_disabled,
        key=key,
    )


def postback(record: Postback, signing_secret: str | UnsetType = UNSET) -> PostbackShown:
    """A postback as shown."""
    return PostbackShown(
        id=record.id,
        partner=record.partner,
        template=record.template,
        triggers=record.triggers,
        settings=record.settings,
        secrets=tuple(sorted(record.sealed)),
        events=record.events,
        only_events=record.only_events,
        apps=record.apps,
        counts=record.counts.value,
        allowed_hosts=record.allowed_hosts,
        callback_hosts=record.callback_hosts,
        is_signing=record.sealed_signing_secret is not None,
        in_order=record.in_order,
        concurrency=record.concurrency,
        per_second=record.per_second,
        state="ended" if record.is_ended else "paused" if record.is_paused else "active",
        signing_secret=signing_secret,
    )
