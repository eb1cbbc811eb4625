"""The register of decisions: append-only, hash-chained and signed (SPEC §6). Only the API appends; anyone verifies."""

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import DecisionEffect, DecisionHead, DecisionRow, PersonalData
from referral_rewards.domain.claims.approval import DecisionKind, Signoff
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import outgoing_events
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.locks import Lock, array, lock

_BEGINNING: Final = "0" * 64
_MONEY_ACTS: Final = frozenset(act.value for act in MoneyAct)


Kind = DecisionKind | MoneyAct


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision on record. ``claim_id`` is what it is about: a claim or, of a `MoneyAct`, its subject."""

    seq: int
    id: UUID
    referral: str
    claim_id: UUID
    digest: str
    kind: Kind
    user: str
    roles: frozenset[Role]
    reason: str
    decided_at: datetime
    details: Mapping[str, Any] | None = None

    @property
    def signoff(self) -> Signoff:
        return Signoff(user=self.user, roles=self.roles, kind=self.kind, digest=self.digest)


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision about to be recorded: every rule has been asked."""

    referral: str
    claim_id: UUID
    digest: str
    kind: Kind
    user: str
    roles: frozenset[Role]
    reason: str
    note: str
    decided_at: datetime
    details: Mapping[str, Any] | None = None


async def append(connection: AsyncConnection, new: NewDecision, signer: Signer) -> Decision:
    """Signs a decision and puts it at the end of the chain, in the caller's transaction."""
    await lock(connection, Lock.DECISIONS)
    head = (await connection.execute(select(DecisionHead.__table__))).one_or_none()  # type: ignore[attr-defined]
    decision = Decision(
        seq=(await connection.execute(_LAST_SEQ)).scalar_one() + 1,
        id=uuid4(),
        referral=new.referral,
        claim_id=new.claim_id,
        digest=new.digest,
        kind=new.kind,
        user=new.user,
        roles=new.roles,
        reason=new.reason,
        decided_at=new.decided_at,
        details=new.details,
    )
    salt = os.urandom(16)
    note = {"note": new.note}
    commitment = hashlib.sha256(salt + _canonical(note)).hexdigest()
    previous = head.hash if head else _BEGINNING
    message = _message(decision, commitment, previous, signer.key_id)
    hashed = hashlib.sha256(message).hexdigest()
    await connection.execute(
        insert(PersonalData).values(subject_id=decision.id, body=note, salt=salt, commitment=commitment)
    )
    await connection.execute(
        insert(DecisionRow).values(
            seq=decision.seq,
            id=decision.id,
            referral_id=decision.referral,
            claim_id=decision.claim_id,
            digest=decision.digest,
            kind=decision.kind,
            username=decision.user,
            roles=sorted(decision.roles),
            reason=decision.reason,
            note_commitment=commitment,
            details=decision.details,
            decided_at=decision.decided_at,
            previous_hash=previous,
            hash=hashed,
            key_id=signer.key_id,
            signature=signer.sign(message),
        )
    )
    await connection.execute(
        _MOVE_HEAD,
        {
            "seq": decision.seq,
            "hash": hashed,
            "key_id": signer.key_id,
            "signature": signer.sign(_head_message(decision.seq, hashed)),
        },
    )
    occasion = f"decision:{decision.id}"
    await outgoing_events.announce(
        connection, "decision.recorded", referral=new.referral, occasion=occasion, at=new.decided_at
    )
    return decision


async def on_referral(
    connection: AsyncConnection, referral: str, keys: KeyRing
) -> tuple[tuple[Decision, ...], tuple[UUID, ...]]:
    """The referral's decisions in the order they were made, and the ids of rows that nobody with a key has written."""
    rows = await connection.execute(_IN_CHAIN, {"referrals": array([referral])})
    genuine, forged = [], []
    for row in rows:
        decision = _verified(row, keys)
        if decision is None:
            forged.append(row.id)
        else:
            genuine.append(decision)
    return tuple(genuine), tuple(forged)


async def on_subject(connection: AsyncConnection, subject: UUID, keys: KeyRing) -> tuple[Decision, ...]:
    """The genuine decisions on a payout, a clawback case or a cycle, in the order they were made."""
    rows = await connection.execute(_ON_SUBJECT, {"subject": subject})
    return tuple(decision for row in rows if (decision := _verified(row, keys)) is not None)


