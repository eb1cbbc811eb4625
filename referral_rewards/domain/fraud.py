"""Fraud: an explainable score of weighted signals (SPEC §5). It makes a person look; no score approves.

A signal that has nothing to look at (no address was ever sent) does not fire. One whose input could not be read, or
that the terms name and nobody has built, *could not run*: a person is told, for silence would be a pass.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import tldextract
from disposable_email_domains import blocklist
from rapidfuzz import fuzz

from referral_rewards.domain import identity
from referral_rewards.domain.dossier import Dossier, Similarity
from referral_rewards.domain.identity import normal_email

SCORE_MAX: Final = 100
#: From this likeness (0–100) on, two local parts are taken for one person's.
SIMILAR_FROM: Final = 85.0

#: Whether the signal fires; None if its input could not be read.
Signal = Callable[[Dossier], bool | None]


class Contribution(NamedTuple):
    """A signal of the terms: its weight, and whether it fired (None: could not run)."""

    signal: str
    weight: int
    fired: bool | None


def contributions(dossier: Dossier) -> tuple[Contribution, ...]:
    """What each signal of the terms says, ordered by name; a signal without a weight counts for nothing."""
    weights = dossier.terms.fraud.weights
    return tuple(Contribution(name, weight, _ask(name, dossier)) for name, weight in sorted(weights.items()) if weight)


def score(found: tuple[Contribution, ...]) -> int:
    """The weights of the signals that fired, at most 100."""
    return min(SCORE_MAX, sum(each.weight for each in found if each.fired))


def shared(*kinds: str) -> Signal:
    """Fires if referrer and referee share a mark of every one of the kinds."""

    def fires(dossier: Dossier) -> bool:
        common = dossier.referrer_marks & dossier.referee_marks
        return all(identity.of_kinds(common, (kind,)) for kind in kinds)

    return fires


def disposable_email(dossier: Dossier) -> bool | None:
    """The referee's or the referrer's address is of a service for throw-away addresses."""
    return _with_emails(dossier, lambda s: any(is_disposable(e) for e in (s.referrer_email, s.referee_email) if e))


def similar_email(dossier: Dossier) -> bool | None:
    """The local parts of both addresses are nearly the same, whatever the domain."""
    return _with_emails(dossier, lambda s: are_similar(s.referrer_email, s.referee_email))


def reciprocal_referral(dossier: Dossier) -> bool | None:
    """The referee once referred the referrer."""
    return dossier.reciprocal


def is_disposable(email: str) -> bool:
    """Whether the address's host, or the domain it is registered under, is a known throw-away service."""
    host = normal_email(email).rpartition("@")[2]
    return host in blocklist or _registrable(host) in blocklist


def are_similar(one: str | None, other: str | None) -> bool:
    """Whether two addresses have nearly the same local part in normal form."""
    if not one or not other:
        return False
    local_parts = (normal_email(email).rpartition("@")[0] for email in (one, other))
    return fuzz.ratio(*local_parts) >= SIMILAR_FROM


SIGNALS: Final[Mapping[str, Signal]] = {
    "shared_ip": shared("ip"),
    "shared_ip_and_agent": shared("ip", "agent"),
    "shared_device": shared("device"),
    "shared_fingerprint": shared("fingerprint"),
    "shared_address": shared("address"),
    "shared_surname": shared("surname"),
    "disposable_email": disposable_email,
    "similar_email": similar_email,
    "reciprocal_referral": reciprocal_referral,
}

#: Offline: the public suffix list that came with the package, no request and no cache on disk.
_EXTRACT: Final = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def _registrable(host: str) -> str:
    return _EXTRACT(host).top_domain_under_public_suffix


def _with_emails(dossier: Dossier, fires: Callable[[Similarity], bool]) -> bool | None:
    return None if dossier.personal is None else fires(dossier.personal)


def _ask(name: str, dossier: Dossier) -> bool | None:
    signal = SIGNALS.get(name)
    if signal is None:
        return None
    try:
        return signal(dossier)
    except Exception:  # A signal that breaks is told to a person like one that has no input; it must not pass.
        return None
