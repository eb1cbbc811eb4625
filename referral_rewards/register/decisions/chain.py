"""The chain of decisions: append-only, hashed and signed (SPEC §6). Only the API appends; any process can verify."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import DecisionHead
from referral_rewards import personal
from referral_rewards.domain.decisions.decision import Decision, Made, NewDecision
from referral_rewards.register import outgoing_events, typed_rows
from referral_rewards.register.decisions import messages, signed
from referral_rewards.register.decisions.signed import SignedDecision, stored
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.locks import Lock, array, lock

__all__ = [
    "Decision",
    "NewDecision",
    "append",
    "chain_problems",
    "end_problem",
    "history_of",
    "history_of_referral",
    "on_referral",
    "on_referrals",
    "on_subject",
]

_BEGINNING: Final = "0" * 64


async def append(connection: AsyncConnection, new: NewDecision, signer: Signer) -> Decision:
    """Sign a decision, append it to the chain in the caller's transaction, and return it.

    Its note, the signed end of the chain and the messages to webhook endpoints are written with it.
    """
    await lock(connection, Lock.DECISIONS)
    # A statement of its own: it has to see what the holder before us appended.
    last = (await connection.execute(_LAST)).one()
    decision = Decision(
        seq=last.seq + 1,
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
    note = personal.kept(connection, decision.id, {"note": new.note})
    signed_row = stored(decision, note.commitment, last.hash or _BEGINNING, signer)
    await connection.execute(_APPEND, {**signed_row, "sealed": note.sealed})
    return decision


async def take_over(connection: AsyncConnection, signer: Signer, keys: KeyRing) -> None:
    """Sign the end of the chain with this key, where another key signed it that we believe.

    An API does so as it starts. Otherwise, once the earlier key is revoked, no decision on record could be believed
    before the next one is appended. An end that is not believed stays as it is: somebody may have cut decisions off.
    """
    await lock(connection, Lock.DECISIONS)
    head = (await connection.execute(select(DecisionHead.__table__))).one_or_none()  # type: ignore[attr-defined]
    if head is None or head.key_id == signer.key_id:
        return
    end = messages.of_head(head.seq, head.hash)
    if keys.verifies(head.key_id, end, head.signature):
        await connection.execute(_SIGN_END, {"key_id": signer.key_id, "signature": signer.sign(end)})


_SIGN_END: Final = text("UPDATE decision_head SET key_id = :key_id, signature = :signature")

_SIGNED: Final = TypeAdapter(tuple[SignedDecision, ...])


async def on_referral(
    connection: AsyncConnection, referral: str, keys: KeyRing
) -> tuple[tuple[Decision, ...], tuple[UUID, ...]]:
    """Return the referral's verified decisions, oldest first, and the ids of rows that do not verify."""
    return _sorted_out(await _read(connection, _IN_CHAIN, {"referrals": array([referral])}), keys)


def verified(documents: Sequence[Mapping[str, Any]], keys: KeyRing) -> tuple[tuple[Decision, ...], tuple[UUID, ...]]:
    """Return the same as `on_referral` from what a statement aggregated as JSON over `LINKED`, oldest first."""
    return _sorted_out(_SIGNED.validate_python(documents), keys)


def _sorted_out(rows: Iterable[SignedDecision], keys: KeyRing) -> tuple[tuple[Decision, ...], tuple[UUID, ...]]:
    genuine, forged = [], []
    for row in rows:
        decision = signed.verified(row, keys)
        if decision is None:
            forged.append(row.id)
        else:
            genuine.append(decision)
    return tuple(genuine), tuple(forged)


async def on_subject(connection: AsyncConnection, subject: UUID, keys: KeyRing) -> tuple[Decision, ...]:
    """Return the verified decisions on a payout, a clawback case or a cycle, oldest first."""
    rows = await _read(connection, _ON_SUBJECT, {"subject": subject})
    return tuple(decision for row in rows if (decision := signed.verified(row, keys)) is not None)


async def history_of_referral(connection: AsyncConnection, referral: str, keys: KeyRing) -> tuple[Made, ...]:
    """Return the verified decisions on a referral with what is known of each now, oldest first."""
    return await _history(connection, _HISTORY_OF_REFERRAL, {"referral": referral}, keys)


async def history_of(connection: AsyncConnection, subjects: Collection[UUID], keys: KeyRing) -> tuple[Made, ...]:
    """Return the verified decisions on these payouts, clawback cases or cycles, like `history_of_referral`."""
    return await _history(connection, _HISTORY, {"subjects": list(subjects)}, keys)


async def on_referrals(
    connection: AsyncConnection, referrals: Collection[str], keys: KeyRing
) -> dict[str, list[Decision]]:
    """Return the verified decisions on some referrals, by referral, oldest first."""
    made: dict[str, list[Decision]] = {}
    if referrals:
        for row in await _read(connection, _IN_CHAIN, {"referrals": array(sorted(referrals))}):
            if (decision := signed.verified(row, keys)) is not None:
                made.setdefault(decision.referral, []).append(decision)
    return made


