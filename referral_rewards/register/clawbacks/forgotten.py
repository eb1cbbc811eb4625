"""What a rail took back of a payment and no reversal of ours accounts for: record it, and let a clawback adopt it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.clawbacks.states import REVERSAL_ENDED, UNDECIDED, ClawbackKind
from referral_rewards.domain.payouts.rail_catalogue import PROVIDERS
from referral_rewards.domain.payouts.states import PayoutState, TakenBack
from referral_rewards.domain.payouts.taking_back import AccountedFor, unaccounted
from referral_rewards.register import outbox, typed_rows
from referral_rewards.register.outbox import WakeupKind

_NAMESPACE: Final = UUID("6f0f3f0e-8a55-5c0b-9d44-0f6f1f1a7c2e")


async def adopt(
    connection: AsyncConnection, payout: UUID, rail: str, found: TakenBack, taken_minor: int, now: datetime
) -> bool:
    """Count so much of what the rail took back as a clawback's; False if others count too much of it meanwhile."""
    counted = await connection.execute(_ADOPT, _row(payout, rail, found, now) | {"taken": taken_minor})
    return counted.one_or_none() is not None


async def keep(connection: AsyncConnection, payout: UUID, rail: str, shown: Sequence[TakenBack], now: datetime) -> None:
    """Record what a rail shows as taken back of a payment and no reversal of ours accounts for, and that it said so."""
    ours = await typed_rows.read(connection, AccountedFor, _OURS, {"payout": payout})
    for each in unaccounted(shown, ours):
        await connection.execute(_KEEP, _row(payout, rail, each, now))
    await connection.execute(_LOOKED, {"payout": payout, "at": now})


async def is_to_be_asked(connection: AsyncConnection, payout: UUID) -> bool:
    """Return whether the rail of a settled payout must be asked what it took back of it.

    It must if it was halted after a restore since, or if its list showed more taken back than we know of.
    """
    return bool((await connection.execute(_IS_DUE, {"payout": payout})).scalar_one())


async def ask_again(connection: AsyncConnection, payout: UUID) -> None:
    """Note that the rail must be asked what it took back: its list shows another amount than we know of."""
    await connection.execute(_ASK_AGAIN, {"payout": payout})


async def have_asked(connection: AsyncConnection, referral: str | None = None) -> None:
    """Wake the payouts of undecided cases whose rails must be asked what they took back: of one referral, or all."""
    await connection.execute(_WAKE, {"referral": referral})


def _row(payout: UUID, rail: str, found: TakenBack, now: datetime) -> dict[str, object]:
    return {
        "id": uuid5(_NAMESPACE, f"{rail}\x00{payout}\x00{found.reference}"),
        "payout": payout,
        "rail": rail,
        "reference": found.reference,
        "amount": found.amount_minor,
        "currency": found.currency,
        "at": now,
    }


def _others(condition: str) -> str:
    return spelled(
        f"""
SELECT b.provider_key AS key, b.provider_reference AS reference,
       CASE WHEN b.state IN :ended THEN b.recovered_minor END AS recovered_minor
FROM clawback b WHERE b.payout_id = :payout AND b.kind = '{ClawbackKind.REVERSE}'{condition}
""",  # noqa: S608 (constants of ours)
        ended=REVERSAL_ENDED,
    )


_OURS: Final = text(_others(""))
#: The document of the other reversals of the ``:payout`` than ``:clawback``, each an `AccountedFor`.
OTHERS: Final = f"""(
    SELECT coalesce(json_agg(other), '[]') FROM ({_others(" AND b.id <> :clawback")}) AS other
)"""  # noqa: S608 (queries of ours alone)

#: Whether the rail of the payout ``p`` must still be asked. A payment that was adopted counts as sent before the halt.
DUE: Final = spelled(
    """(
    p.state IN :settled AND p.amount_minor > 0 AND p.rail IN :rails AND (
        EXISTS (SELECT 1 FROM reversal_look k WHERE k.payout_id = p.id AND k.asked_at IS NULL)
        OR EXISTS (
            SELECT 1 FROM restored_rail r WHERE r.rail = p.rail AND r.halted_at > greatest(
                coalesce(p.first_sent_at, p.settled_at),
                (SELECT k.asked_at FROM reversal_look k WHERE k.payout_id = p.id)))
    )
)""",
    settled=(PayoutState.SETTLED,),
    rails=PROVIDERS,
)

#: What the rail took back of the payout ``p`` and no clawback adopted, in minor units.
OPEN_MINOR: Final = """(
    SELECT CAST(coalesce(sum(f.amount_minor - f.adopted_minor), 0) AS bigint)
    FROM forgotten_reversal f WHERE f.payout_id = p.id
)"""

_IS_DUE: Final = text(f"SELECT EXISTS (SELECT 1 FROM payout p WHERE p.id = :payout AND {DUE})")  # noqa: S608

_KEEP: Final = text("""
INSERT INTO forgotten_reversal (id, payout_id, rail, reference, amount_minor, adopted_minor, currency, found_at)
VALUES (:id, :payout, :rail, :reference, :amount, 0, :currency, :at)
ON CONFLICT (id) DO NOTHING
""")

_ADOPT: Final = text("""
INSERT INTO forgotten_reversal AS f
    (id, payout_id, rail, reference, amount_minor, adopted_minor, currency, found_at)
VALUES (:id, :payout, :rail, :reference, :amount, :taken, :currency, :at)
ON CONFLICT (id) DO UPDATE SET adopted_minor = f.adopted_minor + excluded.adopted_minor
WHERE f.adopted_minor + excluded.adopted_minor <= f.amount_minor
RETURNING 1
""")

_LOOKED: Final = text("""
INSERT INTO reversal_look (payout_id, asked_at) VALUES (:payout, :at)
ON CONFLICT (payout_id) DO UPDATE SET asked_at = excluded.asked_at
""")

_ASK_AGAIN: Final = text("""
INSERT INTO reversal_look (payout_id, asked_at) VALUES (:payout, NULL)
ON CONFLICT (payout_id) DO UPDATE SET asked_at = NULL
""")

_OF_UNDECIDED: Final = spelled(
    f"""FROM payout p
    WHERE {DUE} AND p.id IN (
        SELECT pl.payout_id FROM clawback_case c JOIN payout_leg pl ON pl.leg_id = c.leg_id AND pl.live
        WHERE c.state IN :undecided AND (CAST(:referral AS text) IS NULL OR c.referral_id = :referral))""",  # noqa: S608
    undecided=UNDECIDED,
)

_WAKE: Final = text(outbox.wakeups(WakeupKind.PAYOUT_DUE, "CAST(p.id AS text)", "p.id", _OF_UNDECIDED))
