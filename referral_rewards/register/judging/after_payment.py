"""Judge referrals after money was sent: new facts stop unsent legs or open clawback cases."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.labels import label
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.payouts.states import WAS_PAID, LegState
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.disputes import took_an_amount
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus, advance
from referral_rewards.register.claims import exported, reservations
from referral_rewards.register.claims.dossier import rivals
from referral_rewards.register.clawbacks import carrying_out
from referral_rewards.register.clawbacks import cases as clawback_cases
from referral_rewards.register.judging import verdicts
from referral_rewards.register.judging.loading import CaseFile
from referral_rewards.register.notices import planning as notices
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import Case
from referral_rewards.register.referrals.rows import Referral

_S = ReferralStatus
#: These stop unsent legs at once. Any other change of the claim is noticed when the payout is sent.
_STOPPING: Final = frozenset(
    {
        FactType.CONVERSION_REVERSED,
        FactType.DISPUTE_OPENED,
        FactType.REFERRER_SUSPENDED,
        FactType.ATTRIBUTION_CHANGED,
        FactType.CONSENT_WITHDRAWN,
        FactType.REFERRAL_WITHDRAWN,
        FactType.REFERRAL_SENT,
    }
)


async def after_payment(connection: AsyncConnection, case: Case, file: CaseFile) -> Standing:
    """Judge a referral of which money was sent, and return its standing.

    The conversion is frozen. New facts stop legs that are not sent yet, or open clawback cases. A fact from a source
    whose clock runs ahead of ours counts as new when it takes effect; the referral wakes for it then.
    """
    row = case.row
    linked = [each for each in file.past.linked if each.fact.occurred_at <= case.now]
    news = [each.fact for each in linked if each.version > row.claim_version or case.took_effect(each.fact)]
    for fact in news:
        about_it = fact.order is None or fact.order == row.order_id
        if (fact.type in _STOPPING or took_an_amount(fact)) and about_it:
            await reservations.stop_unsent(connection, case, f"{label('fact', fact.type)} after the first payment")
            why = f"{label('fact', fact.type)} after its instruction was exported"
            await exported.take_back(connection, row.id, why, case.now)
    assert file.claim is not None
    news.sort(key=lambda fact: fact.precedence)
    frozen = await clawback_cases.keep(connection, case, file.claim.approved_rewards, news)
    again_at = await reservations.release_waiting(connection, case, file.whereabouts(case))
    claim = file.reward_claim()
    await carrying_out.close_legs(connection, row.id)
    await notices.tell_of_clawbacks(connection, case)
    legs = await reservations.legs_of(connection, row.id)
    owed = [leg for leg in legs if leg.state not in WAS_PAID]
    if row.status == _S.PAYING and owed:
        return await verdicts.write(
            connection, case, _S.PAYING, claim, again_at=again_at, claim_version=row.facts_version, **_frozen(row)
        )
    if row.status == _S.PAYING and not legs:
        # People cancelled the payment of every leg, and nothing was paid.
        why = Reason.DENIED_BY_DECISION
        return await verdicts.close(
            connection, case, _S.DENIED, why, claim, claim_version=row.facts_version, **_frozen(row)
        )
    rewarded_at = row.rewarded_at or case.now
    watched_until = case.terms.end(rewarded_at, case.terms.periods.watch)
    # An amount that a provider returned is owed again. The referral is watched until a person has decided on that.
    watched = case.now >= watched_until
    # Nobody decides a case whose dispute is open, so its end is waited for, however long it takes.
    over = watched and not owed and not frozen
    status = _S.CLAWED_BACK if _recovered(legs) else _S.REWARDED
    if row.status == _S.PAYING:
        # The later referrals of the same referrer for this referee close by that.
        await verdicts.wake_rivals(connection, await rivals(connection, case), case)
    return await verdicts.write(
        connection,
        case,
        status,
        claim,
        claim_version=row.facts_version,
        **_frozen(row),
        rewarded_at=rewarded_at,
        wake_at=None if over else verdicts.earliest(None if watched else watched_until, case.ahead_at),
        closed_at=case.now if over else None,
        closed_version=row.facts_version if over else None,
    )


async def nothing_is_paid(connection: AsyncConnection, case: Case, file: CaseFile) -> None:
    """Dismiss the clawback cases of a referral of which no payment counts any more: there is nothing to take back."""
    assert file.claim is not None
    await clawback_cases.keep(connection, case, file.claim.approved_rewards, ())


async def taken_back_since(connection: AsyncConnection, file: CaseFile, now: datetime) -> Referral:
    """Mark a closed referral as clawed back if all its legs now are, or as rewarded if a part was returned. Return its
    locked row.

    Its watch is over, but a waiting case can still be decided, and offsets come in whenever later payouts are paid.
    """
    row = file.row
    if row.status not in (_S.REWARDED, _S.CLAWED_BACK):
        return row
    await carrying_out.close_legs(connection, row.id)
    legs = await reservations.legs_of(connection, row.id)
    if (case := file.case(now)) is not None:
        await notices.tell_of_clawbacks(connection, case)
    status = _S.CLAWED_BACK if _recovered(legs) else _S.REWARDED
    if not legs or status is row.status:
        return row
    return await referrals.write(connection, row, now, status=advance(row.status, status).value)


def _recovered(legs: Sequence[ReservedLeg]) -> bool:
    """Return whether nothing of the legs stands any more; a written-off part does."""
    return all(leg.state == LegState.CLAWED_BACK for leg in legs)


def _frozen(row: Any) -> dict[str, Any]:
    """Return the referrer and conversion that were paid for, whatever newer facts say."""
    return {name: getattr(row, name) for name in _FROZEN}


_FROZEN: Final = (
    *("program", "version", "referrer", "channel", "began_at"),
    *("order_id", "conversion_at", "net_minor", "currency", "claimed_at"),
)
