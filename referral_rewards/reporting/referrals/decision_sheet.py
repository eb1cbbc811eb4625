"""The sheet that a person decides from: the claim or closing, the possible decisions, and their consequences."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims import attribution
from referral_rewards.domain.claims.approval import Approver, DecisionKind, Requirement
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.decisions.consequences import Lacking, Prospect, consequence, lacking
from referral_rewards.domain.errors import DecisionRefused, NotAllowed, NotFound
from referral_rewards.domain.referrals.lifecycle import CLOSED
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.recording import admission
from referral_rewards.register.recording.admission import Answers, Matter, open_matter
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting import rails
from referral_rewards.reporting.queue.filters import Filters
from referral_rewards.reporting.queue.neighbours import EVERY_CLAIM, Neighbours, neighbours
from referral_rewards.reporting.queue.search import Asking
from referral_rewards.reporting.referrals.competing import RivalShown, competing
from referral_rewards.reporting.referrals.everything import ReferralShown, showing
from referral_rewards.reporting.referrals.timeline import Timeline, timeline

_K = DecisionKind

#: With one of these refusals a kind of decision does not fit the referral and is not displayed.
_UNFIT: Final = frozenset({"not_closed", "closed", "no_claim", "not_judged", "no_other_referrer", "payment_committed"})


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of decision: its consequence, and why this person may not make it now, if so."""

    kind: DecisionKind
    follows: str
    refusal: DecisionRefused | NotAllowed | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything beside the form. ``digest`` is None if nothing can be decided; ``closed_to_all`` is the reason.

    ``seen`` is the number of the last decision on the referral, 0 without any; ``signed`` are the valid approvals, and
    ``lacks`` is what is still missing. ``rails`` are those that can pay now.
    """

    shown: ReferralShown
    digest: str | None
    seen: int
    required: Requirement | None
    signed: tuple[Decision, ...]
    lacks: Lacking | None
    choices: tuple[Choice, ...]
    closed_to_all: str | None
    rivals: tuple[RivalShown, ...]
    timeline: Timeline | None
    beside: Neighbours
    rails: frozenset[str]

    @property
    def claim(self) -> RewardClaim | None:
        return self.shown.claim

    @property
    def may_decide(self) -> bool:
        return any(choice.refusal is None for choice in self.choices)

    def choice(self, kind: DecisionKind) -> Choice | None:
        return next((choice for choice in self.choices if choice.kind is kind), None)


async def sheet(
    connection: AsyncConnection,
    referral: str,
    approver: Approver,
    keys: KeyRing,
    now: datetime,
    *,
    came_by: Filters = EVERY_CLAIM,
) -> Sheet:
    """Return the sheet of a referral for this person; ``came_by`` are the filters of the list they came from.

    Raises:
        NotFound: if there is no such referral.
    """
    row = await referrals.row(connection, referral)
    if row is None:
        raise NotFound("referral", referral)
    shown = await showing(connection, referral, keys)
    admits: Answers = {}
    made, _ = await decisions.on_referral(connection, referral, keys)
    matter: Matter | None = None
    if row.status is not None:
        admits = await admission.admits(connection, referral, approver, now=now, keys=keys)
        if row.closed_at is not None or row.claim_id is not None:
            with suppress(DecisionRefused):  # no terms are in force, so nothing can be decided
                matter = await open_matter(connection, row, made, now)
    signed: tuple[Decision, ...] = ()
    prospect: Prospect | None = None
    rivals: tuple[RivalShown, ...] = ()
    if matter is not None:
        rivals = await competing(connection, matter.case)
        digest = matter.subject.digest
        on_it = [each for each in made if each.digest == digest and each.claim_id == matter.subject.claim_id]
        signed = await decisions.standing(connection, on_it)
        prospect = _prospect(matter, signed, rivals)
    return Sheet(
        shown=shown,
        digest=matter.subject.digest if matter else None,
        seen=max((decision.seq for decision in made), default=0),
        required=matter.subject.requirement if matter else None,
        signed=tuple(decision for decision in signed if decision.kind is _K.APPROVE),
        lacks=lacking(prospect.required, prospect.signoffs, prospect.digest) if prospect else None,
        choices=_choices(admits, approver, prospect),
        closed_to_all=_closed_to_all(admits, row.status),
        rivals=rivals,
        timeline=timeline(shown, now),
        beside=await neighbours(connection, referral, came_by, Asking(approver.user, approver.roles), now),
        rails=await rails.connected(connection, now),
    )


async def as_it_was(connection: AsyncConnection, referral: str, digest: str) -> RewardClaim | None:
    """Return the referral's earlier or current claim with this digest; None if there is none."""
    asked = {"referral": referral, "digest": digest}
    body = (await connection.execute(_AS_IT_WAS, asked)).scalar_one_or_none()
    return RewardClaim.model_validate(body) if body else None


def _prospect(matter: Matter, standing: tuple[Decision, ...], rivals: tuple[RivalShown, ...]) -> Prospect:
    case, subject = matter.case, matter.subject
    against = [
        rival.referral
        for rival in rivals
        if rival.same_order and rival.claimed_at and rival.status not in CLOSED
        if rival.referrer != case.origin.referrer
    ]
    return Prospect(
        required=subject.requirement,
        legs=subject.claim.legs if subject.claim else (),
        signoffs=[decision.signoff for decision in standing],
        digest=subject.digest,
        at_once=case.terms.payouts.timing == "immediate",
        against=against,
        to=attribution.proposed_referrer(case.facts, case.origin.referrer, case.now),
    )


def _choices(admits: Answers, approver: Approver, prospect: Prospect | None) -> tuple[Choice, ...]:
    if prospect is None:
        return ()
    return tuple(
        Choice(kind, consequence(kind, approver, prospect), refusal)
        for kind, refusal in admits.items()
        if not (isinstance(refusal, DecisionRefused) and refusal.rule in _UNFIT)
    )


def _closed_to_all(admits: Answers, status: str | None) -> str | None:
    """Return why no one can decide anything on the referral; None if someone can."""
    refusals = [each for each in admits.values() if isinstance(each, DecisionRefused) and each.rule in _UNFIT]
    if len(refusals) < len(admits) or status is None:
        return None if admits else "it was not judged yet"
    return next((each.why for each in refusals if each.rule not in ("not_closed", "no_other_referrer")), None)


_AS_IT_WAS: Final = text("""
SELECT body FROM reward_claim WHERE referral_id = :referral AND digest = :digest ORDER BY assembled_at DESC LIMIT 1
""")
