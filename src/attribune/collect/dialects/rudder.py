"""RudderStack: Segment's spec under its own paths and settings, in our records. Pure.

Sources: RudderStack's public HTTP API and its libraries' behaviour on the wire.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable
from typing import Final

import msgspec

from attribune.collect.absent import is_absent_id
from attribune.collect.dialects import loose
from attribune.collect.dialects.letter import Letter
from attribune.collect.dialects.segment import FIELDS as SEGMENT_FIELDS
from attribune.collect.dialects.segment import Segment
from attribune.collect.records import Telling
from attribune.collect.request import Answer, json_answer
from attribune.collect.verdict import Judged
from attribune.model.control import Door

BODY_BYTES_MAX: Final = 1 << 20
FIELDS: Final = SEGMENT_FIELDS | {
    "context.consentManagement.allowedConsentIds, deniedConsentIds": "the same by the ids of categories",
    "header AnonymousId": "device.id, where no context.device.id and no anonymousId is said",
}

_SETTINGS: Final = re.compile(r"/sourceConfig/?\Z")


class Rudder(Segment):
    """The dialect of RudderStack's libraries."""

    name = "rudder"
    speakers = "RudderStack's libraries"
    body_bytes_max = BODY_BYTES_MAX
    root_paths: tuple[str, ...] = (*Segment.root_paths, "/sourceConfig")
    fields = FIELDS

    def plain_answer(self, letter: Letter, door: Door) -> Answer | None:
        """The source's settings, without which browsers and phones send nothing: it is on, and has no destinations."""
        if not _SETTINGS.match(letter.path):
            return None
        source = {
            "id": door.id,
            "name": door.id,
            "writeKey": loose.basic(letter.authorization) or "",
            "enabled": True,
            "config": {
                "statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}
            },
            "sourceDefinitionId": door.dialect,
            "workspaceId": door.app,
            "destinations": [],
            "connections": [],
            "dataplanes": {},
            "updatedAt": "2000-01-01T00:00:00.000Z",
        }
        return json_answer({"source": source, "isHosted": False, "updatedAt": source["updatedAt"]})

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """A verdict for each event; a header may name the visitor for all of them. Raises Refused."""
        return super().read(_named(letter), telling, door)


def _named(letter: Letter) -> Letter:
    """The letter with the visitor of its header, where the body names none."""
    said = letter.headers.get("anonymousid")
    if said is None or b'"anonymousId"' in letter.body or b'"batch"' in letter.body:
        return letter
    try:
        name = b64decode(str(said), validate=True).decode()
    except ValueError:
        return letter
    if is_absent_id(name) or not name.isprintable() or not letter.body.startswith(b"{"):
        return letter
    begin = b'{"anonymousId":' + msgspec.json.encode(name)
    rest = letter.body[1:].lstrip()
    return letter._replace(body=begin + (b"" if rest.startswith(b"}") else b",") + rest)
