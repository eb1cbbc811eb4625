"""Gather the due legs of a program into the payouts of a cycle, a batch of payees at a time.

The cycle's row holds the last payee gathered (``cursor``) and is committed together with the batch. So every payee is
gathered exactly once, even if the work is interrupted. A batch takes the same statements however many payees it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PayoutRow
from models.statuses import spelled
from referral_rewards.domain.cycles import gathering, steps
from referral_rewards.domain.cycles.cycle import Cycle
from referral_rewards.domain.cycles.gathering import Waiting
from referral_rewards.domain.cycles.grouping import LEGS_MAX, CarriedFor, PlannedPayout
from referral_rewards.domain.payouts.payout import Leg
from referral_rewards.domain.payouts.states import OWED, LegState, PayoutState, body_hash, provider_key
from referral_rewards.register import typed_rows
from referral_rewards.register.cycles import exemptions
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payees import deductions, tax_holds
from referral_rewards.register.payees.deductions import Unsent

_payouts = PayoutRow.__table__  # type: ignore[attr-defined]

#: The payees of one batch; the referrals of its legs are locked meanwhile.
_PAYEES_AT_ONCE: Final = 100
#: At most so many legs of one payee are read: more do not fit into the next cycle.
_LEGS_OF_A_PAYEE: Final = 10 * LEGS_MAX


@dataclass(frozen=True, slots=True)
class Due:
    """The legs that are due to a program's next payees, and the last of these payees; ``more``: there are others."""

    legs: Sequence[Leg]
    payees: Sequence[str]
    more: bool


async def gather(connection: AsyncConnection, cycle: Cycle, now: datetime, keys: KeyRing) -> bool:
    """Gather the next payees of a cycle, and return whether there were any or another worker went on meanwhile."""
    versions = await _versions(connection, cycle.program, now)
    payees = await _next_payees(connection, cycle.program, versions, cycle.cursor)
    if not payees:
        return False
    found = await _legs(connection, cycle.program, versions, payees)
    held = await _hold(connection, cycle.id, payees, found)
    if held is None or (held.state, held.cursor) != (cycle.state, cycle.cursor):
        return True
    known = {each.id for each in found}
    still = [each for each in await _legs(connection, cycle.program, versions, payees) if each.id in known]
    bound = [each for each in still if each.state != LegState.WAITING_METHOD]
    waiting = await tax_holds.decide_held(connection, bound, now)
    made = gathering.gathered(still, waiting, cycle.minimum)
    below = {each.leg.payee for each in made.carried if each.why is CarriedFor.BELOW_MINIMUM}
    if below and (exempt := await exemptions.exempt(connection, cycle.id, below, keys)):
        made = gathering.gathered(still, waiting, cycle.minimum, exempt)
    await _plan(connection, cycle, made.payouts, now)
    carried = gathering.carried_totals(made.carried, held.summary.get("carried", ()))
    await cycles.save(connection, held, steps.gathered(held, payees[-1], carried), now)
    return True


async def due_to(connection: AsyncConnection, program: str, versions: Sequence[int], payee: str) -> Sequence[Leg]:
    """Return the legs due to one payee."""
    return await _legs(connection, program, versions, [payee])


async def due(connection: AsyncConnection, program: str, now: datetime, after: str | None, payees_max: int) -> Due:
    """Return the legs due to the program's next payees.

    This is for display: whether a leg waits for a tax form is as it was last decided.
    """
    versions = await _versions(connection, program, now)
    waiting = await _waiting(connection, program, versions, after, payees_max + 1)
    payees = gathering.next_payees(waiting[:payees_max])
    legs = await _legs(connection, program, versions, payees)
    return Due(legs, payees, more=len(payees) < len(waiting))


async def _versions(connection: AsyncConnection, program: str, now: datetime) -> tuple[int, ...]:
    its = await cycles.timing(connection, program, now)
    return () if its is None else its.versions


async def _next_payees(
    connection: AsyncConnection, program: str, versions: Sequence[int], after: str | None
) -> list[str]:
    return gathering.next_payees(await _waiting(connection, program, versions, after, _PAYEES_AT_ONCE))


async def _waiting(
    connection: AsyncConnection, program: str, versions: Sequence[int], after: str | None, limit: int
) -> Sequence[Waiting]:
    asked = {"program": program, "versions": list(versions), "after": after, "limit": limit}
    return await typed_rows.read(connection, Waiting, _PAYEES, asked)


