"""The secret links to one's own status: giving them out, opening them, revoking them."""

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.notices import status_links
from referral_rewards.register.referrals import rows as referrals


class NoSuchLink(NotFound):
    """A link that is none of ours, or was revoked: which of both, nobody is told."""

    def __init__(self) -> None:
        super().__init__("status page", "")
        self.args = ("this link is incomplete or was replaced by a newer one",)


#: What the key of the links is derived for.
PURPOSE: Final = "status links"
#: No row has this generation: asking for it costs a forger as much time as asking for a real one.
_NEVER: Final = 0


def path(key: bytes, row: Any, side: Side) -> str:
    """The address of one side's status page below the installation's own, of the referral's row."""
    return f"/status/{status_links.token(key, row.id, side, _generation(row, side))}"


async def opened(connection: AsyncConnection, key: bytes, token: str) -> tuple[Any, Side]:
    """The row of the referral whose link this is, and the side that it shows.

    Raises:
        NoSuchLink: if it is none of ours, or was revoked.
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
    """Ends every link of that side that was given out; from now on `path` gives another.

    Raises:
        NotFound: if nobody has heard of the referral.
    """
    if (await connection.execute(_REVOKE[side], {"referral": referral})).scalar_one_or_none() is None:
        raise NotFound("referral", referral)


def _generation(row: Any, side: Side) -> int:
    return int(row.referrer_link if side is Side.REFERRER else row.referee_link)


_REVOKE: Final = {
    Side.REFERRER: text("UPDATE referral SET referrer_link = referrer_link + 1 WHERE id = :referral RETURNING id"),
    Side.REFEREE: text("UPDATE referral SET referee_link = referee_link + 1 WHERE id = :referral RETURNING id"),
}
