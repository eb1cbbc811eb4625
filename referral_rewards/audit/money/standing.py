"""What a referral's own row says of the reward that was paid: it is made again from facts, and must agree with them."""

from collections.abc import Iterator
from typing import Final

from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.money.about import finding
from referral_rewards.audit.money.records import Claim, Leg, Payment, Referral

#: A referral of which a reward was paid stands in one of these.
_PAID: Final = frozenset({"paying", "rewarded", "clawed_back"})


def findings(payment: Payment) -> Iterator[Finding]:
    """Yield where the rows of a payment's referrals do not agree with the rewards that it pays."""
    for leg in payment.paid:
        row, claim = payment.referrals.get(leg.referral_id), payment.claims.get(leg.claim_id)
        if row is None:
            yield finding(payment, Part.SOURCE_ATTRIBUTION, "its referral is not on record", f"leg {leg.id}", leg)
        elif claim is not None:
            for what in _differences(row, leg, claim):
                yield finding(payment, Part.SOURCE_ATTRIBUTION, what, f"referral {row.id}", leg)


def _differences(row: Referral, leg: Leg, claim: Claim) -> Iterator[str]:
    if row.program != leg.program:
        yield f"the referral is of program {row.program}; the reward is of {leg.program}"
    if row.round > 1 + row.reopened:
        yield f"it is in round {row.round}; people reopened it {row.reopened} times"
    if leg.former or row.round > claim.round:
        # It was reopened for another conversion since: its row is about that one.
        if row.round <= claim.round:
            yield "its reward counts as that of a former conversion, and nobody reopened it"
        return
    pairs = {
        "version of the terms": (row.version, claim.body.get("version")),
        "claim": (row.claim_id, leg.claim_id),
        "order": (row.order_id or f"referral:{row.id}", leg.order_key),
        "stores": (row.stores, leg.stores),
        "round": (row.round, claim.round),
        "referrer": (row.moved_to or row.referrer, claim.referrer),
    }
    for noun, (stands, right) in pairs.items():
        if stands != right:
            yield f"the referral's {noun} is {stands}; its reward says {right}"
    if row.status not in _PAID:
        yield f"the referral is {row.status}, though a reward of it was paid"
    if claim.facts_version > row.facts_version:
        yield f"its claim knew version {claim.facts_version} of its facts; there are {row.facts_version}"