async def on_referrals(
    connection: AsyncConnection, referrals: Collection[str], keys: KeyRing
) -> dict[str, list[Decision]]:
    """The genuine decisions on some referrals, by referral, in the order they were made."""
    made: dict[str, list[Decision]] = {}
    if referrals:
        for row in await connection.execute(_IN_CHAIN, {"referrals": array(sorted(referrals))}):
            if (decision := _verified(row, keys)) is not None:
                made.setdefault(decision.referral, []).append(decision)
    return made


async def chain_problems(connection: AsyncConnection, keys: KeyRing) -> list[str]:
    """What is wrong with the whole chain, one sentence a problem; empty when every link and the head hold."""
    problems = []
    previous, seq = _BEGINNING, 0
    end = (0, _BEGINNING)
    disbelieved: set[str] = set()
    rows = await connection.stream(text("SELECT *, previous_hash AS linked_hash FROM decision ORDER BY seq"))
    async for row in rows:
        seq += 1
        if row.seq != seq:
            problems.append(f"decision {seq} is missing: the next one on record is {row.seq}")
            seq = row.seq
        if _verified(row, keys) is None:
            problems.append(f"decision {row.seq} ({row.id}) carries no signature that we believe")
            disbelieved.add(row.hash)
            continue
        # What follows a revoked key's decision is linked to it; what follows a forged row passes it over.
        if row.previous_hash != previous and row.previous_hash not in disbelieved:
            problems.append(f"decision {row.seq} does not follow the one before it")
        previous, end = row.hash, (row.seq, row.hash)
    head = (await connection.execute(select(DecisionHead.__table__))).one_or_none()  # type: ignore[attr-defined]
    if ((head.seq, head.hash) if head else (0, _BEGINNING)) != end and not (head and head.hash in disbelieved):
        problems.append("the end of the chain is not where its signed head says")
    elif head and not keys.verifies(head.key_id, _head_message(head.seq, head.hash), head.signature):
        problems.append("the head of the chain carries no signature that we believe")
    return problems


async def end_problem(connection: AsyncConnection, since: int, keys: KeyRing) -> str | None:
    """Why the end of the register is not to be relied on, in one sentence; None if every decision from the number
    ``since`` on is there, up to where the signed head says. A denial that was deleted leaves no other trace.
    """
    end = (await connection.execute(_END, {"since": since})).one_or_none()
    if end is None or not keys.verifies(end.key_id, _head_message(end.seq, end.hash), end.signature):
        return "the head of the register of decisions carries no signature that we believe"
    if not end.there or end.found < end.seq - since + 1:
        return "decisions that were made since are missing from the register"
    return None


async def record_effect(
    connection: AsyncConnection, decisions: Sequence[UUID], effect: str, at: datetime, why: str
) -> None:
    """Notes what came of decisions; a second time changes nothing."""
    for decision_id in decisions:
        await connection.execute(_NOTE_EFFECT, {"id": decision_id, "effect": effect, "at": at, "why": why})


async def standing(connection: AsyncConnection, made: Sequence[Decision]) -> tuple[Decision, ...]:
    """The decisions without the approvals that are void (one that was void once stays so), and without those of
    people who were barred since.

    A denial or a hold can't be voided: what voids is not signed.
    """
    approvals = [decision.id for decision in made if decision.kind is DecisionKind.APPROVE]
    void = {noted.decision_id for noted in await effects(connection, approvals) if noted.effect == "void"}
    void |= {decision.id for decision in await of_the_barred(connection, made)}
    return tuple(decision for decision in made if decision.id not in void)


async def of_the_barred(connection: AsyncConnection, made: Sequence[Decision]) -> tuple[Decision, ...]:
    """The approvals of people who have been barred since they made them."""
    approvals = [decision for decision in made if decision.kind is DecisionKind.APPROVE]
    if not approvals:
        return ()
    out = await barred(connection, {decision.user for decision in approvals})
    return tuple(decision for decision in approvals if decision.user in out)


async def barred(connection: AsyncConnection, names: Collection[str]) -> frozenset[str]:
    """Those of the people who have been barred."""
    return frozenset(name for name, out in (await people(connection, names)).items() if out)


