"""Load the evidence for a return, right before it is sent: the signed decision, and what was taken."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.clawbacks.returning import flaw
from referral_rewards.domain.decisions import redirects
from referral_rewards.domain.payees import methods
from referral_rewards.domain.payouts.advice import ANOTHER_METHOD
from referral_rewards.domain.payouts.attempt import Approved, Evidence, Share, Silent
from referral_rewards.domain.payouts.destinations import has_moved
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.clawbacks import authority, returns
from referral_rewards.register.decisions import chain
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payouts.grounds import Grounds


async def examine(
    connection: AsyncConnection,
    payout: Payout,
    rows: Sequence[Referral],
    grounds: Grounds,
    now: datetime,
    keys: KeyRing,
) -> Evidence:
    """Return what the decision to return is worth now. The caller holds the rows of the payout and its referral.

    The claim is not assembled again: it says what the reward was for, and people decided that it stands. A return to an
    account that is not the payee's any more waits for a redirect.
    """
    assert payout.returns is not None
    decision = authority.returning(payout, grounds.made_on(rows[0].id).genuine)
    its = await returns.taken(connection, payout.returns, besides=payout.id)
    barred = decision.user if decision is not None and grounds.people.get(decision.user, True) else None
    # If the payout may have been sent, later changes of who may sign do not matter.
    gone = {name for name, is_barred in grounds.people.items() if is_barred} if payout.key_used_at is None else set()
    bound_to = redirects.bound_to(payout, redirects.in_force(grounds.redirected, gone))
    why = flaw(payout, its, decision.id if decision is not None else None, barred, bound_to)
    if why is None and decision is not None:
        why = chain.end_problem(grounds.end, decision.seq, keys)
    if why is not None:
        return Evidence(why, ())
    moved = payout.key_used_at is None and has_moved(
        payout.rail, payout.body["destination"], methods.of(payout.payee, grounds.pasts[rows[0].id].facts), now
    )
    verdict = Silent("its payee's payment method is another one now", ANOTHER_METHOD) if moved else Approved()
    return Evidence(None, (Share(rows[0].id, verdict, paying=True),))
