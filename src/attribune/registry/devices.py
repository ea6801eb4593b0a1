"""Test devices, people to be forgotten, and devices that had an app before Attribune was there."""

from __future__ import annotations

import re
from typing import Final

from attribune.model.activity import Device, Forget, KnownDevice, Sender
from attribune.model.control import App, TestDevice
from attribune.model.errors import Invalid
from attribune.model.ids import DeviceId, RecordId, UserId, derived
from attribune.registry import find, shown
from attribune.registry.made import Made
from attribune.registry.naming import text
from attribune.registry.requests import ForgetDevice, ImportDevices, ImportedDevice, SetTestDevice
from attribune.registry.view import Registry

#: Ids that a device may be known by beside its own.
ID_NAMES: Final = ("gaid", "idfa", "idfv", "oaid", "app_set_id", "android_id", "fire_adid")
_ZERO = re.compile(r"[0-]+\Z")


def set_test_device(registry: Registry, want: SetTestDevice) -> Made[shown.TestDeviceShown]:
    """Register a test device of a product, or take it back."""
    product = find.product_of(registry, want.app, want.product)
    id_ = text(want.id, "id")
    answer = shown.TestDeviceShown(id=id_, product=product, is_test=want.is_test)
    if registry.is_test(product, id_) == want.is_test:
        return Made((), answer)
    return Made((TestDevice(product=product, id=id_, is_test=want.is_test),), answer)


def test_devices(registry: Registry) -> list[shown.TestDeviceShown]:
    """Every registered test device."""
    return [
        shown.TestDeviceShown(id=found.id, product=found.product, is_test=True)
        for found in registry.test_devices.newest()
        if found.is_test
    ]


def forget(
    registry: Registry, want: ForgetDevice, now_ms: int, chance: bytes
) -> tuple[Forget, shown.ForgottenShown]:
    """The record that asks for a person to be forgotten. Which kind of id it is nobody needs to know."""
    product = find.product_of(registry, want.app, want.product)
    id_ = text(want.id, "id")
    apps = registry.apps_of(product)
    if not apps:
        raise Invalid("the product has no app, so nobody is known in it", param="product")
    app = find.app(registry, want.app) if want.app is not None else apps[0]
    record = Forget(
        id=RecordId(derived("forget", product, id_, chance.hex())),
        product=product,
        app=app.id,
        sender=Sender.OPERATOR,
        received_at_ms=now_ms,
        occurred_at_ms=now_ms,
        device=Device(id=DeviceId(id_), platform=app.platform, ids=dict.fromkeys(ID_NAMES, id_)),
        dialect="operator",
    )
    return record, shown.ForgottenShown(product=product)


def known_devices(registry: Registry, want: ImportDevices, now_ms: int) -> list[KnownDevice]:
    """Records that say which devices had an app before. Raises Invalid, naming the device by its place."""
    app = find.app(registry, want.app)
    return [
        _known(app, device, f"devices[{index}]", now_ms)
        for index, device in enumerate(want.devices)
    ]


def _known(app: App, given: ImportedDevice, param: str, now_ms: int) -> KnownDevice:
    ids = {name: _id(value, f"{param}.ids.{name}") for name, value in given.ids.items()}
    ids = {name: value for name, value in ids.items() if value}
    for name in ids:
        if name not in ID_NAMES:
            raise Invalid(f"{param}.ids takes {', '.join(ID_NAMES)}; not {name!r}", param=param)
    own = _id(given.id or "", f"{param}.id")
    if not own and not ids:
        raise Invalid(f"{param} needs an id that is not all zeros", param=param)
    if given.last_seen_at_ms is not None and not 0 <= given.last_seen_at_ms <= now_ms:
        raise Invalid(f"{param}.last_seen_at_ms must lie in the past", param=param)
    # Without its own id the device gets one that no SDK makes; its other ids are what it will be known by.
    named = own or derived("imported", *(f"{name}={ids[name]}" for name in sorted(ids)))
    said = [f"{name}={ids[name]}" for name in sorted(ids)] + [given.user_id or ""]
    return KnownDevice(
        id=RecordId(derived("known", app.id, named, *said)),
        product=app.product,
        app=app.id,
        sender=Sender.OPERATOR,
        received_at_ms=now_ms,
        occurred_at_ms=given.last_seen_at_ms or now_ms,
        device=Device(id=DeviceId(named), platform=app.platform, ids=ids),
        user_id=UserId(given.user_id) if given.user_id else None,
        dialect="import",
        last_seen_at_ms=given.last_seen_at_ms,
    )


def _id(value: str, param: str) -> str:
    """An id as given, or empty when it is absent or all zeros."""
    found = value.strip()
    if not found or _ZERO.match(found):
        return ""
    return text(found, param)
