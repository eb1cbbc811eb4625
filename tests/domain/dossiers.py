"""A dossier in which every check passes; a test changes the one thing it is about.

Dexter refers Brie by email on 1 June 2026, she claims on the 20th, buys for 80.00 USD on 10 July; it is 1 August.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from referral_rewards.domain.claims.adjustments import Adjustment
from referral_rewards.domain.claims.claim import assemble
from referral_rewards.domain.claims.dossier import Behaviour, Dossier, Pace, Refunds, Similarity, TaxPosition
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.inquiries import Answer, SourceAnswer
from referral_rewards.domain.referrals.lifecycle import Side
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.domain.referrals.periods import course
from referral_rewards.domain.referrals.signed_acts import NO_ACTS, LinkedOrder, Reassignment, SignedActs
from tests.domain import build
from tests.domain.build import at, bought, claimed, enrolled, sent

BRIE = {"customer": "c-brie", "email": "brie@example.com", "ip": "203.0.113.9"}
ENROLLED = enrolled("2026-01-05")
SENT = sent("2026-06-01")
CLAIMED = claimed("2026-06-20", referee=BRIE)
BOUGHT = bought("2026-07-10", customer={"customer": "c-brie", "email": "brie@example.com"})
FACTS = (ENROLLED, SENT, CLAIMED, BOUGHT)
NOW = at("2026-08-01")
NOBODY: frozenset[str] = frozenset()
#: Two people of whom the register knows nothing else.
CALM = Behaviour(
    ring=0,
    pace=Pace(hour=1, before_hour=0, day=1, before_day=0),
    refunds=Refunds(converted=0, reversed=0),
    barred=0,
    blocked=NOBODY,
    reused=0,
    denied=0,
    crowd=1,
    clicks=NOBODY,
    sites=NOBODY,
)
CONFIRMED = SourceAnswer(Answer.CONFIRMED, "order o1 stands", "register")

TERMS: Mapping[str, Any] = {
    "program": "acme-friends",
    "name": "Acme refer a friend",
    "effective_from": "2025-01-01T00:00:00Z",
    "timezone": "America/Toronto",
    "currency": "USD",
    "periods": {"expiry": {"email": "P30D"}, "offer": "P30D", "grace": "P30D", "return": "P14D"},
    "qualifying": {"kinds": ["purchase", "account_opened"], "minimum": "50.00", "new_customers_only": True},
    "rewards": {
        "referrer": {"kind": "credit", "amount": "25.00"},
        "referee": {"kind": "credit", "percent": "10", "cap": "40.00"},
    },
    "fraud": {"threshold": 50, "weights": {}},
    "approval": {
        "routes": {
            "cash": ["finance"],
            "gift_card": ["finance"],
            "credit": ["program_owner"],
            "discount": ["program_owner"],
        },
        "four_eyes_from": "500.00",
    },
    "payouts": {
        "rails": {
            "cash": "stripe_transfer",
            "credit": "account_credit",
            "discount": "stripe_promotion",
            "gift_card": "tremendous",
        }
    },
    "tax": {"regime": "us"},
}


def terms(**sections: Any) -> Terms:
    """The terms above; a section that is an object is merged into theirs, any other replaces it."""
    merged = {
        name: {**TERMS[name], **value} if isinstance(value, Mapping) and isinstance(TERMS.get(name), Mapping) else value
        for name, value in sections.items()
    }
    return Terms.model_validate({**TERMS, **merged})


def dossier(*more: Fact, without: Iterable[Fact] = (), now: datetime = NOW, under: Terms | None = None,
            **changes: Any) -> Dossier:  # fmt: skip
    """The dossier above with more facts, without some of its own, or with other fields."""
    facts = (*(fact for fact in FACTS if fact not in tuple(without)), *more)
    under = under or terms()
    begun = origin(facts, now)
    assert begun is not None
    calm = Dossier(
        referral="r1",
        version=1,
        terms=under,
        origin=begun,
        course=course(facts, under, now, origin=begun, linked=changes.get("acts", NO_ACTS).orders),
        facts=facts,
        now=now,
        referrer_marks=frozenset().union(*(f.marks for f in facts if f.type is FactType.REFERRER_ENROLLED)),
        tax={"dexter": TaxPosition(), "c-brie": TaxPosition()},
        personal=Similarity("dexter@example.org", "brie@example.com", "Dexter Gouda", "Brie Cheese", "CA"),
        behaviour=CALM,
        reciprocal=False,
        revalidation=CONFIRMED,
    )
    return replace(calm, **changes)


def adjustment(role: str, amount_minor: int, by: str = "ann", number: int = 1, on: Dossier | None = None) -> Adjustment:
    """A leg set to this amount, on the claim of the dossier above or of another."""
    calculated = assemble(on or dossier()).core_digest
    return Adjustment(
        decision=UUID(int=number), role=Side(role), amount_minor=amount_minor, by=by, reason="goodwill",
        calculated=calculated,
    )  # fmt: skip


def linked(*more: Fact, order: str = "o9", **changes: Any) -> Dossier:
    """The dossier above, but a colleague of Brie's bought, and two people linked the order."""
    theirs = bought("2026-07-10", order=order, customer={"customer": "c-colleague"})
    link = LinkedOrder(UUID(int=9), order, ("oscar", "paula"), "colleague_bought", NOW)
    return dossier(theirs, *more, without=[BOUGHT], **{"acts": SignedActs(links=(link,)), **changes})


def reassigned(to: str, when: str = "2026-07-30") -> SignedActs:
    """The acts of two people who named this referrer."""
    return SignedActs(Reassignment(UUID(int=8), to, ("oscar", "paula"), "other", at(when)))


def told(type_: str, time: str, /, **data: Any) -> Fact:
    """A fact of any type."""
    return build.fact(type_, time, data)
