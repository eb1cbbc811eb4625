"""Gather the due legs of a program into the payouts of a cycle, a batch of payees at a time.

The cycle's row holds the last payee gathered (``cursor``) and is committed together with the batch. So every payee is
gathered exactly once, even if the work is interrupted.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PayoutRow
from models.statuses import spelled
from referral_rewards.domain.cycles.grouping import (
    LEGS_MAX,
    Carried,
    CarriedFor,
    DueLeg,
    Minimum,
    PlannedPayout,
    cycle_payout_id,
    cycle_request,
    grouped,
)
from referral_rewards.domain.payouts.states import OWED, PayoutState, body_hash, provider_key
from referral_rewards.register.cycles import exemptions
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payees import deductions, tax_holds

_payouts = PayoutRow.__table__  # type: ignore[attr-defined]

#: Limits of one batch; the referrals of its legs are locked meanwhile.
_PAYEES_AT_ONCE: Final = 100
_LEGS_AT_ONCE: Final = 500
#: At most so many legs of one payee are read: more do not fit into the next cycle.
_LEGS_OF_A_PAYEE: Final = 10 * LEGS_MAX

#: The legs carried forward: their count and amount in minor units, by reason and currency.
Tally = dict[tuple[str, str], list[int]]


async def gather(connection: AsyncConnection, cycle: Any, now: datetime, keys: KeyRing) -> bool:
    """Gather the next payees of a cycle and return whether there may be more. ``cycle`` is its row."""
    its = await cycles.timing(connection, cycle.program, now)
    versions = list(its.versions) if its is not None else []
    asked = {"program": cycle.program, "versions": versions, "after": cycle.cursor}
    payees = _next((await connection.execute(_PAYEES, {**asked, "limit": _PAYEES_AT_ONCE})).all())
    if not payees:
        await cycles.hold(connection, cycle.id)
        return False
    its_legs = {**asked, "payees": payees, "legs_max": _LEGS_OF_A_PAYEE}
    found = (await connection.execute(_LEGS, its_legs)).all()
    # Cancelling a leg takes its referral's lock: legs that are due under these locks stay due until the commit.
    await connection.execute(_HOLD_REFERRALS, {"referrals": sorted({each.referral_id for each in found})})
    await deductions.hold_payees(connection, payees)
    held = await cycles.hold(connection, cycle.id)
    if held is None or (held.state, held.cursor) != (cycle.state, cycle.cursor):
        return True
    known = {each.id for each in found}
    still = [each for each in (await connection.execute(_LEGS, its_legs)).all() if each.id in known]
    waiting = await tax_holds.decide(connection, still, now)
    exempt = await exemptions.exempt(connection, cycle.id, payees, keys)
    made = grouped([due_leg(each) for each in still if each.id not in waiting], minimum_of(cycle), exempt=exempt)
    for payout in made.payouts:
        await _plan(connection, cycle, payout, now)
    without_a_form = [Carried(due_leg(each), CarriedFor.TAX_HOLD) for each in still if each.id in waiting]
    carried = tally([*made.carried, *without_a_form], held.summary.get("carried", ()))
    await cycles.write(
        connection, cycle.id, now, cursor=payees[-1], summary={**held.summary, "carried": listed(carried)}
    )
    return True


async def due(
    connection: AsyncConnection, program: str, now: datetime, after: str | None, payees_max: int
) -> tuple[Sequence[Any], str | None]:
    """Return the rows of the legs due to the program's next payees, and the last payee; None at the end.

    This is for display: whether a leg waits for a tax form is as it was last decided.
    """
    its = await cycles.timing(connection, program, now)
    asked = {"program": program, "versions": list(its.versions) if its is not None else [], "after": after}
    waiting = (await connection.execute(_PAYEES, {**asked, "limit": payees_max + 1})).all()
    payees = _next(waiting[:payees_max])
    found = await connection.execute(_LEGS, {**asked, "payees": payees, "legs_max": _LEGS_OF_A_PAYEE})
    return found.all(), payees[-1] if len(payees) < len(waiting) else None


async def due_to(connection: AsyncConnection, program: str, versions: Sequence[int], payee: str) -> Sequence[Any]:
    """Return the rows of the legs due to one payee."""
    asked = {"program": program, "versions": list(versions), "payees": [payee], "legs_max": _LEGS_OF_A_PAYEE}
    return (await connection.execute(_LEGS, asked)).all()


def due_leg(row: Any) -> DueLeg:
    """Return a due leg from its row."""
    return DueLeg(
        id=row.id,
        payee=row.beneficiary,
        rail=row.rail,
        currency=row.currency,
        destination=row.destination,
        amount_minor=row.amount_minor,
        approved_at=row.approved_at,
    )


def minimum_of(cycle: Any) -> Minimum | None:
    """Return the minimum amount that the cycle pays to one payee; None if it has no minimum."""
    return None if cycle.minimum_minor is None else Minimum(cycle.minimum_minor, cycle.currency)


def tally(carried: Iterable[Carried], before: Iterable[Mapping[str, Any]] = ()) -> Tally:
    """Return the totals carried forward: ``carried`` added to the totals ``listed`` before."""
    total: Tally = {(each["why"], each["currency"]): [each["legs"], each["amount_minor"]] for each in before}
    for each in carried:
        counted = total.setdefault((each.why, each.leg.currency), [0, 0])
        counted[0] += 1
        counted[1] += each.leg.amount_minor
    return total


def listed(total: Tally) -> list[dict[str, Any]]:
    """Return the totals carried forward in the form of a cycle's summary."""
    return [
        {"why": why, "currency": currency, "legs": legs, "amount_minor": amount_minor}
        for (why, currency), (legs, amount_minor) in sorted(total.items())
    ]


def _next(waiting: Sequence[Any]) -> list[str]:
    """Return the payees of the next batch: until their legs reach the limit, and at least one payee."""
    payees, legs = [], 0
    for each in waiting:
        payees.append(each.beneficiary)
        legs += each.legs
        if legs >= _LEGS_AT_ONCE:
            break
    return payees


async def _plan(connection: AsyncConnection, cycle: Any, planned: PlannedPayout, now: datetime) -> None:
    name = cycle_payout_id(cycle.id, planned.payee, planned.rail, planned.currency)
    amount_minor = await deductions.plan(
        connection,
        name,
        payee=planned.payee,
        rail=planned.rail,
        currency=planned.currency,
        legs=[leg.id for leg in planned.legs],
        at=now,
    )
    body = cycle_request(name, planned.payee, amount_minor, planned.currency, planned.destination, cycle.program).body()
    await connection.execute(
        insert(_payouts).values(
            id=name,
            cycle_id=cycle.id,
            payee=planned.payee,
            rail=planned.rail,
            amount_minor=amount_minor,
            currency=planned.currency,
            body=body,
            body_hash=body_hash(body),
            generation=1,
            provider_key=provider_key(name, 1),
            state=PayoutState.PLANNED,
            created_at=now,
            updated_at=now,
        )
    )
    await connection.execute(_LINK, {"payout": name, "legs": [leg.id for leg in planned.legs]})


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
INSERT INTO payout_leg (payout_id, leg_id, live) SELECT :payout, unnest(CAST(:legs AS uuid[])), true
""")
