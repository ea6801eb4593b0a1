"""What a client library sent, and what a dialect does with it."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from msgspec import Raw, Struct, field

from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer
from attribune.collect.verdict import Judged, Kept, Making, Verdict
from attribune.model.control import Door
from attribune.model.ids import DeviceId
from attribune.model.refusal import RefusalReason
from attribune.ports import Directory

#: The secret of a door in clear, unsealed when it is asked for; None when the door has none.
Secret = Callable[[], str | None]


class Headers(Protocol):
    """Headers by lower-case name."""

    def get(self, key: str, /) -> Any:
        """The first of a name, or None."""
        ...


_BEARER: Final = re.compile(r"bearer +([\x21-\x7e]{1,256}) *\Z", re.IGNORECASE | re.ASCII)
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Letter(NamedTuple):
    """A request at a dialect's door, its body unpacked."""

    method: str
    #: Behind the door, such as ``/v1/batch``; at the root, the whole path.
    path: str
    #: Raw, without the question mark.
    query: str = ""
    headers: Headers = NO_HEADERS
    body: bytes = b""

    @property
    def authorization(self) -> str | None:
        """The header, as sent."""
        said = self.headers.get("authorization")
        return None if said is None else str(said)


class Credited(Struct, frozen=True, kw_only=True):
    """Who is credited with a device, as the wire says it."""

    partner: str | None = None
    campaign: str | None = None
    adgroup: str | None = None
    creative: str | None = None
    site_id: str | None = None
    link: str | None = None
    #: ``click`` or ``impression``.
    touch: str | None = None
    method: str | None = None
    is_organic: bool = True
    #: Milliseconds, UTC.
    click_at: int | None = None
    #: Parameters of the touch that we have no field for, by name.
    extra: dict[str, str] = field(default_factory=dict)


class Told(Struct, frozen=True, kw_only=True):
    """What is decided about a device: the object of the wire's attribution."""

    attribution: Credited
    deep_link: str | None = None
    #: What the link says to the app beside it: JSON by name.
    deep_link_data: dict[str, Raw] = field(default_factory=dict)
    #: False when the person refused to be measured.
    measurement: bool = True
    #: Whether the person asked to be forgotten.
    forgotten: bool = False


told_of: Final = msgspec.json.Decoder(Told)


class Heard(NamedTuple):
    """A letter that was understood, once everything in it is kept: what its answer is made of."""

    letter: Letter
    door: Door
    verdicts: Sequence[Verdict | Making]
    #: The decision that the letter asks for; None when it asks for none, or none stands yet.
    told: Told | None
    #: How the world reaches the doors, without a slash at the end.
    base_url: str
    #: By our clock. Milliseconds, UTC.
    now_ms: int
    #: Who and what is registered, for answers that tell of it.
    directory: Directory | None = None

    @property
    def own(self) -> list[Verdict | Making]:
        """The verdicts about what the sender counts as its records, in its order."""
        return [one for one in self.verdicts if not (isinstance(one, Kept) and one.is_beside)]

    @property
    def first_refused(self) -> Refused | None:
        """The first record that was refused, if any."""
        return next((one for one in self.verdicts if isinstance(one, Refused)), None)


class Dialect(Protocol):
    """One language: which key a letter carries, what its records mean, and how its clients are answered."""

    @property
    def name(self) -> str:
        """As it stands in the address of its doors."""
        ...

    @property
    def speakers(self) -> str:
        """Whose clients speak it, in a few words."""
        ...

    @property
    def body_bytes_max(self) -> int:
        """Largest body that its clients send."""
        ...

    @property
    def root_paths(self) -> tuple[str, ...]:
        """How the paths begin by which clients that can carry no other path come to the root of the collector."""
        ...

    @property
    def signs_with_key(self) -> bool:
        """Whether clients sign with their key, so that it must be known in clear."""
        ...

    @property
    def holds_to_secret(self) -> bool:
        """Whether a door's secret keeps anybody out: its clients sign with it, or its servers say it."""
        ...

    @property
    def makes_links(self) -> bool:
        """Whether its clients make links, which have to be somebody's."""
        ...

    @property
    def fields(self) -> Mapping[str, str]:
        """The client's fields → ours, for people to read: what is not named is kept under its own name."""
        ...

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:
        """Raises Refused when the letter does not carry the door's key, or is not signed as it must be."""
        ...

    def plain_answer(self, letter: Letter, door: Door) -> Answer | None:
        """The answer to a letter that tells nothing, such as a question for settings; None when it tells something."""
        ...

    def asks(self, letter: Letter, door: Door) -> DeviceId | None:
        """The device whose attribution a letter asks for and tells nothing new of; None for every other letter."""
        ...

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """A verdict for each record of a letter, each made when it is asked for.

        Raises Refused when the letter as a whole cannot be read.
        """
        ...

    def accept(self, heard: Heard) -> Answer:
        """The answer once everything is kept."""
        ...

    def refuse(self, refused: Refused, letter: Letter) -> Answer:
        """The answer to a letter that was refused as a whole; its body may be missing."""
        ...

    def put_off(self, unavailable: Answer) -> Answer:
        """The answer 503 so that clients keep what they said, and send it again."""
        ...

    def sample(self, key: str, now_ms: int) -> Letter:
        """A letter as a client with this key sends one."""
        ...


class Plain:
    """What most dialects do: a key that is compared, nothing that only asks."""

    signs_with_key = False
    holds_to_secret = False
    makes_links = False
    root_paths: tuple[str, ...] = ()

    def plain_answer(self, letter: Letter, door: Door) -> Answer | None:  # noqa: ARG002 - a dialect's own may look
        """None: every letter tells something."""
        return None

    def asks(self, letter: Letter, door: Door) -> DeviceId | None:  # noqa: ARG002 - a dialect's own may look
        """None: no letter only asks."""
        return None

    def put_off(self, unavailable: Answer) -> Answer:
        """The answer itself: most clients go by its status."""
        return unavailable


def hold_to(key: str | None, door: Door, param: str) -> None:
    """Raises Refused when a key is not the one that a door was made with."""
    if not hmac.compare_digest(sha256((key or "").encode()).hexdigest(), door.sha256):
        message = "use the key that this door was made with"
        raise Refused(RefusalReason.UNKNOWN_KEY, message, param)


def bearer_of(letter: Letter) -> str | None:
    """What a letter says as ``Authorization: Bearer``, or None."""
    found = _BEARER.match(letter.authorization or "")
    return found[1] if found else None


def hold_to_secret(said: str | None, secret: str | None) -> None:
    """Raises Refused when a door has a secret and a server does not say it; a door without one hears servers as it hears apps."""
    if secret is not None and not hmac.compare_digest(secret.encode(), (said or "").encode()):
        message = "send `Authorization: Bearer` with the secret of this door"
        raise Refused(RefusalReason.UNKNOWN_KEY, message, "Authorization")
