"""Fraud: an explainable score of weighted signals (SPEC §5). A high score requires a review; no score approves.

A signal without input (no address was ever sent) does not fire. A signal whose input could not be read, or that the
terms name and the code does not have, *could not run*: it is flagged for a person, because silence would be a pass.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import Sign, Signal
from referral_rewards.domain.claims.signals import of_behaviour, of_email, of_traces

SCORE_MAX: Final = 100

SIGNALS: Final[Mapping[str, Signal]] = {
    **of_traces.SIGNALS,
    **of_email.SIGNALS,
    **of_behaviour.SIGNALS,
}


class Contribution(NamedTuple):
    """A signal of the terms: its weight, whether it fired (None: could not run), and why."""

    signal: str
    weight: int
    fired: bool | None
    why: str = ""


def contributions(dossier: Dossier) -> tuple[Contribution, ...]:
    """Return the result of each signal in the terms, ordered by name; a signal without a weight does not count."""
    weights = dossier.terms.fraud.weights
    return tuple(Contribution(name, weight, *_ask(name, dossier)) for name, weight in sorted(weights.items()) if weight)


def score(found: tuple[Contribution, ...]) -> int:
    """Return the sum of the weights of the signals that fired, at most 100."""
    return min(SCORE_MAX, sum(each.weight for each in found if each.fired))


def _ask(name: str, dossier: Dossier) -> Sign:
    signal = SIGNALS.get(name)
    if signal is None:
        return Sign(None, "there is no such signal")
    try:
        return signal(dossier)
    except Exception:  # A signal that breaks is told to a person like one that has no input; it must not pass.
        return Sign(None, "it failed with an error")
