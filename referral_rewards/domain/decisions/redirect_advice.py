"""Tells a person what to do about rewards that wait for their payee's payment method."""

from collections.abc import Mapping
from typing import Final

from referral_rewards.domain.decisions.redirects import PayeeSubject
from referral_rewards.domain.instants import day
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.states import REFUSALS, PayoutState


def to_do(subject: PayeeSubject) -> str:
    """Return what a person does next, or what is waited for, in a few sentences."""
    refused = subject.refusal()
    if refused is not None:
        rule, why = refused
        return _ADVICE[rule].format(**_words(subject)) if rule in _ADVICE else f"{why[:1].upper()}{why[1:]}."
    if subject.people == 1:
        return "Check the payment method with the payee, then redirect what waits to it."
    if subject.signed_by:
        return f"Signed by {listed(subject.signed_by)}. Another person of finance redirects it too."
    return "Check the payment method with the payee. Then two people of finance redirect what waits to it."


def instead(subject: PayeeSubject, state: PayoutState) -> str:
    """Return what to do about a payout whose payee has another account now than it pays to, or none: it was refused,
    came back, was retried since, or is a return that was not sent yet."""
    rail = label("rail", subject.rail)
    if subject.destination is None:
        first = f"The payee has no payment method ({rail}) now: they must name one."
    else:
        it = "a retry" if state in REFUSALS else "this payment"
        next_ = _lower(to_do(subject))
        first = f"The payee has named another payment method since, and {it} does not pay to it: {next_}"
    return f"{first} If nothing is owed any more, cancel it." if state in REFUSALS else first


def before_a_retry(rail: str, where: str | None) -> str:
    """Return why a payout is not retried whose payee now has ``where`` on the rail, another account than its own or
    none, and what to do instead."""
    if where is None:
        return f"the payee has no payment method ({label('rail', rail)}) now; they must name one first"
    return "the payee has named another payment method since, and a retry does not pay to it: redirect it instead"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _words(subject: PayeeSubject) -> Mapping[str, str]:
    return {"rail": label("rail", subject.rail), "until": day(subject.may_sign_from)}


_ADVICE: Final[Mapping[str, str]] = {
    "no_method": "Nobody can redirect it: the payee has no payment method ({rail}) now. They are asked for one.",
    "malformed": "Ask the payee for another payment method: {rail} can't pay to the one that they named.",
    "too_early": "The payee was told of the change and may object until {until}. From then on two people of finance "
    "redirect what waits to it.",
    "not_told": "The payee has not been told of the change at an address known before it, so nobody can redirect it "
    "yet. If they name the former payment method again, it goes on.",
}
