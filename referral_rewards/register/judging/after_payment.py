"""Follow new facts after money was sent: they stop unsent legs or open clawback cases (`domain.judging.after_payment`).

What they come to for the legs is decided elsewhere, under the locks of the money (`clawbacks`, `claims.reservations`).
So the legs are loaded again before the referral's own verdict is decided and saved.
"""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.judging import after_payment as rules
from referral_rewards.domain.judging.case_file import CaseFile
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, advance
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.claims import exported, reservations
from referral_rewards.register.clawbacks import carrying_out
from referral_rewards.register.clawbacks import cases as clawback_cases
from referral_rewards.register.judging import writing
from referral_rewards.register.notices import planning as notices
from referral_rewards.register.referrals import rows as referrals

_S = ReferralStatus


async def follow(connection: AsyncConnection, file: CaseFile) -> Standing:
    """Judge a referral of which money was sent, and return its standing. The conversion is frozen."""
    case = file.begun
    await _stop(connection, file)
    assert file.claim is not None
    news = sorted(rules.news(file), key=lambda fact: fact.precedence)
    frozen = await clawback_cases.keep(connection, case, file.claim.approved_rewards, news, file.past.linked)
    again_at = await reservations.release_waiting(connection, case, file.whereabouts())
    await carrying_out.close_legs(connection, file.row.id)
    await notices.tell_of_clawbacks(connection, case)
    legs = await reservations.legs_of(connection, file.row.id)
    found = rules.after(case, legs, again_at, frozen=frozen)
    if found.wakes_rivals:
        await writing.wake_rivals(connection, case)
    return await writing.write(connection, case, found.row, file.reward_claim())


async def _stop(connection: AsyncConnection, file: CaseFile) -> None:
    """Stop what is unsent, and take exported instructions back, for each new fact that stops them."""
    for type_ in rules.stops(file):
        await reservations.stop_unsent(connection, file.begun, f"{label('fact', type_)} after the first payment")
        why = f"{label('fact', type_)} after its instruction was exported"
        await exported.take_back(connection, file.row.id, why, file.begun.now)


async def keep_cases(connection: AsyncConnection, file: CaseFile) -> None:
    """Keep the clawback cases of a referral of which no payment of its present claim counts.

    Those about a payment that came back are dismissed: there is nothing to take back. Those about what was paid for a
    former order, in whose place it was reopened, follow from the facts about that order.
    """
    approved_rewards = file.claim.approved_rewards if file.claim is not None else 0
    await clawback_cases.keep(connection, file.begun, approved_rewards, (), file.past.linked)


async def taken_back_since(connection: AsyncConnection, file: CaseFile) -> Referral:
    """Mark a closed referral as clawed back if all its legs now are, or as rewarded if a part was returned. Return its
    locked row.

    Its watch is over, but a waiting case can still be decided, and offsets come in whenever later payouts are paid.
    """
    row = file.row
    if row.status not in (_S.REWARDED, _S.CLAWED_BACK):
        return row
    await carrying_out.close_legs(connection, row.id)
    legs = await reservations.legs_of(connection, row.id)
    if file.case is not None:
        await notices.tell_of_clawbacks(connection, file.case)
    status = _S.CLAWED_BACK if rules.is_recovered(legs) else _S.REWARDED
    if not legs or status is row.status:
        return row
    return await referrals.save(connection, row, replace(row, status=advance(row.status, status)), file.now)
