"""Clawback cases for whoever looks after them: page by page, one with all that was done, and what a payee owes."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.clawbacks.proposals import to_do
from referral_rewards.domain.clawbacks.states import CaseState
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.errors import NotFound
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.reporting import counting, decisions
from referral_rewards.reporting.counting import Count
from referral_rewards.reporting.plain_values import plain


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases are asked for; None asks for any. ``after`` is the id that the page before ended with."""

    state: CaseState | None = None
    program: str | None = None
    payee: str | None = None
    referral: str | None = None
    after: UUID | None = None
    limit: int = 100


async def cases(connection: AsyncConnection, wanted: Wanted) -> list[dict[str, Any]]:
    """A page of cases, the newest first, each with its leg, what is proposed, what is left and what was done."""
    return await _cases(connection, _asked(wanted))


async def count(connection: AsyncConnection, wanted: Wanted) -> Count:
    """How many cases there are on all pages."""
    return await counting.count(connection, _PAGE, {**_asked(wanted), "after": None})


def _asked(wanted: Wanted) -> dict[str, Any]:
    return {
        "state": wanted.state,
        "program": wanted.program,
        "payee": wanted.payee,
        "referral": wanted.referral,
        "after": wanted.after,
        "limit": wanted.limit,
        "id": None,
    }


async def case(connection: AsyncConnection, number: UUID, keys: KeyRing) -> dict[str, Any]:
    """One case, with its decisions and what a decision would be made against now.

    Raises:
        NotFound: if there is none.
    """
    asked = dict.fromkeys(("state", "program", "payee", "referral", "after")) | {"id": number, "limit": 1}
    (found,) = await _cases(connection, asked) or (None,)
    if found is None:
        raise NotFound("clawback case", str(number))
    return {**found, **await decisions.actable(connection, SubjectKind.CLAWBACK_CASE, number, keys)}


async def owed(connection: AsyncConnection, payee: str) -> list[dict[str, Any]]:
    """What a payee owes, by currency, in minor units: in all, what of it is being taken back at providers, what is to
    be kept from later payouts, and what of that is kept from one that is on its way."""
    return [plain(row) for row in await connection.execute(_OWED, {"payee": payee})]


async def _cases(connection: AsyncConnection, asked: dict[str, Any]) -> list[dict[str, Any]]:
    found = {row.id: _brief(row) for row in await connection.execute(_PAGE, asked)}
    for row in await connection.execute(_CLAWBACKS, {"ids": list(found)}) if found else ():
        said = plain(row)
        del said["case_id"]
        found[row.case_id]["clawbacks"].append(said)
    for each in found.values():
        review = [made["key"] for made in each["clawbacks"] if made["state"] == "manual_review"]
        each["to_do"] = to_do(CaseState(each["state"]), room_minor=each["room_minor"], keys_in_review=review)
    return list(found.values())


def _brief(row: Any) -> dict[str, Any]:
    return {
        "case": str(row.id),
        "referral": row.referral_id,
        "program": row.program,
        "leg": str(row.leg_id),
        "role": row.role,
        "payee": row.payee,
        "payout": plain(row.payout_id),
        "rail": row.rail,
        "state": row.state,
        "why": row.why,
        "opened_at": plain(row.opened_at),
        "settled_at": plain(row.settled_at),
        "currency": row.currency,
        "paid_minor": row.paid_minor,
        "taken_minor": row.taken_minor,
        "proposed_minor": row.proposed_minor,
        "room_minor": row.paid_minor - row.taken_minor,
        "clawbacks": [],
    }


# In the order of their age no more than a page is read, or all of one state, payee or referral.
_PAGE: Final = text("""
SELECT c.*, l.program, l.role, l.beneficiary AS payee, l.currency, l.rail, pl.payout_id,
       CASE WHEN l.state IN ('paid', 'clawed_back') THEN l.amount_minor ELSE 0 END AS paid_minor,
       CAST(coalesce((SELECT sum(taken_by(b)) FROM clawback b WHERE b.leg_id = c.leg_id), 0) AS bigint) AS taken_minor
FROM clawback_case c JOIN leg l ON l.id = c.leg_id LEFT JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live
WHERE (CAST(:id AS uuid) IS NULL OR c.id = :id)
  AND (CAST(:state AS text) IS NULL OR c.state = :state)
  AND (CAST(:program AS text) IS NULL OR l.program = :program)
  AND (CAST(:payee AS text) IS NULL OR l.beneficiary = :payee)
  AND (CAST(:referral AS text) IS NULL OR c.referral_id = :referral)
  AND (CAST(:after AS uuid) IS NULL
       OR (c.opened_at, c.id) < ((SELECT opened_at FROM clawback_case WHERE id = :after), CAST(:after AS uuid)))
ORDER BY c.opened_at DESC, c.id DESC LIMIT :limit
""")

_CLAWBACKS: Final = text("""
SELECT case_id, id AS clawback, kind, amount_minor, recovered_minor, state, why, provider_key AS key,
       provider_reference AS reference, first_sent_at, created_at, updated_at
FROM clawback WHERE case_id = ANY(CAST(:ids AS uuid[])) ORDER BY created_at, id
""")

_OWED: Final = text("""
SELECT b.currency, CAST(sum(b.amount_minor - b.recovered_minor) AS bigint) AS owed_minor,
       CAST(coalesce(sum(b.amount_minor - b.recovered_minor) FILTER (WHERE b.kind = 'reverse'), 0) AS bigint)
           AS reversing_minor,
       CAST(coalesce(sum(b.amount_minor - b.recovered_minor) FILTER (WHERE b.kind = 'offset'), 0) AS bigint)
           AS offsetting_minor,
       CAST(coalesce(sum(kept.amount_minor), 0) AS bigint) AS kept_minor
FROM clawback b LEFT JOIN LATERAL (
    SELECT sum(d.amount_minor) AS amount_minor FROM payout_deduction d JOIN payout p ON p.id = d.payout_id
    WHERE d.source = CAST(b.id AS text) AND d.kind = 'offset' AND d.live AND p.state <> 'settled'
) AS kept ON true
WHERE b.payee = :payee AND b.state IN ('approved', 'reversing', 'unknown', 'manual_review', 'offsetting')
GROUP BY b.currency ORDER BY b.currency
""")
