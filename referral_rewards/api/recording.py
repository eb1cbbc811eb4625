"""Records decisions made over the API or on the desk, and the attempts that the rules refuse."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Parts
from referral_rewards.domain.claims.approval import DecisionKind, check_words
from referral_rewards.domain.decisions.bulk import check_selection
from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.errors import ActRefused, DecisionRefused, NotAllowed, ReferralRewardsError, Refused
from referral_rewards.register import audit
from referral_rewards.register.people import sessions
from referral_rewards.register.people.users import User
from referral_rewards.register.recording.record import record

_log = structlog.get_logger("api")


async def recorded(parts: Parts, asked: Asked, person: User) -> tuple[Decision, bool]:
    """Sign and record a decision; return it, and whether it was recorded before.

    Raises:
        ReferralRewardsError: as `record` does. A refused attempt is recorded with the person and the rule.
    """

    async def once(connection: AsyncConnection) -> tuple[Decision, bool]:
        now = datetime.now(UTC)
        approver = (await sessions.still(connection, person, at=now)).approver
        return await record(connection, asked, approver, now=now, keys=parts.keys, signer=parts.signer)

    about = {"subject": asked.subject, "kind": asked.kind, "by": person.name}
    try:
        decision, repeated = await parts.database.write(once)
    except ReferralRewardsError as refusal:
        parts.metrics.decisions.labels(asked.kind, "refused").inc()
        _log.info("decision_refused", **about, why=type(refusal).__name__)
        if isinstance(refusal, Refused | NotAllowed):
            await _note_refusal(parts, asked, person, refusal)
        raise
    if not repeated:
        parts.metrics.decisions.labels(asked.kind, "recorded").inc()
        _log.info("decision_recorded", **about, decision=str(decision.id))
    return decision, repeated


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


async def _note_refusal(parts: Parts, asked: Asked, person: User, refusal: ReferralRewardsError) -> None:
    """Record a refusal in a transaction of its own: that of the decision was rolled back."""
    await parts.database.write(
        audit.note,
        actor=person.name,
        act="decision.refused",
        subject=asked.subject,
        at=datetime.now(UTC),
        kind=asked.kind,
        rule=rule_of(refusal),
    )


#: The rule that the audit log names for a refusal without one.
_RULES = {"StaleDigest": "claim_changed", "NotAllowed": "role_missing", "NotFound": "not_found"}
