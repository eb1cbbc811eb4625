"""What sources answered about a referral, and of an order our version beside theirs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.referrals.versions import Version, side_by_side
from referral_rewards.register import typed_rows
from referral_rewards.reporting.shape import Instant, Shape


class VersionLine(Shape):
    """One line of two versions of an order side by side, in words; ``differs`` if both say something and not the same.

    Of what is only in one of them the other says ``not said``.
    """

    what: str
    ours: str
    theirs: str
    differs: bool


class Inquiry(Shape):
    """A source's answer to a question about the referral; ``subject`` is an order or a customer. Of an order
    ``versions`` compare what we had on record when the source was asked with what it said."""

    asked_at: Instant
    moment: str
    source: str
    subject: str
    answer: str
    sentence: str
    content_hash: str | None
    versions: tuple[VersionLine, ...]


async def inquiries(connection: AsyncConnection, referral: str) -> tuple[Inquiry, ...]:
    """Return the answers about a referral, the oldest first."""
    return tuple(map(_shown, await typed_rows.read(connection, _Asked, _INQUIRIES, {"referral": referral})))


class _Asked(NamedTuple):
    asked_at: datetime
    moment: str
    source: str
    subject: str
    answer: str
    sentence: str
    content_hash: str | None
    ours: Mapping[str, Any] | None
    theirs: Mapping[str, Any] | None


def _shown(row: _Asked) -> Inquiry:
    ours, theirs = (None if each is None else Version.from_json(each) for each in (row.ours, row.theirs))
    lines = () if theirs is None else side_by_side(ours, theirs)
    told = {name: value for name, value in row._asdict().items() if name not in ("ours", "theirs")}
    return Inquiry(**told, versions=tuple(VersionLine.model_validate(each) for each in lines))


_INQUIRIES: Final = text("""
SELECT asked_at, moment, source, subject, answer, sentence, content_hash, ours, theirs
FROM inquiry WHERE referral_id = :referral ORDER BY asked_at, id
""")
