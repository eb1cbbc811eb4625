"""Where a reward was paid, if not where its approval says: people of finance signed that, or the terms allow it."""

from collections.abc import Collection, Iterator
from typing import Final
from uuid import UUID, uuid5

from referral_rewards.audit.money.records import Leg, Made, Payment, Terms

_SUBJECTS: Final = UUID("9a4f5d0e-7c1b-5e0a-8d55-3b1f0c6a2e94")


def subject(payee: str, rail: str) -> UUID:
    """Return the id that decisions on a payee's destination on a rail sign."""
    return uuid5(_SUBJECTS, f"{payee}\x00{rail}")


def problems(payment: Payment, leg: Leg, terms: Terms | None, disbelieved: Collection[UUID]) -> Iterator[str]:
    """Yield in words where a reward is bound to a destination that nobody signed for it. ``disbelieved`` are the ids of
    decisions that prove nothing."""
    if leg.bound_to in (None, leg.destination) or _is_first_by_terms(leg, terms):
        return
    its = [
        each
        for each in payment.made.get(subject(leg.beneficiary, leg.rail), ())
        if each.id not in disbelieved and payment.knew(each) and _binds(each, leg)
    ]
    if not any(len({each.username for each in its if each.digest == one.digest}) >= _people(one) for one in its):
        yield f"it was paid to {leg.bound_to}, which is not what was approved; finance had signed no redirect to that"


def _is_first_by_terms(leg: Leg, terms: Terms | None) -> bool:
    """Return whether the terms pay a payee's first method without anybody's decision."""
    payouts = terms.terms.get("payouts") if terms is not None else None
    return leg.destination is None and isinstance(payouts, dict) and payouts.get("first_method") == "pay"


def _binds(made: Made, leg: Leg) -> bool:
    said = made.details or {}
    where = (said.get("payee"), said.get("rail"), said.get("destination"))
    legs = said.get("legs")
    return (
        made.kind == "redirect_payee"
        and "finance" in made.roles
        and where == (leg.beneficiary, leg.rail, leg.bound_to)
        and isinstance(legs, list)
        and str(leg.id) in legs
    )


def _people(made: Made) -> int:
    """Return how many people a redirect takes, as it says itself."""
    said = (made.details or {}).get("people")
    return said if isinstance(said, int) else 2
