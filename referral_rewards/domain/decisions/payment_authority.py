"""Whether authorised people approved exactly what a payout pays, right before it is sent (SPEC §6).

Nothing that the payout's own row says is trusted. Each referral's claim was assembled again from its facts. The
signatures must cover the digest of that claim, and only what that claim promises may be paid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from referral_rewards.domain.claims.approval import DecisionKind, Ruling, ruling
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.rewards import Leg as PromisedLeg
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.payouts.advice import ANOTHER_METHOD, SOON, SOURCE_AGAIN, SOURCE_PATIENCE
from referral_rewards.domain.payouts.attempt import Approved, Changed, Silent, Unauthorised, Verdict
from referral_rewards.domain.payouts.destinations import NOWHERE, Whereabouts
from referral_rewards.domain.payouts.payout import Leg, Payout
from referral_rewards.domain.payouts.states import PaymentRequest, payout_id
from referral_rewards.domain.referrals.inquiries import Answers, Question

_NO_LEG = Unauthorised("it pays no leg of the referral's current claim")


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a payout's rewards of one referral are verified from.

    ``claim_id`` and ``terms`` (program and version) are what the referral's row names. ``held`` is that claim as it was
    approved, in that ``round``, and ``again`` as it is assembled now; None: not before the sources answered.
    ``in_force`` are the terms in force when the referral began; None: no facts stand behind it. ``ahead_by`` is how
    long until the next fact on record takes effect. ``asked`` is the question to the sources, and ``answers`` are their
    current answers. ``made`` are the verified decisions on the referral, and ``people`` those who signed, with whether
    each is barred. ``moved_rightly``: verified decisions support what its row says of its referrer and linked orders.
    ``is_to_move``: decisions say more than its row does. ``cut_off`` is why decisions may be missing from the
    register. ``whereabouts`` say where the payee may be paid. ``told_by`` are the users who told any of the facts.
    """

    referral: str
    legs: tuple[Leg, ...]
    claim_id: UUID | None
    terms: tuple[str | None, int | None]
    held: RewardClaim | None
    round: int
    in_force: tuple[str, int] | None
    ahead_by: timedelta | None
    asked: Question | None
    answers: Answers | None
    again: RewardClaim | None
    made: tuple[Decision, ...]
    people: Mapping[str, bool]
    moved_rightly: bool = True
    is_to_move: bool = False
    cut_off: str | None = None
    whereabouts: Whereabouts = NOWHERE
    told_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Whole:
    """What a payout as a whole is verified from.

    ``own_name`` is the id of the payout that its cycle makes to its payee; None: it is of no cycle. ``lowered_minor``
    are its deductions, and ``lowered_wrongly`` is why they are not authorised. ``has_terms``: its referrals' rows name
    published terms. ``paid_by_another``: the books show that another payout paid one of its legs. ``listed``: it stands
    on the list of its cycle.
    """

    legs: tuple[Leg, ...]
    referral: str
    own_name: UUID | None = None
    has_terms: bool = True
    lowered_minor: int = 0
    lowered_wrongly: str | None = None
    paid_by_another: bool = False
    listed: bool = True


def flaw(payout: Payout, its: Whole) -> str | None:
    """Return in one sentence why the payout does not pay exactly these legs less its authorised deductions; None if it
    does.

    Its id follows from the legs, so a second payout can't pay a leg that was paid.
    """
    if not its.legs:
        return "it pays no leg"
    if not its.has_terms:
        return "its referral's row names terms that nobody published"
    if its.lowered_wrongly is not None:
        return its.lowered_wrongly
    if payout.cycle_id is not None and payout.id != its.own_name:
        return "it is not the payout that its cycle makes to this payee"
    if its.paid_by_another:
        return "the books show that another payout paid what it pays"
    if payout.cycle_id is not None and not its.listed:
        return "it is not the payout that stands on the list of its cycle"
    alike = {(leg.beneficiary, leg.currency, leg.rail, leg.pays_to, leg.program) for leg in its.legs}
    if len(alike) != 1 or not _is_frozen_as(payout, its):
        return "it does not pay what was approved"
    return None


def _is_frozen_as(payout: Payout, its: Whole) -> bool:
    """Return whether the payout's row and its frozen request are those of its legs."""
    first = its.legs[0]
    frozen = PaymentRequest(
        payout_id=payout.id,
        payee=first.beneficiary,
        amount_minor=sum(leg.amount_minor for leg in its.legs) - its.lowered_minor,
        currency=first.currency,
        destination=first.pays_to,
        program=first.program,
        referral="" if payout.cycle_id is not None else its.referral,
    )
    stored = (payout.body, payout.payee, payout.amount_minor, payout.currency)
    return stored == (frozen.body(), frozen.payee, frozen.amount_minor, frozen.currency)


