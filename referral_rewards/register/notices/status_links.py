"""Secret links to status pages: create, open and revoke them."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import NotFound, Refused
from referral_rewards.domain.notices import status_links
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.referrals import rows as referrals


class NoSuchLink(NotFound):
    """A link that we never issued, or that was revoked; the message does not say which."""

    def __init__(self) -> None:
        super().__init__("status page", "")
        self.args = ("this link is incomplete or was replaced by a newer one",)


class NoStatusYet(Refused):
    """A link would lead nowhere: no terms are in force for the referral, so there is nothing to show."""

    def __init__(self, referral: str) -> None:
        super().__init__(f"{referral} has no status page before terms of its program are in force for it; publish them")


#: The purpose for which a key of the links is derived from the pepper.
PURPOSE: Final = "status links"
#: The keys of an installation that names none of its own: None stands for the one that is derived from the pepper.
BY_THE_PEPPER: Final[Sequence[bytes | None]] = (None,)
#: No row has this generation. It makes checking an unknown referral take as long as checking a real one.
_NEVER: Final = 0


def keys(own: Sequence[bytes | None], by_the_pepper: bytes) -> tuple[bytes, ...]:
    """Return the keys in order: the first makes links, each opens them."""
    return tuple(by_the_pepper if key is None else key for key in own)


def path(key: bytes, row: Referral, side: Side) -> str:
    """Return the URL path of one side's status page."""
    return f"/status/{status_links.token(key, row.id, side, _generation(row, side))}"


async def opened(connection: AsyncConnection, keys: Sequence[bytes], token: str) -> tuple[Referral, Side]:
    """Return the referral's row and the side that a link belongs to, whichever of the keys made it.

    Raises:
        NoSuchLink: if we never issued the link, or it was revoked.
    """
    claimed = status_links.read(token)
    if claimed is None or "\x00" in claimed.referral:
        raise NoSuchLink()
    row = await referrals.row(connection, claimed.referral)
    generation = _generation(row, claimed.side) if row is not None else _NEVER
    proofs = [status_links.proves(key, claimed, generation) for key in keys]
    if not any(proofs) or row is None:
        raise NoSuchLink()
    return row, claimed.side


async def revoke(connection: AsyncConnection, referral: str, side: Side) -> None:
    """Revoke every issued link of that side; `path` then returns a new one.

    Raises:
        NotFound: if there is no such referral.
    """
    if (await connection.execute(_REVOKE[side], {"referral": referral})).scalar_one_or_none() is None:
        raise NotFound("referral", referral)


def _generation(row: Referral, side: Side) -> int:
    return int(row.referrer_link if side is Side.REFERRER else row.referee_link)


_REVOKE: Final = {
    Side.REFERRER: text("UPDATE referral SET referrer_link = referrer_link + 1 WHERE id = :referral RETURNING id"),
    Side.REFEREE: text("UPDATE referral SET referee_link = referee_link + 1 WHERE id = :referral RETURNING id"),
}
