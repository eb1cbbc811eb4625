"""Record a person's decision on a claim after checking every rule (SPEC §6). Only the API can: it holds the key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import Approver, DecisionKind, check_words
from referral_rewards.domain.decisions.bulk import check_unflagged
from referral_rewards.domain.errors import DecisionRefused, NotFound, RequestInvalid, StaleDigest
from referral_rewards.domain.labels import label
from referral_rewards.register import audit, outbox
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision, NewDecision
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.notices import planning as notices
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.recording.admission import check_rules, check_stands, open_matter, was_sent
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals

_K = DecisionKind


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision that a person asks to record, with the digest that was shown to them.

    ``seen`` is the number of the last decision on the referral that was shown, 0 for none. If another decision has
    been recorded since, this one is refused; None skips that check. ``together``: it is one of many claims decided at
    once, none of which may be flagged.
    """

    referral: str
    kind: DecisionKind
    reason: str
    note: str
    digest: str
    seen: int | None = None
    together: bool = False


async def decide(
    connection: AsyncConnection, asked: Asked, approver: Approver, *, now: datetime, keys: KeyRing, signer: Signer
) -> tuple[Decision, bool]:
    """Record a decision and wake the referral, in the caller's transaction. Return it, and whether it existed before.

    The same decision by the same person on the same digest, in the same words, is recorded once, even if the claim has
    changed since. If two people decide the same at the same time, the second is refused: no needless signature is
    recorded.

    Raises:
        RequestInvalid: for a reason code that the kind does not take, or without a note.
        NotFound: if there is no such referral.
        NotAllowed: if the person holds none of the required roles.
        StaleDigest: if the claim is no longer the one that was shown.
        DecisionRefused: with the rule that does not admit the decision.
    """
    check_words(asked.kind, asked.reason, asked.note)
    row = await referrals.hold(connection, asked.referral)
    if row is None or (row.merged_into and row.status is None):
        raise NotFound("referral", asked.referral)
    made, _ = await decisions.on_referral(connection, row.id, keys)
    if (first := await _recorded_before(connection, asked, row, approver, made)) is not None:
        return first, True
    _check_seen(row, asked, made)
    check_stands(row, asked.kind, sent=await was_sent(connection, row.id))
    matter = await open_matter(connection, row, made, now)
    subject = matter.subject
    if subject.digest != asked.digest:
        if asked.digest and subject.digest.startswith(asked.digest):
            raise RequestInvalid(f"is shortened; all {len(subject.digest)} digits of it are needed", "digest")
        raise StaleDigest(row.id, asked.digest, subject.digest)
    if asked.together and subject.claim is not None:
        check_unflagged(row.id, subject.claim.flag_names)
    await check_rules(connection, matter, asked.kind, approver)
    decision = await decisions.append(
        connection,
        NewDecision(
            referral=row.id,
            claim_id=subject.claim_id,
            digest=subject.digest,
            kind=asked.kind,
            user=approver.user,
            roles=approver.roles,
            reason=asked.reason,
            note=asked.note,
            decided_at=now,
        ),
        signer,
    )
    await outbox.enqueue(connection, WakeupKind.DECISION, row.id, decision.id)
    if asked.kind is _K.REQUEST_EVIDENCE:
        await notices.ask_for_evidence(connection, matter.case, str(decision.id))
    said = {"decision": str(decision.id), "kind": asked.kind, "reason": asked.reason}
    await audit.note(connection, actor=approver.user, act="decision.recorded", subject=row.id, at=now, **said)
    return decision, False


def _check_seen(row: Any, asked: Asked, made: Sequence[Decision]) -> None:
    """Raise if another decision was recorded since the person looked; of two at the same time, only one wins."""
    later = [decision for decision in made if asked.seen is not None and decision.seq > asked.seen]
    if later:
        first = later[0]
        raise DecisionRefused(
            row.id, "decided_meanwhile", f"{label('decided', first.kind)} by {first.user} since you looked at it"
        )


async def _recorded_before(
    connection: AsyncConnection, asked: Asked, row: Any, approver: Approver, made: Sequence[Decision]
) -> Decision | None:
    """Return the same decision if this person made it before. A hold after a release is a new decision."""
    if not any(decision.user == approver.user and decision.digest == asked.digest for decision in made):
        return None
    # A repeated request gets the first decision even after the claim has changed or closed.
    current = await _bears(connection, row.claim_id, asked.digest)
    on_it = [d for d in made if d.digest == asked.digest and (not current or d.claim_id == row.claim_id)]
    for later, decision in enumerate(on_it, start=1):
        same = (decision.user, decision.kind, decision.reason) == (approver.user, asked.kind, asked.reason)
        undone = asked.kind in (_K.HOLD, _K.RELEASE) and any(
            each.kind in (_K.HOLD, _K.RELEASE) and each.kind is not asked.kind for each in on_it[later:]
        )
        if same and not undone and await _note(connection, decision.id) == asked.note:
            return decision
    return None


async def _bears(connection: AsyncConnection, claim_id: UUID | None, digest: str) -> bool:
    """Return whether the current claim has this digest."""
    return claim_id is not None and (await claims.current(connection, claim_id))[0].digest == digest


async def _note(connection: AsyncConnection, decision: UUID) -> str | None:
    body = (await connection.execute(_NOTE, {"id": decision})).scalar_one_or_none()
    return body["note"] if body else None


_NOTE: Final = text("SELECT body FROM personal_data WHERE subject_id = :id")