async def people(connection: AsyncConnection, names: Collection[str]) -> Mapping[str, bool]:
    """Those of these names that people bear, and whether each of them has been barred."""
    rows = await connection.execute(_PEOPLE, {"names": sorted(names)})
    return {row.name: row.barred for row in rows}


async def effects(connection: AsyncConnection, decisions: Sequence[UUID]) -> list[Any]:
    """The noted effects of decisions, oldest first."""
    table = DecisionEffect.__table__  # type: ignore[attr-defined]
    found = await connection.execute(select(table).where(table.c.decision_id.in_(decisions)).order_by(table.c.at))
    return list(found)


def _verified(row: Any, keys: KeyRing) -> Decision | None:
    """The decision in a row, if it is linked to the row before it and signed by a key that we believe."""
    try:
        decision = Decision(
            seq=row.seq,
            id=row.id,
            referral=row.referral_id,
            claim_id=row.claim_id,
            digest=row.digest,
            kind=_kind(row.kind),
            user=row.username,
            roles=frozenset(Role(role) for role in row.roles),
            reason=row.reason,
            decided_at=row.decided_at,
            details=row.details,
        )
    except ValueError:
        return None
    message = _message(decision, row.note_commitment, row.previous_hash, row.key_id)
    genuine = (
        row.previous_hash == row.linked_hash
        and hashlib.sha256(message).hexdigest() == row.hash
        and keys.verifies(row.key_id, message, row.signature)
    )
    return decision if genuine else None


def _kind(name: str) -> Kind:
    return MoneyAct(name) if name in _MONEY_ACTS else DecisionKind(name)


def _message(decision: Decision, note_commitment: str, previous_hash: str, key_id: str) -> bytes:
    return _canonical(
        {
            "seq": decision.seq,
            "id": str(decision.id),
            "referral": decision.referral,
            "claim": str(decision.claim_id),
            "digest": decision.digest,
            "kind": decision.kind,
            "user": decision.user,
            "roles": sorted(decision.roles),
            "reason": decision.reason,
            "note": note_commitment,
            "decided_at": decision.decided_at.isoformat(),
            "previous": previous_hash,
            "key": key_id,
            # Left out where there are none, as in every decision from before there could be.
            **({} if decision.details is None else {"details": dict(decision.details)}),
        }
    )


def _head_message(seq: int, hashed: str) -> bytes:
    return _canonical({"head": seq, "hash": hashed})


def _canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# Each row with the hash that it is linked to, if an earlier row bears it: one out of its place does not verify, and a
# forged one in between breaks nothing.
_LINKED: Final = """
SELECT d.*,
       CASE WHEN d.previous_hash = repeat('0', 64)
                 OR EXISTS (SELECT 1 FROM decision b WHERE b.hash = d.previous_hash AND b.seq < d.seq)
            THEN d.previous_hash END AS linked_hash
FROM decision d
"""

_IN_CHAIN: Final = text(_LINKED + "WHERE d.referral_id = ANY(CAST(:referrals AS text[])) ORDER BY d.seq")

_ON_SUBJECT: Final = text(_LINKED + "WHERE d.claim_id = :subject ORDER BY d.seq")

_PEOPLE: Final = text("""
SELECT name, barred_at IS NOT NULL AS barred FROM app_user WHERE name = ANY(CAST(:names AS text[]))
""")

_LAST_SEQ: Final = text("SELECT coalesce(max(seq), 0) FROM decision")

_MOVE_HEAD: Final = text("""
INSERT INTO decision_head (id, seq, hash, key_id, signature) VALUES (1, :seq, :hash, :key_id, :signature)
ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, key_id = excluded.key_id,
                               signature = excluded.signature
""")

_NOTE_EFFECT: Final = text("""
INSERT INTO decision_effect (decision_id, effect, at, why) VALUES (:id, :effect, :at, :why) ON CONFLICT DO NOTHING
""")

_END: Final = text("""
SELECT h.*, EXISTS (SELECT 1 FROM decision d WHERE d.seq = h.seq AND d.hash = h.hash) AS there,
       (SELECT count(*) FROM decision d WHERE d.seq BETWEEN :since AND h.seq) AS found
FROM decision_head h
""")
