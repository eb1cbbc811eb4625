"""Two people who share a mailbox by ``+tags``: what one buys is not the other's, in whatever order it is told."""

from itertools import permutations

import pytest

from referral_rewards.domain.facts import identity, keys
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.referrals.lifecycle import Reason
from referral_rewards.domain.referrals.lifecycle import ReferralStatus as S
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.domain.referrals.periods import course
from tests.domain.build import MARKER, acme, at, backfilled, bought, claimed, sent

TERMS = acme()
ANNA = {"email": "orders+anna@clinic.example"}
BERT = {"email": "orders+bert@clinic.example"}
NAMED = {**ANNA, "customer": "c-anna"}
LATER = at("2027-01-01")


@pytest.mark.parametrize(
    ("referee", "buyer", "status", "reason"),
    [
        (NAMED, {**BERT, "customer": "c-bert"}, S.EXPIRED, Reason.NO_CONVERSION),
        (NAMED, {**ANNA, "customer": "c-bert"}, S.IN_REVIEW, None),
        (NAMED, BERT, S.IN_REVIEW, None),
        (ANNA, {**BERT, "customer": "c-bert"}, S.IN_REVIEW, None),
    ],
)
def test_another_customer_with_the_mailbox_converts_nobody(
    referee: dict[str, str], buyer: dict[str, str], status: S, reason: Reason | None
) -> None:
    lived = [
        sent("2026-08-01", referee=ANNA),
        claimed("2026-08-02", referee=referee),
        bought("2026-08-05", customer=buyer),
    ]
    for told in (*permutations(lived), backfilled(lived)):
        began = origin(told, LATER)
        assert began is not None
        found = course(told, TERMS, LATER, origin=began)
        assert (found.status, found.reason) == (status, reason)


def test_claim_of_a_named_customer_takes_the_order_of_another_from_the_referral() -> None:
    told = [
        sent("2026-08-01", referee=ANNA),
        bought("2026-08-02", customer={**BERT, "customer": "c-bert"}),
        claimed("2026-08-05", referee=NAMED),
    ]
    stood = []
    for moment in ("2026-08-03", "2026-08-06"):
        began = origin(told, at(moment))
        assert began is not None
        stood.append(course(told, TERMS, at(moment), origin=began).status)
    assert stood == [S.PURCHASED_UNCLAIMED, S.CLAIMED]


def test_no_fact_is_filed_under_an_address_with_its_tag_and_referrals_hear_the_whole_mailbox() -> None:
    document = {"specversion": "1.0", "id": "1", "source": "test", "time": "2026-08-01T00:00:00Z"}
    invited = parse_event({
        **document, "type": "referral.sent",
        "data": {"referral": "r1", "program": "p", "referrer": "d", "channel": "email", "referee": ANNA},
    })  # fmt: skip
    order = parse_event({
        **document, "type": "conversion.recorded",
        "data": {"order": "o1", "kind": "purchase", "customer": BERT, "amount": "1.00", "currency": "USD"},
    })  # fmt: skip
    heard = keys.file(invited, invited.marks(MARKER))
    filed = keys.file(order, order.marks(MARKER))
    assert identity.of_kinds(heard.listens & filed.keys, ("email",))
    assert identity.of_kinds(heard.listens, (identity.ALIAS,))
    assert not identity.of_kinds(heard.keys | filed.keys | filed.traces, (identity.ALIAS,))
