"""The four rules of time: a referral's status from what is known at one instant (SPEC §4, 1 to 4).

These rules never look ahead: `periods.py` applies them at every instant at which something happens.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import Channel, FactType
from referral_rewards.domain.programs.life import Life
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.conversions import Conversion, Orders
from referral_rewards.domain.referrals.course import Course
from referral_rewards.domain.referrals.lifecycle import Reason
from referral_rewards.domain.referrals.lifecycle import ReferralStatus as S
from referral_rewards.domain.referrals.origin import beginning, referee_identity


def stand(known: Sequence[Fact], orders: Orders, terms: Terms, life: Life, moment: datetime) -> Course | None:
    """Return the course right after ``moment``, from all that was ``known`` by then; None before the referral began.

    ``known`` is in order of precedence; ``orders`` holds the conversions it reports.
    """
    began = beginning(known)
    if began is None or began.type is FactType.REWARD_REQUESTED:
        return None
    own = [each for each in orders.of(referee_identity(known, moment)) if each.of_kind]
    stood = _claim(known, own, terms, life, began)
    if life.has_ended(stood.began_at):
        return stood.closed(S.DENIED, Reason.PROGRAM_NOT_ACTIVE, stood.began_at)
    if (c := stood.claimed_at) is not None:
        offer_ends = terms.end(c, terms.periods.offer)
        in_time = _of_the_offer(own, c, offer_ends, terms, began)
        stood = _conversion(in_time, offer_ends, terms, stood, moment)
    return _unless_withdrawn(known, stood)


def of_the_offer(known: Sequence[Fact], orders: Orders, terms: Terms, life: Life, moment: datetime) -> list[Conversion]:
    """Return the conversions within the offer or the grace period, earliest first, whether they count or not."""
    began = beginning(known)
    if began is None or began.type is FactType.REWARD_REQUESTED:
        return []
    own = [each for each in orders.of(referee_identity(known, moment)) if each.of_kind]
    c = _claim(known, own, terms, life, began).claimed_at
    return [] if c is None else _of_the_offer(own, c, terms.end(c, terms.periods.offer), terms, began)


def _of_the_offer(
    own: Sequence[Conversion], c: datetime, offer_ends: datetime, terms: Terms, began: Fact
) -> list[Conversion]:
    sent = began.type is FactType.REFERRAL_SENT
    able = [each for each in own if not sent or each.occurred_at >= began.occurred_at]
    return [each for each in able if _in_time(each.occurred_at, c, offer_ends, terms)]


def _claim(known: Sequence[Fact], own: Sequence[Conversion], terms: Terms, life: Life, began: Fact) -> Course:
    """Rules 1 and 2: how long the invitation can be claimed, also after purchases, and whether a claim was timely.

    Terms name no expiry for a lead, which counts as claimed when it is sent. Of a program that ended, no invitation is
    claimable longer than the longest expiry after the end, also after purchases.
    """
    began_at, sent = began.occurred_at, began.type is FactType.REFERRAL_SENT
    channel = Channel(began.data["channel"]) if sent else None
    expiry = terms.periods.expiry.get(channel) if channel is not None else None
    invite_ends = terms.end(began_at, expiry) if expiry is not None else None
    doors = [p for p in (each.occurred_at for each in own) if began_at <= p and (not invite_ends or p < invite_ends)]
    claim_by = max([invite_ends, *(terms.end(p, terms.periods.grace) for p in doors)]) if invite_ends else None
    too_late = Reason.GRACE_PERIOD_ENDED if doors else Reason.INVITATION_NOT_CLAIMED
    last = life.last_claim(terms) if sent else None
    if last is not None and (claim_by is None or last < claim_by):
        claim_by, too_late = last, Reason.INVITATION_NOT_CLAIMED
    claims = [fact.occurred_at for fact in known if fact.type is FactType.REFERRAL_CLAIMED]
    first = began_at if channel is Channel.LEAD else max(claims[0], began_at) if claims else None
    timely = first is not None and (claim_by is None or first < claim_by)
    return Course(
        status=S.PURCHASED_UNCLAIMED if doors else S.INVITED,
        deadline=claim_by,
        next_status=S.EXPIRED if claim_by else None,
        next_reason=too_late if claim_by else None,
        began_at=began_at,
        claimed_at=first if timely else None,
        invite_ends=invite_ends,
        claim_by=claim_by,
    )


def _in_time(p: datetime, c: datetime, offer_ends: datetime, terms: Terms) -> bool:
    """Rule 3: the purchase is within the offer, or before the claim but within the grace period."""
    return c <= p < offer_ends or p < c < terms.end(p, terms.periods.grace)


def _conversion(
    in_time: Sequence[Conversion], offer_ends: datetime, terms: Terms, stood: Course, moment: datetime
) -> Course:
    """Rules 3 and 4: the first order that counts is the conversion; its return period runs from its own date.

    With none left the referral waits again while its offer is open, also after a return period.
    """
    q = next((each for each in in_time if each.counts), None)
    if q is not None:
        return_ends = terms.end(q.occurred_at, terms.periods.return_)
        return replace(
            stood,
            status=S.IN_RETURN_PERIOD,
            deadline=return_ends,
            next_status=S.IN_REVIEW,
            next_reason=None,
            offer_ends=offer_ends,
            return_ends=return_ends,
            conversion=q,
        )
    taken_back = any(each.would_count for each in in_time)
    waiting = replace(
        stood,
        status=S.CLAIMED,
        deadline=offer_ends,
        next_status=S.DENIED if taken_back else S.EXPIRED,
        next_reason=Reason.CONVERSION_REVERSED if taken_back else Reason.NO_CONVERSION,
        offer_ends=offer_ends,
    )
    if taken_back and moment >= offer_ends:
        return waiting.closed(S.DENIED, Reason.CONVERSION_REVERSED, moment)
    return waiting


def _unless_withdrawn(known: Sequence[Fact], stood: Course) -> Course:
    """Apply a withdrawal if it came before the referral would have closed."""
    withdrawal = next((fact.occurred_at for fact in known if fact.type is FactType.REFERRAL_WITHDRAWN), None)
    closing = stood.closes_at if stood.closes_at or stood.next_reason is None else stood.deadline
    if withdrawal is None or (closing is not None and closing <= withdrawal):
        return stood
    return stood.closed(S.WITHDRAWN, None, max(withdrawal, stood.began_at))
