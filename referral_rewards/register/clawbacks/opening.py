"""A paid reward as the subject of a decision: finance opens a clawback case of it by hand, at any time (SPEC §7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.clawbacks.states import CaseState, case_id
from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind, subject_digest
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.states import WAS_PAID
from referral_rewards.register import marks, outbox, outgoing_events, tellers
from referral_rewards.register.clawbacks import forgotten
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions import effects
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.referrals import rows as referrals


@dataclass(frozen=True, slots=True)
class _Reward:
    """A leg, what of it was paid, and what its clawbacks took, take or gave up; in minor units."""

    id: UUID
    referral_id: str
    program: str
    payee: str
    currency: str
    state: str
    paid_minor: int
    taken_minor: int
    cases: int
    tellers: Mapping[str, tuple[str, ...]]

    @property
    def room_minor(self) -> int:
        return self.paid_minor - self.taken_minor


_REWARD: Final = TypeAdapter(_Reward | None)


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the reward under the lock of its referral and of its own row.

    Raises:
        NotFound: if there is no such reward.
    """
    leg = UUID(asked.subject)
    await referrals.hold_found(connection, _REFERRAL, leg)
    await connection.execute(_LOCK, {"id": leg})
    return Held(await shown(connection, leg, keys), _open)


async def shown(connection: AsyncConnection, leg: UUID, keys: KeyRing) -> ActSubject:
    """Return the reward as a subject, without a lock.

    Raises:
        NotFound: if there is no such reward.
    """
    found = (await connection.execute(_ROW, {"id": leg})).one_or_none()
    if found is None:
        raise NotFound("reward", str(leg))
    row = _REWARD.validate_python(found.reward)
    assert row is not None
    what: Mapping[str, Any] = {
        "leg": row.id,
        "state": row.state,
        "paid": row.paid_minor,
        "taken": row.taken_minor,
        "cases": row.cases,
    }
    return ActSubject(
        SubjectKind.REWARD,
        row.id,
        row.referral_id,
        row.program,
        row.currency,
        subject_digest(what),
        frozenset({MoneyAct.OPEN_CLAWBACK} if row.room_minor > 0 else ()),
        await marks.of_payee(connection, row.payee),
        room_minor=row.room_minor,
        history=await decisions.history_of(connection, [row.id], keys),
        told_by=tellers.told_by(row.tellers),
    )


async def _open(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
    """Open the case that a decision asks for. It moves no money: finance decides on the case."""
    leg, details = decision.claim_id, decision.details or {}
    case = case_id(leg, decision.id)
    opened = {
        "id": case,
        "leg": leg,
        "decision": decision.id,
        "referral": decision.referral,
        "at": now,
        "why": f"{decision.user} opened it by hand: {label('decision_reason', decision.reason)}",
        "amount_minor": int(details["amount_minor"]),
        "state": CaseState.OPEN,
    }
    await connection.execute(_INSERT, opened)
    await outgoing_events.announce(
        connection, "clawback.opened", referral=decision.referral, occasion=f"case:{case}", at=now
    )
    await forgotten.have_asked(connection, decision.referral)
    await effects.record(connection, [decision.id], "applied", now, f"case {case}")
    await outbox.enqueue(connection, WakeupKind.DECISION, decision.referral, decision.id)


_REFERRAL: Final = text("""
SELECT id FROM referral WHERE id IN (SELECT referral_id FROM leg WHERE id = :id) ORDER BY id FOR UPDATE
""")

_LOCK: Final = text("SELECT 1 FROM leg WHERE id = :id FOR UPDATE")

_ROW: Final = statement(
    f"""
SELECT to_jsonb(its) AS reward FROM (
    SELECT l.id, l.referral_id, l.program, l.beneficiary AS payee, l.currency, l.state,
           CASE WHEN l.state = ANY(:was_paid) THEN l.amount_minor ELSE 0 END AS paid_minor,
           coalesce((SELECT sum(taken_by(b)) FROM clawback b WHERE b.leg_id = l.id), 0) - returned_of(l.id)
               AS taken_minor,
           (SELECT count(*) FROM clawback_case c WHERE c.leg_id = l.id) AS cases,
           {tellers.of_referrals("SELECT l.referral_id")} AS tellers
    FROM leg l WHERE l.id = :id
) AS its
""",  # noqa: S608 (queries of ours alone)
    was_paid=WAS_PAID,
)

_INSERT: Final = text("""
INSERT INTO clawback_case (leg_id, fact_id, id, referral_id, opened_at, why, proposed_minor, state)
VALUES (:leg, :decision, :id, :referral, :at, :why, :amount_minor, :state)
""")
