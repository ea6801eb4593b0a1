"""What the attributor remembers of a device, and the standing of its conversions over time."""

from __future__ import annotations

from msgspec import Struct, field

from attribune.attribute.features import Features
from attribune.model.activity import Activity, Claim, Device, Platform
from attribune.model.ids import (
    AppId,
    ConversionId,
    DeviceId,
    Position,
    ProductId,
    RecordId,
    TouchId,
)
from attribune.model.outcome import ConversionKind, Credit, Source

#: How many sessions of a device are remembered for its inactivity.
SESSIONS_MAX = 16
#: Opens closer than this are one session (GA's and Adjust's 30 minutes).
SESSION_GAP_MS = 30 * 60_000
#: How much evidence of one installation is kept; more is noted and not used.
EVIDENCE_MAX = 32


class Standing(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A conversion of the device as it stands now: who is credited from when on."""

    conversion: ConversionId
    kind: ConversionKind
    at_ms: int
    source: Source
    credit: Credit | None = None
    revision: int = 1
    #: Made by the return of a device that has the app, not by its installation.
    is_return: bool = False
    #: A person said that there was no return: it credits nothing.
    is_void: bool = False
    #: A person's word stands against later evidence.
    is_pinned: bool = False
    #: Of a re-engagement: when its credit ends.
    until_ms: int | None = None
    #: Of an install's kin: journal time and place of the decision, for the evidence window.
    judged_at_ms: int = 0
    as_of: Position = Position(0)


class OpenNote(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What an open says of its installation, as far as the decision needs it."""

    record: RecordId
    at_ms: int
    position: Position
    address: str | None = None
    features: Features = Features()


class Dossier(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """All evidence of one installation that came within its window, whatever message carried it."""

    opens: tuple[OpenNote, ...] = ()
    #: Our touch ids that referrers and opened links carried.
    touches: tuple[TouchId, ...] = ()
    #: (kind, value) of every identifier any message carried.
    ids: tuple[tuple[str, str], ...] = ()
    claims: tuple[Claim, ...] = ()
    #: Journal time of its first message.
    since_ms: int = 0


class DeviceState(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One installation."""

    product: ProductId
    device: DeviceId
    app: AppId
    platform: Platform
    #: Conversions in order of their time; the first is the install, the reinstall, or none for an imported device.
    standings: tuple[Standing, ...] = ()
    dossier: Dossier = Dossier()
    #: When the person's last install that counted as one was; a reinstall hands it on.
    installed_at_ms: int = 0
    #: Had the app before Attribune was there.
    is_known: bool = False
    #: (first, last) of its sessions, oldest first.
    sessions: tuple[tuple[int, int], ...] = ()
    #: The earliest record credited to it, so that a cascade knows where to begin.
    earliest_ms: int = 2**62
    measurement: bool = True
    sharing: bool | None = None
    #: When the person said so, by the sender's clock: what was said earlier and arrives later changes nothing. Milliseconds, UTC.
    measurement_said_ms: int = 0
    sharing_said_ms: int = 0
    partners_said_ms: dict[str, int] = field(default_factory=dict)
    #: When its person was forgotten; then nothing else is remembered, and its id is a hash. Milliseconds, UTC.
    forgotten_at_ms: int = 0

    @property
    def has_opened(self) -> bool:
        """Whether an open or an import has made it known."""
        return self.is_known or bool(self.standings)


def new_device(record: Activity, device: Device) -> DeviceState:
    """A device that is seen for the first time, in a record of it."""
    return DeviceState(
        product=record.product, device=device.id, app=record.app, platform=device.platform
    )


def installation(state: DeviceState) -> Standing | None:
    """The standing that the device's dossier made, and that evidence within its window can still change."""
    return next((s for s in state.standings if not s.is_return), None)


def lasting(state: DeviceState, at_ms: int) -> Standing | None:
    """The source in force at a time, without re-engagements.

    What happened before the first conversion belongs to the first.
    """
    stays = [
        s for s in state.standings if s.kind is not ConversionKind.REENGAGEMENT and not s.is_void
    ]
    return next((s for s in reversed(stays) if s.at_ms <= at_ms), stays[0] if stays else None)


def in_force(state: DeviceState, at_ms: int) -> tuple[Standing | None, Standing | None]:
    """The (primary, secondary) standing at a time.

    A re-engagement is primary while its credit lasts, and what was in force without it is secondary.
    """
    stays = lasting(state, at_ms)
    returned = next(
        (
            s
            for s in reversed(state.standings)
            if not s.is_void and s.at_ms <= at_ms < (s.until_ms or 0)
        ),
        None,
    )
    if returned and (not stays or returned.at_ms >= stays.at_ms):
        return returned, stays
    return stays, None


def seen(sessions: tuple[tuple[int, int], ...], at_ms: int) -> tuple[tuple[int, int], ...]:
    """The sessions with one more sign of life, whatever order the signs come in."""
    spans = sorted([*sessions, (at_ms, at_ms)])
    merged = [spans[0]]
    for first, last in spans[1:]:
        if first - merged[-1][1] <= SESSION_GAP_MS:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged[-SESSIONS_MAX:])
