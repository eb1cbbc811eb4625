"""Records what a person decided about money, by the API or on the desk; what the rules refuse is on record, too."""

from datetime import UTC, datetime

import structlog

from referral_rewards.api.parts import Parts
from referral_rewards.domain.errors import ActRefused, NotAllowed, ReferralRewardsError
from referral_rewards.register import acting, audit, presence
from referral_rewards.register.acting import AskedAct
from referral_rewards.register.decisions import Decision
from referral_rewards.register.retrying import retrying
from referral_rewards.register.users import User

_log = structlog.get_logger("api")


async def acted(parts: Parts, asked: AskedAct, person: User) -> tuple[Decision, bool]:
    """The decision, signed and on record, and whether it was there before.

    Raises:
        ReferralRewardsError: as `register.acting.act` does. A person who was refused is noted with the rule.
    """
    try:
        decision, repeated = await retrying(lambda: _act(parts, asked, person))
    except ReferralRewardsError as refusal:
        parts.metrics.decisions.labels(asked.act, "refused").inc()
        why = type(refusal).__name__
        _log.info("act_refused", subject=str(asked.subject), act=asked.act, by=person.name, why=why)
        if isinstance(refusal, ActRefused | NotAllowed):
            await _note_refusal(parts, asked, person, refusal)
        raise
    if not repeated:
        parts.metrics.decisions.labels(asked.act, "recorded").inc()
        made = str(decision.id)
        _log.info("act_recorded", subject=str(asked.subject), act=asked.act, by=person.name, decision=made)
    return decision, repeated


async def _act(parts: Parts, asked: AskedAct, person: User) -> tuple[Decision, bool]:
    async with parts.database.transaction() as connection:
        now = datetime.now(UTC)
        approver = (await presence.still(connection, person, at=now)).approver
        return await acting.act(connection, asked, approver, now=now, keys=parts.keys, signer=parts.signer)


async def _note_refusal(parts: Parts, asked: AskedAct, person: User, refusal: ReferralRewardsError) -> None:
    """In a transaction of its own: that of the decision was taken back."""
    rule = refusal.rule if isinstance(refusal, ActRefused) else "role_missing"
    async with parts.database.transaction() as connection:
        await audit.note(
            connection,
            actor=person.name,
            act="decision.refused",
            subject=str(asked.subject),
            at=datetime.now(UTC),
            kind=asked.act,
            rule=rule,
        )
