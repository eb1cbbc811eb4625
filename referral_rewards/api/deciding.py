"""Records what a person decided, by the API or on the desk; what the rules refuse is on record, too."""

from datetime import UTC, datetime

import structlog

from referral_rewards.api.parts import Parts
from referral_rewards.domain.errors import DecisionRefused, NotAllowed, ReferralRewardsError, Refused
from referral_rewards.register import audit, deciding
from referral_rewards.register.deciding import Asked
from referral_rewards.register.decisions import Decision
from referral_rewards.register.retrying import retrying
from referral_rewards.register.users import User

_log = structlog.get_logger("api")


async def recorded(parts: Parts, asked: Asked, person: User) -> tuple[Decision, bool]:
    """The decision, signed and on record, and whether it was there before.

    Raises:
        ReferralRewardsError: as `register.deciding.decide` does. A person who was refused is noted with the rule.
    """
    try:
        decision, repeated = await retrying(lambda: _decide(parts, asked, person))
    except ReferralRewardsError as refusal:
        parts.metrics.decisions.labels(asked.kind, "refused").inc()
        why = type(refusal).__name__
        _log.info("decision_refused", referral=asked.referral, kind=asked.kind, by=person.name, why=why)
        if isinstance(refusal, Refused | NotAllowed):
            await _note_refusal(parts, asked, person, refusal)
        raise
    if not repeated:
        parts.metrics.decisions.labels(asked.kind, "recorded").inc()
        made = str(decision.id)
        _log.info("decision_recorded", referral=asked.referral, kind=asked.kind, by=person.name, decision=made)
    return decision, repeated


async def _decide(parts: Parts, asked: Asked, person: User) -> tuple[Decision, bool]:
    async with parts.database.transaction() as connection:
        return await deciding.decide(
            connection, asked, person.approver, now=datetime.now(UTC), keys=parts.keys, signer=parts.signer
        )


async def _note_refusal(parts: Parts, asked: Asked, person: User, refusal: ReferralRewardsError) -> None:
    """In a transaction of its own: that of the decision was taken back."""
    rule = refusal.rule if isinstance(refusal, DecisionRefused) else _RULES.get(type(refusal).__name__, "not_allowed")
    async with parts.database.transaction() as connection:
        await audit.note(
            connection,
            actor=person.name,
            act="decision.refused",
            subject=asked.referral,
            at=datetime.now(UTC),
            kind=asked.kind,
            rule=rule,
        )


#: What the record calls a refusal that names no rule of its own.
_RULES = {"StaleDigest": "claim_changed", "NotAllowed": "role_missing"}
