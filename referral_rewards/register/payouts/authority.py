"""Verify, right before a payout is sent, that it pays exactly what authorised people approved.

Nothing that the payout's own row says is trusted. Each referral's claim is assembled again from its facts. The
signatures must cover the digest of that claim, and only what that claim promises may be paid.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.deductions import Part
from referral_rewards.domain.claims.approval import DecisionKind, Ruling, ruling
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.cycles.grouping import cycle_payout_id
from referral_rewards.domain.payouts.advice import SOON, SOURCE_AGAIN, SOURCE_PATIENCE
from referral_rewards.domain.payouts.payout import PaidLeg, Payout
from referral_rewards.domain.payouts.states import PaymentRequest, payout_id
from referral_rewards.domain.referrals.inquiries import Answers
from referral_rewards.register import programs
from referral_rewards.register.books import ledger
from referral_rewards.register.claims import moves
from referral_rewards.register.claims.assembly import build_claim
from referral_rewards.register.cycles import lists as cycle_list
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions import effects
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payees import deductions
from referral_rewards.register.payouts.grounds import Grounds
from referral_rewards.register.referrals.cases import case_on
from referral_rewards.register.referrals.inquiries import question_of
from referral_rewards.register.referrals.rows import of_row


class NotAuthorised(Exception):
    """No verified, current decision of a person supports this payout. It must not be retried as it is."""


class ClaimChanged(Exception):
    """A verified decision supports the payout, but its claim has changed since."""


class SourcesSilent(Exception):
    """The sources' answers do not fit the question any more, or one did not answer: ask again after a pause."""

    def __init__(self, why: str, again_after: timedelta) -> None:
        super().__init__(why)
        self.again_after = again_after


@dataclass(frozen=True, slots=True)
class Share:
    """A payout's legs of one referral, the referral's locked row, and the sources' current answers."""

    row: Any
    legs: Sequence[PaidLeg]
    answers: Answers | None


def shares(rows: Collection[Any], legs: Sequence[PaidLeg], answers: Mapping[str, Answers]) -> tuple[Share, ...]:
    """Return a payout's ``legs`` as shares, one for each referral in ``rows``. The caller holds these rows."""
    return tuple(Share(row, [leg for leg in legs if leg.referral_id == row.id], answers.get(row.id)) for row in rows)


async def check_whole(
    connection: AsyncConnection, payout: Payout, its: Sequence[Share], grounds: Grounds, keys: KeyRing
) -> None:
    """Return if the payout pays exactly these legs less its authorised deductions; else raise.

    Its id follows from the legs, so a second payout can't pay a leg that was paid. When it was planned comes from its
    history: a tax form filed after that withholds nothing from it.

    Raises:
        NotAuthorised: with the reason, in one sentence.
    """
    legs = [leg for share in its for leg in share.legs]
    if not legs:
        raise NotAuthorised("it pays no leg")
    lowered_by, planned_at = grounds.deductions, grounds.dates.planned_at or payout.updated_at
    parts = await _parts(connection, its)
    if why := await deductions.unauthorised(connection, payout, planned_at, parts, lowered_by, grounds.told, keys):
        raise NotAuthorised(why)
    frozen = PaymentRequest(
        payout_id=payout.id,
        payee=legs[0].beneficiary,
        amount_minor=sum(leg.amount_minor for leg in legs) - sum(each.amount_minor for each in lowered_by),
        currency=legs[0].currency,
        destination=legs[0].destination,
        program=legs[0].program,
        referral="" if payout.cycle_id is not None else its[0].row.id,
    )
    as_frozen = (payout.body, payout.payee, payout.amount_minor, payout.currency) == (
        frozen.body(),
        frozen.payee,
        frozen.amount_minor,
        frozen.currency,
    )
    cycle = payout.cycle_id
    if cycle is not None and payout.id != cycle_payout_id(cycle, payout.payee, payout.rail, payout.currency):
        raise NotAuthorised("it is not the payout that its cycle makes to this payee")
    if await _paid_by_another(connection, legs):
        raise NotAuthorised("the books show that another payout paid what it pays")
    if cycle is not None and not await cycle_list.lists(connection, payout):
        raise NotAuthorised("it is not the payout that stands on the list of its cycle")
    alike = {(leg.beneficiary, leg.currency, leg.rail, leg.destination, leg.program) for leg in legs}
    if not as_frozen or len(alike) != 1:
        raise NotAuthorised("it does not pay what was approved")


async def _parts(connection: AsyncConnection, its: Sequence[Share]) -> Sequence[Part]:
    """Return the legs with the terms that their referral's row names; `verify` checks those terms against the facts."""
    found = []
    for share in its:
        terms = await programs.find(connection, share.row.program, share.row.version)
        if terms is None:
            raise NotAuthorised("its referral's row names terms that nobody published")
        found += [Part(terms, leg.amount_minor) for leg in share.legs]
    return found


