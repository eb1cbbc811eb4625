"""A person's unresolved issues and latest consent, from the facts."""

from collections.abc import Iterable

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType

_CONSENT = (FactType.CONSENT_GRANTED, FactType.CONSENT_WITHDRAWN)
_ISSUE = (FactType.ISSUE_OPENED, FactType.ISSUE_RESOLVED)


def latest_of_issues(said: Iterable[Fact]) -> dict[str, Fact]:
    """Return the latest fact about each issue, from one person's facts in their order of precedence."""
    return {fact.data["issue"]: fact for fact in said if fact.type in _ISSUE}


def open_issues(said: Iterable[Fact]) -> list[Fact]:
    """Return the facts that opened the issues that are still unresolved."""
    return [fact for fact in latest_of_issues(said).values() if fact.type is FactType.ISSUE_OPENED]


def latest_consent(said: Iterable[Fact], scope: str) -> tuple[Fact, bool] | None:
    """Return a person's latest consent fact in that scope, and whether it is yes; of two at one instant, the no.

    A claim of an invitation can include consent to be contacted.
    """
    words = []
    for fact in said:
        if fact.type in _CONSENT and fact.data["scope"] == scope:
            words.append((fact, fact.type is FactType.CONSENT_GRANTED))
        elif fact.type is FactType.REFERRAL_CLAIMED and scope == "contact" and fact.data.get("consent") is not None:
            words.append((fact, bool(fact.data["consent"])))
    return max(words, key=lambda each: (each[0].occurred_at, not each[1]), default=None)