async def _legs(
    connection: AsyncConnection, program: str, versions: Sequence[int], payees: Sequence[str]
) -> Sequence[Leg]:
    asked = {"program": program, "versions": list(versions), "payees": payees, "legs_max": _LEGS_OF_A_PAYEE}
    return await typed_rows.read(connection, Leg, _LEGS, asked)


async def _hold(connection: AsyncConnection, cycle: UUID, payees: Sequence[str], legs: Sequence[Leg]) -> Cycle | None:
    """Lock the referrals of legs, their payees and the cycle, in this order, and return the cycle.

    Cancelling a leg takes its referral's lock: legs that are due under these locks stay due until the commit.
    """
    await connection.execute(_HOLD_REFERRALS, {"referrals": sorted({leg.referral_id for leg in legs})})
    await deductions.hold_payees(connection, payees)
    return await cycles.hold(connection, cycle)


async def _plan(connection: AsyncConnection, cycle: Cycle, planned: Sequence[PlannedPayout], now: datetime) -> None:
    """Save the payouts of a batch, with their deductions and legs. The caller holds their payees."""
    if not planned:
        return
    named = {gathering.payout_of(cycle.id, payout): payout for payout in planned}
    amounts = await deductions.plan_new(
        connection,
        [
            Unsent(name, payout.payee, payout.rail, payout.currency, tuple(leg.id for leg in payout.legs))
            for name, payout in named.items()
        ],
        now,
    )
    rows = [_row(cycle, name, payout, amounts[name], now) for name, payout in named.items()]
    await connection.execute(insert(_payouts).values(rows))
    links = [(name, leg.id) for name, payout in named.items() for leg in payout.legs]
    await connection.execute(_LINK, {"payouts": [name for name, _ in links], "legs": [leg for _, leg in links]})


def _row(cycle: Cycle, name: UUID, planned: PlannedPayout, amount_minor: int, now: datetime) -> Mapping[str, object]:
    body = gathering.request_of(name, planned, amount_minor, cycle.program).body()
    return {
        "id": name,
        "cycle_id": cycle.id,
        "payee": planned.payee,
        "rail": planned.rail,
        "amount_minor": amount_minor,
        "currency": planned.currency,
        "body": body,
        "body_hash": body_hash(body),
        "generation": 1,
        "provider_key": provider_key(name, 1),
        "state": PayoutState.PLANNED,
        "created_at": now,
        "updated_at": now,
    }


_PAYEES: Final = text(
    spelled(
        """
SELECT l.beneficiary, count(*) AS legs
FROM leg l JOIN referral r ON r.id = l.referral_id
WHERE l.program = :program AND l.state IN :owed AND r.version = ANY(CAST(:versions AS int[]))
  AND NOT EXISTS (SELECT 1 FROM payout_leg pl WHERE pl.leg_id = l.id AND pl.live)
  AND (CAST(:after AS text) IS NULL OR l.beneficiary > :after)
GROUP BY l.beneficiary ORDER BY l.beneficiary LIMIT :limit
""",
        owed=OWED,
    )
)

_LEGS: Final = text(
    spelled(
        """
SELECT * FROM (
    SELECT l.*, row_number() OVER (PARTITION BY l.beneficiary ORDER BY l.approved_at, l.id) AS number
    FROM leg l JOIN referral r ON r.id = l.referral_id
    WHERE l.program = :program AND l.state IN :owed AND r.version = ANY(CAST(:versions AS int[]))
      AND NOT EXISTS (SELECT 1 FROM payout_leg pl WHERE pl.leg_id = l.id AND pl.live)
      AND l.beneficiary = ANY(CAST(:payees AS text[]))
) AS due WHERE number <= :legs_max ORDER BY beneficiary, number
""",
        owed=OWED,
    )
)

_HOLD_REFERRALS: Final = text("""
SELECT 1 FROM referral WHERE id = ANY(CAST(:referrals AS text[])) ORDER BY id FOR UPDATE
""")

_LINK: Final = text("""
INSERT INTO payout_leg (payout_id, leg_id, live)
SELECT *, true FROM unnest(CAST(:payouts AS uuid[]), CAST(:legs AS uuid[]))
""")
