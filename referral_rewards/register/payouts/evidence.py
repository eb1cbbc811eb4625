"""Load the evidence for a payout's approval, right before it is sent, and examine it.

`gather` reads what `Grounds` does not hold: each referral's dossier, from which its claim is assembled again, and the
rare rest. `examine` then decides nothing by itself: the rules stand in `domain.decisions.payment_authority`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.deductions import Part
from referral_rewards.domain.claims import claim as claims
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.cycles.grouping import cycle_payout_id
from referral_rewards.domain.decisions import complete_acts, payment_authority, redirects, tellers
from referral_rewards.domain.decisions.adjusting import adjustments_of
from referral_rewards.domain.decisions.payment_authority import Whole
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payees import methods
from referral_rewards.domain.payouts.attempt import Evidence, Share
from referral_rewards.domain.payouts.destinations import NOWHERE, Whereabouts
from referral_rewards.domain.payouts.payout import PaidLeg, Payout
from referral_rewards.domain.referrals.case import Case, case_on
from referral_rewards.domain.referrals.inquiries import Answers
from referral_rewards.domain.referrals.lifecycle import PAID, ReferralStatus
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import programs, typed_rows
from referral_rewards.register.books import ledger
from referral_rewards.register.claims import dossier
from referral_rewards.register.cycles import lists as cycle_list
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payees import deductions
from referral_rewards.register.payees.deductions import Offset
from referral_rewards.register.payouts.grounds import Grounds
from referral_rewards.register.referrals.inquiries import question_of

_S = ReferralStatus
#: A referral of another status is not paid for the first time.
_PAYABLE: Final = frozenset({_S.APPROVED, _S.PAYING})


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a payout's approval is examined from beside its `Grounds`.

    ``parts`` are its legs with their terms; None: a referral's row names terms that nobody published. ``offsets`` lower
    it. ``claims`` are the grounds of each referral's share, and ``dossiers`` those of the claims that have to be
    assembled again.
    """

    parts: tuple[Part, ...] | None
    offsets: tuple[Offset, ...]
    paid_by_another: bool
    listed: bool
    claims: Mapping[str, payment_authority.Grounds]
    dossiers: Mapping[str, Dossier]


async def gather(
    connection: AsyncConnection,
    payout: Payout,
    rows: Collection[Referral],
    grounds: Grounds,
    answers: Mapping[str, Answers],
    now: datetime,
    keys: KeyRing,
) -> Gathered:
    """Return what the payout's approval is examined from. The caller holds its row and those of its referrals."""
    its: dict[str, payment_authority.Grounds] = {}
    dossiers: dict[str, Dossier] = {}
    for row in rows:
        past, said = grounds.pasts[row.id], answers.get(row.id)
        case = case_on(row, now, past.facts, past)
        stored = grounds.claims.get(row.claim_id) if row.claim_id is not None else None
        made = grounds.made_on(row.id).genuine
        on_it = [decision for decision in made if decision.claim_id == row.claim_id]
        # If the payout may have been sent, later changes of who may sign do not matter.
        gone = [user for user, barred in grounds.people.items() if barred and payout.key_used_at is None]
        its[row.id] = payment_authority.Grounds(
            referral=row.id,
            legs=tuple(leg for leg in grounds.legs if leg.referral_id == row.id),
            claim_id=row.claim_id,
            terms=(row.program, row.version),
            held=stored.claim if stored is not None else None,
            round=stored.round if stored is not None else 0,
            in_force=(case.origin.program, case.version) if case is not None else None,
            ahead_by=case.ahead_at - case.now if case is not None and case.ahead_at is not None else None,
            asked=question_of(case) if case is not None else None,
            answers=said,
            again=None,
            made=made,
            people=grounds.people,
            moved_rightly=complete_acts.holds(row, made),
            is_to_move=complete_acts.pending(row, made) is not None,
            whereabouts=_whereabouts(payout, case, grounds),
            told_by=tellers.tellers(case.facts) if case is not None else frozenset(),
            cut_off=decisions.end_problem(grounds.end, min(each.seq for each in on_it), keys) if on_it else None,
        )
        if case is not None and said is not None and payment_authority.before_it_is_assembled(its[row.id]) is None:
            held = stored.claim if stored is not None else None
            gathered = await dossier.gather(connection, case, answers=said, approved=held)
            dossiers[row.id] = replace(gathered, adjustments=adjustments_of(held, row.claim_id, made, gone))
    return Gathered(
        parts=await _parts(connection, rows, grounds.legs),
        offsets=await deductions.offsets(connection, payout.id, grounds.deductions, keys),
        paid_by_another=await _paid_by_another(connection, grounds.legs),
        listed=payout.cycle_id is None or await cycle_list.lists(connection, payout),
        claims=its,
        dossiers=dossiers,
    )


