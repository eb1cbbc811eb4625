"""Payout cycles for whoever looks after them: which there are, what one comes to, and what the next one would pay."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.cycles.grouping import Carried, CarriedFor, grouped, next_due, opens_at
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.errors import NotFound
from referral_rewards.register import programs
from referral_rewards.register.cycles import gathering
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.cycles.rows import Timing
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.reporting import counting, decisions
from referral_rewards.reporting.counting import Count
from referral_rewards.reporting.plain_values import instant, plain

#: So many payees are read at a time.
_PAYEES_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cycles are asked for; None asks for any. ``after`` is the id that the page before ended with."""

    program: str | None = None
    state: str | None = None
    after: UUID | None = None
    limit: int = 100


async def listing(connection: AsyncConnection, wanted: Wanted = Wanted()) -> list[dict[str, Any]]:
    """A page of cycles, the latest first: where each stands, and its ``summary``.

    ``summary.totals`` are what its payouts come to, by rail and currency; ``summary.carried`` the legs that wait for
    the next one, by reason; ``summary.outcome``, once it is done, where its payouts came to rest.
    """
    asked = {"program": wanted.program, "state": wanted.state, "after": wanted.after, "limit": wanted.limit}
    return [_brief(row) for row in await connection.execute(_PAGE, asked)]


async def count(connection: AsyncConnection, wanted: Wanted) -> Count:
    """How many cycles there are on all pages."""
    asked = {"program": wanted.program, "state": wanted.state, "after": None}
    return await counting.count(connection, _PAGE, asked)


async def cycle(connection: AsyncConnection, number: UUID, keys: KeyRing) -> dict[str, Any]:
    """One cycle with what a decision on it would be made against, the decisions on it, and where its payouts stand.

    Raises:
        NotFound: if there is none.
    """
    row = await cycles.row(connection, number)
    if row is None:
        raise NotFound("payout cycle", str(number))
    stand = [dict(each._mapping) for each in await connection.execute(_STAND, {"cycle": number})]
    return {**_brief(row), **await decisions.actable(connection, SubjectKind.CYCLE, number, keys), "payouts": stand}


async def rows(connection: AsyncConnection, number: UUID) -> AsyncIterator[dict[str, Any]]:
    """Every payout of a cycle by its id, one at a time, for a file."""
    async for row in await connection.stream(_ROWS, {"cycle": number}):
        yield plain(row)


async def preview(
    connection: AsyncConnection, program: str, now: datetime, *, after: str | None = None, limit: int = _PAYEES_AT_ONCE
) -> dict[str, Any]:
    """What the program's next cycle would pay to the next payees by what is due now, and what it would carry forward.

    ``next`` is what ``after`` takes for the page that follows; None at the end. Amounts are before anything is kept
    back, which is decided when the cycle gathers them.

    Raises:
        NotFound: if there is no such program, or it does not pay in cycles.
    """
    its = await _timing(connection, program, now)
    legs, last = await gathering.due(connection, program, now, after, limit)
    held = [leg for leg in legs if leg.state == "tax_hold"]
    made = grouped((gathering.due_leg(leg) for leg in legs if leg.state != "tax_hold"), its.minimum)
    carried = [*made.carried, *(Carried(gathering.due_leg(leg), CarriedFor.TAX_HOLD) for leg in held)]
    referrals = {leg.id: leg.referral_id for leg in legs}
    due_on = next_due(its.cycle, its.terms.zone, now)
    return {
        "program": program,
        "due_on": due_on.isoformat(),
        "opens_at": instant(opens_at(due_on, its.terms.zone)),
        "minimum_minor": its.minimum.amount_minor if its.minimum else None,
        "currency": its.terms.currency,
        "payouts": [
            {
                "payee": each.payee,
                "rail": each.rail,
                "amount_minor": each.amount_minor,
                "currency": each.currency,
                "legs": len(each.legs),
                "referrals": sorted({referrals[leg.id] for leg in each.legs}),
            }
            for each in made.payouts
        ],
        "carried": [
            {
                "leg": str(each.leg.id),
                "referral": referrals[each.leg.id],
                "payee": each.leg.payee,
                "rail": each.leg.rail,
                "amount_minor": each.leg.amount_minor,
                "currency": each.leg.currency,
                "why": each.why,
            }
            for each in carried
        ],
        "next": last,
    }


