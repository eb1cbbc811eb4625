"""Record a person's decision (SPEC §6): load its subject, decide, save. Only the API can: it holds the key.

The decision wakes the workflow that carries it out; its activities verify the signature themselves.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked, Decision, subject_kind
from referral_rewards.domain.decisions.subject import Repeated, decide
from referral_rewards.register import audit
from referral_rewards.register.decisions import chain
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.recording.subjects import SUBJECTS


async def record(
    connection: AsyncConnection, asked: Asked, approver: Approver, *, now: datetime, keys: KeyRing, signer: Signer
) -> tuple[Decision, bool]:
    """Record a decision and wake its workflow, in the caller's transaction. Return it, and whether it existed before.

    The same decision by the same person on the same digest is recorded once. If two people decide at the same time,
    the second is refused: no needless signature is recorded.

    Raises:
        RequestInvalid: for a reason, note, amount or reference that the kind of decision does not take.
        NotFound: if there is no such subject.
        NotAllowed: if the person holds none of the required roles.
        StaleDigest: if a claim is no longer the one that was shown.
        DecisionRefused, ActRefused: with the rule that does not admit the decision.
    """
    entry = SUBJECTS[subject_kind(asked.kind)]
    details = entry.check_asked(asked)
    held = await entry.held(connection, asked, now, keys)
    decided = decide(held.subject, asked, approver, details, now)
    if isinstance(decided, Repeated):
        return decided.first, True
    decision = await chain.append(connection, decided, signer)
    await held.follow(connection, decision, now)
    said = {"decision": str(decision.id), "kind": asked.kind, "reason": asked.reason, **(details or {})}
    await audit.note(connection, actor=approver.user, act="decision.recorded", subject=asked.subject, at=now, **said)
    return decision, False
