"""Products, their apps, and partners: pure verbs from a request to the records that journal it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import UNSET

from attribune.model.activity import Platform
from attribune.model.control import App, KeyKind, Partner, Product
from attribune.model.errors import Conflict, Invalid, NotFound
from attribune.model.ids import AppId, PartnerId, ProductId
from attribune.model.money import DECIMALS
from attribune.ports import Chance
from attribune.registry import find, shown
from attribune.registry.keys import make_key
from attribune.registry.made import Made
from attribune.registry.naming import letters, optional, readable_id, text
from attribune.registry.requests import AddApp, AddPartner
from attribune.registry.targets import checked_url, store_id
from attribune.registry.view import Registry

NAME_CHARACTERS_MAX: Final = 100
ORIGINS_MAX: Final = 64
#: 160 bits.
_SIGNING_SECRET_LETTERS: Final = 32
_TEAM = re.compile(r"[A-Z0-9]{10}\Z", re.ASCII)
_FINGERPRINT = re.compile(r"([0-9A-F]{2}:){31}[0-9A-F]{2}\Z", re.ASCII)


def add_app(registry: Registry, want: AddApp, chance: Chance, now_ms: int) -> Made[shown.AppShown]:
    """Register an app with its first key; with a new product unless it joins one.

    Raises Invalid, Conflict when the product has an app of that store id.
    """
    product, is_new = _product(registry, want, chance)
    app = _app(registry, want, product, chance)
    for other in registry.apps_of(product.id):
        if (other.platform, other.store_id) == (app.platform, app.store_id):
            raise Conflict(
                f"app {other.id} of product {product.id} has {app.platform} store id {app.store_id} already",
                param="store_id",
            )
    key, secret = make_key(registry, KeyKind.APP, app.id, (), chance, now_ms)
    records = (product, app, key) if is_new else (app, key)
    return Made(records, shown.app(app, secret, app.signing_secret or UNSET))


def _product(registry: Registry, want: AddApp, chance: Chance) -> tuple[Product, bool]:
    """The product an app belongs to, and whether it is new."""
    if want.product is not None:
        try:
            product = find.product(registry, want.product)
        except NotFound:
            return _new_product(registry, want, want.product, chance), True
        _refuse_other(product.timezone, want.timezone, product, "timezone")
        _refuse_other(product.currency, want.currency, product, "currency")
        return product, False
    return _new_product(registry, want, want.name, chance), True


def _refuse_other(stands: str, wanted: str | None, product: Product, param: str) -> None:
    if wanted is not None and wanted != stands:
        raise Conflict(
            f"product {product.id} has {param} {stands}, since its first app; leave {param} out",
            param=param,
        )


def _new_product(registry: Registry, want: AddApp, name: str, chance: Chance) -> Product:
    named = text(name, "product" if want.product else "name", NAME_CHARACTERS_MAX)
    return Product(
        id=ProductId(readable_id(named, registry.products, chance)),
        name=named,
        timezone=_timezone(want.timezone or "UTC"),
        currency=_currency(want.currency or "USD"),
    )


def _app(registry: Registry, want: AddApp, product: Product, chance: Chance) -> App:
    name = text(want.name, "name", NAME_CHARACTERS_MAX)
    store = store_id(want.platform, want.store_id)
    return App(
        id=AppId(readable_id(f"{name} {want.platform}", registry.apps, chance)),
        product=product.id,
        name=name,
        platform=want.platform,
        store_id=store,
        signing_secret=f"ss_{letters(chance, _SIGNING_SECRET_LETTERS)}" if want.is_signed else None,
        origins=_origins(want, store),
        apple_team_id=_matching(
            _TEAM, want.apple_team_id, "apple_team_id", "ten capitals or digits"
        ),
        sha256_cert_fingerprints=_fingerprints(want.sha256_cert_fingerprints),
    )


def _origins(want: AddApp, store: str) -> tuple[str, ...]:
    """The browser origins of an app; a site's own is the first."""
    given = [_origin(origin) for origin in want.origins]
    if want.platform is Platform.WEB:
        given.insert(0, _origin(store))
    if len(given) > ORIGINS_MAX:
        raise Invalid(f"an app may have at most {ORIGINS_MAX} origins", param="origins")
    return tuple(dict.fromkeys(given))


def _origin(url: str) -> str:
    parts = urlsplit(checked_url(url.strip(), "origins"))
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _fingerprints(given: tuple[str, ...]) -> tuple[str, ...]:
    param = "sha256_cert_fingerprints"
    checked = (_matching(_FINGERPRINT, one.upper(), param, "32 bytes as AA:BB:…") for one in given)
    return tuple(one for one in checked if one)


def _matching(form: re.Pattern[str], value: str | None, param: str, words: str) -> str | None:
    found = optional(value, param)
    if found is not None and not form.match(found):
        raise Invalid(f"{param} must be {words}", param=param)
    return found


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            f"{name!r} is no time zone; give an IANA name such as Europe/Berlin", param="timezone"
        ) from None
    return name


def _currency(code: str) -> str:
    if code not in DECIMALS:
        raise Invalid(f"{code!r} is no ISO 4217 currency; give one such as EUR", param="currency")
    return code


def add_partner(registry: Registry, want: AddPartner, chance: Chance) -> Made[shown.PartnerShown]:
    """Register a partner; the same one again is the one that stands. Raises Conflict when its kind differs."""
    name = text(want.name, "name", NAME_CHARACTERS_MAX)
    for other in registry.partners.newest():
        if other.name.casefold() != name.casefold():
            continue
        if other.kind is want.kind and other.name == name:
            return Made((), shown.partner(other))
        raise Conflict(
            f"partner {other.id} has the name {other.name!r} and kind {other.kind}; choose another name",
            param="name",
        )
    partner = Partner(
        id=PartnerId(readable_id(name, registry.partners, chance)), name=name, kind=want.kind
    )
    return Made((partner,), shown.partner(partner))
