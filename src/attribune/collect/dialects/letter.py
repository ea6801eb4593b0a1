"""What a client library sent, and what a dialect does with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer
from attribune.collect.verdict import Judged, Verdict
from attribune.model.control import Door


class Letter(NamedTuple):
    """A request at a dialect's door, its body unpacked."""

    method: str
    #: Behind the door, such as ``/v1/batch``.
    path: str
    authorization: str | None
    body: bytes


class Dialect(Protocol):
    """One language: which key a letter carries, what its records mean, and how its clients are answered."""

    name: str
    #: Largest body that its clients send.
    body_bytes_max: int

    def key(self, letter: Letter) -> str | None:
        """The client's own key, or None when it sent none."""
        ...

    def plain_answer(self, letter: Letter) -> Answer | None:
        """The answer to a letter that tells nothing, such as a question for settings; None when it tells something."""
        ...

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """A verdict for each record of a letter, each made when it is asked for.

        Raises Refused when the letter as a whole cannot be read.
        """
        ...

    def accept(self, verdicts: Sequence[Verdict]) -> Answer:
        """The answer once everything is kept."""
        ...

    def refuse(self, refused: Refused) -> Answer:
        """The answer to a letter that was refused as a whole."""
        ...