def examine(payout: Payout, rows: Sequence[Referral], grounds: Grounds, gathered: Gathered, now: datetime) -> Evidence:
    """Return what the payout's approval is worth now."""
    cycle = payout.cycle_id
    planned_at = grounds.dates.planned_at or payout.updated_at
    lowered_wrongly = gathered.parts and deductions.unauthorised(
        payout, planned_at, gathered.parts, grounds.deductions, grounds.told, gathered.offsets
    )
    whole = Whole(
        legs=tuple(leg for row in rows for leg in grounds.legs if leg.referral_id == row.id),
        referral=rows[0].id,
        own_name=cycle and cycle_payout_id(cycle, payout.payee, payout.rail, payout.currency),
        has_terms=gathered.parts is not None,
        lowered_minor=sum(each.amount_minor for each in grounds.deductions),
        lowered_wrongly=lowered_wrongly or None,
        paid_by_another=gathered.paid_by_another,
        listed=gathered.listed,
    )
    if (flaw := payment_authority.flaw(payout, whole)) is not None:
        return Evidence(flaw, ())
    return Evidence(None, tuple(_share(payout, row, gathered, now) for row in rows))


def _share(payout: Payout, row: Referral, gathered: Gathered, now: datetime) -> Share:
    its, found = gathered.claims[row.id], gathered.dossiers.get(row.id)
    if found is not None:
        its = replace(its, again=claims.assemble(found, reopened=row.round > 1))
    return Share(
        referral=row.id,
        verdict=payment_authority.verdict(payout, its, now),
        judged=row.judged_version == row.facts_version == row.claim_version,
        payable=row.status in _PAYABLE or (payout.first_sent_at is not None and row.status in PAID),
        paying=row.status in PAID,
        standing=label("status", row.status),
    )


def _whereabouts(payout: Payout, case: Case | None, grounds: Grounds) -> Whereabouts:
    """Return where the payout's payee may be paid. Once the rail may have seen it, what was told later counts no more,
    nor whether those who signed a redirect were barred since."""
    if case is None:
        return NOWHERE
    told, used_at = methods.of(payout.payee, case.facts), payout.key_used_at
    barred = {name for name, is_barred in grounds.people.items() if is_barred} if used_at is None else ()
    return Whereabouts(
        told if used_at is None else told.by(used_at),
        redirects.in_force(grounds.redirected, barred),
        case.terms.payouts.first_method == "pay",
    )


async def _parts(
    connection: AsyncConnection, rows: Collection[Referral], legs: Collection[PaidLeg]
) -> tuple[Part, ...] | None:
    """Return the legs with the terms that their referral's row names; those are checked against the facts elsewhere."""
    found: list[Part] = []
    for row in rows:
        terms = await programs.find(connection, row.program, row.version)
        if terms is None:
            return None
        found += [Part(terms, leg.amount_minor) for leg in legs if leg.referral_id == row.id]
    return tuple(found)


class _Other(NamedTuple):
    """Another payout that a leg was in, with the current total of its own legs."""

    id: UUID
    generation: int
    legs_minor: int


async def _paid_by_another(connection: AsyncConnection, legs: Collection[PaidLeg]) -> bool:
    """Return whether another payout already paid one of the legs.

    That payout's current legs then total less than the books say it settled.
    """
    others = sorted({other for leg in legs for other in leg.others})
    for other in await typed_rows.read(connection, _Other, _LEFT, {"others": others}) if others else ():
        for generation in range(1, other.generation + 1):
            settled = (await ledger.settlement(connection, other.id, generation)).stands
            if settled is not None and settled.amount_minor != other.legs_minor:
                return True
    return False


_LEFT: Final = text("""
SELECT p.id, p.generation, CAST(coalesce((
           SELECT sum(l.amount_minor) FROM payout_leg its JOIN leg l ON l.id = its.leg_id
           WHERE its.payout_id = p.id AND its.live
       ), 0) AS bigint) AS legs_minor
FROM payout p WHERE p.id = ANY(CAST(:others AS uuid[]))
""")
