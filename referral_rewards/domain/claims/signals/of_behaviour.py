"""Signals from behaviour: whom people refer, how fast and how often, and how much is refunded."""

from datetime import timedelta
from itertools import pairwise
from typing import Final

from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import Sign, Signal, unread
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.labels.sentences import counted

#: A pair is `reciprocal_referral`; above four, circles close by chance among the customers of one shop.
RING_LENGTHS: Final = (3, 4)
#: The referrer's own history, with which the last hour and the last day are compared.
PAST_DAYS: Final = 30
#: Five friends in one hour are a message to a group; that only stands out for a referrer who rarely does so.
HOUR_MIN: Final = 5
#: Inviting a few friends on the first day is normal.
DAY_MIN: Final = 7
#: So many times the referrer's own pace is more than a good week.
PACE_FACTOR: Final = 5
#: With fewer conversions, one or two returns are already half of them.
CONVERTED_MIN: Final = 4
#: Just over the minimum: within 5 percent of it.
JUST_OVER_PERCENT: Final = 5
NEW_ACCOUNT: Final = timedelta(days=7)
#: A person can't read an offer, choose and pay in less time; a script can.
FAST: Final = timedelta(minutes=1)


def reciprocal_referral(dossier: Dossier) -> Sign:
    """The referee once referred the referrer."""
    if dossier.reciprocal is None:
        return unread("who referred the referrer")
    told = "the referee once referred the referrer" if dossier.reciprocal else "the referee never referred the referrer"
    return Sign(dossier.reciprocal, told)


def referral_ring(dossier: Dossier) -> Sign:
    """A chain of referrals leads from the referee back to the referrer."""
    ring = dossier.behaviour.ring
    if ring is None:
        return unread("who referred the referrer")
    if ring in RING_LENGTHS:
        return Sign(True, f"{ring} people refer each other in a circle")
    return Sign(False, f"no circle of {' or '.join(map(str, RING_LENGTHS))} people")


def hourly_velocity(dossier: Dossier) -> Sign:
    """The referrer began far more referrals in the last hour than in an hour of the 30 days before."""
    pace = dossier.behaviour.pace
    if pace is None:
        return unread("the referrer's other referrals")
    return _faster(pace.hour, pace.before_hour, HOUR_MIN, "hour", PAST_DAYS * 24)


def daily_velocity(dossier: Dossier) -> Sign:
    """The referrer began far more referrals in the last day than in a day of the 30 days before."""
    pace = dossier.behaviour.pace
    if pace is None:
        return unread("the referrer's other referrals")
    return _faster(pace.day, pace.before_day, DAY_MIN, "day", PAST_DAYS)


def refund_rate(dossier: Dossier) -> Sign:
    """Half or more of the referrer's converted referrals were taken back."""
    refunds = dossier.behaviour.refunds
    if refunds is None:
        return unread("the referrer's earlier referrals")
    fires = refunds.reversed >= CONVERTED_MIN and 2 * refunds.reversed >= refunds.converted
    told = counted(refunds.converted, "earlier conversion")
    return Sign(fires, f"{refunds.reversed} of the referrer's {told} taken back")


def amount_just_over_minimum(dossier: Dossier) -> Sign:
    """The conversion is just large enough to qualify."""
    q, minimum = dossier.conversion, dossier.terms.qualifying.minimum
    if minimum is None:
        return Sign(False, "the terms have no minimum")
    if q is None or q.gross_minor is None or q.currency != dossier.terms.currency:
        return Sign(False, "there is no amount to compare with the minimum")
    least_minor = dossier.terms.minor(minimum)
    # In integers, so that the boundary is exact.
    near = least_minor <= q.gross_minor and 100 * q.gross_minor <= (100 + JUST_OVER_PERCENT) * least_minor
    over = 100 * (q.gross_minor - least_minor) / least_minor
    return Sign(near, f"{over:.1f} % over the minimum" if over >= 0 else "below the minimum")


def new_account(dossier: Dossier) -> Sign:
    """The referrer joined only days before referring somebody."""
    enrolments = dossier.of_referrer(FactType.REFERRER_ENROLLED)
    if not enrolments:
        return unread("when the referrer enrolled")
    age = dossier.origin.began_at - enrolments[0].occurred_at
    if age < timedelta():
        return Sign(True, "the referrer enrolled after the referral began")
    return Sign(age < NEW_ACCOUNT, f"the referrer enrolled {counted(age.days, 'day')} before the referral")


def fast_conversion(dossier: Dossier) -> Sign:
    """The conversion followed the claim within seconds."""
    q, claims = dossier.conversion, dossier.of(FactType.REFERRAL_CLAIMED)
    if q is None or not claims or claims[0].occurred_at > q.occurred_at:
        return Sign(False, "no claim came before the conversion")
    after = q.occurred_at - claims[0].occurred_at
    if after < FAST:
        return Sign(True, f"converted {counted(int(after.total_seconds()), 'second')} after the claim")
    return Sign(False, "converted a minute or more after the claim")


def barred_elsewhere(dossier: Dossier) -> Sign:
    """The same person is suspended in another program, or under another name."""
    barred = dossier.behaviour.barred
    if barred is None:
        return unread("whether the referrer is suspended elsewhere")
    return Sign(barred > 0, f"suspended in {counted(barred, 'other enrolment')} of the same person")


def method_changed_lately(dossier: Dossier) -> Sign:
    """The referrer's payment method changed after the conversion: a hijacked account would pay another person."""
    q, rule = dossier.conversion, dossier.terms.rewards.referrer
    if q is None or rule is None:
        return Sign(False, "the referrer is not paid for a conversion")
    rail = dossier.terms.payouts.rails.get(rule.kind)
    said = [f for f in dossier.of(FactType.METHOD_SET) if f.data.get("payee") == dossier.referrer]
    methods = [fact for fact in said if fact.data.get("rail") == rail]
    changes = [
        later
        for earlier, later in pairwise(methods)
        if later.occurred_at > q.occurred_at and not _same_method(earlier, later)
    ]
    return Sign(bool(changes), f"payment method changed {counted(len(changes), 'time')} after the conversion")


def _faster(now: int, before: int, least: int, unit: str, units: int) -> Sign:
    fires = now >= least and now * units > PACE_FACTOR * before
    past = f"{before / units:.1f}" if before else "none"
    return Sign(
        fires,
        f"{counted(now, 'referral')} in the last {unit}, against {past} per {unit} in the {PAST_DAYS} days before",
    )


def _same_method(one: Fact, other: Fact) -> bool:
    """Whether both name one destination; a reference that is kept with the personal data could be any."""
    reference = one.data.get("reference")
    return reference is not None and reference == other.data.get("reference")


SIGNALS: Final[dict[str, Signal]] = {
    "reciprocal_referral": reciprocal_referral,
    "referral_ring": referral_ring,
    "hourly_velocity": hourly_velocity,
    "daily_velocity": daily_velocity,
    "refund_rate": refund_rate,
    "amount_just_over_minimum": amount_just_over_minimum,
    "new_account": new_account,
    "fast_conversion": fast_conversion,
    "barred_elsewhere": barred_elsewhere,
    "method_changed_lately": method_changed_lately,
}
