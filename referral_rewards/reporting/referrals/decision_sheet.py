"""The sheet that a person decides from: the claim or closing, the possible decisions, and their consequences."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import Approver, DecisionKind, Requirement
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.decisions.basis import Basis
from referral_rewards.domain.decisions.claim_subject import Answers, ClaimSubject
from referral_rewards.domain.decisions.consequences import Lacking, Prospect, consequence, lacking
from referral_rewards.domain.decisions.decision import Asked, Decision, Kind
from referral_rewards.domain.errors import DecisionRefused, NotAllowed
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.lifecycle import CLOSED
from referral_rewards.register.claims import subject as claim_subject
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.reporting import rails
from referral_rewards.reporting.decisions import act_named
from referral_rewards.reporting.queue.conditions import Asking
from referral_rewards.reporting.queue.filters import Filters
from referral_rewards.reporting.queue.neighbours import EVERY_CLAIM, Neighbours, neighbours
from referral_rewards.reporting.referrals.competing import RivalShown, competing
from referral_rewards.reporting.referrals.everything import ReferralShown, showing
from referral_rewards.reporting.referrals.timeline import Timeline, timeline

_K = DecisionKind

#: With one of these refusals a kind of decision does not fit the referral and is not displayed.
_UNFIT: Final = frozenset(
    {"not_closed", "no_exchange", "closed", "no_claim", "not_judged", "no_other_referrer", "payment_committed"}
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of decision: how labels call it, its consequence, and why this person may not make it now, if so."""

    kind: DecisionKind
    act: str
    follows: str
    refusal: DecisionRefused | NotAllowed | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything beside the form. ``digest`` is None if nothing can be decided; ``closed_to_all`` is the reason.

    ``seen`` is the number of the last decision on the referral, 0 without any; ``signed`` are the valid approvals, and
    ``lacks`` is what is still missing. ``refusal`` is why the decision that a person reviews would not be recorded,
    None if it would. ``rails`` are those that can pay now; ``proposed`` is the referrer to whom a request moves it.
    """

    shown: ReferralShown
    digest: str | None
    seen: int
    required: Requirement | None
    signed: tuple[Decision, ...]
    lacks: Lacking | None
    choices: tuple[Choice, ...]
    refusal: DecisionRefused | NotAllowed | None
    closed_to_all: str | None
    rivals: tuple[RivalShown, ...]
    timeline: Timeline | None
    beside: Neighbours
    rails: frozenset[str]
    proposed: str | None = None

    @property
    def claim(self) -> RewardClaim | None:
        return self.shown.claim

    @property
    def may_decide(self) -> bool:
        return any(choice.refusal is None for choice in self.choices)

    def choice(self, kind: Kind) -> Choice | None:
        return next((choice for choice in self.choices if choice.kind is kind), None)


async def sheet(
    connection: AsyncConnection,
    referral: str,
    approver: Approver,
    keys: KeyRing,
    now: datetime,
    *,
    came_by: Filters = EVERY_CLAIM,
    asked: Asked | None = None,
) -> Sheet:
    """Return the sheet of a referral for this person; ``came_by`` are the filters of the list they came from, ``asked``
    the decision that they review.

    Raises:
        NotFound: if there is no such referral.
    """
    shown = await showing(connection, referral, keys)
    matter = await claim_subject.shown(connection, referral, now, keys, asked)
    subject = matter.subject
    admits = subject.admits(approver) if subject.status is not None else {}
    signed: tuple[Decision, ...] = ()
    prospect: Prospect | None = None
    rivals: tuple[RivalShown, ...] = ()
    if admits and matter.case is not None and subject.basis is not None:
        rivals = await competing(connection, matter.case)
        signed = _signed(subject, subject.basis.digest)
        prospect = _prospect(matter.case, subject, subject.basis, signed, rivals, asked)
    return Sheet(
        shown=shown,
        digest=prospect.digest if prospect else None,
        seen=max((each.decision.seq for each in subject.history), default=0),
        required=prospect.required if prospect else None,
        signed=tuple(decision for decision in signed if decision.kind is _K.APPROVE),
        lacks=lacking(prospect.required, prospect.signoffs, prospect.digest) if prospect else None,
        choices=_choices(admits, approver, prospect),
        refusal=subject.refusal(asked, approver) if asked is not None and prospect is not None else None,
        closed_to_all=_closed_to_all(admits, subject.status),
        rivals=rivals,
        timeline=timeline(shown, now),
        beside=await neighbours(connection, referral, came_by, Asking(approver.user, approver.roles), now),
        rails=await rails.connected(connection, now),
        proposed=subject.basis.proposed if subject.basis is not None else None,
    )


async def as_it_was(connection: AsyncConnection, referral: str, digest: str) -> RewardClaim | None:
    """Return the referral's earlier or current claim with this digest; None if there is none."""
    asked = {"referral": referral, "digest": digest}
    body = (await connection.execute(_AS_IT_WAS, asked)).scalar_one_or_none()
    return RewardClaim.model_validate(body) if body else None


def _signed(subject: ClaimSubject, digest: str) -> tuple[Decision, ...]:
    """Return the decisions that count on what a decision covers now."""
    on_it = [each for each in subject.history if each.stands and each.decision.digest == digest]
    return tuple(each.decision for each in on_it if each.decision.claim_id == subject.chain_id)


def _prospect(
    case: Case,
    subject: ClaimSubject,
    basis: Basis,
    signed: tuple[Decision, ...],
    rivals: tuple[RivalShown, ...],
    asked: Asked | None,
) -> Prospect:
    against = [
        rival.referral
        for rival in rivals
        if rival.same_order and rival.claimed_at and rival.status not in CLOSED
        if rival.referrer != case.origin.referrer
    ]
    return Prospect(
        required=basis.requirement,
        legs=subject.claim.legs if subject.claim and not subject.closed else (),
        signoffs=[decision.signoff for decision in signed],
        digest=basis.digest,
        at_once=case.terms.payouts.timing == "immediate",
        against=against,
        to=asked.referrer if asked is not None else basis.proposed,
        asked=asked,
        promises=subject.claim.promises if subject.claim else (),
        currency=case.terms.currency,
        closed=subject.closed,
    )


def _choices(admits: Answers, approver: Approver, prospect: Prospect | None) -> tuple[Choice, ...]:
    if prospect is None:
        return ()
    return tuple(
        Choice(kind, act_named(kind, on_a_closing=prospect.closed), consequence(kind, approver, prospect), refusal)
        for kind, refusal in admits.items()
        if not (isinstance(refusal, DecisionRefused) and refusal.rule in _UNFIT)
    )


def _closed_to_all(admits: Answers, status: str | None) -> str | None:
    """Return why no one can decide anything on the referral; None if someone can."""
    refusals = [each for each in admits.values() if isinstance(each, DecisionRefused) and each.rule in _UNFIT]
    if len(refusals) < len(admits) or status is None:
        return None if admits else "it was not judged yet"
    return next(
        (each.why for each in refusals if each.rule not in ("not_closed", "no_exchange", "no_other_referrer")), None
    )


_AS_IT_WAS: Final = text("""
SELECT body FROM reward_claim WHERE referral_id = :referral AND digest = :digest ORDER BY assembled_at DESC LIMIT 1
""")
