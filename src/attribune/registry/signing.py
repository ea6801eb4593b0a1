"""The secrets that partners sign links with: made of chance, shown once, rotated with an overlap."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from attribune.model.control import FormerSecret, Partner
from attribune.model.errors import Invalid
from attribune.ports import Chance
from attribune.registry import find, shown
from attribune.registry.keys import SECRET_LETTERS, checked_overlap_ms
from attribune.registry.made import Made
from attribune.registry.naming import letters
from attribune.registry.requests import SignPartner
from attribune.registry.view import Registry

#: Secrets of a partner that hold at a time, the newest among them: as many are tried for each signature.
SIGNING_SECRETS_MAX: Final = 4


def sign(
    registry: Registry, partner_id: str, want: SignPartner, chance: Chance, now_ms: int
) -> Made[shown.PartnerShown]:
    """Make a partner's signing secret; the one before it, if any, ends after the overlap.

    Those before that end when they would have, and no later than it. Raises Invalid when too many would hold.
    """
    partner = find.partner(registry, partner_id)
    ends = now_ms + checked_overlap_ms(want.overlap_ms)
    former = [
        FormerSecret(signing_secret=one.signing_secret, ends_at_ms=min(one.ends_at_ms, ends))
        for one in _holding(partner, now_ms, ends)
    ]
    if len(former) >= SIGNING_SECRETS_MAX:
        raise Invalid(
            f"{SIGNING_SECRETS_MAX} secrets of partner {partner.id} still hold; wait until one ends, "
            "or end them now with an overlap of 0",
            param="overlap_ms",
        )
    secret = f"cs_{letters(chance, SECRET_LETTERS)}"
    signing = replace(partner, signing_secret=secret, former_secrets=tuple(former))
    return Made((signing,), shown.partner(signing, secret))


def _holding(partner: Partner, now_ms: int, ends: int) -> list[FormerSecret]:
    """The secrets that hold beside a new one, the newest first."""
    if ends <= now_ms:
        return []
    holding = [one for one in partner.former_secrets if one.ends_at_ms > now_ms]
    if partner.signing_secret is not None:
        newest = FormerSecret(signing_secret=partner.signing_secret, ends_at_ms=ends)
        holding.insert(0, newest)
    return holding


def unsign(registry: Registry, partner_id: str) -> Made[shown.PartnerShown]:
    """End all signing secrets of a partner now; one that has none stays as it is."""
    partner = find.partner(registry, partner_id)
    if partner.signing_secret is None:
        return Made((), shown.partner(partner))
    silent = replace(partner, signing_secret=None, former_secrets=())
    return Made((silent,), shown.partner(silent))
