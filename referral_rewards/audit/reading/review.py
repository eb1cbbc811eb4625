"""What denied a claim by rule while it was in review, whatever was lifted or given later (SPEC §4: a back-fill)."""

from collections.abc import Iterator

from referral_rewards.audit.reading import arithmetic, people
from referral_rewards.audit.reading.told import of_type, standing
from referral_rewards.audit.reading.world import Referral


def denials(mine: Referral) -> Iterator[tuple[str, str]]:
    """The checks that denied it at any instant since its review began, and the ground of each."""
    if mine.stand.return_ends is None:
        return
    since = mine.stand.return_ends + arithmetic.length(mine.terms["periods"].get("arrival_allowance", "PT1H"))
    moments = [since, *(fact.at for fact in mine.world.known if fact.at > since)]
    said = [each for each in of_type(mine.world.known, *_SUSPENSION) if mine.is_of_referrer(each)]
    words = people.words(mine, "contact")
    for moment in moments:
        known = [each for each in said if each.at <= moment]
        if mine.referrer is not None and standing(known, lambda fact: fact.type == _SUSPENSION[0])[0]:
            yield "referrer_active", "referrer_suspended"
            break
    for moment in moments:
        if standing([each for each in words if each.at <= moment], lambda fact: not words[fact])[0]:
            yield "consent_given", "consent_withdrawn"
            break


_SUSPENSION = ("referrer.suspended", "referrer.reinstated")
