"""What facts say for their links to referrals, as the parameters of the statements that make the links.

It is computed from the facts alone, in any thread, before the transaction that stores them begins.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.identity import IDENTITY_KINDS, of_kinds
from referral_rewards.domain.facts.keys import COUPON, Beginning, Filing, first_beginnings
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.register.locks import array, dump


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of strings as two array parameters."""

    left: str
    right: str

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Pairs":
        """Build the arrays, in the order of the pairs."""
        known = list(pairs)
        return cls(array(left for left, _ in known), array(right for _, right in known))


FiledFact = tuple[Event, Filing]
"""A fact and its place in the register."""


@dataclass(frozen=True, slots=True)
class Filed:
    """What a list of facts says for their links.

    ``facts`` pairs each key with a fact that is filed under it, ``heard`` with a referral that listens to it from now
    on, and ``bought`` a buyer's mark with the key of the order. ``beginnings`` is a JSON array of the referrals that
    ``begun`` names. ``coupons`` pairs the key of a coupon with an order that has it; ``codes_of_coupons`` are such keys
    of the enrolments among the facts.
    """

    facts: Pairs
    begun: frozenset[str]
    beginnings: str
    heard: Pairs
    codes: frozenset[str]
    requests: tuple[str, ...]
    bought: Pairs
    orders: frozenset[str]
    payees_with_form: frozenset[str]
    methods: tuple[str, ...]
    coupons: Pairs
    has_coupons: bool
    codes_of_coupons: frozenset[str]

    @classmethod
    def of(cls, facts: Sequence[FiledFact]) -> "Filed":
        """Gather what these facts say."""
        beginnings = first_beginnings(filing.beginning for _, filing in facts)
        bought = [fact for fact in facts if fact[0].type is FactType.CONVERSION_RECORDED]
        coupons = list(_coupons(bought))
        return cls(
            facts=Pairs.of([(key, event.id) for event, filing in facts for key in filing.keys]),
            begun=frozenset([each.referral for each in beginnings]),
            beginnings=dump(list(map(_columns, beginnings))),
            heard=Pairs.of(sorted(_heard(facts))),
            codes=frozenset(_codes(facts)),
            requests=tuple([event.id for event, _ in facts if event.type is FactType.REWARD_REQUESTED]),
            bought=Pairs.of(_bought(bought)),
            orders=frozenset([event.public["order"] for event, _ in bought]),
            methods=tuple([event.id for event, _ in facts if event.type in _METHODS]),
            coupons=Pairs.of(coupons),
            has_coupons=bool(coupons),
            codes_of_coupons=frozenset(
                [key for key, _ in _coupons(fact for fact in facts if fact[0].type is FactType.REFERRER_ENROLLED)]
            ),
            payees_with_form=frozenset(
                [event.public["payee"] for event, _ in facts if event.type is FactType.TAX_FORM_FILED]
            ),
        )


_METHODS: Final = frozenset({FactType.METHOD_SET, FactType.METHOD_REMOVED})


def _heard(facts: Sequence[FiledFact]) -> set[tuple[str, str]]:
    return {(key, filing.beginning.referral) for _, filing in facts if filing.beginning for key in filing.listens}


def _codes(facts: Sequence[FiledFact]) -> set[str]:
    named = [key for _, filing in facts for found in (filing.keys, filing.listens) for key in found]
    return {key for key in named if key.startswith("code:")}


def _bought(purchases: Sequence[FiledFact]) -> list[tuple[str, str]]:
    return [
        (mark, f"order:{event.public['order']}")
        for event, filing in purchases
        for mark in of_kinds(filing.keys, IDENTITY_KINDS)
    ]


def _coupons(facts: Iterable[FiledFact]) -> Iterator[tuple[str, str]]:
    return ((key, event.id) for event, filing in facts for key in filing.keys if key.startswith(COUPON))


def _columns(beginning: Beginning) -> dict[str, str | int | None]:
    return {
        "id": beginning.referral,
        "origin_rank": beginning.rank,
        "began_at": beginning.at.isoformat(),
        "origin_source": beginning.source,
        "origin_event": beginning.event,
        "program": beginning.program,
        "referrer": beginning.referrer,
        "referrer_code": beginning.referrer_code,
        "code_key": beginning.code_key,
        "channel": beginning.channel,
    }
