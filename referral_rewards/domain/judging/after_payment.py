"""A referral of which money was sent: which new facts stop what is unsent, and how it stands then."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import order_named
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.judging.case_file import CaseFile
from referral_rewards.domain.judging.outcome import closed, earliest, judged, still_paid_for
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.payouts.states import WAS_PAID, LegState
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.disputes import took_an_amount
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from referral_rewards.domain.referrals.referral import Referral

_S: Final = ReferralStatus
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


@dataclass(frozen=True, slots=True)
class After:
    """What the row says after new facts are followed, and whether the referrals that compete with it hear of that."""

    row: Referral
    wakes_rivals: bool = False


def news(file: CaseFile) -> tuple[Fact, ...]:
    """Return the facts that came after the claim that is paid, in the order in which they are linked.

    A fact from a source whose clock runs ahead of ours counts as new when it takes effect.
    """
    case = file.begun
    linked = [each for each in file.past.linked if each.fact.occurred_at <= case.now]
    return tuple(e.fact for e in linked if e.version > file.row.claim_version or case.took_effect(e.fact))


def stops(file: CaseFile) -> tuple[FactType, ...]:
    """Return the kinds of the new facts for which what is unsent stops, in the order in which they are linked."""
    order = order_named(file.past.facts, file.row.order)
    # What may be about it stops too: nobody can tell of which store it is.
    may_be = [] if order is None else [fact.id for fact in (*order.facts, *order.doubtful)]
    about_it = [fact for fact in news(file) if fact.order is None or fact.id in may_be]
    return tuple(fact.type for fact in about_it if fact.type in _STOPPING or took_an_amount(fact))


def after(case: Case, legs: Sequence[ReservedLeg], again_at: datetime | None, *, frozen: bool) -> After:
    """Return how a referral stands whose conversion is frozen: it is being paid, watched, or closed.

    ``legs`` are those that are not cancelled, as the new facts left them. ``frozen``: a clawback case waits for the end
    of a dispute. ``again_at`` is when a leg that waits may be released.
    """
    row = case.row
    # An amount that a provider returned is owed again. The referral is watched until a person has decided on that.
    owed = any(leg.state not in WAS_PAID for leg in legs)
    if row.status is _S.PAYING and owed:
        return After(still_paid_for(judged(case, _S.PAYING, again_at=again_at), row))
    if row.status is _S.PAYING and not legs:
        # People cancelled the payment of every leg, and nothing was paid.
        denied = closed(case, _S.DENIED, Reason.DENIED_BY_DECISION)
        return After(still_paid_for(denied, row), wakes_rivals=row.claimed_at is not None)
    # The later referrals of the same referrer for this referee close once it is rewarded.
    return After(_watched(case, legs, owed=owed, frozen=frozen), wakes_rivals=row.status is _S.PAYING)


def _watched(case: Case, legs: Sequence[ReservedLeg], *, owed: bool, frozen: bool) -> Referral:
    row = case.row
    status = _S.CLAWED_BACK if is_recovered(legs) else _S.REWARDED
    rewarded_at = row.rewarded_at or case.now
    watched_until = case.terms.end(rewarded_at, case.terms.periods.watch)
    watched = case.now >= watched_until
    # Nobody decides a case whose dispute is open, so its end is waited for, however long it takes.
    over = watched and not owed and not frozen
    return replace(
        still_paid_for(judged(case, status), row),
        rewarded_at=rewarded_at,
        wake_at=None if over else earliest(None if watched else watched_until, case.ahead_at),
        closed_at=case.now if over else None,
        closed_version=row.facts_version if over else None,
    )


def is_recovered(legs: Sequence[ReservedLeg]) -> bool:
    """Return whether nothing of the legs stands any more; a written-off part does."""
    return all(leg.state == LegState.CLAWED_BACK for leg in legs)
