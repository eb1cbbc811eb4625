"""Wake what the acts on a program concern, a page of its referrals at a time, in the order in which they began.

Of an ended program these are the referrals that began at or after the end, and those that may still be claimed; of
a raised budget, the claims that the budget cut, which are assembled again; of a resumed program, the payouts that wait.
Each reads the signed acts itself: to wake one for nothing does no harm. A referral that is committed after a page was
read is judged with the act, because the page is read after the act was committed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.claims.findings import CheckCode
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.life import Life
from referral_rewards.domain.referrals.case import NEVER_JUDGED
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, TIMED, WITH_APPROVERS, ReferralStatus
from referral_rewards.register import outbox, programs
from referral_rewards.register.decisions import program_acts
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind

_S = ReferralStatus
_REFERRALS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Place:
    """A referral in the order in which the program's referrals are woken."""

    began_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Woken:
    """How far it came, None at the end; how much had been decided; and when the program next changes by itself."""

    after: Place | None
    told: int
    again_at: datetime | None


async def wake_page(
    connection: AsyncConnection, program: str, now: datetime, keys: KeyRing, after: Place | None, told: int | None
) -> Woken:
    """Wake the referrals and payouts of the next page, and return how far it came.

    ``told`` is what the first page returned; None for the first page.
    """
    if told is None:
        told = int((await connection.execute(_TOLD, {"program": program})).scalar_one_or_none() or 0)
    life = await program_acts.of_program(connection, program, keys)
    asked = {
        "program": program,
        "after_at": after.began_at if after is not None else None,
        "after": after.id if after is not None else "",
        "ended_at": life.ended_at,
        "limit": _REFERRALS_AT_ONCE,
    }
    page = (await connection.execute(_WAKE, asked)).one()
    if page.found == _REFERRALS_AT_ONCE:
        return Woken(Place(page.began_at, page.id), told, None)
    again_at = await _next_change(connection, program, life, now)
    await connection.execute(_DONE, {"program": program, "told": told, "due": again_at})
    return Woken(None, told, again_at)


async def _next_change(connection: AsyncConnection, program: str, life: Life, now: datetime) -> datetime | None:
    """Return when the program next changes by an act or by a budget of later terms."""
    known = await programs.versions(connection, program)
    later = [terms.effective_from for _, terms in known if terms.effective_from > now]
    return min((at for at in (life.next_change(now), *later) if at is not None), default=None)


_TOLD: Final = text("SELECT told FROM program_life WHERE program = :program")

#: What was decided since the first page has its own wake-up, and is due until that is carried out.
_DONE: Final = text("UPDATE program_life SET due_at = :due WHERE program = :program AND told = :told")

_WAKE: Final = text(
    spelled(
        f"""
WITH page AS MATERIALIZED (
    SELECT id, began_at, status, claim_id FROM referral
    WHERE program = :program
      AND (CAST(:after_at AS timestamptz) IS NULL OR (began_at, id) > (CAST(:after_at AS timestamptz), :after))
    ORDER BY began_at, id LIMIT :limit
), cut AS MATERIALIZED (
    SELECT r.id FROM page JOIN referral r USING (id) JOIN reward_claim c ON c.id = r.claim_id
    WHERE r.status IN :with_approvers
      AND c.body->'flags' @> jsonb_build_array(jsonb_build_object('about', CAST(:budget_check AS text)))
    ORDER BY r.id FOR UPDATE OF r
), again AS (
    UPDATE referral SET claim_version = {NEVER_JUDGED} WHERE id IN (SELECT id FROM cut)
), due AS (
    SELECT id FROM page
    WHERE CAST(:ended_at AS timestamptz) IS NOT NULL
      AND (status IN :unclaimed OR status IN :not_paid AND began_at >= CAST(:ended_at AS timestamptz))
    UNION SELECT id FROM cut
), {
            outbox.wakeups_of_referrals(
                WakeupKind.FACT,
                "ARRAY(SELECT id FROM due)",
                outbox.newest_fact("its.id"),
                program=":program",
            )
        }, sent AS (
    {
            outbox.wakeups(
                WakeupKind.PAYOUT_DUE,
                "CAST(waiting.id AS text)",
                "waiting.id",
                '''FROM (
        SELECT DISTINCT p.id FROM page JOIN leg l ON l.referral_id = page.id
        JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live JOIN payout p ON p.id = pl.payout_id
        WHERE p.state = :approved AND p.key_used_at IS NULL
    ) AS waiting''',
            )
        }
)
SELECT count(*) AS found, max(began_at) AS began_at, (array_agg(id ORDER BY began_at DESC, id DESC))[1] AS id FROM page
""",  # noqa: S608 (words of ours alone)
        with_approvers=WITH_APPROVERS,
        unclaimed=frozenset({_S.INVITED, _S.PURCHASED_UNCLAIMED}),
        not_paid=TIMED | BEFORE_PAYMENT,
        budget_check=CheckCode.BUDGET_AVAILABLE,
        approved=PayoutState.APPROVED,
    )
)
