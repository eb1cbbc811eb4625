"""Plan the messages that a verdict causes, in the transaction that saves the verdict (SPEC §6).

Whether a message may be sent is checked when it is due, because an issue may have been opened by then. Only messages
about events too long ago are suppressed at once, so that a back-fill of a hundred thousand referrals sends none.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.claims.adjustments import left_out
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.decision_kinds import DecisionKind
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.clawbacks.states import RECOVERY_ENDED
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.decisions.waiting import Patience
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.notices import contact
from referral_rewards.domain.notices.contact import Change, Template
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from referral_rewards.register import outgoing_events
from referral_rewards.register.notices import rows as notices
from referral_rewards.register.notices.rows import Audience, Planned

_S = ReferralStatus
#: These count as new when they are judged, however old the facts are: a decision or a payment causes them, or the
#: recipient can still act on them.
_OF_THE_MOMENT: Final = frozenset({_S.PURCHASED_UNCLAIMED, _S.APPROVED, _S.REWARDED})
_DECIDED: Final = frozenset({Reason.DENIED_BY_DECISION, Reason.ATTRIBUTION_LOST})
_AUDIENCES: Final = {Side.REFERRER: Audience.REFERRER, Side.REFEREE: Audience.REFEREE}
#: The recipient id of a referee whose customer id is unknown.
_THE_REFEREE: Final = "referee"


async def tell_of_status(
    connection: AsyncConnection, case: Case, status: ReferralStatus, reason: Reason | None, claim: RewardClaim | None
) -> None:
    """Plan the messages about a change of status. Without a change this runs no statement."""
    if (status, reason) == (case.row.status, case.row.reason):
        return
    sides = {leg.role for leg in claim.legs} if claim else set(Side)
    change = Change(
        after=status,
        took_part=any(fact.type is FactType.REFERRAL_CLAIMED for fact in case.facts),
        rewarded=sides,
        left_out=left_out(claim.adjustments) if claim else (),
        at_once=_pays_at_once(case),
        surveyed=contact.surveyed(case.terms, reason),
    )
    told = contact.tellings(change)
    stale = contact.no_news(_came_about(case, status, reason), case.now)
    planned = [
        replace(message, due_at=case.now + contact.PAUSES.get(each.template, _AT_ONCE), suppressed=stale)
        for each in told
        if (message := _of(case, each.side, each.template, _occasion(case, each.template))) is not None
    ]
    await notices.plan(connection, planned, case.now)


async def tell_of_clawbacks(connection: AsyncConnection, case: Case) -> None:
    """Plan a message about each recovery that has ended and took an amount, and about each return that was paid; each
    is told once."""
    ended = (await connection.execute(_ENDED, {"referral": case.row.id})).all()
    planned = [_of(case, Side(role), Template(template), occasion) for template, occasion, role in ended]
    await notices.plan(connection, _known(planned), case.now)


async def take_back_approval(connection: AsyncConnection, case: Case) -> None:
    """Plan a message that the approval no longer holds, for the sides that got the message about the approval."""
    if _pays_at_once(case):
        return
    template = Template.APPROVAL_CANCELLED
    planned = [_of(case, side, template, _occasion(case, template), only_after=Template.APPROVED) for side in Side]
    await notices.plan(connection, _known(planned), case.now)


async def ask_for_evidence(connection: AsyncConnection, case: Case, decision: str) -> None:
    """Plan a message to both sides that an approver asks for more evidence: either may have it."""
    planned = [_of(case, side, Template.EVIDENCE_REQUESTED, f"decision:{decision}") for side in Side]
    await notices.plan(connection, _known(planned), case.now)


async def answer_appeals(connection: AsyncConnection, case: Case, decision: Decision) -> None:
    """Plan an answer to each side whose appeal waits: the referral is reopened, or stays closed."""
    appealed = set((await connection.execute(_APPEALED, {"referral": case.row.id})).scalars())
    template = Template.APPEAL_REJECTED if decision.kind is DecisionKind.DENY else Template.APPEAL_ADMITTED
    planned = [_of(case, side, template, f"decision:{decision.id}") for side in Side if side in appealed]
    await notices.plan(connection, _known(planned), case.now)


async def ask_for_method(connection: AsyncConnection, case: Case, sides: Collection[Side]) -> None:
    """Plan a message to each side that an approved reward waits for: we do not know where to pay it to."""
    occasion = f"claim:{case.row.claim_id}"
    planned = [_of(case, side, Template.METHOD_NEEDED, occasion) for side in Side if side in sides]
    await notices.plan(connection, _known(planned), case.now)


async def tell_approvers(
    connection: AsyncConnection, case: Case, claim: RewardClaim, signed: Collection[str], patience: Patience
) -> None:
    """Plan the due reminder and escalation for a waiting claim; each only once for a claim.

    They go to every user who can still sign. If a user has no address, the message's history shows that.
    """
    occasion = f"claim:{claim.digest}"
    steps = [(Template.APPROVAL_REMINDER, "claim.overdue", set(claim.requirement.routes), patience.remind_at)]
    called = {case.terms.approval.escalate_to, *claim.requirement.routes}
    steps.append((Template.APPROVAL_ESCALATION, "claim.escalated", called, patience.escalate_at))
    for template, event, roles, at in steps:
        if case.now < at:
            continue
        people = await _people(connection, roles, signed)
        planned = [
            Planned(
                referral=case.row.id,
                program=case.origin.program,
                template=template,
                audience=Audience.APPROVERS,
                recipient=name,
                occasion=occasion,
                due_at=case.now,
            )
            for name in people
        ]
        await notices.plan(connection, planned, case.now)
        await outgoing_events.announce(connection, event, referral=case.row.id, occasion=occasion, at=case.now)


def _of(
    case: Case, side: Side, template: Template, occasion: str, *, only_after: Template | None = None
) -> Planned | None:
    """Return a message to one side that is due now; None if nobody is known on that side."""
    recipient = recipient_of(case, side)
    if recipient is None:
        return None
    return Planned(
        referral=case.row.id,
        program=case.origin.program,
        template=template,
        audience=_AUDIENCES[side],
        recipient=recipient,
        occasion=occasion,
        due_at=case.now,
        only_after=only_after,
    )


def _known(planned: Iterable[Planned | None]) -> list[Planned]:
    return [each for each in planned if each is not None]


def recipient_of(case: Case, side: Side) -> str | None:
    """Return the id of the recipient on one side; None if no referrer is known yet."""
    if side is Side.REFERRER:
        return case.origin.referrer
    said = [fact.data.get("referee") or {} for fact in case.facts if fact.type in _NAMING_THE_REFEREE]
    return next((who["customer"] for who in said if who.get("customer")), _THE_REFEREE)


async def _people(connection: AsyncConnection, roles: Collection[Role], signed: Collection[str]) -> list[str]:
    asked = {"roles": sorted(roles), "signed": sorted(signed)}
    return list((await connection.execute(_PEOPLE, asked)).scalars())


def _pays_at_once(case: Case) -> bool:
    return case.terms.payouts.timing == "immediate"


def _occasion(case: Case, template: Template) -> str:
    """Return the occasion of a message: the claim for approvals, else the round of the referral."""
    if template in (Template.APPROVED, Template.LEFT_OUT, Template.APPROVAL_CANCELLED):
        return f"claim:{case.row.claim_id}"
    return f"round:{case.row.round}"


def _came_about(case: Case, status: ReferralStatus, reason: Reason | None) -> datetime:
    """Return when the verdict's event happened, by the facts' own clocks."""
    course = case.course
    if status in _OF_THE_MOMENT or reason in _DECIDED or case.row.round > 1:
        return case.now
    if course.closes_at is not None:
        return course.closes_at
    happened = [fact.occurred_at for fact in case.facts if fact.occurred_at <= case.now]
    return max([*happened, *([course.return_ends] if course.return_ends else [])])


_AT_ONCE: Final = timedelta(0)
_NAMING_THE_REFEREE: Final = frozenset({FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED, FactType.REWARD_REQUESTED})

_APPEALED: Final = text("""
SELECT DISTINCT f.data->>'by' FROM queue_entry q JOIN fact f ON f.id = CAST(q.subject AS uuid)
WHERE q.referral_id = :referral AND q.exception = 'appeal'
""")

# From a reward that was written off, nothing was taken back.
_ENDED: Final = statement(
    """
SELECT template, occasion, role FROM (
    SELECT CAST(:taken AS text) AS template, 'clawback:' || b.id AS occasion, l.role, b.created_at
    FROM clawback b JOIN leg l ON l.id = b.leg_id
    WHERE b.referral_id = :referral AND b.recovered_minor > 0 AND b.state = ANY(:ended)
    UNION ALL
    SELECT CAST(:given AS text), 'return:' || p.id, l.role, p.created_at
    FROM clawback_case c JOIN payout p ON p.returns = c.id JOIN leg l ON l.id = c.leg_id
    WHERE c.referral_id = :referral AND p.state = :settled AND NOT p.dropped
) AS told ORDER BY created_at, occasion
""",
    taken=Template.CLAWED_BACK,
    given=Template.GIVEN_BACK,
    settled=PayoutState.SETTLED,
    ended=RECOVERY_ENDED,
)

_PEOPLE: Final = text("""
SELECT name FROM app_user
WHERE barred_at IS NULL AND roles && CAST(:roles AS text[]) AND NOT name = ANY(CAST(:signed AS text[])) ORDER BY name
""")
