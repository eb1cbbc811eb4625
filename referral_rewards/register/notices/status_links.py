"""Secret links to status pages: create, open and revoke them."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.notices import status_links
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.referrals import rows as referrals


class NoSuchLink(NotFound):
    """A link that we never issued, or that was revoked; the message does not say which."""

    def __init__(self) -> None:
        super().__init__("status page", "")
        self.args = ("this link is incomplete or was replaced by a newer one",)


#: The purpose for which the key of the links is derived.
PURPOSE: Final = "status links"
#: No row has this generation. It makes checking an unknown referral take as long as checking a real one.
_NEVER: Final = 0


def path(key: bytes, row: Referral, side: Side) -> str:
    """Return the URL path of one side's status page."""
    return f"/status/{status_links.token(key, row.id, side, _generation(row, side))}"


async def opened(connection: AsyncConnection, key: bytes, token: str) -> tuple[Referral, Side]:
    """Return the referral's row and the side that a link belongs to.

    Raises:
        NoSuchLink: if we never issued the link, or it was revoked.
    """
    claimed = status_links.read(token)
    if claimed is None or "\x00" in claimed.referral:
        raise NoSuchLink()
    row = await referrals.row(connection, claimed.referral)
    generation = _generation(row, claimed.side) if row is not None else _NEVER
    if not status_links.proves(key, claimed, generation) or row is None:
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
