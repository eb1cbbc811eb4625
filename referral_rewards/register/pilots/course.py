"""Load how a pilot goes: its payout cycle, the claims that count, and what was paid of them.

A claim is in a pilot if it waited for people, or its rewards for payment, at some time between its start and its end. A
reward was paid in a pilot if its payout belongs to the pilot's cycle or, where the pilot lasts a period, if its payment
was begun within that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.calendar import end_of
from referral_rewards.domain.decisions.pilot_acts import Pilot
from referral_rewards.domain.payouts.states import OWED, REFUSALS, PayoutState
from referral_rewards.domain.pilots.outcome import PaidReward
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.lifecycle import WITH_APPROVERS
from referral_rewards.register import typed_rows


class Tracked(NamedTuple):
    """The payout cycle that a pilot lasts."""

    id: UUID
    due_on: date
    state: str
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Course:
    """How a pilot goes. ``cycle`` is None before it opens, and for a pilot that lasts a period, which ``ends_at`` some
    time. ``over_at`` is None while it runs. ``claims`` are the ids of their referrals, in the order of assembly.
    ``given_up`` are rewards that were paid, and whose payment came back and was cancelled."""

    cycle: Tracked | None
    ends_at: datetime | None
    over_at: datetime | None
    claims: tuple[str, ...]
    waiting: int
    unpaid: int
    moving: int
    paid: tuple[PaidReward, ...]
    given_up: int


async def course(connection: AsyncConnection, program: str, pilot: Pilot, terms: Terms, now: datetime) -> Course:
    """Return how a pilot goes by ``now``. ``terms`` are those it was started with: they say whose clock counts."""
    lasts, ended_at = pilot.plan.lasts, pilot.ended.at if pilot.ended else None
    ends_at = None if lasts is None else end_of(pilot.started_at, lasts, terms.zone)
    cycle = await _cycle(connection, program, pilot.started_at) if lasts is None else None
    over_at = ends_at if ends_at is not None and ends_at <= now else cycle.done_at if cycle else None
    asked = {
        "program": program,
        "since": pilot.started_at,
        "until": min(at for at in (over_at, ended_at, now) if at is not None),
        "cycle": cycle.id if cycle else None,
        "by_time": ends_at is not None,
        "ended": ended_at,
        **_sample(pilot),
    }
    claims = tuple((await connection.execute(_CLAIMS, asked)).scalars())
    asked |= {"claims": list(claims)}
    stands = await typed_rows.read_one(connection, _Standing, _STANDING, asked)
    paid = await typed_rows.read(connection, PaidReward, _PAID, asked)
    assert stands is not None, "an aggregate always finds one row"
    unpaid = stands.owed - stands.moving
    return Course(cycle, ends_at, over_at, claims, stands.waiting, max(0, unpaid), stands.moving, paid, stands.given_up)


async def _cycle(connection: AsyncConnection, program: str, since: datetime) -> Tracked | None:
    return await typed_rows.read_one(connection, Tracked, _CYCLE, {"program": program, "since": since})


def _sample(pilot: Pilot) -> Mapping[str, int | Sequence[str] | None]:
    sample = pilot.plan.sample
    return {
        "first": sample.first,
        "referrals": list(sample.referrals) or None,
        "partners": list(sample.partners) or None,
    }


class _Standing(NamedTuple):
    waiting: int
    owed: int
    moving: int
    given_up: int


_CYCLE: Final = text("""
SELECT id, due_on, state, done_at FROM payout_cycle WHERE program = :program AND opened_at >= :since
ORDER BY opened_at, id LIMIT 1
""")

#: The payouts that the pilot makes.
_ITS: Final = """(p.cycle_id = CAST(:cycle AS uuid)
       OR CAST(:by_time AS boolean) AND coalesce(p.first_sent_at, p.settled_at) >= CAST(:since AS timestamptz)
          AND coalesce(p.first_sent_at, p.settled_at) < CAST(:until AS timestamptz))"""

_CLAIMS: Final = text(f"""
SELECT r.id FROM referral r JOIN reward_claim c ON c.referral_id = r.id
WHERE r.program = :program
  AND (CAST(:referrals AS text[]) IS NULL OR r.id = ANY(CAST(:referrals AS text[])))
  AND (CAST(:partners AS text[]) IS NULL OR r.referrer IN (
       SELECT data->>'referrer' FROM fact
       WHERE type = 'referrer.enrolled' AND data->>'program' = :program
         AND data->>'partner' = ANY(CAST(:partners AS text[]))))
  AND ((r.closed_at IS NULL OR r.closed_at >= CAST(:since AS timestamptz))
       AND (r.rewarded_at IS NULL OR r.rewarded_at >= CAST(:since AS timestamptz))
       OR EXISTS (SELECT 1 FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live
                  JOIN payout p ON p.id = pl.payout_id WHERE l.referral_id = r.id AND {_ITS}))
GROUP BY r.id HAVING min(c.assembled_at) < CAST(:until AS timestamptz)
ORDER BY min(c.assembled_at), r.id LIMIT CAST(:first AS integer)
""")  # noqa: S608 (words of ours)

_PAID: Final = statement(
    f"""
SELECT l.referral_id AS referral, l.role, l.kind, l.amount_minor, l.currency, p.settled_at, p.id AS payout
FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live JOIN payout p ON p.id = pl.payout_id
WHERE l.referral_id = ANY(CAST(:claims AS text[])) AND p.state = :settled AND {_ITS}
  AND (CAST(:ended AS timestamptz) IS NULL OR p.settled_at < CAST(:ended AS timestamptz))
ORDER BY p.settled_at, l.referral_id, l.role
""",  # noqa: S608 (words of ours)
    settled=PayoutState.SETTLED,
)

# A payment was begun, and neither a success nor a refusal is on record; or it came back, and nobody decided what next.
_STANDING: Final = statement(
    f"""
SELECT (SELECT count(*) FROM referral WHERE id = ANY(CAST(:claims AS text[])) AND status = ANY(:with_approvers))
       AS waiting,
       (SELECT count(*) FROM leg WHERE referral_id = ANY(CAST(:claims AS text[])) AND state = ANY(:owed)) AS owed,
       (SELECT count(*) FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live
        JOIN payout p ON p.id = pl.payout_id
        WHERE l.referral_id = ANY(CAST(:claims AS text[])) AND p.first_sent_at IS NOT NULL
          AND p.state <> ALL(:certain) AND {_ITS}) AS moving,
       (SELECT count(*) FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id JOIN payout p ON p.id = pl.payout_id
        WHERE l.referral_id = ANY(CAST(:claims AS text[])) AND p.state = :cancelled AND {_ITS}
          AND EXISTS (SELECT 1 FROM payout_step s WHERE s.payout_id = p.id AND s.state = :settled)) AS given_up
""",  # noqa: S608 (words of ours)
    with_approvers=WITH_APPROVERS,
    owed=OWED,
    certain=REFUSALS - {PayoutState.RETURNED} | {PayoutState.SETTLED, PayoutState.CANCELLED},
    cancelled=PayoutState.CANCELLED,
    settled=PayoutState.SETTLED,
)
