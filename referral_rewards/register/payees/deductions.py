"""Deductions from payouts: withheld tax, and offsets for what the payee owes. Only this module plans, frees and
verifies them.

A payout's amount is the total of its live legs less its live deductions, frozen in its body when it is planned. A
payout of zero is settled in the books without a call. A deduction stays with its payout through every retry, and is
freed when the payout is cancelled or planned again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain.books.deductions import Gross, Lowered, OpenOffset, Part, by_regime, each_lowered
from referral_rewards.domain.books.ledger import Deduction, DeductionKind
from referral_rewards.domain.clawbacks.clawback import Clawback
from referral_rewards.domain.clawbacks.states import OFFSETS, ClawbackKind, ClawbackState
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register import typed_rows
from referral_rewards.register.clawbacks import authority as clawback_authority
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import lock_each, payee_locks
from referral_rewards.register.payees import rows as payee_rows
from referral_rewards.register.payees import withholding
from referral_rewards.register.payees.rows import Heard


async def hold_payees(connection: AsyncConnection, payees: Iterable[str]) -> None:
    """Lock the deductions of these payees until the transaction ends. Call it once with all payees it plans for."""
    await lock_each(connection, payee_locks(payees))


class Unsent(NamedTuple):
    """A payout to plan, with the ids of all legs that it pays."""

    id: UUID
    payee: str
    rail: str
    currency: str
    legs: tuple[UUID, ...]


async def plan(
    connection: AsyncConnection,
    payout: UUID,
    *,
    payee: str,
    rail: str,
    currency: str,
    legs: Collection[UUID],
    at: datetime,
) -> int:
    """Plan the deductions of an unsent payout again, and return the amount left to send in minor units, zero or more.

    ``legs`` are the ids of all legs that it pays. Tax is withheld from their total first; offsets take from the rest.
    The caller holds the payee (`hold_payees`) and freezes the amount in the payout's body.
    """
    await free(connection, payout)
    planned = await plan_new(connection, [Unsent(payout, payee, rail, currency, tuple(legs))], at)
    return planned[payout]


async def plan_new(connection: AsyncConnection, payouts: Sequence[Unsent], at: datetime) -> Mapping[UUID, int]:
    """Plan the deductions of payouts that have none, like `plan`; return the amount left to send of each, by its id.

    The payouts of one payee take from what the payee owes in the given order.
    """
    payees = {payout.payee for payout in payouts}
    parts = await withholding.parts_of(connection, [leg for payout in payouts for leg in payout.legs])
    forms = await payee_rows.forms(connection, payees)
    gross = [
        Gross(
            payout.id,
            payout.payee,
            payout.rail,
            payout.currency,
            tuple(by_regime([parts[leg] for leg in payout.legs], forms[payout.payee], at)),
        )
        for payout in payouts
    ]
    planned = each_lowered(gross, open_offsets(await connection.execute(_OPEN_OFFSETS, {"payees": sorted(payees)})))
    await _keep(connection, planned)
    return {payout: its.left_minor for payout, its in planned.items()}


def open_offsets(found: Iterable[Sequence[Any]]) -> Mapping[tuple[str, str], tuple[OpenOffset, ...]]:
    """Return the open offsets by payee and currency, oldest first, from the rows of `OPEN_OFFSETS`."""
    by_payee: dict[tuple[str, str], list[OpenOffset]] = {}
    for payee, currency, offset, open_minor in found:
        by_payee.setdefault((payee, currency), []).append(OpenOffset(UUID(str(offset)), int(open_minor)))
    return {whose: tuple(its) for whose, its in by_payee.items()}


async def free(connection: AsyncConnection, payout: UUID) -> None:
    """Free the deductions of a cancelled payout; the payee's next payouts take them instead."""
    await connection.execute(_FREE, {"payout": payout})


def of(rows: Iterable[tuple[str, str, int]]) -> tuple[Deduction, ...]:
    """Return a payout's live deductions, as the books post them, from what a statement read by `LIVE`."""
    return tuple(Deduction(DeductionKind(kind), source, int(amount_minor)) for kind, source, amount_minor in rows)


@dataclass(frozen=True, slots=True)
class Offset:
    """The clawback that lowers a payout, as its row has it; None for each if there is none.

    ``amount_minor`` is what it takes, without what was released of it, and ``over_minor`` what all live deductions keep
    for it. ``decided``: somebody with the authority signed that it is kept back.
    """

    payee: str | None
    currency: str | None
    state: str | None
    amount_minor: int | None
    over_minor: int
    decided: bool


