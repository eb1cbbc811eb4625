"""What stands of a person's suspensions, issues and consent, from the facts (SPEC §3, §5)."""

from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import datetime

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.identity import links
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.facts.restoring import Doubt, Standing, standing

_CONSENT = (FactType.CONSENT_GRANTED, FactType.CONSENT_WITHDRAWN)
_SUSPENSION = (FactType.REFERRER_SUSPENDED, FactType.REFERRER_REINSTATED)
_ISSUE = (FactType.ISSUE_OPENED, FactType.ISSUE_RESOLVED)


def latest_of_issues(said: Iterable[Fact]) -> dict[str, Fact]:
    """Return the latest fact about each issue, from one person's facts in their order of precedence."""
    return {fact.data["issue"]: fact for fact in said if fact.type in _ISSUE}


def suspensions(said: Iterable[Fact]) -> Standing:
    """Return what stands of the facts about whether a referrer is suspended. Enrolling once more lifts nothing."""
    known = (fact for fact in said if fact.type in _SUSPENSION)
    return standing(known, lambda fact: fact.type is FactType.REFERRER_SUSPENDED)


def suspended_in_review(said: Sequence[Fact], since: datetime) -> Fact | None:
    """Return the suspension that stood first at any instant from ``since`` on; None if none did."""
    found = (suspensions(known).taking for known in _known_in_turn(said, since))
    return next((taking[-1] for taking in found if taking), None)


def refused_in_review(said: Sequence[Fact], since: datetime) -> Fact | None:
    """Return the refusal of consent that stood first at any instant from ``since`` on; None if none did."""
    found = (latest_consent(known, "contact") for known in _known_in_turn(said, since))
    return next((latest[0] for latest in found if latest is not None and not latest[1]), None)


def _known_in_turn(said: Sequence[Fact], since: datetime) -> Iterator[list[Fact]]:
    """Yield what was known at ``since``, and at each later instant at which something was said."""
    for moment in sorted({since, *(fact.occurred_at for fact in said if fact.occurred_at > since)}):
        yield [fact for fact in said if fact.occurred_at <= moment]


def open_issues(said: Iterable[Fact]) -> list[Fact]:
    """Return the latest fact that opened each issue that is still unresolved."""
    return [its.taking[-1] for its in _issues(said) if its.taking]


def _issues(said: Iterable[Fact]) -> list[Standing]:
    """Return what stands of each issue."""
    about: dict[str, list[Fact]] = {}
    for fact in said:
        if fact.type in _ISSUE:
            about.setdefault(fact.data["issue"], []).append(fact)
    return [standing(its, lambda fact: fact.type is FactType.ISSUE_OPENED) for its in about.values()]


def words_on_consent(seen: Iterable[Fact], referee: Set[str]) -> tuple[Fact, ...]:
    """Return the facts on the consent of a referral's referee, who has that identity. The claims of the referral are
    its referee's, whatever person they name."""
    return tuple(
        fact
        for fact in seen
        if fact.type is FactType.REFERRAL_CLAIMED or (fact.type in _CONSENT and links(fact.identity, referee))
    )


def latest_consent(said: Iterable[Fact], scope: str) -> tuple[Fact, bool] | None:
    """Return the word on consent that counts for a person in that scope, and whether it is yes.

    A no stands until whoever may tell it tells a yes; of two at one instant it is the no. A claim of an invitation can
    include consent to be contacted.
    """
    words = _words(said, scope)
    if noes := standing(words, _is_no).taking:
        return noes[-1], False
    yes = max(words, key=lambda fact: fact.precedence, default=None)
    return None if yes is None else (yes, True)


def doubts(said: Iterable[Fact], scopes: Iterable[str]) -> list[Doubt]:
    """Return what was to settle an issue, or to give consent in one of these scopes, and does not count."""
    known = tuple(said)
    found = (*_issues(known), *(standing(_words(known, scope), _is_no) for scope in scopes))
    return [doubt for its in found for doubt in its.doubts]


def _words(said: Iterable[Fact], scope: str) -> list[Fact]:
    return [
        fact
        for fact in said
        if (fact.type in _CONSENT and fact.data["scope"] == scope)
        or (fact.type is FactType.REFERRAL_CLAIMED and scope == "contact" and fact.data.get("consent") is not None)
    ]


def _is_no(word: Fact) -> bool:
    return word.type is FactType.CONSENT_WITHDRAWN or word.data.get("consent") is False
