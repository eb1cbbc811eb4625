"""Record a person's signed decision about money, on what was shown to them, if the rules admit it.

The decision wakes the workflow that carries it out; its activities verify the signature themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import Approver, check_note
from referral_rewards.domain.decisions.money_acts import (
    SUBJECT_OF,
    ActSubject,
    MoneyAct,
    SubjectKind,
    check_details,
    may_act,
)
from referral_rewards.domain.errors import ActRefused, RequestInvalid
from referral_rewards.domain.facts import identity
from referral_rewards.domain.labels import label
from referral_rewards.register import audit, outbox
from referral_rewards.register.clawbacks import carrying_out
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision, NewDecision
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payouts import instructions
from referral_rewards.register.recording import subjects

_WAKES: Final = {
    SubjectKind.PAYOUT: WakeupKind.PAYOUT_DUE,
    SubjectKind.CYCLE: WakeupKind.CYCLE_DUE,
}


@dataclass(frozen=True, slots=True)
class AskedAct:
    """A money act that a person asks to record, with the digest of the subject that was shown to them."""

    act: MoneyAct
    subject: UUID
    reason: str
    note: str
    digest: str
    amount_minor: int | None = None
    reference: str | None = None


async def act(
    connection: AsyncConnection, asked: AskedAct, approver: Approver, *, now: datetime, keys: KeyRing, signer: Signer
) -> tuple[Decision, bool]:
    """Record the decision and wake its workflow, in the caller's transaction. Return it, and whether it existed before.

    The same decision by the same person on the same digest is recorded once.

    Raises:
        RequestInvalid: for a reason, amount or reference that the act does not take, or without a note.
        NotFound: if there is no such subject.
        NotAllowed: if the person holds none of the required roles.
        ActRefused: with the rule that does not admit it; `decided_meanwhile`, with who decided what and when, if
            another person decided on the shown subject first; `stale` if it changed otherwise.
    """
    details = check_details(asked.act, asked.reason, asked.amount_minor, asked.reference)
    check_note(asked.note)
    kind = SUBJECT_OF[asked.act]
    subject = await subjects.held(connection, kind, asked.subject, keys)
    made = await decisions.on_subject(connection, asked.subject, keys)
    noted = {each.decision_id for each in await decisions.effects(connection, [each.id for each in made])}
    for decision in made:
        before = (decision.user, decision.kind, decision.digest, decision.reason, decision.details)
        # If the decision was carried out and the subject is unchanged, this request is a new decision.
        stands = decision.id not in noted or subject.digest != asked.digest
        if stands and before == (approver.user, asked.act, asked.digest, asked.reason, details):
            return decision, True
    await check_as_shown(connection, subject, asked.digest, keys)
    barred = subject.barred.get(asked.act, {})
    may_act(approver, asked.act, subject, asked.amount_minor, await _same_people(connection, approver, list(barred)))
    decision = await decisions.append(
        connection,
        NewDecision(
            referral=subject.referral or f"program {subject.program}",
            claim_id=subject.id,
            digest=subject.digest,
            kind=asked.act,
            user=approver.user,
            roles=approver.roles,
            reason=asked.reason,
            note=asked.note,
            decided_at=now,
            details=details,
        ),
        signer,
    )
    if kind is SubjectKind.CLAWBACK_CASE:
        await carrying_out.follow(connection, decision, now)
    else:
        await outbox.enqueue(connection, _WAKES[kind], str(subject.id), subject.id)
    said = {"decision": str(decision.id), "kind": asked.act, "reason": asked.reason, **(details or {})}
    await audit.note(connection, actor=approver.user, act="decision.recorded", subject=str(subject.id), at=now, **said)
    return decision, False


async def check_as_shown(connection: AsyncConnection, subject: ActSubject, digest: str, keys: KeyRing) -> None:
    """Return if a subject still has the digest that was shown, and has no decision since; else raise.

    Raises:
        RequestInvalid: if the digest is a shortened form of the right one.
        ActRefused: as `act`.
    """
    made = [each for each in await decisions.on_subject(connection, subject.id, keys) if each.digest == digest]
    if subject.digest != digest:
        if digest and subject.digest.startswith(digest):
            raise RequestInvalid(f"is shortened; all {len(subject.digest)} digits of it are needed", "digest")
        _check_not_decided(made, subject.name)
        raise ActRefused(subject.name, "stale", "it changed since you looked at it; look again")
    noted = {each.decision_id for each in await decisions.effects(connection, [each.id for each in made])}
    open_ones = [each for each in made if each.id not in noted]
    _check_not_decided(await _believed(connection, open_ones, keys), subject.name)


def _check_not_decided(made: Sequence[Decision], subject: str) -> None:
    """Raise if there is an earlier decision: of people who decide at the same time, only the first is recorded."""
    if made:
        first = made[0]
        at = f"{first.decided_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        why = f"{label('decided', first.kind)} by {first.user}, {at}; look again in a moment"
        raise ActRefused(subject, "decided_meanwhile", why)


async def _believed(connection: AsyncConnection, made: Sequence[Decision], keys: KeyRing) -> list[Decision]:
    """Return the decisions that can still take effect: without those of barred users and invalid confirmations."""
    out = await decisions.barred(connection, {each.user for each in made})
    return [
        each
        for each in made
        if each.user not in out
        and (each.kind is not MoneyAct.CONFIRM_PAYOUT or await instructions.believed(connection, each, keys))
    ]


async def _same_people(connection: AsyncConnection, approver: Approver, others: list[str]) -> list[str]:
    """Return those of the others who are this person, by a mark that accounts share."""
    if not others:
        return []
    marks = identity.of_kinds(approver.marks, identity.SELF_REFERRAL_KINDS)
    asked = {"names": others, "marks": sorted(marks)}
    return list((await connection.execute(_SAME_PEOPLE, asked)).scalars())


_SAME_PEOPLE: Final = text("""
SELECT name FROM app_user WHERE name = ANY(CAST(:names AS text[])) AND marks && CAST(:marks AS text[]) ORDER BY name
""")