async def _paid_by_another(connection: AsyncConnection, legs: Sequence[PaidLeg]) -> bool:
    """Return whether another payout already paid one of the legs.

    That payout's current legs then total less than the books say it settled.
    """
    others = {other for leg in legs for other in leg.others}
    for other in (await connection.execute(_LEFT, {"others": list(others)})).all() if others else ():
        for generation in range(1, other.generation + 1):
            settled = (await ledger.settlement(connection, other.id, generation)).stands
            if settled is not None and settled.amount_minor != other.legs_minor:
                return True
    return False


async def verify(
    connection: AsyncConnection, payout: Payout, share: Share, grounds: Grounds, now: datetime, keys: KeyRing
) -> timedelta | None:
    """Return if authorised people approved this share of the payout; else raise.

    Returns how long until the next fact that we already received takes effect; None if all have.

    Raises:
        NotAuthorised: with the reason, in one sentence.
        ClaimChanged: likewise, if it was approved and then changed.
        SourcesSilent: likewise, if a source has to be asked (again) first.
    """
    row, answers = share.row, share.answers
    if {leg.claim_id for leg in share.legs} != {row.claim_id}:
        raise NotAuthorised("it pays no leg of the referral's current claim")
    if not await moves.holds(connection, row, keys):
        raise NotAuthorised("no signed decision moved it to its referrer")
    stored = grounds.claims[row.claim_id]
    held = stored.claim
    past = grounds.pasts[row.id]
    case = case_on(of_row(row), now, past.facts, past)
    if case is None:
        raise NotAuthorised("no facts stand behind it")
    if (row.program, row.version) != (case.origin.program, case.version):
        raise ClaimChanged("its row names other terms than those in force when it began")
    if answers is None or answers.question != question_of(case):
        raise SourcesSilent("what the sources were asked is not the question any more", SOON)
    again, _ = await build_claim(connection, case, answers)
    on_it = grounds.made_on(row.id)
    await effects.record(connection, on_it.forged, "forged", now, "no signature that we believe")
    made = [decision for decision in on_it.genuine if decision.claim_id == row.claim_id]
    signed = {decision.user for decision in made}
    # If the payout may have been sent, later changes of who may sign do not matter.
    barred = grounds.people if payout.key_used_at is None else dict.fromkeys(signed, False)
    if out := sorted({each.user for each in made if each.kind is DecisionKind.APPROVE and barred.get(each.user)}):
        raise ClaimChanged(f"{', '.join(out)}, who approved it, was barred since")
    signoffs = [decision.signoff for decision in made]
    if moves.decided(held, made):
        raise ClaimChanged("people decided to move it to another referrer")
    ruled = ruling(again.requirement, signoffs, again.digest, frozen=again.frozen)
    if ruled is not Ruling.APPROVED:
        before = ruling(held.requirement, signoffs, held.digest, frozen=held.frozen)
        if ruled is not Ruling.PENDING or before is not Ruling.PENDING:
            if not answers.all_came and now < payout.updated_at + SOURCE_PATIENCE:
                raise SourcesSilent("a source does not answer; nothing is paid meanwhile", SOURCE_AGAIN)
            raise ClaimChanged("the claim, or the ruling on it, changed since it was approved")
        raise NotAuthorised("no signed decision of enough people with the authority approves it")
    if not _promised(payout, share.legs, again, stored.round):
        raise NotAuthorised("it does not pay what was approved")
    if (why := decisions.end_problem(grounds.end, min(decision.seq for decision in made), keys)) is not None:
        raise NotAuthorised(why)
    if strangers := sorted(user for user in signed if barred.get(user, True)):
        raise NotAuthorised(f"{', '.join(strangers)}, who decided on it, is not among the people who may")
    return case.ahead_at - case.now if case.ahead_at is not None else None


def _promised(payout: Payout, legs: Sequence[PaidLeg], claim: RewardClaim, round_: int) -> bool:
    """Return whether the claim promises each of the legs over the payout's rail, and the payout's id is theirs.

    The id of a cycle's payout is checked in `check_whole`.
    """
    promised = {_terms_of(leg) for leg in claim.legs}
    own_names = {payout_id(claim.referral, leg.role, round_) for leg in legs}
    if payout.cycle_id is None and {payout.id} != own_names:
        return False
    return all(_terms_of(leg) in promised and leg.rail == payout.rail for leg in legs)


def _terms_of(leg: Any) -> tuple[str | int | None, ...]:
    """Return the promise of a leg, which is a claim's leg or a row."""
    return (str(leg.role), leg.beneficiary, leg.amount_minor, leg.currency, leg.rail, leg.destination)


# Other payouts that these legs were in, with the current total of their own legs.
_LEFT: Final = text("""
SELECT p.id, p.generation, CAST(coalesce((
           SELECT sum(l.amount_minor) FROM payout_leg its JOIN leg l ON l.id = its.leg_id
           WHERE its.payout_id = p.id AND its.live
       ), 0) AS bigint) AS legs_minor
FROM payout p WHERE p.id = ANY(CAST(:others AS uuid[]))
""")
