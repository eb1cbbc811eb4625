"""Payment instructions of the manual rail, and the signed confirmations that the bank executed them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions import bank_confirmations
from referral_rewards.domain.decisions.key_releases import payout_digest
from referral_rewards.domain.decisions.money_acts import ROLES, MoneyAct
from referral_rewards.domain.facts import identity
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import PaymentRequest, PayoutState
from referral_rewards.register import typed_rows
from referral_rewards.register.clawbacks import returns
from referral_rewards.register.cycles.subject import released_by
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing


async def write(connection: AsyncConnection, request: PaymentRequest, key: str, by: str, at: datetime) -> None:
    """Store an instruction that somebody exports, once for each key; it never changes."""
    row = {
        "key": key,
        "payout": request.payout_id,
        "payee": request.payee,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "destination": request.destination,
        "program": request.program,
        "by": by,
        "at": at,
    }
    await connection.execute(_WRITE, row)


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction to pay that amount to that destination."""

    key: str
    payout_id: UUID
    amount_minor: int
    currency: str
    destination: str | None


@dataclass(frozen=True, slots=True)
class _Paying(Payout):
    """A payout, and the referrals and approved digests of the legs that it pays."""

    referrals: Sequence[str]
    digests: Sequence[str]


async def find(connection: AsyncConnection, key: str) -> Instruction | None:
    """Return the instruction under that key; None if there is none."""
    return await typed_rows.read_one(connection, Instruction, _FIND, {"key": key})


async def confirmed_as(connection: AsyncConnection, payout: UUID, key: str, keys: KeyRing) -> str | None:
    """Return the bank's reference if an authorised person signed that the bank executed it; else None.

    That person must not have approved or released any of it. The confirmation counts only for its own key, because
    the signed digest contains the generation. So do two people who said the same after it left the bank's file.
    """
    row = await typed_rows.read_one(connection, _Paying, _PAYOUT, {"id": payout})
    agreed = await _agreed(connection, row, key, keys)
    if agreed is not None and agreed.kind is MoneyAct.SETTLE_PAYOUT:
        return str((agreed.details or {})["reference"])
    for decision in await _said(connection, row, key, MoneyAct.CONFIRM_PAYOUT, keys):
        reference = (decision.details or {}).get("reference")
        if row is not None and reference and await _may(connection, decision, row, keys):
            return str(reference)
    return None


async def believed(connection: AsyncConnection, decision: Decision, keys: KeyRing) -> bool:
    """Return whether this person's confirmation of a payout counts; if not, others may still confirm it."""
    row = await typed_rows.read_one(connection, _Paying, _PAYOUT, {"id": decision.claim_id})
    assert row is not None
    return await _may(connection, decision, row, keys)


async def refused(connection: AsyncConnection, payout: UUID, key: str, keys: KeyRing) -> bool:
    """Return whether an authorised person signed that the bank did not execute it, or two did after it left the bank's
    file; then it is never executed."""
    row = await typed_rows.read_one(connection, _Paying, _PAYOUT, {"id": payout})
    agreed = await _agreed(connection, row, key, keys)
    if agreed is not None:
        return agreed.kind is MoneyAct.REFUSE_PAYOUT
    return bool(await _said(connection, row, key, MoneyAct.REFUSE_PAYOUT, keys))


async def _agreed(connection: AsyncConnection, row: _Paying | None, key: str, keys: KeyRing) -> Decision | None:
    """Return what two people said of an instruction that left the bank's file; None if they did not say the same.

    Once that moved the payout, it does not matter who was barred since.
    """
    generation = _generation(row, key)
    if row is None or generation is None or (row.state in _IN_FILE and row.generation == generation):
        return None
    said = payout_digest(row, generation, PayoutState.MANUAL_REVIEW)
    made = await decisions.history_of(connection, [row.id], keys)
    if row.state is not PayoutState.MANUAL_REVIEW or row.generation != generation:
        made = tuple(replace(each, barred=False) for each in made)
    agreed = bank_confirmations.agreed(bank_confirmations.words(made, said), await _let_out_by(connection, row, keys))
    return None if agreed is None else agreed.decision


def _generation(row: _Paying | None, key: str) -> int | None:
    """Return the generation of the payout's key; None if it is no key of it."""
    generation = key.removeprefix(f"{row.id}-") if row is not None else ""
    return int(generation) if generation.isdecimal() else None


async def _said(
    connection: AsyncConnection, row: _Paying | None, key: str, act: MoneyAct, keys: KeyRing
) -> Sequence[Decision]:
    """Return the verified decisions of a kind on the instruction under that key, by people with the role."""
    generation = _generation(row, key)
    if row is None or generation is None:
        return ()
    shown = payout_digest(row, generation, PayoutState.ACCEPTED)
    made = await decisions.on_subject(connection, row.id, keys)
    return [each for each in made if each.kind is act and each.digest == shown and each.roles & ROLES[act]]


async def _may(connection: AsyncConnection, decision: Decision, row: _Paying, keys: KeyRing) -> bool:
    """Return whether a person may confirm the payment: not if barred before it settled, and not if they are the same
    person as an approver or as a user who released the cycle."""
    let_out_by = await _let_out_by(connection, row, keys)
    people = (await connection.execute(_PEOPLE, {"names": sorted({decision.user, *let_out_by})})).all()
    marks = {each.name: identity.of_kinds(each.marks, identity.SELF_REFERRAL_KINDS) for each in people}
    own = marks.get(decision.user)
    settled = row.state is PayoutState.SETTLED
    barred = {each.name for each in people if each.barred_at is not None and not settled}
    if own is None or decision.user in barred or decision.user in let_out_by:
        return False
    return not any(own & marks.get(name, frozenset()) for name in let_out_by)


async def _let_out_by(connection: AsyncConnection, row: _Paying, keys: KeyRing) -> set[str]:
    """Return who approved what it pays, released its cycle or ordered the return."""
    made = await decisions.on_referrals(connection, row.referrals, keys)
    approvers = {
        each.user
        for of_one in made.values()
        for each in of_one
        if each.kind is DecisionKind.APPROVE and each.digest in row.digests
    }
    released = await released_by(connection, row.cycle_id, keys)
    return approvers | set(released) | set(await returns.deciders(connection, row.id))


#: An instruction of these states is in the bank's file, or about to be.
_IN_FILE: Final = frozenset({PayoutState.APPROVED, PayoutState.SENDING, PayoutState.UNKNOWN, PayoutState.ACCEPTED})

_WRITE: Final = text("""
INSERT INTO payment_instruction (key, payout_id, payee, amount_minor, currency, destination, program, written_at,
                                 exported_by)
VALUES (:key, :payout, :payee, :amount_minor, :currency, :destination, :program, :at, :by)
ON CONFLICT (key) DO NOTHING
""")

_FIND: Final = text("SELECT * FROM payment_instruction WHERE key = :key")

_PAYOUT: Final = text("""
SELECT p.*, legs.referrals, legs.digests
FROM payout p CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(DISTINCT l.referral_id), '{}') AS referrals,
           coalesce(array_agg(DISTINCT l.digest), '{}') AS digests
    FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = p.id
) AS legs
WHERE p.id = :id
""")

_PEOPLE: Final = text("SELECT name, marks, barred_at FROM app_user WHERE name = ANY(CAST(:names AS text[]))")
