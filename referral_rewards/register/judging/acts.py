"""Carry out what people decided about a referral as a whole, and save its row (`domain.judging.acts`)."""

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.judging.acts import Act, CarriesOut, Disbelieves, Reopens
from referral_rewards.domain.judging.case_file import CaseFile
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.claims import reservations, signed_acts
from referral_rewards.register.decisions import effects
from referral_rewards.register.judging import writing
from referral_rewards.register.referrals import rows as referrals


async def save(connection: AsyncConnection, file: CaseFile, act: Act) -> Referral:
    """Save what follows from an act, and return the referral's row.

    Raises:
        LockTaken: if a fact is being recorded that the referral would hear of: it must not be missed.
    """
    match act:
        case Disbelieves():
            return await referrals.write(connection, file.row, file.now, moved_to=None, acts=None)
        case Reopens():
            return await _reopen(connection, file, act)
        case CarriesOut(pending, its):
            await writing.bring_about(connection, file.begun, its)
            return await signed_acts.carry_out(connection, file.begun, pending)


async def _reopen(connection: AsyncConnection, file: CaseFile, act: Reopens) -> Referral:
    if act.exchanges:
        await reservations.set_aside_former(connection, file.row.id)
    await effects.record(connection, act.noted.decisions, act.noted.effect, file.now, act.noted.why)
    await referrals.relisten(connection, file.row.id)
    return await referrals.save(connection, file.row, act.row, file.now)
