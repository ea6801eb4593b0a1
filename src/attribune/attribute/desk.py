"""The attributor's desk: typed access to the store, with what this batch has changed lying on top.

All that is remembered goes through here, and is committed together with the position it stands at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from attribune.attribute.batch import ROWS_MAX, Batch
from attribune.attribute.keys import id_key, week
from attribune.attribute.rows import (
    ADDRESS,
    CONVERSION,
    CREDITED,
    CUSTOMER,
    DEVICE,
    DUE,
    FOLLOWER,
    HELD,
    HOLDER,
    KNOWN_BY,
    META,
    ORDER,
    PERSON,
    RECORD,
    TOUCH,
    TOUCH_KEY,
    TRANSACTION,
    USED,
    USER,
    Binding,
    HeldRow,
    Meta,
    Owner,
    PersonSeen,
    Placer,
    decode_row,
    encode_row,
)
from attribune.attribute.state import DeviceState
from attribune.model.codec import body
from attribune.model.ids import (
    ConversionId,
    DeviceId,
    Position,
    ProductId,
    RecordId,
    TouchId,
    UserId,
    device_digest,
    digest,
    time_of,
)
from attribune.model.outcome import CreditedEvent, CreditedOpen
from attribune.model.policy import DAY_MS
from attribune.ports import Row, Store

#: How long touches, record ids and addresses are remembered, unless the settings say otherwise: longer than any window.
TOUCH_MEMORY_MS: Final = 180 * DAY_MS

_ALL: Final = bytes(16)

_Credited = CreditedOpen | CreditedEvent
_credited_decoder: Final = msgspec.msgpack.Decoder(_Credited)


def _place(position: int) -> bytes:
    return position.to_bytes(8, "big")


def _newest_first(position: int) -> bytes:
    return (2**64 - 1 - position).to_bytes(8, "big")


class Desk:
    """What the attributor remembers, by name."""

    def __init__(self, store: Store, touch_memory_ms: int = TOUCH_MEMORY_MS) -> None:
        """Begin where the store's last commit stands."""
        self._store = store
        self._touch_memory_ms = touch_memory_ms
        self._dropped_week = 0
        self._batch = Batch(store)
        self._get, self._put, self._rows = self._batch.get, self._batch.put, self._batch.rows
        self._devices: dict[tuple[ProductId, DeviceId], DeviceState | None] = {}
        #: What every search asks of its product.
        self._longest_own_ms: dict[ProductId, int] = {}
        self._has_hashed: dict[ProductId, bool] = {}
        #: What every event with a transaction asks of its product.
        self._awaits_orders: dict[ProductId, bool] = {}
        self.position = store.position()
        found = self._get(Row(META, 0, _ALL))
        self.meta = decode_row(found, Meta) if found else Meta()
        self._next_due: int | None = None

    # --- touches

    def put_touch(self, touch: TouchId, position: Position, payload: bytes) -> None:
        """File a touch by its id."""
        self._put(Row(TOUCH, week(time_of(touch) or 0), digest(touch)), _place(position) + payload)

    def put_touch_keys(
        self, keys: Iterable[bytes], touch: TouchId, position: Position, received_at_ms: int
    ) -> None:
        """File a touch under keys that it can be found by."""
        bucket, row, name = week(received_at_ms), _newest_first(position), touch.encode()
        for key in keys:
            self._put(Row(TOUCH_KEY, bucket, key, row), name)

    def touch(self, touch: TouchId) -> tuple[Position, bytes] | None:
        """Place and payload of a touch; what is older than touches are remembered is gone, dropped yet or not."""
        bucket = week(time_of(touch) or 0)
        if bucket < self.oldest_touch_week:
            return None
        found = self._get(Row(TOUCH, bucket, digest(touch)))
        return (Position(int.from_bytes(found[:8], "big")), found[8:]) if found else None

    def touches_by(self, key: bytes, from_ms: int, to_ms: int, limit: int) -> Iterator[TouchId]:
        """The touches filed under a key in a span of receipt times, newest first and at most ``limit``."""
        oldest = max(week(max(0, from_ms)), self.oldest_touch_week)
        for bucket in range(week(to_ms), oldest - 1, -1):
            rows = self._rows(TOUCH_KEY, bucket, key, limit)
            for _, name in rows:
                yield TouchId(name.decode())
            limit -= len(rows)
            if limit <= 0:
                return

    def longest_own_ms(self, product: ProductId) -> int:
        """The longest window that a touch of the product has brought itself."""
        longest = self._longest_own_ms.get(product)
        if longest is None:
            found = self._get(Row(META, 0, digest("longest", product)))
            longest = int.from_bytes(found, "big") if found else 0
            self._longest_own_ms[product] = longest
        return longest

    def set_longest_own_ms(self, product: ProductId, lookback_ms: int) -> None:
        """Remember the longest window a touch has brought itself."""
        self._longest_own_ms[product] = lookback_ms
        self._put(Row(META, 0, digest("longest", product)), _place(lookback_ms))

    def has_hashed(self, product: ProductId) -> bool:
        """Whether any touch of the product has come with a hashed identifier."""
        has = self._has_hashed.get(product)
        if has is None:
            has = self._get(Row(META, 0, digest("hashed", product))) is not None
            self._has_hashed[product] = has
        return has

    def set_has_hashed(self, product: ProductId) -> None:
        """Remember that a touch has come with a hashed identifier."""
        self._has_hashed[product] = True
        self._put(Row(META, 0, digest("hashed", product)), b"\x01")

    def won_by(self, touch: TouchId) -> list[ConversionId]:
        """The conversions that a touch stands for: one at most, but for those that people gave to it."""
        return [ConversionId(value.decode()) for _, value in self._rows(USED, 0, digest(touch))]

    def use_touch(self, touch: TouchId, conversion: ConversionId) -> None:
        """Note that a touch stands for a conversion."""
        name = conversion.encode()
        self._put(Row(USED, 0, digest(touch), name), name)

    def free_touch(self, touch: TouchId, conversion: ConversionId) -> None:
        """Note that a touch stands for a conversion no more; for others it may."""
        name = conversion.encode()
        # Version 0.1.0 knew one conversion a touch, in a row without a name.
        for row in (Row(USED, 0, digest(touch), name), Row(USED, 0, digest(touch))):
            if self._get(row) == name:
                self._put(row, None)

    @property
    def oldest_touch_week(self) -> int:
        """The oldest week whose touches are remembered, by the journal's time."""
        return week(max(0, self.meta.journal_ms - self._touch_memory_ms))

    # --- devices and people

    def device(self, product: ProductId, device: DeviceId) -> DeviceState | None:
        """What is remembered of a device."""
        name = (product, device)
        if name not in self._devices:
            found = self._get(Row(DEVICE, 0, device_digest(*name)))
            self._devices[name] = decode_row(found, DeviceState) if found else None
        return self._devices[name]

    def device_under(self, name: bytes) -> DeviceState | None:
        """The device that is kept under a hash."""
        found = self._get(Row(DEVICE, 0, name))
        return decode_row(found, DeviceState) if found else None

    def put_device(self, state: DeviceState) -> None:
        """Remember a device."""
        self._devices[state.product, state.device] = state
        self._put(Row(DEVICE, 0, device_digest(state.product, state.device)), encode_row(state))

    def people(self, key: bytes) -> list[tuple[DeviceId, PersonSeen]]:
        """The devices seen with an identifier."""
        return [
            (DeviceId(row.decode()), decode_row(value, PersonSeen))
            for row, value in self._rows(PERSON, 0, key)
        ]

    def see_person(
        self, product: ProductId, word: tuple[str, str], device: DeviceId, seen: PersonSeen
    ) -> None:
        """Remember that a device was seen with an identifier: its kind and value."""
        row = Row(PERSON, 0, id_key(product, *word), device.encode())
        found = self._get(row)
        if not found:
            self.know_by(product, device, *word)
        else:
            old = decode_row(found, PersonSeen)
            seen = PersonSeen(
                min(old.first_ms, seen.first_ms),
                max(old.last_ms, seen.last_ms),
                old.is_known or seen.is_known,
            )
        self._put(row, encode_row(seen))

    def know_by(self, product: ProductId, device: DeviceId, kind: str, value: str) -> None:
        """Remember a word that a device is known by, so that it can be found when its person is to be forgotten."""
        row = Row(KNOWN_BY, 0, device_digest(product, device), id_key(product, kind, value))
        self._put(row, encode_row((kind, value)))

    def known_by(self, product: ProductId, device: DeviceId) -> list[tuple[str, str]]:
        """The words that a device is known by: (kind, value), a user's of kind ``user``."""
        rows = self._rows(KNOWN_BY, 0, device_digest(product, device))
        return [decode_row(value, tuple[str, str]) for _, value in rows]

    def user_device(self, product: ProductId, user: UserId) -> DeviceId | None:
        """The device that a server bound a user to last."""
        return self.device_bound(digest(product, user))

    def device_bound(self, user: bytes) -> DeviceId | None:
        """The device that a server bound a user to last, of whom only the hash is known."""
        found = self._get(Row(USER, 0, user))
        return DeviceId(found.decode()) if found else None

    def bind_user(self, product: ProductId, user: UserId, device: DeviceId) -> None:
        """Bind a user to a device."""
        self._put(Row(USER, 0, digest(product, user)), device.encode())

    def bindings(self, product: ProductId, user: UserId) -> tuple[Binding, ...]:
        """A customer's bindings, oldest first."""
        found = self._get(Row(CUSTOMER, 0, digest(product, user)))
        return decode_row(found, tuple[Binding, ...]) if found else ()

    def put_bindings(self, product: ProductId, user: UserId, bindings: tuple[Binding, ...]) -> None:
        """Remember a customer's bindings."""
        self._put(Row(CUSTOMER, 0, digest(product, user)), encode_row(bindings))

    def holder(self, product: ProductId, device: DeviceId) -> UserId | None:
        """The customer that a device was bound to last."""
        found = self._get(Row(HOLDER, 0, device_digest(product, device)))
        return UserId(found.decode()) if found else None

    def put_holder(self, product: ProductId, device: DeviceId, user: UserId) -> None:
        """Remember whose a device is."""
        self._put(Row(HOLDER, 0, device_digest(product, device)), user.encode())

    def followers(self, product: ProductId, device: DeviceId) -> list[DeviceId]:
        """The other devices with events that this one's conversions may be credited with."""
        rows = self._rows(FOLLOWER, 0, device_digest(product, device))
        return [DeviceId(row.decode()) for row, _ in rows]

    def follow(self, product: ProductId, device: DeviceId, follower: DeviceId) -> None:
        """Remember that a device has such events."""
        self._put(Row(FOLLOWER, 0, device_digest(product, device), follower.encode()), b"\x01")

    def see_address(self, product: ProductId, net: str, device: DeviceId, at_ms: int) -> None:
        """Remember that a device opened from an address."""
        row = Row(ADDRESS, week(at_ms), digest("address", product, net), digest(device, size=8))
        found = self._get(row)
        if not found or int.from_bytes(found, "big") < at_ms:
            self._put(row, _place(at_ms))

    def devices_at(self, product: ProductId, net: str, from_ms: int, to_ms: int) -> int:
        """How many devices opened from an address in a span of time, counted no further than a thousand."""
        devices = set()
        for bucket in range(week(max(0, from_ms)), week(to_ms) + 1):
            rows = self._rows(ADDRESS, bucket, digest("address", product, net), 1000)
            devices |= {row for row, at in rows if from_ms <= int.from_bytes(at, "big") <= to_ms}
        return len(devices)

    # --- records

    def record(
        self, product: ProductId, record: RecordId, from_ms: int, to_ms: int
    ) -> Position | None:
        """Where a record id was seen in a span of receipt times."""
        weeks = range(week(max(0, from_ms)), week(to_ms) + 1)
        for found in self._batch.in_buckets(RECORD, weeks, digest(product, record)):
            if found and int.from_bytes(found[8:], "big") > from_ms:
                return Position(int.from_bytes(found[:8], "big"))
        return None

    def put_record(
        self, product: ProductId, record: RecordId, position: Position, at_ms: int
    ) -> None:
        """Remember a record id against repeats."""
        self._put(
            Row(RECORD, week(at_ms), digest(product, record)), _place(position) + _place(at_ms)
        )

    def forget_record(self, product: ProductId, record: RecordId, from_ms: int, to_ms: int) -> None:
        """Let a record be told again that was seen in a span of receipt times."""
        partition = digest(product, record)
        for bucket in range(week(max(0, from_ms)), week(to_ms) + 1):
            row = Row(RECORD, bucket, partition)
            if self._get(row) is not None:
                self._put(row, None)

    def transaction(self, product: ProductId, kind: str, transaction: str) -> RecordId | None:
        """The record that told a transaction first."""
        found = self._get(Row(TRANSACTION, 0, digest(product, kind, transaction)))
        return RecordId(found.decode()) if found else None

    def put_transaction(
        self, product: ProductId, kind: str, transaction: str, record: RecordId
    ) -> None:
        """Remember which record told a transaction."""
        self._put(Row(TRANSACTION, 0, digest(product, kind, transaction)), record.encode())

    def forget_transaction(self, product: ProductId, kind: str, transaction: str) -> None:
        """Let a transaction be told again."""
        self._put(Row(TRANSACTION, 0, digest(product, kind, transaction)), None)

    # --- orders

    def put_order(
        self, product: ProductId, transaction: str, about: Position, placer: Placer
    ) -> None:
        """Remember who placed an order, as the record at a place tells. A put and no look: the first of its rows counts."""
        self._put(Row(ORDER, 0, digest(product, transaction), _place(about)), encode_row(placer))

    def placer(self, product: ProductId, transaction: str) -> Placer | None:
        """Who placed an order, as it was told first."""
        rows = self._rows(ORDER, 0, digest(product, transaction), 1)
        return decode_row(rows[0][1], Placer) if rows else None

    def forget_order(self, product: ProductId, transaction: str, about: Position) -> None:
        """Know no more who placed an order by what the record at a place told."""
        self._put(Row(ORDER, 0, digest(product, transaction), _place(about)), None)

    def awaits_orders(self, product: ProductId) -> bool:
        """Whether any event of the product has ever waited that a server told by its order alone."""
        awaits = self._awaits_orders.get(product)
        if awaits is None:
            awaits = self._get(Row(META, 0, digest("orders", product))) is not None
            self._awaits_orders[product] = awaits
        return awaits

    def set_awaits_orders(self, product: ProductId) -> None:
        """Remember that an event has waited that a server told by its order alone."""
        self._awaits_orders[product] = True
        self._put(Row(META, 0, digest("orders", product)), b"\x01")

    # --- what was credited, and what waits

    def put_credited(
        self, product: ProductId, device: DeviceId, outcome: _Credited, payload: bytes
    ) -> None:
        """Remember the newest revision of what was credited, so that a correction can reach it; with it goes its payload."""
        row = Row(
            CREDITED, week(outcome.at_ms), device_digest(product, device), _place(outcome.about)
        )
        self._put(row, body(payload))

    def credited(
        self, product: ProductId, device: DeviceId, from_ms: int, to_ms: int
    ) -> Iterator[_Credited]:
        """What was credited of a device in a span of time, in order of weeks and then of places."""
        for bucket in range(week(max(0, from_ms)), week(to_ms) + 1):
            for _, value in self._rows(CREDITED, bucket, device_digest(product, device)):
                outcome = _credited_decoder.decode(value)
                if from_ms <= outcome.at_ms <= to_ms:
                    yield outcome

    def hold(self, waits_for: bytes, position: Position, payload: bytes, due_ms: int) -> None:
        """Let an event wait for what it waits for, until its time is up."""
        self._put(Row(HELD, 0, waits_for, _place(position)), encode_row(HeldRow(payload, due_ms)))
        self._put(Row(DUE, 0, _ALL, _place(due_ms) + _place(position)), waits_for)
        self._next_due = min(self.next_due, due_ms)

    def held(self, waits_for: bytes, limit: int = ROWS_MAX) -> list[tuple[Position, HeldRow]]:
        """The events that wait for something, in order."""
        rows = self._rows(HELD, 0, waits_for, limit)
        return [
            (Position(int.from_bytes(row, "big")), decode_row(value, HeldRow))
            for row, value in rows
        ]

    def let_go(self, waits_for: bytes, position: Position, due_ms: int) -> None:
        """An event waits no more."""
        self._put(Row(HELD, 0, waits_for, _place(position)), None)
        self._put(Row(DUE, 0, _ALL, _place(due_ms) + _place(position)), None)
        self._next_due = None

    @property
    def next_due(self) -> int:
        """When the next event that waits must be let go; far away when none waits."""
        if self._next_due is None:
            rows = self._rows(DUE, 0, _ALL, 1)
            self._next_due = int.from_bytes(rows[0][0][:8], "big") if rows else 2**62
        return self._next_due

    def overdue(self, now_ms: int) -> list[tuple[bytes, Position, HeldRow]]:
        """The events whose time is up, earliest first: what each waits for, its place, itself."""
        out = []
        for row, waits_for in self._rows(DUE, 0, _ALL):
            if int.from_bytes(row[:8], "big") > now_ms:
                break
            position = Position(int.from_bytes(row[8:], "big"))
            value = self._get(Row(HELD, 0, waits_for, _place(position)))
            assert value is not None, "what is due is held"
            out.append((waits_for, position, decode_row(value, HeldRow)))
        return out

    # --- conversions

    def conversion(self, conversion: ConversionId) -> Owner | None:
        """Whose a conversion is, with its newest revision."""
        found = self._get(Row(CONVERSION, 0, digest(conversion)))
        return decode_row(found, Owner) if found else None

    def put_conversion(self, device: DeviceId, conversion: ConversionId, payload: bytes) -> None:
        """Remember the newest revision of a conversion, as it was said."""
        owner = (
            device,
            msgspec.Raw(body(payload)),
        )  # an Owner, of which one part is encoded already
        self._put(Row(CONVERSION, 0, digest(conversion)), encode_row(owner))

    # --- forgetting

    def put_forgotten(self, state: DeviceState) -> None:
        """Remember of a device that it was forgotten; by its id it is found under the hash that is left."""
        self._devices.clear()
        self.put_device(state)

    def forget_touch(self, touch: TouchId) -> None:
        """Know a touch by its id no more."""
        self._put(Row(TOUCH, week(time_of(touch) or 0), digest(touch)), None)

    def erase(self, row: Row) -> None:
        """Remember nothing under a row any more."""
        self._put(row, None)

    def erase_all(self, table: int, bucket: int, partition: bytes) -> None:
        """Remember nothing of a partition any more."""
        for name, _ in self._rows(table, bucket, partition):
            self._put(Row(table, bucket, partition, name), None)

    # --- the batch

    def settle(self) -> None:
        """Let stand what has changed in this batch so far."""
        self._batch.settle()

    def mark(self) -> int:
        """How much has changed since then, to go back to."""
        return self._batch.mark()

    def undo(self, mark: int) -> None:
        """Take back what changed since a mark."""
        self._batch.undo(mark)
        self._devices.clear()
        self._longest_own_ms.clear()
        self._has_hashed.clear()
        self._awaits_orders.clear()
        self._next_due = None

    def commit(self, position: Position) -> None:
        """Write what changed together with the position, and begin anew."""
        self._put(Row(META, 0, _ALL), encode_row(self.meta))
        self._batch.commit(position)
        self.position = position
        self._devices.clear()
        self._drop_old()

    def _drop_old(self) -> None:
        """Forget weeks that nothing asks for any more, once a week of the journal's time."""
        oldest = self.oldest_touch_week
        if oldest == self._dropped_week:
            return
        self._dropped_week = oldest
        for table in (TOUCH, TOUCH_KEY, RECORD, ADDRESS):
            self._store.drop(table, oldest)
