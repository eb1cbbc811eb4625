"""Records decisions made over the API or on the desk, and the attempts that the rules refuse."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Parts
from referral_rewards.domain.claims.approval import Approver, DecisionKind, check_words
from referral_rewards.domain.decisions.bulk import check_selection
from referral_rewards.domain.errors import ActRefused, DecisionRefused, NotAllowed, ReferralRewardsError, Refused
from referral_rewards.register import audit
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.locks import retrying
from referral_rewards.register.people import sessions
from referral_rewards.register.people.users import User
from referral_rewards.register.recording import on_claims, on_money
from referral_rewards.register.recording.on_claims import Asked
from referral_rewards.register.recording.on_money import AskedAct

_log = structlog.get_logger("api")


async def recorded(parts: Parts, asked: Asked, person: User) -> tuple[Decision, bool]:
    """Sign and record a decision on a claim; return it, and whether it was recorded before.

    Raises:
        ReferralRewardsError: as `decide` does. A refused attempt is recorded with the person and the rule.
    """

    async def decide(connection: AsyncConnection, approver: Approver, now: datetime) -> tuple[Decision, bool]:
        return await on_claims.decide(connection, asked, approver, now=now, keys=parts.keys, signer=parts.signer)

    return await _recorded(parts, asked.kind, asked.referral, person, decide)


async def acted(parts: Parts, asked: AskedAct, person: User) -> tuple[Decision, bool]:
    """Sign and record a decision on a payout, a clawback case or a payout cycle, like `recorded`.

    Raises:
        ReferralRewardsError: as `act` does.
    """

    async def act(connection: AsyncConnection, approver: Approver, now: datetime) -> tuple[Decision, bool]:
        return await on_money.act(connection, asked, approver, now=now, keys=parts.keys, signer=parts.signer)

    return await _recorded(parts, asked.act, str(asked.subject), person, act)


async def recorded_together(
    parts: Parts, kind: DecisionKind, reason: str, note: str, claims: Sequence[tuple[str, str]], person: User
) -> list["Outcome"]:
    """Record a separate decision on each of many claims, against the digest that was shown; return the outcomes.

    ``claims`` are pairs of a referral and that digest. A claim that changed since it was shown, that is flagged, or on
    which the approval rules forbid the decision is left out, and the others are decided.

    Raises:
        RequestInvalid: before any decision, if this kind can't be decided in bulk.
    """
    check_words(kind, reason, note)
    check_selection(kind, [referral for referral, _ in claims])
    outcomes = []
    for referral, digest in claims:
        asked = Asked(referral, kind, reason, note, digest, together=True)
        try:
            decision, repeated = await recorded(parts, asked, person)
        except ReferralRewardsError as refusal:
            outcomes.append(Outcome(referral, None, False, refusal))
        else:
            outcomes.append(Outcome(referral, decision, repeated, None))
    return outcomes


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome for one claim of many: the recorded decision, or why it was left out."""

    referral: str
    decision: Decision | None
    repeated: bool
    refusal: ReferralRewardsError | None


def rule_of(refusal: ReferralRewardsError) -> str:
    """Return the rule behind a refusal, for the audit log and the list of outcomes."""
    if isinstance(refusal, DecisionRefused | ActRefused):
        return refusal.rule
    return _RULES.get(type(refusal).__name__, "not_allowed")


async def _recorded(
    parts: Parts,
    kind: str,
    subject: str,
    person: User,
    decide: Callable[[AsyncConnection, Approver, datetime], Awaitable[tuple[Decision, bool]]],
) -> tuple[Decision, bool]:
    async def once() -> tuple[Decision, bool]:
        async with parts.database.transaction() as connection:
            now = datetime.now(UTC)
            approver = (await sessions.still(connection, person, at=now)).approver
            return await decide(connection, approver, now)

    about = {"subject": subject, "kind": kind, "by": person.name}
    try:
        decision, repeated = await retrying(once)
    except ReferralRewardsError as refusal:
        parts.metrics.decisions.labels(kind, "refused").inc()
        _log.info("decision_refused", **about, why=type(refusal).__name__)
        if isinstance(refusal, Refused | NotAllowed):
            await _note_refusal(parts, kind, subject, person, refusal)
        raise
    if not repeated:
        parts.metrics.decisions.labels(kind, "recorded").inc()
        _log.info("decision_recorded", **about, decision=str(decision.id))
    return decision, repeated


async def _note_refusal(parts: Parts, kind: str, subject: str, person: User, refusal: ReferralRewardsError) -> None:
    """Record a refusal in a transaction of its own: that of the decision was rolled back."""
    async with parts.database.transaction() as connection:
        await audit.note(
            connection,
            actor=person.name,
            act="decision.refused",
            subject=subject,
            at=datetime.now(UTC),
            kind=kind,
            rule=rule_of(refusal),
        )


#: The rule that the audit log names for a refusal without one.
_RULES = {"StaleDigest": "claim_changed", "NotAllowed": "role_missing", "NotFound": "not_found"}
