"""Refusals: what was not used, with one named reason, kept."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from attribune.model.ids import AppId, LinkId, ProductId, RecordId
from attribune.model.touch import Part


class RefusalReason(StrEnum):
    """Why a hit or a record was not used. A closed set; the docs name each."""

    # --- at the door: who speaks
    #: No key, or a key that nobody has.
    UNKNOWN_KEY = "unknown_key"
    #: The key was revoked or its overlap has ended.
    REVOKED_KEY = "revoked_key"
    #: The key may not write this record (another app's, or an app key sending touches or claims).
    FORBIDDEN_FOR_KEY = "forbidden_for_key"
    #: The app requires a signature and there is none, or it is wrong.
    BAD_SIGNATURE = "bad_signature"
    #: The signature is older than its window.
    OLD_SIGNATURE = "old_signature"
    # --- at the door: what is asked for
    #: No tracking link has this id.
    UNKNOWN_LINK = "unknown_link"
    #: The link was disabled by its owner; it leads nowhere until it is enabled again.
    DISABLED_LINK = "disabled_link"
    #: No door has this address, or it speaks another dialect.
    UNKNOWN_DOOR = "unknown_door"
    #: A messenger or crawler asked for a preview; no person was behind it.
    LINK_PREVIEW = "link_preview"
    #: A browser loaded the link ahead of time; it counts when a person follows it.
    PREFETCH = "prefetch"
    #: A HEAD request asks where a link leads; no person was behind it.
    HEAD_REQUEST = "head_request"
    # --- at the door: shape and size
    #: Not JSON, not UTF-8, or not the shape that the wire page says.
    MALFORMED = "malformed"
    #: A field that the record needs is absent.
    MISSING_FIELD = "missing_field"
    #: A field holds another type than the wire page says.
    WRONG_TYPE = "wrong_type"
    #: The record's ``type`` is none that this door takes.
    UNKNOWN_RECORD_TYPE = "unknown_record_type"
    #: An id is too long, shorter than its letter allows, or holds signs that an id may not have.
    BAD_ID = "bad_id"
    #: A time cannot be read, or no clock could have given it.
    BAD_TIME = "bad_time"
    #: The stated time lies further in the past than the key may state.
    TOO_OLD = "too_old"
    #: The stated time lies further ahead than skew can explain.
    IN_THE_FUTURE = "in_the_future"
    #: An amount is no decimal in a string, is negative, or is too large.
    BAD_AMOUNT = "bad_amount"
    #: The currency is not an active code of ISO 4217.
    UNKNOWN_CURRENCY = "unknown_currency"
    #: A claim names a partner that is not registered.
    UNKNOWN_PARTNER = "unknown_partner"
    #: The body, the record or the query is larger than its limit.
    TOO_LARGE = "too_large"
    #: The batch holds more records than its limit.
    TOO_MANY_RECORDS = "too_many_records"
    #: The body is not encoded as its headers say.
    BAD_ENCODING = "bad_encoding"
    #: The sender stopped or was too slow before the body was whole.
    INCOMPLETE = "incomplete"
    # --- behind the journal
    #: The same (product, record id) within 30 days.
    REPEATED_RECORD = "repeated_record"
    #: The same conversion (product, kind, transaction) again, from whatever app or web.
    REPEATED_TRANSACTION = "repeated_transaction"
    #: A correction names a conversion that the product does not have.
    UNKNOWN_CONVERSION = "unknown_conversion"
    #: A correction names a touch that the product does not have.
    UNKNOWN_TOUCH = "unknown_touch"
    #: More events than a device may have waiting for its open.
    TOO_MANY_HELD = "too_many_held"
    #: The person's consent says that nothing may be measured.
    NO_CONSENT = "no_consent"
    #: The person was forgotten, as they asked; nothing of their device is measured any more.
    FORGOTTEN = "forgotten"
    #: A mistake of Attribune's own kept it from being judged. The audit names it, and ``attribune journal retell`` tells it
    #: again once a version without the mistake is installed.
    NOT_JUDGED = "not_judged"


class Refusal(Struct, frozen=True, kw_only=True, tag="refusal", omit_defaults=True):
    """A hit or record refused at the door, whole up to a limit and without secrets."""

    reason: RefusalReason
    received_at_ms: int
    method: str
    path: str
    #: The field that is at fault, when one is.
    param: str | None = None
    #: One sentence that says what to do.
    message: str = ""
    #: The raw query, cut at the limit.
    query: str = ""
    #: Without Authorization, Cookie and other secrets.
    headers: dict[str, str] = field(default_factory=dict)
    #: The refused record or the whole body, up to a limit (settings: ``refused_body_bytes_max``).
    body: bytes = b""
    #: Length and hash of the whole body, also when it was cut.
    body_bytes: int = 0
    body_sha256: str = ""
    #: Only a short head is kept, since the quota of the second was spent (settings: ``refused_bytes_per_s_max``).
    is_cut: bool = False
    ip: str | None = None
    user_agent: str | None = None
    product: ProductId | None = None
    app: AppId | None = None
    link: LinkId | None = None
    record_id: RecordId | None = None
    #: The refused record's type, when it could be read.
    record_type: str | None = None
    #: The dialect of the door that refused it; None elsewhere.
    dialect: str | None = None
    #: A person's visit is not a record that the sums count; a machine's record is.
    part: Part | None = None