async def chain_problems(connection: AsyncConnection, keys: KeyRing) -> list[str]:
    """Check the whole chain and return one sentence for each problem; empty if every link and the head verify."""
    problems = []
    previous, seq = _BEGINNING, 0
    end = (0, _BEGINNING)
    disbelieved: set[str] = set()
    rows = await connection.stream(text("SELECT *, previous_hash AS linked_hash FROM decision ORDER BY seq"))
    async for found in rows:
        row = typed_rows.of(SignedDecision, found)
        seq += 1
        if row.seq != seq:
            problems.append(f"decision {seq} is missing: the next one on record is {row.seq}")
            seq = row.seq
        if signed.verified(row, keys) is None:
            problems.append(f"decision {row.seq} ({row.id}) {keys.disbelief(row.key_id)}")
            disbelieved.add(row.hash)
            continue
        # The decision after one by a revoked key is linked to it; the decision after a forged row skips that row.
        if row.previous_hash != previous and row.previous_hash not in disbelieved:
            problems.append(f"decision {row.seq} does not follow the one before it")
        previous, end = row.hash, (row.seq, row.hash)
    head = (await connection.execute(select(DecisionHead.__table__))).one_or_none()  # type: ignore[attr-defined]
    if ((head.seq, head.hash) if head else (0, _BEGINNING)) != end and not (head and head.hash in disbelieved):
        problems.append("the end of the chain is not where its signed head says")
    elif head and not keys.verifies(head.key_id, messages.of_head(head.seq, head.hash), head.signature):
        problems.append(f"the head of the chain {keys.disbelief(head.key_id)}")
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
    if end is None or not keys.verifies(end.key_id, messages.of_head(end.seq, end.hash), end.signature):
        return "the head of the register of decisions carries no signature that we believe"
    if not end.there or end.found.get(since, 0) < end.seq - since + 1:
        return "decisions that were made since are missing from the register"
    return None


class _Known(NamedTuple):
    """What is known now of a decision on record."""

    sealed_note: bytes | None
    effects: tuple[str, ...]
    barred: bool
    marks: tuple[str, ...]


async def _read(
    connection: AsyncConnection, statement: TextClause, asked: Mapping[str, object]
) -> Sequence[SignedDecision]:
    return await typed_rows.read(connection, SignedDecision, statement, asked)


async def _history(
    connection: AsyncConnection, statement: TextClause, asked: Mapping[str, object], keys: KeyRing
) -> tuple[Made, ...]:
    found = (await connection.execute(statement, dict(asked))).all()
    rows = zip(typed_rows.each_of(SignedDecision, found), typed_rows.each_of(_Known, found), strict=True)
    return tuple(
        Made(
            decision,
            _note(connection, row.id, known.sealed_note),
            frozenset(known.effects),
            known.barred,
            frozenset(known.marks),
        )
        for row, known in rows
        if (decision := signed.verified(row, keys)) is not None
    )


def _note(connection: AsyncConnection, decision: UUID, sealed: bytes | None) -> str | None:
    body = personal.body_of(connection, decision, sealed)
    return None if body is None else str(body["note"])


# Each row with the hash that it links to, if an earlier row has it. A row out of order does not verify, and a forged
# row in between breaks nothing.
_LINK: Final = """
CASE WHEN d.previous_hash = repeat('0', 64)
          OR EXISTS (SELECT 1 FROM decision b WHERE b.hash = d.previous_hash AND b.seq < d.seq)
     THEN d.previous_hash END AS linked_hash
"""

#: Decisions with ``linked_hash``, which `verified` reads.
LINKED: Final = f"SELECT d.*, {_LINK} FROM decision d "  # noqa: S608 (a constant of ours)

_MADE: Final = f"""
SELECT d.*, {_LINK}, (SELECT sealed FROM personal_data WHERE subject_id = d.id) AS sealed_note,
       ARRAY(SELECT effect FROM decision_effect WHERE decision_id = d.id) AS effects,
       u.barred_at IS NOT NULL AS barred, coalesce(u.marks, '{{}}') AS marks
FROM decision d LEFT JOIN app_user u ON u.name = d.username
"""  # noqa: S608 (a constant of ours)

_HISTORY_OF_REFERRAL: Final = text(_MADE + "WHERE d.referral_id = :referral ORDER BY d.seq")

_HISTORY: Final = text(_MADE + "WHERE d.claim_id = ANY(CAST(:subjects AS uuid[])) ORDER BY d.seq")

_IN_CHAIN: Final = text(LINKED + "WHERE d.referral_id = ANY(CAST(:referrals AS text[])) ORDER BY d.seq")

_ON_SUBJECT: Final = text(LINKED + "WHERE d.claim_id = :subject ORDER BY d.seq")

_LAST: Final = text("""
SELECT (SELECT coalesce(max(seq), 0) FROM decision) AS seq, (SELECT hash FROM decision_head) AS hash
""")

_APPEND: Final = outgoing_events.announced_after("""
noted AS (
    INSERT INTO personal_data (subject_id, sealed, commitment) VALUES (:id, :sealed, :commitment)
), recorded AS (
    INSERT INTO decision (seq, id, referral_id, claim_id, digest, kind, username, roles, reason, note_commitment,
                          details, decided_at, previous_hash, hash, key_id, signature)
    VALUES (:seq, :id, :referral, :claim_id, :digest, :kind, :username, CAST(:roles AS text[]), :reason, :commitment,
            CAST(:details AS jsonb), :at, :previous_hash, :hash, :key_id, :signature)
), head AS (
    INSERT INTO decision_head (id, seq, hash, key_id, signature)
    VALUES (1, :seq, :hash, :key_id, :head_signature)
    ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, key_id = excluded.key_id,
                                   signature = excluded.signature
)""")

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
