"""Carry out what people decided about a referral's attribution: move its reward, or let it hear of another order.

The row says what was carried out, so that every reader finds it, and is not trusted: it counts only as far as verified
decisions stand behind it. They travel with the case, so nothing is read here.
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.complete_acts import Pending
from referral_rewards.domain.facts import keys
from referral_rewards.domain.referrals.case import Case, acts_document
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.decisions import effects
from referral_rewards.register.locks import Lock, lock_all_at_once
from referral_rewards.register.referrals import rows as referrals


async def carry_out(connection: AsyncConnection, case: Case, found: Pending) -> Referral:
    """Make the referral hear of its new referrer and orders, and return its row, which says so and has no claim.

    Raises:
        LockTaken: if a fact is being recorded that the referral would hear of: it must not be missed.
    """
    hears = [f"order:{order}" for order in sorted({each.id for each in found.orders})]
    moved = found.acts.reassigned
    if moved is not None and moved != case.acts.reassigned:
        hears += [f"referrer:{case.origin.program}/{moved.referrer}", f"payee:{moved.referrer}"]
    await lock_all_at_once(connection, Lock.FACTS, keys.locks(hears))
    await effects.record(connection, found.decisions, "applied", case.now, "carried out")
    await referrals.listen(connection, case.row.id, hears)
    said = {"moved_to": moved.referrer if moved is not None else None, "acts": acts_document(found.acts)}
    return await referrals.write(connection, case.row, case.now, claim_id=None, **said)