def verdict(payout: Payout, its: Grounds, now: datetime) -> Verdict:
    """Return what the approval of a payout's rewards of one referral is worth now."""
    if (early := before_it_is_assembled(its)) is not None:
        return early
    held, again, answers = its.held, its.again, its.answers
    assert held is not None
    assert again is not None
    assert answers is not None
    made = [decision for decision in its.made if decision.claim_id == its.claim_id]
    signed = {decision.user for decision in made} | {each.by for each in again.adjustments}
    # If the payout may have been sent, later changes of who may sign do not matter.
    barred = its.people if payout.key_used_at is None else dict.fromkeys(signed, False)
    if out := sorted({each.user for each in made if each.kind is DecisionKind.APPROVE and barred.get(each.user)}):
        return Changed(f"{', '.join(out)}, who approved it, was barred since")
    told_by = its.told_by if payout.key_used_at is None else frozenset()
    if out := sorted({each.user for each in made if each.kind is DecisionKind.APPROVE} & told_by):
        return Changed(f"{', '.join(out)}, who approved it, told a fact that it rests on")
    if its.is_to_move:
        return Changed("people decided on its attribution since")
    if (other := _not_ruled(payout, held, again, answers, made, now)) is not None:
        return other
    if not _promised(payout, its.legs, again, its.round):
        return Unauthorised("it does not pay what was approved")
    if its.cut_off is not None:
        return Unauthorised(its.cut_off)
    if (other := _not_bound(payout, its, now)) is not None:
        return other
    if strangers := sorted(user for user in signed if barred.get(user, True)):
        return Unauthorised(f"{', '.join(strangers)}, who decided on it, is not among the people who may")
    return Approved(its.ahead_by)


def before_it_is_assembled(its: Grounds) -> Verdict | None:
    """Return the verdict if it does not depend on the claim as it is assembled now; else None."""
    if its.held is None or {leg.claim_id for leg in its.legs} != {its.claim_id}:
        return _NO_LEG
    if not its.moved_rightly:
        return Unauthorised("no signed decisions support what its row says was decided about its attribution")
    if its.in_force is None:
        return Unauthorised("no facts stand behind it")
    if its.terms != its.in_force:
        return Changed("its row names other terms than those in force when it began")
    if its.answers is None or its.answers.question != its.asked:
        return Silent("what the sources were asked is not the question any more", SOON)
    return None


def _not_ruled(
    payout: Payout, held: RewardClaim, again: RewardClaim, answers: Answers, made: Sequence[Decision], now: datetime
) -> Verdict | None:
    """Return the verdict if the decisions do not approve the claim as it is now; None if they do."""
    signoffs = [decision.signoff for decision in made]
    ruled = ruling(again.requirement, signoffs, again.digest, frozen=again.frozen)
    if ruled is Ruling.APPROVED:
        return None
    before = ruling(held.requirement, signoffs, held.digest, frozen=held.frozen)
    if ruled is Ruling.PENDING and before is Ruling.PENDING:
        return Unauthorised("no signed decision of enough people with the authority approves it")
    if not answers.all_came and now < payout.updated_at + SOURCE_PATIENCE:
        return Silent("a source does not answer; nothing is paid meanwhile", SOURCE_AGAIN)
    return Changed("the claim, or the ruling on it, changed since it was approved")


def _not_bound(payout: Payout, its: Grounds, now: datetime) -> Verdict | None:
    """Return the verdict if the payee may not be paid where the payout pays; None if they may.

    Of a payout that the rail may have seen, what was told or decided since does not matter.
    """
    for leg in its.legs:
        bound, waits = its.whereabouts.settled(leg.id, leg.rail, leg.destination, now)
        if waits and payout.key_used_at is None:
            # Before the first payment its referral is judged at once, and then the leg waits. One that was retried
            # waits for a redirect, which wakes it.
            again_after = SOON if payout.first_sent_at is None else ANOTHER_METHOD
            return Silent("its payee's payment method is another one than the one that it was bound to", again_after)
        if leg.pays_to != bound:
            return Unauthorised("nobody with the authority bound it to where it pays")
    return None


def _promised(payout: Payout, legs: Sequence[Leg], claim: RewardClaim, round_: int) -> bool:
    """Return whether the claim promises each of the legs over the payout's rail, and the payout's id is theirs.

    The id of a cycle's payout is checked in `flaw`.
    """
    promised = {_terms_of(leg) for leg in claim.legs}
    own_names = {payout_id(claim.referral, leg.role, round_) for leg in legs}
    if payout.cycle_id is None and {payout.id} != own_names:
        return False
    return all(_terms_of(leg) in promised and leg.rail == payout.rail for leg in legs)


def _terms_of(leg: Leg | PromisedLeg) -> tuple[str | int | None, ...]:
    """Return the promise of a leg."""
    return (str(leg.role), leg.beneficiary, leg.amount_minor, leg.currency, leg.rail, leg.destination)