async def offsets(
    connection: AsyncConnection, payout: UUID, lowered_by: Collection[Deduction], keys: KeyRing
) -> tuple[Offset, ...]:
    """Return the clawbacks that lower a payout; nothing is read if no offset is among its deductions."""
    if all(each.kind is DeductionKind.WITHHOLDING for each in lowered_by):
        return ()
    found = []
    for row in (await connection.execute(_OFFSETS_OF, {"payout": payout})).all():
        clawback = None if row.id is None else typed_rows.of(Clawback, row)
        decided = clawback is not None and await clawback_authority.decided(connection, clawback, keys) is not None
        owed_minor = None if clawback is None else clawback.amount_minor - clawback.released_minor
        found.append(Offset(row.payee, row.currency, row.state, owed_minor, int(row.over_minor), decided))
    return tuple(found)


def unauthorised(
    payout: Payout,
    planned_at: datetime,
    parts: Sequence[Part],
    lowered_by: Collection[Deduction],
    told: Collection[Heard],
    kept_for: Sequence[Offset],
) -> str | None:
    """Return in one sentence why a deduction is not authorised; None if a decision or tax form supports each.

    ``payout`` is its row, ``parts`` are its legs, ``lowered_by`` its deductions, ``told`` the forms that its payee
    filed, and ``kept_for`` the `offsets`. A changed row alone must not make anyone be paid less.
    """
    kept = [each for each in lowered_by if each.kind is DeductionKind.WITHHOLDING]
    if (why := withholding.unfounded(payout, planned_at, parts, kept, told)) is not None:
        return why
    for offset in kept_for:
        if (offset.payee, offset.currency) != (payout.payee, payout.currency):
            return "it is lowered by what somebody else owes"
        if offset.state not in OFFSETS and payout.key_used_at is None:
            return "it is lowered by what is not owed any more"
        if offset.amount_minor is None or offset.over_minor > offset.amount_minor:
            return "it is lowered by more than is owed"
        if not offset.decided:
            return "no signed decision of somebody with the authority keeps back what it is lowered by"
    return None


async def _keep(connection: AsyncConnection, planned: Mapping[UUID, Lowered]) -> None:
    made = [(payout, each) for payout, its in planned.items() for each in its.deductions]
    if made:
        asked = {
            "payouts": [payout for payout, _ in made],
            "kinds": [each.kind.value for _, each in made],
            "sources": [each.source for _, each in made],
            "amounts": [each.amount_minor for _, each in made],
        }
        await connection.execute(_KEEP, asked)


#: The open part of each offset of the ``:payees``, oldest first: neither recovered nor released, nor kept from a payout
#: under way.
OPEN_OFFSETS: Final = spelled(
    """
SELECT o.payee, o.currency, o.id, o.open_minor FROM (
    SELECT b.id, b.payee, b.currency, b.created_at,
           CAST(b.amount_minor - b.recovered_minor - b.released_minor - coalesce((
               SELECT sum(d.amount_minor) FROM payout_deduction d JOIN payout p ON p.id = d.payout_id
               WHERE d.source = CAST(b.id AS text) AND d.kind = :kept AND d.live AND p.state <> :settled
           ), 0) AS bigint) AS open_minor
    FROM clawback b
    WHERE b.payee = ANY(CAST(:payees AS text[])) AND b.kind = :offset AND b.state = :offsetting
) AS o WHERE o.open_minor > 0 ORDER BY o.created_at, o.id
""",
    kept=DeductionKind.OFFSET,
    settled=PayoutState.SETTLED,
    offset=ClawbackKind.OFFSET,
    offsetting=ClawbackState.OFFSETTING,
)
_OPEN_OFFSETS: Final = text(OPEN_OFFSETS)

_KEEP: Final = text("""
INSERT INTO payout_deduction (payout_id, kind, source, amount_minor, live)
SELECT *, true FROM unnest(CAST(:payouts AS uuid[]), CAST(:kinds AS text[]), CAST(:sources AS text[]),
                           CAST(:amounts AS bigint[]))
ON CONFLICT (payout_id, kind, source) DO UPDATE SET amount_minor = excluded.amount_minor, live = true
""")

_FREE: Final = text("UPDATE payout_deduction SET live = false WHERE payout_id = :payout AND live")

#: A list of the live deductions of the payout ``:id``, for `of`.
LIVE: Final = """(
    SELECT coalesce(json_agg(json_build_array(kind, source, amount_minor) ORDER BY kind, source), '[]')
    FROM payout_deduction WHERE payout_id = :id AND live
)"""

# Each offset with the total that all live deductions keep for it, including those of settled payouts.
_OFFSETS_OF: Final = statement(
    """
SELECT b.*, (SELECT CAST(sum(e.amount_minor) AS bigint) FROM payout_deduction e
             WHERE e.source = d.source AND e.kind = :kept AND e.live) AS over_minor
FROM payout_deduction d LEFT JOIN clawback b ON b.id = CASE WHEN d.kind = :kept THEN CAST(d.source AS uuid) END
WHERE d.payout_id = :payout AND d.kind = :kept AND d.live
""",
    kept=DeductionKind.OFFSET,
)
