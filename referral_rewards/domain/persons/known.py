"""By what else a person is known: in one hop, and never on into the data of somebody else (SPEC §3, §11).

Anybody can claim an offer under anybody's address. A claim that names an id and an address is no proof that both are of
one person, and whoever asks for what is kept of them must not be shown what is kept of another.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from referral_rewards.domain.facts.identity import IDENTITY_KINDS, of_kinds

_CUSTOMER: Final = ("customer",)


class Hop(NamedTuple):
    """The marks by which a person is known, and those told beside them that lead to somebody else, or may."""

    known: frozenset[str]
    left_out: frozenset[str]


def also_known(asked: frozenset[str], told: Iterable[frozenset[str]]) -> Hop:
    """Return by what else a person is known.

    ``asked`` are the marks that were asked for, ``told`` those of each fact that names one of them. Facts that name a
    customer id of somebody else tell nothing of the person. Whose it is says what was asked for; without a customer id
    there the facts, if they name a single one.
    """
    told = list(told)
    ours = _ours(asked, told)
    every = _names(frozenset[str]().union(*told))
    known = asked | _names(frozenset[str]().union(*(each for each in told if of_kinds(each, _CUSTOMER) <= ours)))
    return Hop(known, every - known)


def without_others(asked: frozenset[str], hop: Hop, told: Iterable[frozenset[str]]) -> Hop:
    """Return the hop without what was gained by it and stands in a fact of another customer, too.

    ``told`` are the marks of each fact that names one of those of the hop.
    """
    ours, gained = of_kinds(hop.known, _CUSTOMER), hop.known - asked
    others = [each for each in told if not of_kinds(each, _CUSTOMER) <= ours]
    shared = gained & frozenset[str]().union(*others)
    return Hop(hop.known - shared, hop.left_out | shared)


def _ours(asked: frozenset[str], told: Iterable[frozenset[str]]) -> frozenset[str]:
    ours = of_kinds(asked, _CUSTOMER)
    if ours:
        return ours
    named = of_kinds(frozenset[str]().union(*told), _CUSTOMER)
    return named if len(named) == 1 else frozenset()


def _names(marks: frozenset[str]) -> frozenset[str]:
    return of_kinds(marks, IDENTITY_KINDS)
