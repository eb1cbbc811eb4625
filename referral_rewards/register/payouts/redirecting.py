"""Carry out a redirect on a payout that keeps what it pays: a body of its own for what is sent next."""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions import redirects
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import REFUSALS, PayoutState, body_hash
from referral_rewards.register import payout_history
from referral_rewards.register.decisions import chain
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import dump
from referral_rewards.register.payouts import generations
from referral_rewards.register.people import users


async def carry_out(connection: AsyncConnection, payout: Payout, now: datetime, keys: KeyRing) -> bool:
    """Freeze the payout again for the destination that a redirect binds it to, under the next generation of its key if
    the present one was refused. Return whether there was such a redirect.

    The caller holds the rows of the payout and its referrals. Everything is verified again right before it is sent.
    """
    if not _may_be_redirected(payout):
        return False
    on_record, _ = await chain.on_referral(connection, redirects.listed_under(payout.payee), keys)
    barred = await users.barred(connection, sorted({each.user for each in on_record})) if on_record else frozenset()
    redirect = redirects.bound_by(payout, redirects.in_force(on_record, barred))
    if redirect is None:
        return False
    if payout.state in REFUSALS:
        said = f"{label('decided', 'redirect_payee')}: {redirect.destination}"
        await payout_history.append(connection, payout.id, payout.generation, now, "redirect_payee", said)
        await generations.begin_next(connection, payout, now)
    body = {**payout.body, "destination": redirect.destination}
    await connection.execute(_FREEZE, {"id": payout.id, "body": dump(body), "hash": body_hash(body)})
    await connection.execute(_BIND, {"id": payout.id, "to": redirect.destination})
    return True


def _may_be_redirected(payout: Payout) -> bool:
    """Return whether the payout was refused or came back, or is a return or was released again, and is not sent yet.

    A reward that was never sent leaves its payout instead, and waits by itself.
    """
    if payout.state is PayoutState.WAITING_FUNDS:
        return False
    stays = payout.returns is not None or payout.first_sent_at is not None
    return payout.state in REFUSALS or (payout.state is PayoutState.APPROVED and stays and payout.key_used_at is None)


_FREEZE: Final = text("UPDATE payout SET body = CAST(:body AS jsonb), body_hash = :hash WHERE id = :id")

_BIND: Final = text("""
UPDATE leg SET bound_to = :to WHERE id IN (SELECT leg_id FROM payout_leg WHERE payout_id = :id AND live)
""")
