"""The chain of decisions: append-only, hashed and signed (SPEC §6). Only the API appends; any process can verify."""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy import Row, insert, select, text
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
    """A recorded decision. ``claim_id`` is the id of its subject: a claim or, for a `MoneyAct`, what it acts on."""

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
    """A decision to be recorded, after every rule has admitted it."""

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
    """Sign a decision, append it to the chain in the caller's transaction, and return it."""
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


@dataclass(frozen=True, slots=True)
class _Signed:
    """A decision's row as anybody may have written it, with the hash of an earlier row that it links to."""

    seq: int
    id: UUID
    referral_id: str
    claim_id: UUID
    digest: str
    kind: str
    username: str
    roles: tuple[str, ...]
    reason: str
    note_commitment: str
    details: Any
    decided_at: datetime
    previous_hash: str
    hash: str
    key_id: str
    signature: str
    linked_hash: str | None


_SIGNED: Final = TypeAdapter(tuple[_Signed, ...])


async def on_referral(
    connection: AsyncConnection, referral: str, keys: KeyRing
) -> tuple[tuple[Decision, ...], tuple[UUID, ...]]:
    """Return the referral's verified decisions, oldest first, and the ids of rows that do not verify."""
    return _sorted_out(await connection.execute(_IN_CHAIN, {"referrals": array([referral])}), keys)


def verified(documents: Sequence[Mapping[str, Any]], keys: KeyRing) -> tuple[tuple[Decision, ...], tuple[UUID, ...]]:
    """Return the same as `on_referral` from what a statement aggregated as JSON over `LINKED`, oldest first."""
    return _sorted_out(_SIGNED.validate_python(documents), keys)


def _sorted_out(rows: Iterable[_Signed | Row[Any]], keys: KeyRing) -> tuple[tuple[Decision, ...], tuple[UUID, ...]]:
    genuine, forged = [], []
    for row in rows:
        decision = _verified(row, keys)
        if decision is None:
            forged.append(row.id)
        else:
            genuine.append(decision)
    return tuple(genuine), tuple(forged)


async def on_subject(connection: AsyncConnection, subject: UUID, keys: KeyRing) -> tuple[Decision, ...]:
    """Return the verified decisions on a payout, a clawback case or a cycle, oldest first."""
    rows = await connection.execute(_ON_SUBJECT, {"subject": subject})
    return tuple(decision for row in rows if (decision := _verified(row, keys)) is not None)


async def on_referrals(
    connection: AsyncConnection, referrals: Collection[str], keys: KeyRing
) -> dict[str, list[Decision]]:
    """Return the verified decisions on some referrals, by referral, oldest first."""
    made: dict[str, list[Decision]] = {}
    if referrals:
        for row in await connection.execute(_IN_CHAIN, {"referrals": array(sorted(referrals))}):
            if (decision := _verified(row, keys)) is not None:
                made.setdefault(decision.referral, []).append(decision)
    return made


async def chain_problems(connection: AsyncConnection, keys: KeyRing) -> list[str]:
    """Check the whole chain and return one sentence for each problem; empty if every link and the head verify."""
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
        # The decision after one by a revoked key is linked to it; the decision after a forged row skips that row.
        if row.previous_hash != previous and row.previous_hash not in disbelieved:
            problems.append(f"decision {row.seq} does not follow the one before it")
        previous, end = row.hash, (row.seq, row.hash)
    head = (await connection.execute(select(DecisionHead.__table__))).one_or_none()  # type: ignore[attr-defined]
    if ((head.seq, head.hash) if head else (0, _BEGINNING)) != end and not (head and head.hash in disbelieved):
        problems.append("the end of the chain is not where its signed head says")
    elif head and not keys.verifies(head.key_id, _head_message(head.seq, head.hash), head.signature):
        problems.append("the head of the chain carries no signature that we believe")
    return problems


@dataclass(frozen=True, slots=True)
class End:
    """The signed end of the chain, and how many decisions there are from each of some numbers up to it (``found``)."""

    seq: int
    hash: str
    key_id: str
    signature: str
    there: bool
    found: Mapping[int, int]

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> "End | None":
        """Return the end from what a statement read by `END`; None if the chain has none."""
        return None if document is None else cls(**{**document, "found": dict(document["found"])})


def end_problem(end: End | None, since: int, keys: KeyRing) -> str | None:
    """Return in one sentence why the end of the chain can't be trusted; None if no decision is missing.

    Checks that every decision from number ``since`` up to the signed head exists. This is the only way to notice that
    a denial was deleted.
    """
    if end is None or not keys.verifies(end.key_id, _head_message(end.seq, end.hash), end.signature):
        return "the head of the register of decisions carries no signature that we believe"
    if not end.there or end.found.get(since, 0) < end.seq - since + 1:
        return "decisions that were made since are missing from the register"
    return None


