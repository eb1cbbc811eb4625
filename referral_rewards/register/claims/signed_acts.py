"""Carry out what people decided about a referral's attribution: move its reward, or let it hear of another order.

The row says what was carried out, so that every reader finds it, and is not trusted: it counts only as far as verified
decisions stand behind it. They travel with the case, so nothing is read here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions.complete_acts import complete_acts, signed_acts, supported
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.facts import keys
from referral_rewards.domain.referrals.signed_acts import SignedActs
from referral_rewards.register.decisions import effects
from referral_rewards.register.locks import Lock, lock_all_at_once
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import Case, acts_document, acts_of
from referral_rewards.register.referrals.closing import covers
from referral_rewards.register.referrals.rows import Referral


@dataclass(frozen=True, slots=True)
class Pending:
    """What decisions on a referral come to, its row does not say so yet, and the decisions that say it."""

    acts: SignedActs
    decisions: tuple[UUID, ...]
    orders: frozenset[str]


def holds(row: Referral | Row, made: Sequence[Decision]) -> bool:  # type: ignore[type-arg]
    """Return whether verified decisions support what the referral's row says was decided about it."""
    acts = acts_of(row)
    moved_to = acts.reassigned.referrer if acts.reassigned is not None else None
    return row.moved_to == moved_to and supported(acts, made)


def pending(row: Referral | Row, made: Sequence[Decision]) -> Pending | None:  # type: ignore[type-arg]
    """Return what verified decisions come to beyond what the referral's row says; None if nothing."""
    acts, known = signed_acts(made), acts_of(row)
    if acts == known:
        return None
    done = {link.id for link in known.links} | ({known.reassigned.id} if known.reassigned is not None else set())
    new = [act for act in complete_acts(made) if act.last.id not in done]
    orders = frozenset(act.target for act in new if act.kind is DecisionKind.LINK)
    return Pending(acts, tuple(each.id for act in new for each in act.decisions), orders)


def reopens(row: Referral, made: Sequence[Decision]) -> bool:
    """Return whether people linked an order to a closed referral, by decisions on this closing."""
    return any(covers(row, act.last) for act in complete_acts(made, DecisionKind.LINK))


async def believed(connection: AsyncConnection, row: Referral, made: Sequence[Decision], now: datetime) -> Referral:
    """Return the locked row; what it says without verified decisions behind it is removed first."""
    if holds(row, made):
        return row
    return await referrals.write(connection, row, now, moved_to=None, acts=None)


async def carry_out(connection: AsyncConnection, case: Case, found: Pending) -> Referral:
    """Make the referral hear of its new referrer and orders, and return its row, which says so and has no claim.

    Raises:
        LockTaken: if a fact is being recorded that the referral would hear of: it must not be missed.
    """
    hears = [f"order:{order}" for order in sorted(found.orders)]
    moved = found.acts.reassigned
    if moved is not None and moved != case.acts.reassigned:
        hears += [f"referrer:{case.origin.program}/{moved.referrer}", f"payee:{moved.referrer}"]
    await lock_all_at_once(connection, Lock.FACTS, keys.locks(hears))
    await effects.record(connection, found.decisions, "applied", case.now, "carried out")
    await referrals.listen(connection, case.row.id, hears)
    said = {"moved_to": moved.referrer if moved is not None else None, "acts": acts_document(found.acts)}
    return await referrals.write(connection, case.row, case.now, stored=case.stored, claim_id=None, **said)