async def previewed(connection: AsyncConnection, program: str, now: datetime) -> AsyncIterator[dict[str, Any]]:
    """All pages of the preview, one at a time, however many payees there are."""
    page = await preview(connection, program, now)
    yield page
    while page["next"] is not None:
        page = await preview(connection, program, now, after=page["next"])
        yield page


async def preview_totals(connection: AsyncConnection, program: str, now: datetime) -> dict[str, Any]:
    """What the whole next cycle would come to, in the form of a cycle's ``summary``."""
    totals: dict[tuple[str, str], list[int]] = {}
    carried: dict[tuple[str, str], list[int]] = {}
    async for page in previewed(connection, program, now):
        for each in page["payouts"]:
            _add(totals, (each["rail"], each["currency"]), 1, each["legs"], each["amount_minor"])
        for each in page["carried"]:
            _add(carried, (each["why"], each["currency"]), 1, each["amount_minor"])
    return {
        "totals": [
            {"rail": rail, "currency": currency, "payouts": payouts, "legs": legs, "amount_minor": amount_minor}
            for (rail, currency), (payouts, legs, amount_minor) in sorted(totals.items())
        ],
        "carried": [
            {"why": why, "currency": currency, "legs": legs, "amount_minor": amount_minor}
            for (why, currency), (legs, amount_minor) in sorted(carried.items())
        ],
    }


def _add(total: dict[tuple[str, str], list[int]], key: tuple[str, str], *more: int) -> None:
    total[key] = [had + each for had, each in zip(total.get(key, [0] * len(more)), more, strict=True)]


async def _timing(connection: AsyncConnection, program: str, now: datetime) -> Timing:
    its = await cycles.timing(connection, program, now)
    if its is None:
        known = await programs.versions(connection, program)
        raise NotFound("payout cycle of program" if known else "program", program)
    return its


def _brief(row: Any) -> dict[str, Any]:
    due_on: date = row.due_on
    return {
        "cycle": str(row.id),
        "program": row.program,
        "due_on": due_on.isoformat(),
        "version": row.version,
        "state": row.state,
        "minimum_minor": row.minimum_minor,
        "currency": row.currency,
        "list": row.digest,
        "summary": row.summary,
        "opened_at": instant(row.opened_at),
        "frozen_at": instant(row.frozen_at),
        "done_at": instant(row.done_at),
    }


# A program has one a month, or one a week.
_PAGE: Final = text("""
SELECT * FROM payout_cycle
WHERE (CAST(:program AS text) IS NULL OR program = :program) AND (CAST(:state AS text) IS NULL OR state = :state)
  AND (CAST(:after AS uuid) IS NULL OR (due_on, id) < (SELECT due_on, id FROM payout_cycle WHERE id = :after))
ORDER BY due_on DESC, id DESC LIMIT :limit
""")

_STAND: Final = text("""
SELECT state, rail, currency, count(*) AS payouts, CAST(sum(amount_minor) AS bigint) AS amount_minor
FROM payout WHERE cycle_id = :cycle GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")

_ROWS: Final = text("""
SELECT p.id AS payout, p.payee, p.rail, p.amount_minor, p.currency, p.state, p.why, p.provider_reference AS reference,
       listed.legs, listed.referrals
FROM payout p CROSS JOIN LATERAL (
    SELECT count(*) AS legs, array_agg(DISTINCT l.referral_id) AS referrals
    FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = p.id AND pl.live
) AS listed
WHERE p.cycle_id = :cycle ORDER BY p.id
""")
