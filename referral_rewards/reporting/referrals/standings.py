"""Where the referrals of a referrer stand, as the referrer may see it: for a front door, which shows it to them.

Nothing here tells of the other side, of checks, flags and scores, or of what a rail handed over.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.facts.payloads import Channel
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.states import OWED, WAS_PAID, LegState
from referral_rewards.domain.programs.terms import RewardKind, in_force
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import programs
from referral_rewards.register.decisions import program_acts
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting.programs.terms_in_words import reward_in_words
from referral_rewards.reporting.referrals.everything import (
    LegShown,
    ReferralShown,
    given_back_minor,
    showing,
    taken_back_minor,
)
from referral_rewards.reporting.referrals.own_status import own_status, state_in_words
from referral_rewards.reporting.shape import GivenId, Instant, Shape

#: Each is read with its whole history.
LISTED_MAX: Final = 25


class RewardStanding(Shape):
    """A reward of that side. ``amount`` is what was approved, in words, and ``state`` where it is; ``paid_minor`` is
    what of it was paid and is still theirs, ``owed_minor`` what was approved and not paid yet."""

    amount: str
    amount_minor: int
    currency: str
    kind: RewardKind
    state: str
    paid_minor: int
    owed_minor: int


class Standing(Shape):
    """Where a referral stands for one of its sides: in words why, what comes ``next`` and by when.

    ``status_url`` is that side's own page, null for a token that may not read it.
    """

    referral: GivenId
    program: str
    channel: str | None
    began_at: Instant
    side: Side
    status: ReferralStatus | None
    heading: str
    why: str
    next: str | None
    deadline: Instant | None
    rewards: tuple[RewardStanding, ...]
    status_url: str | None = None


class Offer(Shape):
    """What a program promises now, in words. A side without a reward has null.

    ``open``: a referral that begins now can still be rewarded. The periods are how long an invitation by email can be
    claimed, how long after the claim a purchase qualifies, and how long it can be returned. Letters are written between
    ``writes_from`` and ``writes_until`` by the clocks of ``timezone``, at any hour if these are null.
    """

    program: str
    version: int
    name: str
    open: bool
    for_referrer: str | None
    for_referee: str | None
    minimum: str | None
    new_customers_only: bool
    invitation_lasts: str | None
    offer_lasts: str
    return_lasts: str
    timezone: str
    writes_from: str | None
    writes_until: str | None


async def of_referrer(
    connection: AsyncConnection, program: str, referrer: str, *, after: str | None, limit: int
) -> tuple[str, ...]:
    """Return the ids of a referrer's referrals in a program, the newest first, from behind ``after`` on."""
    asked = {"program": program, "referrer": referrer, "after": after, "limit": limit}
    return tuple((await connection.execute(_OF_REFERRER, asked)).scalars())


async def standing(
    connection: AsyncConnection, row: Referral, side: Side, keys: KeyRing, status_url: str | None
) -> Standing:
    """Return where a referral that belongs to a program stands for one side."""
    shown = await showing(connection, row.id, keys)
    if shown.told is None:
        # It is judged for the first time while we read: what stands here has no reason yet, so it stands nowhere yet.
        shown = shown.model_copy(update={"status": None})
    own = own_status(shown, side)
    assert row.program is not None
    return Standing(
        referral=row.id,
        program=row.program,
        channel=row.channel,
        began_at=row.began_at,
        side=side,
        status=own.status,
        heading=own.heading,
        why=own.why,
        next=own.next,
        deadline=own.deadline,
        rewards=tuple(
            _reward(shown, leg) for leg in shown.legs if leg.role is side and leg.state != LegState.CANCELLED
        ),
        status_url=status_url,
    )


async def row_of(connection: AsyncConnection, referral: str) -> Referral | None:
    """Return the row of a referral that belongs to a program; None if there is none, or it is another's evidence."""
    row = await referrals.row(connection, referral)
    if row is None or row.program is None or (row.merged_into is not None and row.status is None):
        return None
    return row


async def offer(connection: AsyncConnection, program: str, keys: KeyRing, now: datetime) -> Offer | None:
    """Return what a program promises to a referral that begins now; None if it promises nothing yet."""
    found = in_force(await programs.versions(connection, program), now)
    if found is None:
        return None
    version, terms = found
    life = await program_acts.of_program(connection, program, keys)
    expiry = terms.periods.expiry.get(Channel.EMAIL)
    least = terms.qualifying.minimum
    sides, hours = terms.rewards, terms.contact_hours
    return Offer(
        program=program,
        version=version,
        name=terms.name,
        open=not life.has_ended(now),
        for_referrer=reward_in_words(terms, sides.referrer) if sides.referrer else None,
        for_referee=reward_in_words(terms, sides.referee) if sides.referee else None,
        minimum=display(terms.minor(least), terms.currency) if least is not None else None,
        new_customers_only=terms.qualifying.new_customers_only,
        invitation_lasts=expiry.in_words if expiry else None,
        offer_lasts=terms.periods.offer.in_words,
        return_lasts=terms.periods.return_.in_words,
        timezone=terms.timezone,
        writes_from=f"{hours.start:%H:%M}" if hours else None,
        writes_until=f"{hours.end:%H:%M}" if hours else None,
    )


def _reward(shown: ReferralShown, leg: LegShown) -> RewardStanding:
    left_minor = leg.amount_minor - taken_back_minor(shown, leg) + given_back_minor(shown, leg)
    return RewardStanding(
        amount=display(leg.amount_minor, leg.currency),
        amount_minor=leg.amount_minor,
        currency=leg.currency,
        kind=leg.kind,
        state=state_in_words(shown, leg),
        paid_minor=max(left_minor, 0) if leg.state in WAS_PAID else 0,
        owed_minor=leg.amount_minor if leg.state in OWED else 0,
    )


_OF_REFERRER: Final = text("""
SELECT id FROM referral
WHERE referrer = :referrer AND program = :program AND (merged_into IS NULL OR status IS NOT NULL)
  AND (CAST(:after AS text) IS NULL
       OR (began_at, id) < (SELECT began_at, id FROM referral WHERE id = CAST(:after AS text)))
ORDER BY began_at DESC, id DESC LIMIT :limit
""")
