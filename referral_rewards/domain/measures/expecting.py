"""What a referral in its return period would come to, by its terms, if its conversion stands."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.rewards import promised
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.measures.life import Money
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.course import Course
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.domain.referrals.referral import Referral


def expected(row: Referral, terms: Terms, order: Conversion, facts: Sequence[Fact], now: datetime) -> Money | None:
    """Return the most that the terms promise both sides for a conversion, before any limit shared with others.

    Where a tier depends on how many rewards the referrer has by then, the best one counts: nobody knows yet. None if
    the terms promise nothing.
    """
    begun = origin(facts, now)
    if begun is None:
        return None
    dossier = Dossier(
        referral=row.id,
        version=row.version or 0,
        terms=terms,
        origin=replace(begun, referrer=row.referrer or begun.referrer),
        course=Course(status=ReferralStatus.IN_RETURN_PERIOD, began_at=row.began_at, conversion=order),
        facts=tuple(facts),
        now=now,
    )
    tried = [promised(replace(dossier, approved_rewards=count)) for count in _counts(terms)]
    minor = sum(max(each[side] for each in tried) for side in tried[0])
    return Money(terms.currency, minor) if minor else None


def _counts(terms: Terms) -> list[int]:
    """The numbers of rewards from which another tier counts."""
    rules = (rule for rule in (terms.rewards.referrer, terms.rewards.referee) if rule is not None)
    tiers = (tier.from_rewarded for rule in rules for tier in rule.tiers or ())
    return sorted({0, *(count for count in tiers if count is not None)})
