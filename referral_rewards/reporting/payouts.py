"""Payouts for whoever looks after them: page by page, and one with its whole life."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts.advice import to_do
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import array
from referral_rewards.register.payouts.endings import GIVEN_UP
from referral_rewards.reporting import counting, decisions
from referral_rewards.reporting.counting import Count
from referral_rewards.reporting.plain_values import plain


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which payouts are asked for; None asks for any. ``after`` is the id that the page before ended with."""

    state: PayoutState | None = None
    rail: str | None = None
    program: str | None = None
    payee: str | None = None
    referral: str | None = None
    cycle: UUID | None = None
    after: UUID | None = None
    limit: int = 100


async def payouts(connection: AsyncConnection, wanted: Wanted) -> list[dict[str, Any]]:
    """A page of payouts, the newest first; ``to_do`` says what a person does about one that can't go on by itself."""
    return [_brief(row) for row in await connection.execute(_PAGE, _asked(wanted))]


async def count(connection: AsyncConnection, wanted: Wanted) -> Count:
    """How many payouts there are on all pages."""
    return await counting.count(connection, _PAGE, {**_asked(wanted), "after": None})


def _asked(wanted: Wanted) -> dict[str, Any]:
    return {
        "state": wanted.state,
        "rail": wanted.rail,
        "program": wanted.program,
        "payee": wanted.payee,
        "referral": wanted.referral,
        "cycle": wanted.cycle,
        "after": wanted.after,
        "limit": wanted.limit,
    }


async def payout(connection: AsyncConnection, number: UUID, keys: KeyRing) -> dict[str, Any]:
    """One payout with its legs, deductions, steps and decisions, and what a decision would be made against now.

    Raises:
        NotFound: if there is none.
    """
    (found,) = await lives(connection, [number]) or (None,)
    if found is None:
        raise NotFound("payout", str(number))
    return {**found, **await decisions.actable(connection, SubjectKind.PAYOUT, number, keys)}


async def lives(connection: AsyncConnection, numbers: Sequence[UUID]) -> list[dict[str, Any]]:
    """The payouts of these ids, in their order, each with its legs, deductions and steps; unknown ones are left out."""
    if not numbers:
        return []
    asked = {"ids": array([str(each) for each in numbers])}
    found = {row.id: _brief(row) for row in await connection.execute(_OF_IDS, asked)}
    for name, statement in (("legs", _LEGS), ("deductions", _DEDUCTIONS), ("steps", _STEPS)):
        for each in found.values():
            each[name] = []
        for row in await connection.execute(statement, asked):
            said = plain(row)
            del said["payout_id"]
            found[row.payout_id][name].append(said)
    return [found[number] for number in numbers if number in found]


def _brief(row: Any) -> dict[str, Any]:
    state, sent = PayoutState(row.state), row.key_used_at is not None
    return {
        "payout": str(row.id),
        "referral": row.referral_id,
        "cycle": plain(row.cycle_id),
        "program": row.program,
        "payee": row.payee,
        "rail": row.rail,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "state": row.state,
        "why": row.why,
        "to_do": to_do(state, sent=sent, given_up=row.given_up, rail=row.rail, key=row.provider_key),
        "generation": row.generation,
        "key": row.provider_key,
        "reference": row.provider_reference,
        "destination": row.destination,
        "first_sent_at": plain(row.first_sent_at),
        "settled_at": plain(row.settled_at),
        "created_at": plain(row.created_at),
        "updated_at": plain(row.updated_at),
    }


_BRIEF: Final = f"p.*, p.body->>'program' AS program, p.body->>'destination' AS destination, {GIVEN_UP} AS given_up"

# In the order of their age no more than a page is read, or all of one state, payee, referral or cycle.
_PAGE: Final = text(f"""
SELECT {_BRIEF} FROM payout p
WHERE (CAST(:state AS text) IS NULL OR p.state = :state)
  AND (CAST(:rail AS text) IS NULL OR p.rail = :rail)
  AND (CAST(:program AS text) IS NULL OR p.body->>'program' = :program)
  AND (CAST(:payee AS text) IS NULL OR p.payee = :payee)
  AND (CAST(:cycle AS uuid) IS NULL OR p.cycle_id = :cycle)
  AND (CAST(:referral AS text) IS NULL OR p.id IN (
      SELECT pl.payout_id FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id WHERE l.referral_id = :referral))
  AND (CAST(:after AS uuid) IS NULL
       OR (p.created_at, p.id) < ((SELECT created_at FROM payout WHERE id = :after), CAST(:after AS uuid)))
ORDER BY p.created_at DESC, p.id DESC LIMIT :limit
""")  # noqa: S608 (a constant of ours)

_OF_IDS: Final = text(f"SELECT {_BRIEF} FROM payout p WHERE p.id = ANY(CAST(:ids AS uuid[]))")  # noqa: S608

_LEGS: Final = text("""
SELECT pl.payout_id, l.id AS leg, l.referral_id AS referral, l.role, l.kind, l.amount_minor, l.currency, l.state,
       pl.live
FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = ANY(CAST(:ids AS uuid[]))
ORDER BY pl.payout_id, pl.live DESC, l.referral_id, l.role DESC, l.id
""")

_DEDUCTIONS: Final = text("""
SELECT payout_id, kind, source, amount_minor, live FROM payout_deduction WHERE payout_id = ANY(CAST(:ids AS uuid[]))
ORDER BY payout_id, kind, source
""")

_STEPS: Final = text("""
SELECT payout_id, generation, at, act, state, why, reference FROM payout_step
WHERE payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY payout_id, id
""")