async def record_effect(
    connection: AsyncConnection, decisions: Sequence[UUID], effect: str, at: datetime, why: str
) -> None:
    """Record the effect of decisions. Repeating the call changes nothing."""
    for decision_id in decisions:
        await connection.execute(_NOTE_EFFECT, {"id": decision_id, "effect": effect, "at": at, "why": why})


async def standing(connection: AsyncConnection, made: Sequence[Decision]) -> tuple[Decision, ...]:
    """Return the decisions without void approvals and without approvals by users who were barred since.

    A void approval stays void. A denial or a hold can't be voided, because voiding is not signed.
    """
    approvals = [decision.id for decision in made if decision.kind is DecisionKind.APPROVE]
    void = {noted.decision_id for noted in await effects(connection, approvals) if noted.effect == "void"}
    void |= {decision.id for decision in await of_the_barred(connection, made)}
    return tuple(decision for decision in made if decision.id not in void)


async def of_the_barred(connection: AsyncConnection, made: Sequence[Decision]) -> tuple[Decision, ...]:
    """Return the approvals by users who are now barred."""
    approvals = [decision for decision in made if decision.kind is DecisionKind.APPROVE]
    if not approvals:
        return ()
    out = await barred(connection, {decision.user for decision in approvals})
    return tuple(decision for decision in approvals if decision.user in out)


async def barred(connection: AsyncConnection, names: Collection[str]) -> frozenset[str]:
    """Return those of the users who are barred."""
    return frozenset(name for name, out in (await people(connection, names)).items() if out)


async def people(connection: AsyncConnection, names: Collection[str]) -> Mapping[str, bool]:
    """Return the names that belong to a user, each with whether that user is barred."""
    rows = await connection.execute(_PEOPLE, {"names": sorted(names)})
    return {row.name: row.barred for row in rows}


async def effects(connection: AsyncConnection, decisions: Sequence[UUID]) -> list[Any]:
    """Return the recorded effects of decisions, oldest first."""
    table = DecisionEffect.__table__  # type: ignore[attr-defined]
    found = await connection.execute(select(table).where(table.c.decision_id.in_(decisions)).order_by(table.c.at))
    return list(found)


def _verified(row: _Signed | Row[Any], keys: KeyRing) -> Decision | None:
    """Return the decision in a row if it links to an earlier row and a trusted key signed it; else None."""
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
            # Left out if there are none, so that decisions from before this field existed still verify.
            **({} if decision.details is None else {"details": dict(decision.details)}),
        }
    )


def _head_message(seq: int, hashed: str) -> bytes:
    return _canonical({"head": seq, "hash": hashed})


def _canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# Each row with the hash that it links to, if an earlier row has it. A row out of order does not verify, and a forged
# row in between breaks nothing.
#: Decisions with ``linked_hash``, which `verified` reads.
LINKED: Final = """
SELECT d.*,
       CASE WHEN d.previous_hash = repeat('0', 64)
                 OR EXISTS (SELECT 1 FROM decision b WHERE b.hash = d.previous_hash AND b.seq < d.seq)
            THEN d.previous_hash END AS linked_hash
FROM decision d
"""

_IN_CHAIN: Final = text(LINKED + "WHERE d.referral_id = ANY(CAST(:referrals AS text[])) ORDER BY d.seq")

_ON_SUBJECT: Final = text(LINKED + "WHERE d.claim_id = :subject ORDER BY d.seq")

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

#: The document of `End`. It counts from each decision on the ``:referrals``, and reads no part of the chain twice.
END: Final = """(
    SELECT json_build_object(
        'seq', h.seq, 'hash', h.hash, 'key_id', h.key_id, 'signature', h.signature,
        'there', EXISTS (SELECT 1 FROM decision d WHERE d.seq = h.seq AND d.hash = h.hash),
        'found', (
            SELECT coalesce(json_agg(json_build_array(part.seq, part.found)), '[]') FROM (
                SELECT own.seq, CAST(sum((
                    SELECT count(*) FROM decision d WHERE d.seq >= own.seq AND d.seq < coalesce(own.next, h.seq + 1)
                )) OVER (ORDER BY own.seq DESC) AS bigint) AS found
                FROM (
                    SELECT seq, lead(seq) OVER (ORDER BY seq) AS next FROM decision
                    WHERE referral_id = ANY(CAST(:referrals AS text[])) AND seq <= h.seq
                ) AS own
            ) AS part
        )
    ) FROM decision_head h
)"""
