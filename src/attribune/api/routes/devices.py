"""Test devices, people to be forgotten, and devices that had an app before Attribune was there."""

from __future__ import annotations

from litestar import get, post
from litestar.params import JSONBody
from msgspec import Struct

from attribune.api.here import Here
from attribune.model.codec import encode
from attribune.model.errors import Invalid
from attribune.model.position import Topic
from attribune.registry import devices, shown
from attribune.registry.requests import ForgetDevice, ImportDevices, SetTestDevice


class TestDeviceAnswer(Struct, frozen=True):
    """One test device."""

    device: shown.TestDeviceShown


class TestDevicesAnswer(Struct, frozen=True):
    """Every test device."""

    devices: tuple[shown.TestDeviceShown, ...]


class ForgottenAnswer(Struct, frozen=True):
    """Who is to be forgotten; the request is journaled."""

    forgotten: shown.ForgottenShown


class Imported(Struct, frozen=True):
    """How many devices were journaled."""

    devices: int


class ImportAnswer(Struct, frozen=True):
    """What an import did."""

    imported: Imported


@post("/api/devices/test", sync_to_thread=True, status_code=200)
def set_test_device(house: Here, data: JSONBody[SetTestDevice]) -> TestDeviceAnswer:
    """Register a test device of a product, or take it back."""
    return TestDeviceAnswer(house.change(lambda reg, _: devices.set_test_device(reg, data)))


@get("/api/devices/test", sync_to_thread=True)
def list_test_devices(house: Here) -> TestDevicesAnswer:
    """Every test device."""
    return TestDevicesAnswer(tuple(devices.test_devices(house.up_to_date())))


@post("/api/devices/forget", sync_to_thread=True, status_code=200)
def forget_device(house: Here, data: JSONBody[ForgetDevice]) -> ForgottenAnswer:
    """Forget the person behind a device id or an identifier: nothing more is measured of them, and views let go of them."""
    registry = house.up_to_date()
    record, shown_ = devices.forget(registry, data, house.clock.now_ms(), house.chance.token(8))
    house.journal.append([(Topic.ACTIVITY, encode(record))])
    return ForgottenAnswer(shown_)


@post("/api/devices/import", sync_to_thread=True, status_code=200)
def import_devices(house: Here, data: JSONBody[ImportDevices]) -> ImportAnswer:
    """Say which devices had an app before; a long list comes in several requests, each whole or not at all."""
    most = house.settings.batch_records_max
    if len(data.devices) > most:
        raise Invalid(f"at most {most} devices a request; send more requests", param="devices")
    known = devices.known_devices(house.up_to_date(), data, house.clock.now_ms())
    if known:
        house.journal.append([(Topic.ACTIVITY, encode(record)) for record in known])
    return ImportAnswer(Imported(len(known)))


HANDLERS = (set_test_device, list_test_devices, forget_device, import_devices)
